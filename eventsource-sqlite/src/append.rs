use chrono::{DateTime, Utc};
use eventsource_core::{
    Append, Appended, Conflict, Error, EventId, EventType, OutboxFilter, Position, RecordedEvent, Result,
    StreamId, Version, to_microseconds,
};
use rusqlite::{CachedStatement, Connection, OptionalExtension};

use crate::decoder::EventDecoder;
use crate::error::SqliteError;
use crate::filter::first_match;
use crate::handler;
use crate::inserts::Inserts;
use crate::known_tags::KnownTags;
use crate::outbox::OutboxWriter;
use crate::pending::Pending;
use crate::read::event_at;
use crate::row::{self, Place};
use crate::search::Window;
use crate::stream;
use crate::tags::Tags;
use crate::versions::Versions;

/// Judges and writes appends, one after the other, within transactions that somebody else begins and ends. Its
/// statements are prepared once.
pub(crate) struct Appender<'c> {
    connection: &'c Connection,
    position_of_event: CachedStatement<'c>,
    newest_of_stream: CachedStatement<'c>,
    events: Inserts<'c>,
    tags: Tags<'c>,
    head: CachedStatement<'c>,
    set_head: CachedStatement<'c>,
    /// None where the outbox is off.
    outbox: Option<OutboxWriter<'c>>,
    data_version: CachedStatement<'c>,
    versions: Versions,
    known_tags: KnownTags,
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

/// When it is found out that an append's events are stored already, which hardly ever is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retries {
    /// Before the append is judged.
    LookedUp,
    /// When a version or a condition stands in its way. If none does, inserting it fails.
    NoticedLate,
}

