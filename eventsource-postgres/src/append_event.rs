//! An append of one event under one condition at most, as the arguments of `append_event`, and its answer as a verdict.

use eventsource_core::{
    Append, AppendCondition, AppendPart, Appended, Conflict, Error, EventType, NewEvent, Position, Result,
    Version,
};
use sqlx::Row as _;
use sqlx::postgres::{PgArguments, PgRow};

use crate::append::{
    Answered, Commit, Verdict, after, expected_number, metadata_json, recorded_at, unexpected,
};
use crate::arguments::add;
use crate::array::JsonText;
use crate::error::reading;
use crate::items::{Items, is_plain};
use crate::log::Log;
use crate::log_state::LogState;
use crate::schema_name::SchemaName;

/// The statement that calls the function, for a schema.
pub(crate) fn statement(schema: &SchemaName) -> String {
    let placeholders =
        (1..=OneEvent::ARGUMENTS).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ");
    format!(
        "SELECT status, stream_version, conflict_position, conflict_type, head, newest, newest_id, pipelined, deferred \
         FROM {schema}.append_event({placeholders})"
    )
}

/// An append of one event under one condition at most, whose items the function can judge.
#[derive(Clone, Copy)]
pub(crate) struct OneEvent<'a> {
    part: &'a AppendPart,
    event: &'a NewEvent,
    condition: Option<&'a AppendCondition>,
}

impl<'a> OneEvent<'a> {
    /// How many arguments the function has.
    const ARGUMENTS: usize = 23;
    /// How many columns of its answer come before the snapshot's.
    const COLUMNS: usize = 4;

    /// The append, if it is one of these.
    pub(crate) fn of(append: &'a Append) -> Option<Self> {
        let [part] = append.parts() else { return None };
        let [event] = part.events() else { return None };
        let condition = match append.conditions() {
            [] => None,
            [condition] if is_plain(condition.filter()) => Some(condition),
            _ => return None,
        };
        Some(Self { part, event, condition })
    }

    /// Whether it goes into the outbox as well: that is the larger function's work.
    pub(crate) fn is_published(self, log: &Log) -> bool {
        log.outbox.as_ref().is_some_and(|outbox| outbox.admits(self.event, self.part.stream()))
    }

    /// The function's arguments, in its order.
    pub(crate) fn arguments(self, log: &Log, commit: Commit) -> Result<PgArguments> {
        let Self { part, event, condition } = self;
        let metadata = event.all_metadata();
        let mut items = Items::default();
        if let Some(condition) = condition {
            items.add(condition.filter())?;
        }
        let mut arguments = PgArguments::default();
        add!(
            arguments,
            &*log.lock_timeout,
            commit.as_argument(),
            recorded_at(log)?,
            log.channel.as_deref(),
            part.stream().map(|stream| stream.aggregate_type().as_str()),
            part.stream().map(|stream| stream.aggregate_id()),
            expected_number(part.expected()),
            event.event_id().as_uuid(),
            event.event_type().as_str(),
            i32::try_from(event.payload_schema_version())
                .map_err(|_| Error::invalid_input("a schema version is too large"))?,
            JsonText::Borrowed(event.payload().as_json()),
            metadata.tenant_id().map(uuid::Uuid::from),
            metadata.actor_id(),
            metadata.correlation_id(),
            metadata.causation_id().map(uuid::Uuid::from),
            metadata_json(metadata)?,
            event.occurred(),
            event.all_tags().iter().map(|tag| tag.as_str()).collect::<Vec<_>>(),
            condition.map(after),
            items.tag_ends,
            items.type_ends,
            items.tags,
            items.types,
        );
        Ok(arguments)
    }

    /// The answer.
    pub(crate) fn answered(self, row: &PgRow) -> Result<Answered> {
        let snapshot = LogState::decode(row, Self::COLUMNS)?;
        let is_deferred = row.try_get(Self::COLUMNS + LogState::COLUMNS).map_err(reading)?;
        let version: Option<i64> = row.try_get(1).map_err(reading)?;
        let version = match version {
            None | Some(0) => None,
            Some(version) => Some(Version::try_from(version)?),
        };
        let stream = self.part.stream().cloned();
        let verdict = match row.try_get::<i32, _>(0).map_err(reading)? {
            0 => {
                let position = Position::from_raw(snapshot.head.to_raw() + 1);
                let versions = stream.map(|stream| (stream, Version::after(version, 1)));
                let versions = versions.into_iter().collect();
                Verdict::Appended(Appended { first: position, last: position, versions, replayed: false })
            }
            1 => Verdict::IdTaken,
            2 => Verdict::Conflict(Conflict::StreamVersion {
                stream: stream.ok_or_else(unexpected)?,
                expected: self.part.expected(),
                actual: version,
            }),
            3 => Verdict::Conflict(Conflict::Condition {
                position: Position::try_from(row.try_get::<i64, _>(2).map_err(reading)?)?,
                event_type: EventType::new(row.try_get::<&str, _>(3).map_err(reading)?)?,
            }),
            _ => return Err(unexpected()),
        };
        Ok(Answered { verdicts: vec![verdict], snapshot, is_deferred })
    }
}
