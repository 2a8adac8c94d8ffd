use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use eventsource_core::{
    Error, EventId, Metadata, NewEvent, Payload, Position, RecordedEvent, Result, SharedNames, StreamId, Tag,
    TenantId, Version,
};
use rusqlite::types::{FromSql, ToSql, ValueRef};
use rusqlite::{Row, Statement};
use uuid::Uuid;

/// What [`decode`] reads, in its order, of `events AS e`.
pub(crate) const COLUMNS: &str = "e.global_position, e.event_id, e.aggregate_id, e.aggregate_type, e.version, \
    e.event_type, e.schema_version, e.tenant_id, e.actor_id, e.correlation_id, e.causation_id, e.metadata, e.tags, \
    e.timestamp, e.created_at, e.append_index, e.payload";

/// An event that a row holds, and its place in its append.
pub(crate) struct Stored {
    pub(crate) event: RecordedEvent,
    pub(crate) append_index: i64,
    /// About how much memory it takes.
    pub(crate) bytes: usize,
}

/// Where and when an event is put.
pub(crate) struct Place<'s> {
    pub(crate) position: i64,
    pub(crate) stream: Option<(&'s StreamId, Version)>,
    pub(crate) append_index: i64,
    pub(crate) recorded_at: DateTime<Utc>,
}

/// Binds an event to the parameters of `sql/insert_event.sql`, from the one at `index` on. Returns how many bytes it has.
pub(crate) fn bind(
    statement: &mut Statement<'_>,
    index: usize,
    (event, place): &(&NewEvent, Place<'_>),
) -> rusqlite::Result<usize> {
    let metadata = event.all_metadata();
    let occurred_at = event.occurred().unwrap_or(place.recorded_at);
    let mut next = index..;
    let mut bind = |value: &dyn ToSql| match next.next() {
        Some(index) => statement.raw_bind_parameter(index, value),
        None => Ok(()),
    };
    bind(&place.position)?;
    bind(event.event_id().as_uuid().as_bytes())?;
    bind(&place.stream.map(|(stream, _)| stream.aggregate_id().into_bytes()))?;
    bind(&place.stream.map(|(stream, _)| stream.aggregate_type().as_str()))?;
    bind(&place.stream.map(|(_, version)| version.to_i64()))?;
    bind(&event.event_type().as_str())?;
    bind(&event.payload_schema_version())?;
    bind(&metadata.tenant_id().map(|id| id.as_uuid().into_bytes()))?;
    bind(&metadata.actor_id())?;
    bind(&metadata.correlation_id().map(Uuid::into_bytes))?;
    bind(&metadata.causation_id().map(|id| id.as_uuid().into_bytes()))?;
    bind(&encode_entries(metadata))?;
    bind(&encode_tags(event.all_tags()))?;
    bind(&occurred_at.timestamp_micros())?;
    bind(&place.recorded_at.timestamp_micros())?;
    bind(&place.append_index)?;
    bind(&event.payload().as_json())?;
    Ok(event.byte_count())
}

/// Decodes rows. Names that repeat from row to row are shared.
#[derive(Default)]
pub(crate) struct Rows {
    names: SharedNames,
}

impl Rows {
    /// The event that a row of [`COLUMNS`] holds.
    pub(crate) fn decode(&mut self, row: &Row<'_>) -> Result<Stored> {
        let position = column::<i64>(row, 0)?;
        self.decode_at(row, position).map_err(|error| {
            Error::corrupt(format!("the event at position {position} can't be decoded")).with_source(error)
        })
    }

    fn decode_at(&mut self, row: &Row<'_>, position: i64) -> Result<Stored> {
        let payload = Payload::from_stored(text(row, 16)?)?;
        let tags = text(row, 12)?;
        let bytes = payload.as_json().len() + tags.len() + 256;
        let (metadata, entries_bytes) = decode_metadata(row)?;
        let event_type = self.names.event_type(text(row, 5)?)?;
        let event = NewEvent::with_id(EventId::new(uuid(row, 1)?)?, event_type, payload)
            .schema_version(column(row, 6)?)
            .tags(decode_tags(tags)?)
            .metadata(metadata)
            .occurred_at(time(row, 13)?)?;
        let stream = match optional_uuid(row, 2)? {
            None => None,
            Some(id) => {
                let stream = StreamId::new(self.names.aggregate_type(text(row, 3)?)?, id)?;
                Some((stream, Version::try_from(column::<i64>(row, 4)?)?))
            }
        };
        let position = Position::try_from(position)?;
        let event = RecordedEvent::new(event, position, stream, time(row, 14)?);
        Ok(Stored { event, append_index: column(row, 15)?, bytes: bytes + entries_bytes })
    }
}

fn decode_metadata(row: &Row<'_>) -> Result<(Metadata, usize)> {
    let mut metadata = Metadata::new();
    if let Some(tenant) = optional_uuid(row, 7)? {
        metadata = metadata.tenant(TenantId::new(tenant)?);
    }
    if let Some(actor) = optional_text(row, 8)? {
        metadata = metadata.actor(actor)?;
    }
    if let Some(correlation_id) = optional_uuid(row, 9)? {
        metadata = metadata.correlated(correlation_id);
    }
    if let Some(causation_id) = optional_uuid(row, 10)? {
        metadata = metadata.caused_by(EventId::new(causation_id)?);
    }
    let Some(json) = optional_text(row, 11)? else { return Ok((metadata, 0)) };
    let entries: BTreeMap<String, String> = serde_json::from_str(json)
        .map_err(|error| Error::corrupt("stored metadata is no object of text").with_source(error))?;
    for (key, value) in entries {
        metadata = metadata.entry(key, value)?;
    }
    Ok((metadata, json.len()))
}

fn encode_entries(metadata: &Metadata) -> Option<String> {
    let entries = metadata.entries();
    (!entries.is_empty()).then(|| {
        let entries = entries.iter().map(|(key, value)| (key.clone(), value.as_str().into()));
        serde_json::Value::Object(entries.collect()).to_string()
    })
}

fn encode_tags(tags: &[Tag]) -> Cow<'static, str> {
    if tags.is_empty() {
        return Cow::Borrowed("[]");
    }
    let mut json = String::with_capacity(tags.iter().map(|tag| tag.as_str().len() + 3).sum::<usize>() + 2);
    let mut separator = '[';
    for tag in tags {
        json.push(separator);
        push_json_text(&mut json, tag.as_str());
        separator = ',';
    }
    json.push(']');
    Cow::Owned(json)
}

