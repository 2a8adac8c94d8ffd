use chrono::{DateTime, Utc};
use eventsource_core::{
    Error, EventId, Metadata, NewEvent, Payload, Position, RecordedEvent, Result, SharedNames, StreamId, Tag,
    TenantId, Version,
};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use std::collections::BTreeMap;
use uuid::Uuid;

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
        let position = Position::try_from(row.try_get::<i64, _>(at).map_err(row_error)?)?;
        let stream = match row.try_get::<Option<Uuid>, _>(at + 2).map_err(row_error)? {
            None => None,
            Some(id) => {
                let name = row.try_get(at + 3).map_err(row_error)?;
                let aggregate_type = self.names.aggregate_type(name).map_err(broken)?;
                let version = Version::try_from(row.try_get::<i64, _>(at + 4).map_err(row_error)?)?;
                Some((StreamId::new(aggregate_type, id).map_err(broken)?, version))
            }
        };
        let event_type = self.names.event_type(row.try_get(at + 5).map_err(row_error)?).map_err(broken)?;
        let schema_version = u32::try_from(row.try_get::<i32, _>(at + 6).map_err(row_error)?)
            .map_err(|_| Error::corrupt("a stored schema version is negative"))?;
        let payload = Payload::from_stored(json_text(row, at + 7)?)?;
        let id = EventId::new(row.try_get(at + 1).map_err(row_error)?).map_err(broken)?;
        let event = NewEvent::with_id(id, event_type, payload)
            .schema_version(schema_version)
            .tags(tags(row, at + 8)?)
            .metadata(metadata(row, at + 11)?)
            .occurred_at(row.try_get::<DateTime<Utc>, _>(at + 9).map_err(row_error)?)
            .map_err(broken)?;
        let recorded_at: DateTime<Utc> = row.try_get(at + 10).map_err(row_error)?;
        Ok(StoredEvent {
            event: RecordedEvent::new(event, position, stream, recorded_at),
            append_index: row.try_get(at + 16).map_err(row_error)?,
        })
    }
}

fn metadata(row: &PgRow, at: usize) -> Result<Metadata> {
    let mut metadata = Metadata::new();
    if let Some(tenant) = row.try_get::<Option<Uuid>, _>(at).map_err(row_error)? {
        metadata = metadata.tenant(TenantId::new(tenant).map_err(broken)?);
    }
    if let Some(actor) = row.try_get::<Option<String>, _>(at + 1).map_err(row_error)? {
        metadata = metadata.actor(actor).map_err(broken)?;
    }
    if let Some(correlation) = row.try_get::<Option<Uuid>, _>(at + 2).map_err(row_error)? {
        metadata = metadata.correlated(correlation);
    }
    if let Some(causation) = row.try_get::<Option<Uuid>, _>(at + 3).map_err(row_error)? {
        metadata = metadata.caused_by(EventId::new(causation).map_err(broken)?);
    }
    if let Some(sqlx::types::Json(entries)) =
        row.try_get::<Option<sqlx::types::Json<BTreeMap<String, String>>>, _>(at + 4).map_err(row_error)?
    {
        for (key, value) in entries {
            metadata = metadata.entry(key, value).map_err(broken)?;
        }
    }
    Ok(metadata)
}

/// A jsonb column's text, as the server sends it: a version byte, then the text.
pub(crate) fn json_text(row: &PgRow, at: usize) -> Result<&str> {
    let value = row.try_get_raw(at).map_err(row_error)?;
    let bytes =
        value.as_bytes().map_err(|error| Error::corrupt("a payload is missing").with_source(error))?;
    match bytes {
        [1, text @ ..] => std::str::from_utf8(text)
            .map_err(|error| Error::corrupt("a stored payload is not UTF-8").with_source(error)),
        _ => Err(Error::corrupt("a stored payload has an unknown binary format")),
    }
}

/// The tags of a text array in binary form: dimensions, flags, element type; for a dimension its length and lower bound;
/// then length and bytes of each element. Decoded here because the driver's way makes a `String` of each.
fn tags(row: &PgRow, at: usize) -> Result<Vec<Tag>> {
    let value = row.try_get_raw(at).map_err(row_error)?;
    let bytes = value.as_bytes().map_err(|error| Error::corrupt("tags are missing").with_source(error))?;
    decode_tags(bytes).ok_or_else(|| Error::corrupt("stored tags can't be decoded"))
}

fn decode_tags(mut bytes: &[u8]) -> Option<Vec<Tag>> {
    let number = |bytes: &mut &[u8]| {
        let (head, rest) = bytes.split_first_chunk::<4>()?;
        *bytes = rest;
        Some(i32::from_be_bytes(*head))
    };
    let dimensions = number(&mut bytes)?;
    let (_flags, _element_type) = (number(&mut bytes)?, number(&mut bytes)?);
    if dimensions == 0 {
        return Some(Vec::new());
    }
    let length = usize::try_from(number(&mut bytes)?).ok()?;
    let _lower_bound = number(&mut bytes)?;
    if dimensions != 1 || length > bytes.len() {
        return None;
    }
    let mut tags = Vec::with_capacity(length);
    for _ in 0..length {
        let size = usize::try_from(number(&mut bytes)?).ok()?;
        let (text, rest) = bytes.split_at_checked(size)?;
        bytes = rest;
        tags.push(Tag::parse(std::str::from_utf8(text).ok()?).ok()?);
    }
    Some(tags)
}

/// What was valid when it was stored is not any more.
fn broken(error: Error) -> Error {
    Error::corrupt("a stored event breaks a rule").with_source(error)
}

fn row_error(error: sqlx::Error) -> Error {
    Error::corrupt("a stored event can't be decoded").with_source(error)
}
