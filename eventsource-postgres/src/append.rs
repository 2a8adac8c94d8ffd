//! A batch of appends as the arguments of `append_events`, and its answer as verdicts.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use chrono::{DateTime, Utc};
use eventsource_core::{
    Append, AppendCondition, Appended, Clock, Conflict, Error, EventType, ExpectedVersion, Metadata,
    NewEvent, Position, Result, StreamId, Version,
};
use sqlx::Row as _;
use sqlx::postgres::{PgArguments, PgRow};
use uuid::Uuid;

use crate::arguments::add;
use crate::array::{JsonText, array_literal};
use crate::blockers::Earlier;
use crate::config::PayloadIndex;
use crate::filter;
use crate::items::{Items, is_plain};
use crate::log::Log;
use crate::log_state::LogState;
use crate::schema_name::SchemaName;

/// The statement that calls the function, for a schema.
pub(crate) fn statement(schema: &SchemaName) -> String {
    let placeholders =
        (1..=Batch::ARGUMENTS).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ");
    format!(
        "SELECT firsts, statuses, part_versions, conflict_parts, conflict_positions, conflict_types, \
         head, newest, newest_id, pipelined, deferred \
         FROM {schema}.append_events({placeholders})"
    )
}

/// What the database says to one append of a batch.
pub(crate) enum Verdict {
    /// It was appended.
    Appended(Appended),
    /// Something stood in its way.
    Conflict(Conflict),
    /// An event id is stored already: a repeated append, or an id that was used twice.
    IdTaken,
}

/// What the database says to a batch.
pub(crate) struct Answered {
    /// One for each append.
    pub(crate) verdicts: Vec<Verdict>,
    /// What the log was before.
    pub(crate) snapshot: LogState,
    /// Whether something was appended that is not flushed yet.
    pub(crate) is_deferred: bool,
}

/// When a call's commit is flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commit {
    /// Before the log's lock is free.
    Flushed,
    /// So, unless another writer held the lock.
    FlushedUnlessContended,
    /// Later.
    Deferred,
}

impl Commit {
    pub(crate) fn as_argument(self) -> &'static str {
        match self {
            Self::Flushed => "flushed",
            Self::FlushedUnlessContended => "contended",
            Self::Deferred => "pipelined",
        }
    }
}

/// Appends that are run as one call, column by column. A share of a flat list ends at the ordinal that its owner has.
#[derive(Default)]
pub(crate) struct Batch<'a> {
    appends: Vec<&'a Append>,
    streams: HashMap<&'a StreamId, i32>,
    stream_types: Vec<&'a str>,
    stream_ids: Vec<Uuid>,
    stream_at_least: Vec<i64>,
    request_events: Vec<i32>,
    request_parts: Vec<i32>,
    request_conditions: Vec<i32>,
    part_streams: Vec<i32>,
    part_expected: Vec<i64>,
    part_events: Vec<i32>,
    condition_after: Vec<i64>,
    condition_items: Vec<i32>,
    condition_queries: Vec<Option<String>>,
    condition_values: Vec<i32>,
    condition_blockers: Vec<i32>,
    items: Items<'a>,
    values: Vec<String>,
    blockers: Vec<i32>,
    event_requests: Vec<i32>,
    event_indexes: Vec<i32>,
    event_parts: Vec<Option<i32>>,
    event_offsets: Vec<Option<i32>>,
    event_ids: Vec<Uuid>,
    event_types: Vec<&'a str>,
    event_schema_versions: Vec<i32>,
    event_payloads: Vec<JsonText<'a>>,
    event_tenants: Vec<Option<Uuid>>,
    event_actors: Vec<Option<&'a str>>,
    event_correlations: Vec<Option<Uuid>>,
    event_causations: Vec<Option<Uuid>>,
    event_metadata: Vec<Option<JsonText<'a>>>,
    event_occurred: Vec<Option<DateTime<Utc>>>,
    event_tags: Vec<String>,
    tag_events: Vec<i32>,
    tag_tags: Vec<&'a str>,
    outbox: Vec<i32>,
}

impl<'a> Batch<'a> {
    /// How many arguments the function has.
    const ARGUMENTS: usize = 42;

