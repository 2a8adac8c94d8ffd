use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::payload::Misfit;
use crate::{Error, NewEvent, Payload, RecordedEvent, Result, Tag, tagged};

/// A typed event: how it becomes a [`NewEvent`], and how it is read back.
///
/// For an enum that serde tags as below there is nothing to write: the variant's name is the event type, its content
/// the payload. Rename variants with serde where Rust's name and the wire's name part.
///
/// ```
/// use eventsource_core::DomainEvent;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// #[serde(tag = "type", content = "data")]
/// enum OrderEvent {
///     OrderCreated { customer_id: String, total_cents: u64 },
///     OrderShipped { tracking_number: String },
/// }
///
/// impl DomainEvent for OrderEvent {}
///
/// let event = OrderEvent::OrderShipped { tracking_number: "TRACK-1".into() }.encode()?;
/// assert_eq!(event.event_type().as_str(), "OrderShipped");
/// assert_eq!(event.payload().as_json(), r#"{"tracking_number":"TRACK-1"}"#);
/// # Ok::<(), eventsource_core::Error>(())
/// ```
pub trait DomainEvent: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The tags that the event carries; none unless this is written.
    ///
    /// # Errors
    /// `InvalidInput` if one is no [`Tag`].
    fn tags(&self) -> Result<Vec<Tag>> {
        Ok(Vec::new())
    }

    /// The event to append, with a fresh id.
    ///
    /// # Errors
    /// `InvalidInput` if the event is not tagged as above, or makes no [`Payload`].
    fn encode(&self) -> Result<NewEvent> {
        let whole = Payload::from_serialize(self)?;
        let tagged: Tagged<'_> = serde_json::from_str(whole.as_json()).map_err(|error| {
            Error::invalid_input(r#"a domain event is an enum with #[serde(tag = "type", content = "data")]"#)
                .with_source(Misfit::from(error))
        })?;
        let payload = Payload::from_json(tagged.data.map_or("null", RawValue::get))?;
        Ok(NewEvent::from_payload(tagged.event_type.as_ref().try_into()?, payload).tags(self.tags()?))
    }

    /// The event that was appended.
    ///
    /// # Errors
    /// `Corrupt` if the type is unknown, or the payload has another shape.
    fn decode(event: &RecordedEvent) -> Result<Self> {
        tagged::decode(event.event_type().as_str(), event.payload().as_json()).map_err(|error| {
            let (event_type, position) = (event.event_type(), event.position());
            Error::corrupt(format!("the event {event_type} at position {position} can't be decoded"))
                .with_source(Misfit::from(error))
        })
    }
}

/// Nothing may stand beside `type` and `data`: it would not be stored.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tagged<'a> {
    #[serde(rename = "type", borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, Position};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type", content = "data")]
    enum DoorEvent {
        Opened,
        Moved {
            degrees: i32,
        },
        #[serde(rename = "door-labelled")]
        Labelled(String),
    }

    impl DomainEvent for DoorEvent {}

    fn recorded(event: NewEvent) -> RecordedEvent {
        RecordedEvent::new(event, Position::from_raw(1), None, chrono::DateTime::UNIX_EPOCH)
    }

    #[test]
    fn every_kind_of_variant_comes_back() {
        for event in
            [DoorEvent::Opened, DoorEvent::Moved { degrees: -3 }, DoorEvent::Labelled("\"A\"".into())]
        {
            assert_eq!(DoorEvent::decode(&recorded(event.encode().unwrap())).unwrap(), event);
        }
        assert_eq!(DoorEvent::Labelled(String::new()).encode().unwrap().event_type(), &"door-labelled");
    }

    #[test]
    fn an_unknown_type_is_an_error() {
        let error = DoorEvent::decode(&recorded(NewEvent::new("Burnt", &()).unwrap())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn an_event_that_is_not_tagged_is_refused() {
        #[derive(Serialize, Deserialize)]
        struct Plain {
            degrees: i32,
        }
        impl DomainEvent for Plain {}
        assert_eq!(Plain { degrees: 1 }.encode().unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn an_event_whose_content_stands_beside_its_type_is_refused() {
        #[derive(Serialize, Deserialize)]
        #[serde(tag = "type")]
        enum Internal {
            Moved { degrees: i32 },
        }
        impl DomainEvent for Internal {}
        let refused = Internal::Moved { degrees: 1 }.encode().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
}
