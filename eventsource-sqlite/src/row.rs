use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use eventsource_core::{
    Error, EventId, Metadata, NewEvent, Payload, Position, RecordedEvent, Result, SharedNames, StreamId, Tag,
    TenantId, Version,
};
use rusqlite::types::{FromSql, ToSql, ValueRef};
use rusqlite::{Row, Statement};
use smallvec::SmallVec;
use uuid::Uuid;

use crate::raw::{RawEvent, undecodable};

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

/// Decodes events. Names that repeat from one to the next are shared.
#[derive(Default)]
pub(crate) struct Decoder {
    names: SharedNames,
}

impl Decoder {
    /// The event that a row held.
    pub(crate) fn decode(&mut self, raw: RawEvent<&[u8]>) -> Result<RecordedEvent> {
        self.decode_parts(raw).map_err(|error| undecodable(raw.position, error))
    }

    fn decode_parts(&mut self, raw: RawEvent<&[u8]>) -> Result<RecordedEvent> {
        let event_type = self.names.event_type(utf8(raw.event_type)?)?;
        let payload = Payload::from_stored(utf8(raw.payload)?)?;
        let event = NewEvent::with_id(EventId::new(raw.event_id)?, event_type, payload)
            .schema_version(raw.schema_version)
            .tags(decode_tags(utf8(raw.tags)?)?)
            .metadata(decode_metadata(raw)?)
            .occurred_at(from_microseconds(raw.occurred_at)?)?;
        let stream = match raw.stream {
            None => None,
            Some(place) => {
                let aggregate_type = self.names.aggregate_type(utf8(place.aggregate_type)?)?;
                let stream = StreamId::new(aggregate_type, place.aggregate_id)?;
                Some((stream, Version::try_from(place.version)?))
            }
        };
        let position = Position::try_from(raw.position)?;
        Ok(RecordedEvent::new(event, position, stream, from_microseconds(raw.recorded_at)?))
    }
}

fn utf8(text: &[u8]) -> Result<&str> {
    std::str::from_utf8(text).map_err(|error| Error::corrupt("a text is no UTF-8").with_source(error))
}

fn decode_metadata(raw: RawEvent<&[u8]>) -> Result<Metadata> {
    let mut metadata = Metadata::new();
    if let Some(tenant) = raw.tenant {
        metadata = metadata.tenant(TenantId::new(tenant)?);
    }
    if let Some(actor) = raw.actor {
        metadata = metadata.actor(utf8(actor)?)?;
    }
    if let Some(correlation_id) = raw.correlation_id {
        metadata = metadata.correlated(correlation_id);
    }
    if let Some(causation_id) = raw.causation_id {
        metadata = metadata.caused_by(EventId::new(causation_id)?);
    }
    let Some(json) = raw.metadata else { return Ok(metadata) };
    let entries: BTreeMap<String, String> = serde_json::from_slice(json)
        .map_err(|error| Error::corrupt("stored metadata is no object of text").with_source(error))?;
    for (key, value) in entries {
        metadata = metadata.entry(key, value)?;
    }
    Ok(metadata)
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

fn decode_tags(json: &str) -> Result<SmallVec<[Tag; 4]>> {
    if json == "[]" {
        return Ok(SmallVec::new());
    }
    if let Some(tags) = plain_tags(json)? {
        return Ok(tags);
    }
    let tags: Vec<Cow<'_, str>> = serde_json::from_str(json)
        .map_err(|error| Error::corrupt("stored tags are no list of text").with_source(error))?;
    tags.into_iter().map(Tag::parse).collect()
}

/// The tags of a list as [`encode_tags`] writes it, if nothing in it is escaped: nearly always.
fn plain_tags(json: &str) -> Result<Option<SmallVec<[Tag; 4]>>> {
    let inner = json.strip_prefix("[\"").and_then(|rest| rest.strip_suffix("\"]"));
    let Some(mut rest) = inner else { return Ok(None) };
    let mut tags = SmallVec::new();
    // By bytes: so short texts are looked through sooner than a searcher is made.
    while let Some(end) = rest.bytes().position(|byte| byte == b'"' || byte == b'\\') {
        let (text, behind) = rest.split_at(end);
        let Some(next) = behind.strip_prefix("\",\"") else { return Ok(None) };
        rest = next;
        tags.push(Tag::parse(text)?);
    }
    tags.push(Tag::parse(rest)?);
    Ok(Some(tags))
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
    from_microseconds(column(row, index)?)
}

fn from_microseconds(microseconds: i64) -> Result<DateTime<Utc>> {
    DateTime::from_timestamp_micros(microseconds)
        .ok_or_else(|| Error::corrupt(format!("{microseconds} microseconds are no time")))
}