    /// The batch of these appends, which are valid and no two of which share an event id.
    pub(crate) fn new(appends: impl IntoIterator<Item = &'a Append>, log: &Log) -> Result<Self> {
        let mut batch = Self { appends: appends.into_iter().collect(), ..Self::default() };
        let appends = batch.appends.clone();
        let mut earlier = Earlier::default();
        let has_conditions = appends.iter().any(|append| !append.conditions().is_empty());
        for append in appends {
            for condition in append.conditions() {
                batch.add_condition(condition, &mut earlier, &log.schema, &log.payload_index)?;
            }
            batch.add_parts(append, log)?;
            batch.request_events.push(ordinal(batch.event_ids.len())?);
            batch.request_parts.push(ordinal(batch.part_streams.len())?);
            batch.request_conditions.push(ordinal(batch.condition_after.len())?);
            if has_conditions {
                earlier.add(append);
            }
        }
        Ok(batch)
    }

    /// The function's arguments, in its order.
    pub(crate) fn into_arguments(self, log: &Log, commit: Commit) -> Result<(PgArguments, Asking<'a>)> {
        let recorded_at = recorded_at(log)?;
        let asking = Asking { appends: self.appends, request_parts: self.request_parts.clone() };
        let mut arguments = PgArguments::default();
        add!(
            arguments,
            &*log.lock_timeout,
            commit.as_argument(),
            recorded_at,
            log.channel.as_deref(),
            self.stream_types,
            self.stream_ids,
            self.stream_at_least,
            self.request_events,
            self.request_parts,
            self.request_conditions,
            self.part_streams,
            self.part_expected,
            self.part_events,
            self.condition_after,
            self.condition_items,
            self.condition_queries,
            self.condition_values,
            self.condition_blockers,
            self.items.tag_ends,
            self.items.type_ends,
            self.items.tags,
            self.items.types,
            self.values,
            self.blockers,
            self.event_requests,
            self.event_indexes,
            self.event_parts,
            self.event_offsets,
            self.event_ids,
            self.event_types,
            self.event_schema_versions,
            self.event_payloads,
            some(self.event_tenants),
            some(self.event_actors),
            some(self.event_correlations),
            some(self.event_causations),
            some(self.event_metadata),
            some(self.event_occurred),
            self.event_tags,
            self.tag_events,
            self.tag_tags,
            self.outbox,
        );
        Ok((arguments, asking))
    }

    fn add_parts(&mut self, append: &'a Append, log: &Log) -> Result<()> {
        let request = ordinal(self.request_events.len() + 1)?;
        let mut index = 0;
        for part in append.parts() {
            let part_ordinal = match part.stream() {
                None => None,
                Some(stream) => {
                    let stream = self.stream(stream, part.expected())?;
                    self.part_streams.push(stream);
                    self.part_expected.push(expected_number(part.expected()));
                    self.part_events.push(ordinal(part.events().len())?);
                    Some(ordinal(self.part_streams.len())?)
                }
            };
            for (offset, event) in (1..).zip(part.events()) {
                self.event_requests.push(request);
                self.event_indexes.push(index);
                self.event_parts.push(part_ordinal);
                self.event_offsets.push(part_ordinal.map(|_| offset));
                self.add_event(event)?;
                if log.outbox.as_ref().is_some_and(|outbox| outbox.admits(event, part.stream())) {
                    self.outbox.push(ordinal(self.event_ids.len())?);
                }
                index += 1;
            }
        }
        Ok(())
    }

    fn add_event(&mut self, event: &'a NewEvent) -> Result<()> {
        let metadata = event.all_metadata();
        self.event_ids.push(event.event_id().as_uuid());
        self.event_types.push(event.event_type().as_str());
        self.event_schema_versions.push(
            i32::try_from(event.payload_schema_version())
                .map_err(|_| Error::invalid_input("a schema version is too large"))?,
        );
        self.event_payloads.push(JsonText::Borrowed(event.payload().as_json()));
        self.event_tenants.push(metadata.tenant_id().map(Into::into));
        self.event_actors.push(metadata.actor_id());
        self.event_correlations.push(metadata.correlation_id());
        self.event_causations.push(metadata.causation_id().map(Into::into));
        self.event_metadata.push(metadata_json(metadata)?);
        self.event_occurred.push(event.occurred());
        self.event_tags.push(array_literal(event.all_tags().iter().map(|tag| tag.as_str())));
        let event_ordinal = ordinal(self.event_ids.len())?;
        for tag in event.all_tags() {
            self.tag_events.push(event_ordinal);
            self.tag_tags.push(tag.as_str());
        }
        Ok(())
    }

