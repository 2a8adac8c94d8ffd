use chrono::{DateTime, Utc};
use eventsource_core::{
    Append, Appended, Conflict, Error, EventId, EventType, OutboxFilter, Position, RecordedEvent, Result,
    StreamId, Version, to_microseconds,
};
use rusqlite::{CachedStatement, Connection, OptionalExtension};

use crate::error::SqliteError;
use crate::filter::first_match;
use crate::outbox::OutboxWriter;
use crate::read::event_at;
use crate::row::{self, Place};
use crate::stream;

/// Judges and writes appends, one after the other, within transactions that somebody else begins and ends. Its
/// statements are prepared once.
pub(crate) struct Appender<'c> {
    connection: &'c Connection,
    position_of_event: CachedStatement<'c>,
    newest_of_stream: CachedStatement<'c>,
    insert_event: CachedStatement<'c>,
    insert_tag: CachedStatement<'c>,
    head: CachedStatement<'c>,
    set_head: CachedStatement<'c>,
    /// None where the outbox is off.
    outbox: Option<OutboxWriter<'c>>,
}

/// Why an append was not written.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It was found out before anything was written.
    Judged(Error),
    /// SQLite failed, perhaps in the middle: the transaction must not be committed as it is.
    Failed(SqliteError),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Judged(error)
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error.into())
    }
}

type Judgement<T> = std::result::Result<T, Refusal>;

impl<'c> Appender<'c> {
    pub(crate) fn new(connection: &'c Connection, outbox: Option<&OutboxFilter>) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            position_of_event: connection.prepare_cached(include_str!("../sql/position_of_event.sql"))?,
            newest_of_stream: connection.prepare_cached(stream::NEWEST)?,
            insert_event: connection.prepare_cached(include_str!("../sql/insert_event.sql"))?,
            insert_tag: connection.prepare_cached(include_str!("../sql/insert_tag.sql"))?,
            head: connection.prepare_cached(include_str!("../sql/head.sql"))?,
            set_head: connection.prepare_cached(include_str!("../sql/set_head.sql"))?,
            outbox: outbox.map(|filter| OutboxWriter::new(connection, filter)).transpose()?,
        })
    }

    /// The newest position. The transaction holds the write lock, or it may be another's tomorrow.
    pub(crate) fn head(&mut self) -> rusqlite::Result<i64> {
        self.head.query_row([], |row| row.get(0))
    }

    /// Makes `head` the newest position.
    pub(crate) fn set_head(&mut self, head: i64) -> rusqlite::Result<()> {
        self.set_head.execute([head]).map(drop)
    }

    /// Writes `append` behind `head`, which moves, unless something stands in its way. It is validated already.
    pub(crate) fn append(
        &mut self,
        append: &Append,
        head: &mut i64,
        now: DateTime<Utc>,
    ) -> Judgement<Appended> {
        if let Some(stored) = self.stored(append)? {
            return Ok(stored);
        }
        let versions = self.expected_versions(append)?;
        self.check_conditions(append, *head)?;
        self.insert(append, &versions, head, to_microseconds(now)?)
    }

    /// What this very append came to when it was stored before, if it was.
    fn stored(&mut self, append: &Append) -> Judgement<Option<Appended>> {
        let mut taken = None;
        for (index, (_, event)) in append.each_event().enumerate() {
            if let Some(position) = self.position_of(event.event_id())? {
                taken = Some((index, event.event_id(), position));
                break;
            }
        }
        let Some((index, event_id, position)) = taken else { return Ok(None) };
        if index == 0
            && let Some(appended) = self.stored_at(append, position)?
        {
            return Ok(Some(appended));
        }
        let position = Position::try_from(position)?;
        Err(Refusal::Judged(Conflict::DuplicateEvent { event_id, position }.into()))
    }

    /// What `append` came to, if exactly this one lies at `first`: event by event, and no shorter or longer.
    fn stored_at(&mut self, append: &Append, first: i64) -> Judgement<Option<Appended>> {
        let mut position = first;
        let mut versions = Vec::new();
        for (index, (stream, event)) in (0..).zip(append.each_event()) {
            let Some(stored) = event_at(self.connection, position)? else { return Ok(None) };
            if stored.append_index != index || !stored.event.records(event, stream) {
                return Ok(None);
            }
            note_version(&mut versions, &stored.event);
            position += 1;
        }
        let next: Option<i64> = self
            .connection
            .prepare_cached(include_str!("../sql/next_append_index.sql"))?
            .query_row([position - 1], |row| row.get(0))
            .optional()?;
        if next.is_some_and(|index| index != 0) {
            return Ok(None);
        }
        let (first, last) = (Position::try_from(first)?, Position::try_from(position - 1)?);
        Ok(Some(Appended { first, last, versions, replayed: true }))
    }

    /// The version that each part's stream has, if the append may have it so; in the parts' order.
    fn expected_versions(&mut self, append: &Append) -> Judgement<Vec<Option<Version>>> {
        let mut versions = Vec::with_capacity(append.parts().len());
        for part in append.parts() {
            let Some(stream) = part.stream() else {
                versions.push(None);
                continue;
            };
            let newest = stream::newest(&mut self.newest_of_stream, stream)?;
            let actual = newest.map(|(version, _)| Version::try_from(version)).transpose()?;
            if !part.expected().is_met_by(actual) {
                let (stream, expected) = (stream.clone(), part.expected());
                return Err(Refusal::Judged(Conflict::StreamVersion { stream, expected, actual }.into()));
            }
            versions.push(actual);
        }
        Ok(versions)
    }

    fn check_conditions(&mut self, append: &Append, head: i64) -> Judgement<()> {
        for condition in append.conditions() {
            let found = first_match(self.connection, condition.filter(), condition.after_position(), head)?;
            if let Some(position) = found {
                let event_type: String = self
                    .connection
                    .prepare_cached(include_str!("../sql/event_type_at.sql"))?
                    .query_row([position], |row| row.get(0))?;
                let event_type = EventType::new(event_type)
                    .map_err(|error| Error::corrupt("a stored event type is none").with_source(error))?;
                let position = Position::try_from(position)?;
                return Err(Refusal::Judged(Conflict::Condition { position, event_type }.into()));
            }
        }
        Ok(())
    }

    fn insert(
        &mut self,
        append: &Append,
        versions: &[Option<Version>],
        head: &mut i64,
        recorded_at: DateTime<Utc>,
    ) -> Judgement<Appended> {
        let first = *head + 1;
        let mut position = *head;
        let mut append_index = 0;
        let mut reached = Vec::new();
        for (part, &before) in append.parts().iter().zip(versions) {
            let mut version = before;
            for event in part.events() {
                position += 1;
                version = Some(version.map_or(Version::FIRST, Version::next));
                let stream = part.stream().zip(version);
                let place = Place { position, stream, append_index, recorded_at };
                row::insert(&mut self.insert_event, event, &place)?;
                for tag in event.all_tags() {
                    self.insert_tag.execute((tag.as_str(), position))?;
                }
                if let Some(outbox) = &mut self.outbox {
                    outbox.put(event, &place)?;
                }
                append_index += 1;
            }
            reached.extend(part.stream().cloned().zip(version));
        }
        *head = position;
        let (first, last) = (Position::try_from(first)?, Position::try_from(position)?);
        Ok(Appended { first, last, versions: reached, replayed: false })
    }

    fn position_of(&mut self, event_id: EventId) -> rusqlite::Result<Option<i64>> {
        self.position_of_event.query_row([event_id.as_uuid().as_bytes()], |row| row.get(0)).optional()
    }
}

