use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::payload::Misfit;
use crate::{Error, EventSchema, NewEvent, Payload, RecordedEvent, Result, Tag, tagged};

mod variant_names;

pub(crate) use variant_names::variant_names;

/// A typed event: how it becomes a [`NewEvent`], and how it is read back.
///
/// Derive it (feature `derive`, on by default), or implement it by hand. By hand, for an enum that serde tags as below,
/// there is nothing to write: the variant's name is the event type, its content the payload. Rename variants with serde
/// where Rust's name and the wire's name part. Both ways store the same JSON.
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
    /// Every event that this type writes, and reads without help: its name and its schema's version. The derive macro
    /// writes it.
    ///
    /// Without it, every event is of version 1, and the names are those that serde gives the variants; see
    /// [`EventSchema::all_of`].
    const SCHEMAS: &'static [EventSchema] = &[];

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
    /// `InvalidInput` if the event is not tagged as above, is not in [`SCHEMAS`](Self::SCHEMAS), or makes no
    /// [`Payload`].
    fn encode(&self) -> Result<NewEvent> {
        let whole = Payload::from_serialize(self)?;
        let tagged: Tagged<'_> = serde_json::from_str(whole.as_json()).map_err(|error| {
            Error::invalid_input(r#"a domain event is an enum with #[serde(tag = "type", content = "data")]"#)
                .with_source(Misfit::from(error))
        })?;
        let payload = Payload::from_json(tagged.data.map_or("null", RawValue::get))?;
        let version = match Self::SCHEMAS {
            [] => 1,
            schemas => version_of(&tagged.event_type, schemas).ok_or_else(|| {
                let name = std::any::type_name::<Self>();
                Error::invalid_input(format!("SCHEMAS of {name} does not list {}", tagged.event_type))
            })?,
        };
        let event = NewEvent::from_payload(tagged.event_type.as_ref().try_into()?, payload);
        Ok(event.schema_version(version).tags(self.tags()?))
    }

    /// The event that was appended.
    ///
    /// # Errors
    /// `Corrupt` if the type is unknown, or the payload has another shape; if there are [`SCHEMAS`](Self::SCHEMAS), also
    /// if the stored event is of another schema version: an [`EventRegistry`](crate::EventRegistry) reads those.
    fn decode(event: &RecordedEvent) -> Result<Self> {
        check_schema::<Self>(event)?;
        tagged::decode(event.event_type().as_str(), event.payload().as_json())
            .map_err(|error| not_decoded(event, error))
    }
}

fn version_of(name: &str, schemas: &[EventSchema]) -> Option<u32> {
    schemas.iter().find(|schema| schema.name() == name).map(EventSchema::version)
}

/// Refuses what `E` says it doesn't know.
fn check_schema<E: DomainEvent>(event: &RecordedEvent) -> Result<()> {
    if E::SCHEMAS.is_empty() {
        return Ok(());
    }
    schema_index::<E>(event).map(|_| ())
}

/// Which of `E`'s schemas the event is written in.
pub(crate) fn schema_index<E: DomainEvent>(event: &RecordedEvent) -> Result<usize> {
    let (name, version) = (event.event_type(), event.schema_version());
    let known = E::SCHEMAS.iter().position(|schema| name == schema.name());
    let (position, reader) = (event.position(), std::any::type_name::<E>());
    match known {
        None => {
            Err(Error::corrupt(format!("{reader} knows no event {name}, which lies at position {position}")))
        }
        Some(index) if E::SCHEMAS[index].version() == version => Ok(index),
        Some(index) => Err(Error::corrupt(format!(
            "the event {name} at position {position} has schema version {version}, and {reader} reads version {} only: \
             an EventRegistry with an upcaster reads both",
            E::SCHEMAS[index].version()
        ))),
    }
}

/// What to say when the payload has not the shape that the type has.
pub(crate) fn not_decoded(event: &RecordedEvent, error: serde_json::Error) -> Error {
    let (event_type, position) = (event.event_type(), event.position());
    Error::corrupt(format!("the event {event_type} at position {position} can't be decoded"))
        .with_source(Misfit::from(error))
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

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type", content = "data")]
    enum VersionedEvent {
        Opened { degrees: i32 },
    }

    impl DomainEvent for VersionedEvent {
        const SCHEMAS: &'static [EventSchema] = &[EventSchema::new("Opened", 3)];
    }

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
    fn what_serde_calls_the_variants_is_what_the_type_knows() {
        let names = ["Opened", "Moved", "door-labelled"];
        assert_eq!(EventSchema::all_of::<DoorEvent>().unwrap(), names.map(|name| EventSchema::new(name, 1)));
        assert_eq!(EventSchema::all_of::<VersionedEvent>().unwrap(), VersionedEvent::SCHEMAS);
    }

    #[test]
    fn schemas_by_hand_give_their_versions() {
        let event = VersionedEvent::Opened { degrees: 1 };
        let encoded = event.encode().unwrap();
        assert_eq!(encoded.payload_schema_version(), 3);
        assert_eq!(VersionedEvent::decode(&recorded(encoded.clone())).unwrap(), event);
        let error = VersionedEvent::decode(&recorded(encoded.schema_version(2))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("version 2"), "{error}");
    }

    #[test]
    fn an_event_that_is_not_tagged_is_refused() {
        #[derive(Serialize, Deserialize)]
        struct Plain {
            degrees: i32,
        }
        impl DomainEvent for Plain {}
        assert_eq!(Plain { degrees: 1 }.encode().unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(EventSchema::all_of::<Plain>().unwrap_err().kind(), ErrorKind::InvalidInput);
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