    fn stream(&mut self, stream: &'a StreamId, expected: ExpectedVersion) -> Result<i32> {
        if let Some(known) = self.streams.get(stream) {
            return Ok(*known);
        }
        self.stream_types.push(stream.aggregate_type().as_str());
        self.stream_ids.push(stream.aggregate_id());
        self.stream_at_least.push(match expected {
            ExpectedVersion::Exact(version) => version.to_i64(),
            _ => 1,
        });
        let new = ordinal(self.stream_ids.len())?;
        self.streams.insert(stream, new);
        Ok(new)
    }

    fn add_condition(
        &mut self,
        condition: &'a AppendCondition,
        earlier: &mut Earlier<'a>,
        schema: &SchemaName,
        index: &PayloadIndex,
    ) -> Result<()> {
        self.condition_after.push(after(condition));
        if is_plain(condition.filter()) {
            self.items.add(condition.filter())?;
            self.condition_queries.push(None);
        } else {
            let (query, mut values) = filter::first_match(schema, index, condition.filter())?;
            self.values.append(&mut values);
            self.condition_queries.push(Some(query));
        }
        for blocker in earlier.matching(condition.filter()) {
            self.blockers.push(ordinal(blocker + 1)?);
        }
        self.condition_items.push(ordinal(self.items.tag_ends.len())?);
        self.condition_values.push(ordinal(self.values.len())?);
        self.condition_blockers.push(ordinal(self.blockers.len())?);
        Ok(())
    }
}

/// What was asked, to read the answer by.
pub(crate) struct Asking<'a> {
    appends: Vec<&'a Append>,
    request_parts: Vec<i32>,
}

impl Asking<'_> {
    /// The answer, with a verdict for each append.
    pub(crate) fn answered(&self, row: &PgRow) -> Result<Answered> {
        let snapshot = LogState::decode(row, Answer::COLUMNS)?;
        let is_deferred = row.try_get(Answer::COLUMNS + LogState::COLUMNS).map_err(crate::error::reading)?;
        Ok(Answered { verdicts: self.verdicts(row)?, snapshot, is_deferred })
    }

    fn verdicts(&self, row: &PgRow) -> Result<Vec<Verdict>> {
        let answer = Answer::of(row).map_err(crate::error::reading)?;
        let mut verdicts = Vec::with_capacity(self.appends.len());
        let mut first_part = 0;
        for (index, append) in self.appends.iter().enumerate() {
            verdicts.push(answer.verdict(index, append, first_part)?);
            first_part = usize::try_from(self.request_parts[index]).map_err(|_| unexpected())?;
        }
        Ok(verdicts)
    }
}

struct Answer {
    firsts: Vec<Option<i64>>,
    statuses: Vec<i32>,
    part_versions: Vec<Option<i64>>,
    conflict_parts: Vec<Option<i32>>,
    conflict_positions: Vec<Option<i64>>,
    conflict_types: Vec<Option<String>>,
}

impl Answer {
    const COLUMNS: usize = 6;