impl<'c> Appender<'c> {
    pub(crate) fn new(connection: &'c Connection, outbox: Option<&OutboxFilter>) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            position_of_event: connection.prepare_cached(include_str!("sql/position_of_event.sql"))?,
            newest_of_stream: connection.prepare_cached(stream::NEWEST)?,
            events: Inserts::new(connection, include_str!("sql/insert_event.sql")),
            tags: Tags::new(connection),
            head: connection.prepare_cached(include_str!("sql/head.sql"))?,
            set_head: connection.prepare_cached(include_str!("sql/set_head.sql"))?,
            outbox: outbox.map(|filter| OutboxWriter::new(connection, filter)).transpose()?,
            data_version: connection.prepare_cached(include_str!("sql/data_version.sql"))?,
            versions: Versions::default(),
            known_tags: KnownTags::default(),
        })
    }

    /// Begins to append, behind the newest position. The transaction holds the write lock, or it may be another's
    /// tomorrow.
    pub(crate) fn begin<'a>(&mut self) -> rusqlite::Result<Pending<'a>> {
        let data_version = self.data_version.query_row([], |row| row.get(0))?;
        let (head, tags_moved) = self.head.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        self.versions.begin(data_version);
        self.known_tags.begin(data_version, head);
        self.tags.begin(tags_moved);
        Ok(Pending::behind(head))
    }

    /// Forgets what it knows from its appends: something of them is undone, or somebody else has appended.
    pub(crate) fn forget(&mut self) {
        self.versions.forget();
        self.known_tags.forget();
    }

    /// Judges `append`, and gives its events their places if nothing stands in its way. It is validated already.
    ///
    /// Its events are inserted by [`finish`](Self::finish) at the latest. What fails then is known to be of one of the
    /// appends only.
    pub(crate) fn append<'a>(
        &mut self,
        append: &'a Append,
        pending: &mut Pending<'a>,
        now: DateTime<Utc>,
        retries: Retries,
    ) -> Judgement<Appended> {
        if retries == Retries::LookedUp
            && let Some(stored) = self.stored(append, pending)?
        {
            return Ok(stored);
        }
        match self.judge(append, pending) {
            Ok(versions) => self.place(append, &versions, pending, to_microseconds(now)?),
            // A retry is one, whatever versions and conditions say by now.
            Err(Refusal::Judged(error)) if retries == Retries::NoticedLate && error.is_conflict() => {
                self.stored(append, pending)?.ok_or(Refusal::Judged(error))
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Inserts what is pending, and makes its last position the newest.
    pub(crate) fn finish(&mut self, pending: &mut Pending<'_>) -> rusqlite::Result<()> {
        self.insert(pending)?;
        self.tags.settle(pending.head())?;
        self.set_head.execute([pending.head(), self.tags.moved()]).map(drop)
    }

    /// Inserts what is pending.
    pub(crate) fn insert(&mut self, pending: &mut Pending<'_>) -> rusqlite::Result<()> {
        self.events.insert(pending.events(), row::bind)?;
        self.tags.insert(pending.events())?;
        if let Some(outbox) = &mut self.outbox {
            for (event, place) in pending.events() {
                outbox.put(event, place)?;
            }
        }
        pending.clear();
        Ok(())
    }

    /// What this very append came to when it was stored before, if it was.
    fn stored(&mut self, append: &Append, pending: &mut Pending<'_>) -> Judgement<Option<Appended>> {
        self.insert(pending)?;
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
        let mut decoder = EventDecoder::default();
        for (index, (stream, event)) in (0..).zip(append.each_event()) {
            let stored =
                event_at(self.connection, position, |raw| Ok((raw.append_index, decoder.decode(raw)?)))?;
            let Some((append_index, stored)) = stored else { return Ok(None) };
            if append_index != index || !stored.records(event, stream) {
                return Ok(None);
            }
            note_version(&mut versions, &stored);
            position += 1;
        }
        let next: Option<i64> = self
            .connection
            .prepare_cached(include_str!("sql/next_append_index.sql"))?
            .query_row([position - 1], |row| row.get(0))
            .optional()?;
        if next.is_some_and(|index| index != 0) {
            return Ok(None);
        }
        let (first, last) = (Position::try_from(first)?, Position::try_from(position - 1)?);
        Ok(Some(Appended { first, last, versions, replayed: true }))
    }

    /// The version that each part's stream has, in the parts' order, if the append may be written.
    fn judge(&mut self, append: &Append, pending: &mut Pending<'_>) -> Judgement<Vec<Option<Version>>> {
        let mut versions = Vec::with_capacity(append.parts().len());
        for part in append.parts() {
            let Some(stream) = part.stream() else {
                versions.push(None);
                continue;
            };
            let actual = self.version_of(stream)?;
            if !part.expected().is_met_by(actual) {
                let (stream, expected) = (stream.clone(), part.expected());
                return Err(Refusal::Judged(Conflict::StreamVersion { stream, expected, actual }.into()));
            }
            versions.push(actual);
        }
        self.check_conditions(append, pending)?;
        Ok(versions)
    }

    fn version_of(&mut self, stream: &StreamId) -> Judgement<Option<Version>> {
        if let Some(known) = self.versions.get(stream) {
            return Ok(Some(known));
        }
        let newest = stream::newest(&mut self.newest_of_stream, stream)?;
        Ok(newest.map(|(version, _)| Version::try_from(version)).transpose()?)
    }

    fn check_conditions(&mut self, append: &Append, pending: &mut Pending<'_>) -> Judgement<()> {
        for condition in append.conditions() {
            let (filter, after) = (condition.filter(), condition.after_position().to_i64());
            let until = self.known_tags.until(filter, after, pending.head());
            if pending.could_match(filter, until) {
                self.insert(pending)?;
            }
            let window = Window { after, until, tags_moved: self.tags.moved() };
            let found = first_match(self.connection, filter, window)?;
            if let Some(position) = found {
                let event_type: String = self
                    .connection
                    .prepare_cached(include_str!("sql/event_type_at.sql"))?
                    .query_row([position], |row| row.get(0))?;
                let event_type = EventType::new(event_type)
                    .map_err(|error| Error::corrupt("a stored event type is none").with_source(error))?;
                let position = Position::try_from(position)?;
                return Err(Refusal::Judged(Conflict::Condition { position, event_type }.into()));
            }
        }
        Ok(())
    }

    /// Gives the events of `append` the next positions and versions.
    fn place<'a>(
        &mut self,
        append: &'a Append,
        versions: &[Option<Version>],
        pending: &mut Pending<'a>,
        recorded_at: DateTime<Utc>,
    ) -> Judgement<Appended> {
        let before = pending.head();
        let mut append_index = 0;
        let mut reached = Vec::new();
        for (part, &before) in append.parts().iter().zip(versions) {
            let mut version = before;
            for event in part.events() {
                version = Some(version.map_or(Version::FIRST, Version::next));
                let (position, stream) = (pending.head() + 1, part.stream().zip(version));
                self.known_tags.note(event.all_tags(), position);
                pending.push(event, Place { position, stream, append_index, recorded_at });
                append_index += 1;
                if pending.are_many() {
                    self.insert(pending)?;
                }
            }
            if let Some((stream, version)) = part.stream().zip(version) {
                self.versions.set(stream, version);
                reached.push((stream.clone(), version));
            }
        }
        let (first, last) = (Position::try_from(before + 1)?, Position::try_from(pending.head())?);
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
    let end = |sql| connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
    let mut ended = Ok(0);
    // Some errors and handlers end the transaction, and the savepoint with it.
    if judgement.is_err() && !handler::is_over(connection) {
        ended = end("ROLLBACK TO eventsource_append");
    }
    if ended.is_ok() && !handler::is_over(connection) {
        ended = end("RELEASE eventsource_append");
    }
    if let Err(error) = ended {
        // The savepoint is gone: a handler has put a transaction of its own in the place of this one. Whether or not that
        // can be rolled back, or is already, this is what went wrong.
        let _ = end("ROLLBACK");
        return Err(error.into());
    }
    judgement
}

#[cfg(test)]
mod tests;