fn push_json_text(json: &mut String, text: &str) {
    if text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        json.push_str(&serde_json::Value::from(text).to_string());
    } else {
        json.push('"');
        json.push_str(text);
        json.push('"');
    }
}

fn decode_tags(json: &str) -> Result<Vec<Tag>> {
    if json == "[]" {
        return Ok(Vec::new());
    }
    if let Some(tags) = plain_tags(json) {
        return tags;
    }
    let tags: Vec<Cow<'_, str>> = serde_json::from_str(json)
        .map_err(|error| Error::corrupt("stored tags are no list of text").with_source(error))?;
    tags.into_iter().map(Tag::parse).collect()
}

/// The tags of a list as [`encode_tags`] writes it, if nothing in it is escaped: nearly always.
fn plain_tags(json: &str) -> Option<Result<Vec<Tag>>> {
    let mut rest = json.strip_prefix("[\"")?.strip_suffix("\"]")?;
    let mut tags = Vec::with_capacity(4);
    // By bytes: so short texts are looked through sooner than a searcher is made.
    while let Some(end) = rest.bytes().position(|byte| byte == b'"' || byte == b'\\') {
        let (text, behind) = rest.split_at(end);
        rest = behind.strip_prefix("\",\"")?;
        tags.push(Tag::parse(text));
    }
    tags.push(Tag::parse(rest));
    Some(tags.into_iter().collect())
}

pub(crate) fn column<T: FromSql>(row: &Row<'_>, index: usize) -> Result<T> {
    row.get(index).map_err(|error| crate::error::failed("reading a column", error))
}

pub(crate) fn optional_text<'r>(row: &'r Row<'_>, index: usize) -> Result<Option<&'r str>> {
    match row.get_ref(index) {
        Ok(ValueRef::Null) => Ok(None),
        Ok(value) => value
            .as_str()
            .map(Some)
            .map_err(|error| Error::corrupt(format!("column {index} holds no text")).with_source(error)),
        Err(error) => Err(crate::error::failed("reading a column", error)),
    }
}

pub(crate) fn text<'r>(row: &'r Row<'_>, index: usize) -> Result<&'r str> {
    optional_text(row, index)?.ok_or_else(|| Error::corrupt(format!("column {index} is empty")))
}

pub(crate) fn optional_uuid(row: &Row<'_>, index: usize) -> Result<Option<Uuid>> {
    Ok(column::<Option<[u8; 16]>>(row, index)?.map(Uuid::from_bytes))
}

pub(crate) fn uuid(row: &Row<'_>, index: usize) -> Result<Uuid> {
    optional_uuid(row, index)?.ok_or_else(|| Error::corrupt(format!("column {index} is empty")))
}

pub(crate) fn time(row: &Row<'_>, index: usize) -> Result<DateTime<Utc>> {
    let microseconds = column(row, index)?;
    DateTime::from_timestamp_micros(microseconds)
        .ok_or_else(|| Error::corrupt(format!("column {index} holds no time: {microseconds}")))
}
