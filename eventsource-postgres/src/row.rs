use std::collections::BTreeMap;

use eventsource_core::{
    Error, EventId, Metadata, NewEvent, Payload, Position, RecordedEvent, Result, SharedNames, StreamId,
    TenantId, Version,
};
use sqlx::postgres::PgRow;

use crate::binary::{bigint, integer, json, optional, required, tags, text, time, uuid};

/// The columns of `events e` that make an event, in the order that [`Rows::decode`] expects.
pub(crate) const COLUMNS: &str = "e.global_position, e.event_id, e.aggregate_id, e.aggregate_type, e.version, \
     e.event_type, e.schema_version, e.payload, e.tags, e.timestamp, e.created_at, e.tenant_id, e.actor_id, \
     e.correlation_id, e.causation_id, e.metadata, e.append_index";

/// An event with what says where its append begins and ends.
pub(crate) struct StoredEvent {
    pub(crate) event: RecordedEvent,
    pub(crate) append_index: i32,
}

/// Decodes rows. Names that repeat from row to row are shared.
#[derive(Default)]
pub(crate) struct Rows {
    names: SharedNames,
}

impl Rows {
    /// The event whose [`COLUMNS`] begin at `at`.
    pub(crate) fn decode(&mut self, row: &PgRow, at: usize) -> Result<StoredEvent> {
        let position = required(row, at, bigint)?;
        self.decode_at(row, at, position).map_err(|error| {
            Error::corrupt(format!("the event at position {position} can't be decoded")).with_source(error)
        })
    }

    fn decode_at(&mut self, row: &PgRow, at: usize, position: i64) -> Result<StoredEvent> {
        let position = Position::try_from(position)?;
        let stream = match optional(row, at + 2, uuid)? {
            None => None,
            Some(id) => {
                let name = required(row, at + 3, text)?;
                let aggregate_type = self.names.aggregate_type(name)?;
                let version = Version::try_from(required(row, at + 4, bigint)?)?;
                Some((StreamId::new(aggregate_type, id)?, version))
            }
        };
        let event_type = self.names.event_type(required(row, at + 5, text)?)?;
        let schema_version = u32::try_from(required(row, at + 6, integer)?)
            .map_err(|_| Error::corrupt("a stored schema version is negative"))?;
        let payload = Payload::from_stored(required(row, at + 7, json)?)?;
        let id = EventId::new(required(row, at + 1, uuid)?)?;
        let event = NewEvent::with_id(id, event_type, payload)
            .schema_version(schema_version)
            .tags(required(row, at + 8, tags)?)
            .metadata(metadata(row, at + 11)?)
            .occurred_at(required(row, at + 9, time)?)?;
        let recorded_at = required(row, at + 10, time)?;
        Ok(StoredEvent {
            event: RecordedEvent::new(event, position, stream, recorded_at),
            append_index: required(row, at + 16, integer)?,
        })
    }
}

fn metadata(row: &PgRow, at: usize) -> Result<Metadata> {
    let mut metadata = Metadata::new();
    if let Some(tenant) = optional(row, at, uuid)? {
        metadata = metadata.tenant(TenantId::new(tenant)?);
    }
    if let Some(actor) = optional(row, at + 1, text)? {
        metadata = metadata.actor(actor)?;
    }
    if let Some(correlation) = optional(row, at + 2, uuid)? {
        metadata = metadata.correlated(correlation);
    }
    if let Some(causation) = optional(row, at + 3, uuid)? {
        metadata = metadata.caused_by(EventId::new(causation)?);
    }
    let Some(entries) = optional(row, at + 4, json)? else { return Ok(metadata) };
    let entries: BTreeMap<String, String> = serde_json::from_str(entries)
        .map_err(|error| Error::corrupt("stored metadata is no object of text").with_source(error))?;
    for (key, value) in entries {
        metadata = metadata.entry(key, value)?;
    }
    Ok(metadata)
}