    fn of(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            firsts: row.try_get(0)?,
            statuses: row.try_get(1)?,
            part_versions: row.try_get(2)?,
            conflict_parts: row.try_get(3)?,
            conflict_positions: row.try_get(4)?,
            conflict_types: row.try_get(5)?,
        })
    }

    /// The verdict on the append at `index`, whose parts with streams begin at `first_part`.
    fn verdict(&self, index: usize, append: &Append, first_part: usize) -> Result<Verdict> {
        match self.statuses.get(index) {
            Some(0) => self.appended(index, append, first_part).map(Verdict::Appended),
            Some(1) => Ok(Verdict::IdTaken),
            Some(2) => {
                let part = at(&self.conflict_parts, index)?;
                let part = usize::try_from(part - 1).map_err(|_| unexpected())?;
                let asked = append
                    .parts()
                    .iter()
                    .filter(|part| part.stream().is_some())
                    .nth(part.checked_sub(first_part).ok_or_else(unexpected)?)
                    .ok_or_else(unexpected)?;
                Ok(Verdict::Conflict(Conflict::StreamVersion {
                    stream: asked.stream().ok_or_else(unexpected)?.clone(),
                    expected: asked.expected(),
                    actual: version_or_none(at(&self.part_versions, part)?)?,
                }))
            }
            Some(3) => Ok(Verdict::Conflict(Conflict::Condition {
                position: Position::try_from(at(&self.conflict_positions, index)?)?,
                event_type: EventType::new(
                    self.conflict_types.get(index).and_then(Option::as_deref).ok_or_else(unexpected)?,
                )?,
            })),
            _ => Err(unexpected()),
        }
    }

    fn appended(&self, index: usize, append: &Append, first_part: usize) -> Result<Appended> {
        let first = at(&self.firsts, index)?;
        let last = first + i64::from(ordinal(append.event_count())?) - 1;
        let parts = append.parts().iter().filter_map(|part| Some((part.stream()?, part.events().len())));
        let versions = parts
            .zip(self.part_versions.get(first_part..).unwrap_or_default())
            .map(|((stream, events), before)| {
                let before = version_or_none(before.ok_or_else(unexpected)?)?;
                Ok((stream.clone(), Version::after(before, events as u64)))
            })
            .collect::<Result<_>>()?;
        Ok(Appended {
            first: Position::try_from(first)?,
            last: Position::try_from(last)?,
            versions,
            replayed: false,
        })
    }
}

/// When an append is recorded, if the store has a clock.
pub(crate) fn recorded_at(log: &Log) -> Result<Option<DateTime<Utc>>> {
    log.clock.as_deref().map(|clock| eventsource_core::to_microseconds(now(clock)?)).transpose()
}

/// Behind which position a condition's filter may match nothing. Nothing lies at the very end, and what would be behind it is
/// no number.
pub(crate) fn after(condition: &AppendCondition) -> i64 {
    condition.after_position().to_i64().min(i64::MAX - 1)
}

/// An expected version as the functions take it.
pub(crate) fn expected_number(expected: ExpectedVersion) -> i64 {
    match expected {
        ExpectedVersion::Any => -1,
        ExpectedVersion::NoStream => 0,
        ExpectedVersion::StreamExists => -2,
        ExpectedVersion::Exact(version) => version.to_i64(),
    }
}

/// The entries of metadata that have no column of their own, if there are any.
pub(crate) fn metadata_json(metadata: &Metadata) -> Result<Option<JsonText<'static>>> {
    if metadata.entries().is_empty() {
        return Ok(None);
    }
    let json = serde_json::to_string(metadata.entries())
        .map_err(|error| Error::invalid_input("metadata can't be serialised").with_source(error))?;
    Ok(Some(JsonText::Owned(json)))
}

/// What a clock says, which is not ours and may panic: that must not end the committer.
fn now(clock: &dyn Clock) -> Result<DateTime<Utc>> {
    catch_unwind(AssertUnwindSafe(|| clock.now())).map_err(|_| Error::backend("the store's clock panicked"))
}

/// A column, or an empty one where it holds nothing at all: the server fills it up.
fn some<T>(column: Vec<Option<T>>) -> Vec<Option<T>> {
    if column.iter().any(Option::is_some) { column } else { Vec::new() }
}

fn at<T: Copy>(column: &[Option<T>], index: usize) -> Result<T> {
    column.get(index).copied().flatten().ok_or_else(unexpected)
}

fn version_or_none(version: i64) -> Result<Option<Version>> {
    if version == 0 { Ok(None) } else { Version::try_from(version).map(Some) }
}

pub(crate) fn ordinal(number: usize) -> Result<i32> {
    i32::try_from(number).map_err(|_| Error::invalid_input("a batch of appends is too large"))
}

pub(crate) fn unexpected() -> Error {
    Error::backend("the log's function gave an answer that this program does not understand")
}
