use eventsource_core::{Error, Result};
use rusqlite::Row;
use uuid::Uuid;

use crate::row::{column, optional_raw_text, optional_uuid, raw_text, uuid};

/// What [`RawEvent::of`] reads, in its order, of `events AS e`.
pub(crate) const COLUMNS: &str = "e.global_position, e.event_id, e.aggregate_id, e.aggregate_type, e.version, \
    e.event_type, e.schema_version, e.tenant_id, e.actor_id, e.correlation_id, e.causation_id, e.metadata, e.tags, \
    e.timestamp, e.created_at, e.append_index, e.payload";

/// An event as its row holds it. Where its texts are is for others to say: they may lie in SQLite's memory, or in
/// [`RawEvents`].
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(crate) struct RawEvent<Text> {
    pub(crate) position: i64,
    pub(crate) event_id: Uuid,
    pub(crate) stream: Option<RawPlace<Text>>,
    pub(crate) event_type: Text,
    pub(crate) schema_version: u32,
    pub(crate) tenant: Option<Uuid>,
    pub(crate) actor: Option<Text>,
    pub(crate) correlation_id: Option<Uuid>,
    pub(crate) causation_id: Option<Uuid>,
    pub(crate) metadata: Option<Text>,
    pub(crate) tags: Text,
    /// In microseconds, as all times.
    pub(crate) occurred_at: i64,
    pub(crate) recorded_at: i64,
    pub(crate) append_index: i64,
    pub(crate) payload: Text,
}

/// Where an event lies in its stream.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(crate) struct RawPlace<Text> {
    pub(crate) aggregate_id: Uuid,
    pub(crate) aggregate_type: Text,
    pub(crate) version: i64,
}

impl<'r> RawEvent<&'r [u8]> {
    /// What a row of [`COLUMNS`] holds.
    pub(crate) fn of(row: &'r Row<'_>) -> Result<Self> {
        let position = column(row, 0)?;
        Self::at(position, row).map_err(|error| undecodable(position, error))
    }

    /// About how much memory it takes, decoded.
    pub(crate) fn byte_count(&self) -> usize {
        self.payload.len() + self.tags.len() + self.metadata.map_or(0, <[u8]>::len) + 256
    }

    fn at(position: i64, row: &'r Row<'_>) -> Result<Self> {
        let stream = match optional_uuid(row, 2)? {
            None => None,
            Some(aggregate_id) => {
                let (aggregate_type, version) = (raw_text(row, 3)?, column(row, 4)?);
                Some(RawPlace { aggregate_id, aggregate_type, version })
            }
        };
        Ok(Self {
            position,
            event_id: uuid(row, 1)?,
            stream,
            event_type: raw_text(row, 5)?,
            schema_version: column(row, 6)?,
            tenant: optional_uuid(row, 7)?,
            actor: optional_raw_text(row, 8)?,
            correlation_id: optional_uuid(row, 9)?,
            causation_id: optional_uuid(row, 10)?,
            metadata: optional_raw_text(row, 11)?,
            tags: raw_text(row, 12)?,
            occurred_at: column(row, 13)?,
            recorded_at: column(row, 14)?,
            append_index: column(row, 15)?,
            payload: raw_text(row, 16)?,
        })
    }
}

impl<Text> RawEvent<Text> {
    /// The same with each text replaced, one after the other, always in the same order.
    pub(crate) fn with_texts<Other>(self, mut replace: impl FnMut(Text) -> Other) -> RawEvent<Other> {
        RawEvent {
            position: self.position,
            event_id: self.event_id,
            stream: self.stream.map(|place| RawPlace {
                aggregate_id: place.aggregate_id,
                aggregate_type: replace(place.aggregate_type),
                version: place.version,
            }),
            event_type: replace(self.event_type),
            schema_version: self.schema_version,
            tenant: self.tenant,
            actor: self.actor.map(&mut replace),
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            metadata: self.metadata.map(&mut replace),
            tags: replace(self.tags),
            occurred_at: self.occurred_at,
            recorded_at: self.recorded_at,
            append_index: self.append_index,
            payload: replace(self.payload),
        }
    }
}

pub(crate) fn undecodable(position: i64, error: Error) -> Error {
    Error::corrupt(format!("the event at position {position} can't be decoded")).with_source(error)
}
