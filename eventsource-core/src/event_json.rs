//! An event as one JSON object, for what stores it whole or sends it on.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::payload::Misfit;
use crate::{
    Error, EventId, EventType, Metadata, NewEvent, Payload, Position, RecordedEvent, Result, StreamId, Tag,
    TenantId, Version,
};

impl RecordedEvent {
    /// Everything about the event, as one JSON object that [`from_json`](Self::from_json) reads.
    ///
    /// Names are those of the tutorial's outbox (`event_id`, `aggregate_id`, `aggregate_type`, `tenant_id`, `occurred_at`,
    /// `payload`), and what it has not.
    ///
    /// # Errors
    /// `Corrupt` if the payload is no JSON, which no store gives out.
    pub fn to_json(&self) -> Result<String> {
        let payload: &RawValue = serde_json::from_str(self.payload().as_json())
            .map_err(|error| Error::corrupt("a payload is not JSON").with_source(Misfit::from(error)))?;
        let metadata = self.metadata();
        let whole = Whole {
            position: self.position(),
            event_id: self.id(),
            event_type: self.event_type().clone(),
            schema_version: self.schema_version(),
            aggregate_id: self.stream().map(StreamId::aggregate_id),
            aggregate_type: self.stream().map(|stream| stream.aggregate_type().as_str().to_owned()),
            version: self.version(),
            tenant_id: metadata.tenant_id(),
            actor_id: metadata.actor_id().map(str::to_owned),
            correlation_id: metadata.correlation_id(),
            causation_id: metadata.causation_id(),
            metadata: (!metadata.entries().is_empty()).then(|| metadata.entries().clone()),
            tags: self.tags().iter().map(|tag| tag.as_str().to_owned()).collect(),
            occurred_at: self.occurred_at().to_rfc3339_opts(SecondsFormat::Micros, true),
            recorded_at: self.recorded_at().to_rfc3339_opts(SecondsFormat::Micros, true),
            payload,
        };
        serde_json::to_string(&whole)
            .map_err(|error| Error::backend("an event makes no JSON").with_source(Misfit::from(error)))
    }

    /// The event that [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// `Corrupt` if it is none.
    pub fn from_json(json: &str) -> Result<Self> {
        let whole: Whole<'_> = serde_json::from_str(json)
            .map_err(|error| Error::corrupt("this JSON is no event").with_source(Misfit::from(error)))?;
        whole.into_event().map_err(|error| match error.kind() {
            crate::ErrorKind::Corrupt => error,
            _ => Error::corrupt("an event in JSON breaks a rule").with_source(error),
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Whole<'a> {
    position: Position,
    event_id: EventId,
    event_type: EventType,
    schema_version: u32,
    aggregate_id: Option<Uuid>,
    aggregate_type: Option<String>,
    version: Option<Version>,
    tenant_id: Option<TenantId>,
    actor_id: Option<String>,
    correlation_id: Option<Uuid>,
    causation_id: Option<EventId>,
    metadata: Option<BTreeMap<String, String>>,
    tags: Vec<String>,
    occurred_at: String,
    recorded_at: String,
    #[serde(borrow)]
    payload: &'a RawValue,
}

impl Whole<'_> {
    fn into_event(self) -> Result<RecordedEvent> {
        let stream = match (self.aggregate_type, self.aggregate_id, self.version) {
            (Some(aggregate_type), Some(id), Some(version)) => {
                Some((StreamId::new(aggregate_type, id)?, version))
            }
            (None, None, None) => None,
            _ => return Err(Error::corrupt("an event in JSON has a part of a stream")),
        };
        let mut metadata = Metadata::new();
        if let Some(tenant) = self.tenant_id {
            metadata = metadata.tenant(tenant);
        }
        if let Some(actor) = self.actor_id {
            metadata = metadata.actor(actor)?;
        }
        if let Some(correlation) = self.correlation_id {
            metadata = metadata.correlated(correlation);
        }
        if let Some(causation) = self.causation_id {
            metadata = metadata.caused_by(causation);
        }
        for (key, value) in self.metadata.into_iter().flatten() {
            metadata = metadata.entry(key, value)?;
        }
        let payload = Payload::from_stored(self.payload.get())?;
        let event = NewEvent::with_id(self.event_id, self.event_type, payload)
            .schema_version(self.schema_version)
            .tags(self.tags.into_iter().map(Tag::parse).collect::<Result<Vec<_>>>()?)
            .metadata(metadata)
            .occurred_at(time(&self.occurred_at)?)?;
        Ok(RecordedEvent::new(event, self.position, stream, time(&self.recorded_at)?))
    }
}

fn time(text: &str) -> Result<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .map_err(|error| Error::corrupt("an event in JSON has no valid time").with_source(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn recorded(event: NewEvent, stream: Option<(StreamId, Version)>) -> RecordedEvent {
        let time = "2026-01-02T03:04:05.123456Z".parse().unwrap();
        let event = event.occurred_at("1969-12-31T23:59:59.5Z".parse().unwrap()).unwrap();
        RecordedEvent::new(event, Position::from_raw(7), stream, time)
    }

    #[test]
    fn an_event_comes_back_whole() {
        let payload =
            Payload::from_json(r#"{"n":18446744073709551615,"f":1e-7,"t":"\u0001 \"é\""}"#).unwrap();
        let full = NewEvent::from_payload("OrderPlaced".try_into().unwrap(), payload)
            .schema_version(3)
            .tag("order", "7")
            .unwrap()
            .tag("a", "b,c:d")
            .unwrap()
            .tenant(TenantId::new(Uuid::from_u128(5)).unwrap())
            .correlated(Uuid::from_u128(6))
            .caused_by(EventId::random())
            .actor("ann")
            .unwrap();
        let metadata = full.all_metadata().clone().entry("client", "app/2.1\r\n").unwrap();
        let stream = StreamId::new("Order", Uuid::from_u128(1)).unwrap();
        for event in [
            recorded(full.metadata(metadata), Some((stream, Version::new(9).unwrap()))),
            recorded(NewEvent::new("Plain", &()).unwrap(), None),
        ] {
            let json = event.to_json().unwrap();
            assert_eq!(RecordedEvent::from_json(&json).unwrap(), event, "{json}");
        }
    }

    #[test]
    fn what_is_no_event_is_corrupt_and_not_quoted() {
        let json = recorded(NewEvent::new("Plain", "secret").unwrap(), None).to_json().unwrap();
        for broken in [
            "{}".to_owned(),
            json.replace("\"Plain\"", "\"\""),
            json.replace("1969-", "secret"),
            json.replace("\"version\":null", "\"version\":1"),
        ] {
            let error = RecordedEvent::from_json(&broken).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{broken}");
            assert!(!format!("{error:?}").contains("secret"));
        }
    }
}