/// Notes the version that an event gave its stream: an append's events of one stream lie side by side.
fn note_version(versions: &mut Vec<(StreamId, Version)>, event: &RecordedEvent) {
    let Some((stream, version)) = event.stream().zip(event.version()) else { return };
    match versions.last_mut() {
        Some((last, reached)) if last == stream => *reached = version,
        _ => versions.push((stream.clone(), version)),
    }
}

/// What a refusal is to the caller.
pub(crate) fn refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Judged(error) => error,
        Refusal::Failed(error) => error.failed("appending"),
    }
}

/// The verdict on one append that stands alone.
pub(crate) fn verdict<T>(judgement: Judgement<T>) -> Result<T> {
    judgement.map_err(refused)
}

/// Runs `work`, and undoes what it wrote if it fails; the transaction goes on.
pub(crate) fn in_savepoint<T>(connection: &Connection, work: impl FnOnce() -> Judgement<T>) -> Judgement<T> {
    connection.prepare_cached("SAVEPOINT eventsource_append")?.execute([])?;
    let judgement = work();
    if judgement.is_err() && !connection.is_autocommit() {
        connection.prepare_cached("ROLLBACK TO eventsource_append")?.execute([])?;
    }
    // Some errors end the transaction, and the savepoint with it.
    if !connection.is_autocommit() {
        connection.prepare_cached("RELEASE eventsource_append")?.execute([])?;
    }
    judgement
}
