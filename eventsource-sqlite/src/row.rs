use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Utc};
use eventsource_core::{Error, Metadata, NewEvent, Result, StreamId, Tag, Version};
use rusqlite::types::{FromSql, ToSql, ValueRef};
use rusqlite::{Row, Statement};
use uuid::Uuid;

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

pub(crate) fn column<T: FromSql>(row: &Row<'_>, index: usize) -> Result<T> {
    row.get(index).map_err(|error| crate::error::failed("reading a column", error))
}

pub(crate) fn optional_text<'r>(row: &'r Row<'_>, index: usize) -> Result<Option<&'r str>> {
    optional_raw_text(row, index)?.map(|text| utf8(text, index)).transpose()
}

pub(crate) fn text<'r>(row: &'r Row<'_>, index: usize) -> Result<&'r str> {
    optional_text(row, index)?.ok_or_else(|| empty(index))
}

/// Text of which nobody has seen yet that it is UTF-8.
pub(crate) fn optional_raw_text<'r>(row: &'r Row<'_>, index: usize) -> Result<Option<&'r [u8]>> {
    match row.get_ref(index) {
        Ok(ValueRef::Null) => Ok(None),
        Ok(ValueRef::Text(text)) => Ok(Some(text)),
        Ok(_) => Err(Error::corrupt(format!("column {index} holds no text"))),
        Err(error) => Err(crate::error::failed("reading a column", error)),
    }
}

pub(crate) fn raw_text<'r>(row: &'r Row<'_>, index: usize) -> Result<&'r [u8]> {
    optional_raw_text(row, index)?.ok_or_else(|| empty(index))
}

pub(crate) fn optional_uuid(row: &Row<'_>, index: usize) -> Result<Option<Uuid>> {
    Ok(column::<Option<[u8; 16]>>(row, index)?.map(Uuid::from_bytes))
}

pub(crate) fn uuid(row: &Row<'_>, index: usize) -> Result<Uuid> {
    optional_uuid(row, index)?.ok_or_else(|| empty(index))
}

pub(crate) fn time(row: &Row<'_>, index: usize) -> Result<DateTime<Utc>> {
    to_time(column(row, index)?, index)
}

/// The text that a column holds, which is named in the error.
pub(crate) fn utf8(text: &[u8], column: impl fmt::Display) -> Result<&str> {
    std::str::from_utf8(text)
        .map_err(|error| Error::corrupt(format!("column {column} holds no text")).with_source(error))
}

/// The time that a column holds, which is named in the error.
pub(crate) fn to_time(microseconds: i64, column: impl fmt::Display) -> Result<DateTime<Utc>> {
    DateTime::from_timestamp_micros(microseconds)
        .ok_or_else(|| Error::corrupt(format!("column {column} holds no time: {microseconds}")))
}

fn empty(index: usize) -> Error {
    Error::corrupt(format!("column {index} is empty"))
}
