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
        let position = Position::try_from(required(row, at, bigint)?)?;
        let stream = match optional(row, at + 2, uuid)? {
            None => None,
            Some(id) => {
                let name = required(row, at + 3, text)?;
                let aggregate_type = self.names.aggregate_type(name).map_err(broken)?;
                let version = Version::try_from(required(row, at + 4, bigint)?)?;
                Some((StreamId::new(aggregate_type, id).map_err(broken)?, version))
            }
        };
        let event_type = self.names.event_type(required(row, at + 5, text)?).map_err(broken)?;
        let schema_version = u32::try_from(required(row, at + 6, integer)?)
            .map_err(|_| Error::corrupt("a stored schema version is negative"))?;
        let payload = Payload::from_stored(required(row, at + 7, json)?)?;
        let id = EventId::new(required(row, at + 1, uuid)?).map_err(broken)?;
        let event = NewEvent::with_id(id, event_type, payload)
            .schema_version(schema_version)
            .tags(required(row, at + 8, tags)?)
            .metadata(metadata(row, at + 11)?)
            .occurred_at(required(row, at + 9, time)?)
            .map_err(broken)?;
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
        metadata = metadata.tenant(TenantId::new(tenant).map_err(broken)?);
    }
    if let Some(actor) = optional(row, at + 1, text)? {
        metadata = metadata.actor(actor).map_err(broken)?;
    }
    if let Some(correlation) = optional(row, at + 2, uuid)? {
        metadata = metadata.correlated(correlation);
    }
    if let Some(causation) = optional(row, at + 3, uuid)? {
        metadata = metadata.caused_by(EventId::new(causation).map_err(broken)?);
    }
    let Some(entries) = optional(row, at + 4, json)? else { return Ok(metadata) };
    let entries: BTreeMap<String, String> = serde_json::from_str(entries)
        .map_err(|error| Error::corrupt("stored metadata is no object of text").with_source(error))?;
    for (key, value) in entries {
        metadata = metadata.entry(key, value).map_err(broken)?;
    }
    Ok(metadata)
}

/// What was valid when it was stored is not any more.
fn broken(error: Error) -> Error {
    Error::corrupt("a stored event breaks a rule").with_source(error)
}
