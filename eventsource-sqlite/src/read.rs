use eventsource_core::{Direction, Error, Filter, Page, Position, ReadOptions, Result};
use rusqlite::Connection;
use tokio::sync::mpsc::UnboundedSender;

use crate::decoder::EventDecoder;
use crate::error::failed;
use crate::filter::searches;
use crate::page::RawPage;
use crate::raw_event::{COLUMNS, RawEvent};
use crate::raw_events::RawEvents;
use crate::search::{Parameter, Search, Wanted, Window};

/// The most events of a page, if the caller names no limit.
const PAGE_EVENTS: u64 = 1_000;
/// The most events of a page, whatever the caller says.
const MOST_EVENTS: u64 = 10_000;
/// A page ends with the event that makes it larger than this.
const PAGE_BYTES: usize = 4 << 20;

/// Reads one page, in one snapshot. What fills a part is handed over by `parts` at once.
pub(crate) fn page(
    connection: &Connection,
    filter: &Filter,
    options: &ReadOptions,
    parts: UnboundedSender<RawEvents>,
) -> Result<RawPage> {
    let broken = |error| failed("reading", error);
    // Ends when it is dropped, whatever happens.
    let snapshot = connection.unchecked_transaction().map_err(broken)?;
    let (head, tags_moved) = head_and_tags_moved(&snapshot).map_err(broken)?;
    let mut part = RawEvents::of_at_most(options.max_events().unwrap_or(PAGE_EVENTS));
    let take = &mut |event: RawEvent<&[u8]>| {
        if let Some(full) = part.take_full() {
            parts.send(full).map_err(|_| Error::unavailable("nobody asks for the page any more"))?;
        }
        part.push(event);
        Ok(())
    };
    match scan(&snapshot, filter, options, (head, tags_moved), take) {
        Ok(more) => Ok(RawPage { last: part, head, more, _parts: parts }),
        Err(error) => {
            // If one of these is damaged, that is told first. Perhaps nobody asks.
            let _ = parts.send(part);
            Err(error)
        }
    }
}

/// Reads one page within a transaction that is open, of a log whose head is this.
pub(crate) fn page_within(
    connection: &Connection,
    filter: &Filter,
    options: &ReadOptions,
    head: i64,
) -> Result<Page> {
    let (_, tags_moved) = head_and_tags_moved(connection).map_err(|error| failed("reading", error))?;
    let (mut decoder, mut events) = (EventDecoder::default(), Vec::new());
    let take = &mut |event: RawEvent<&[u8]>| {
        events.push(decoder.decode(event)?);
        Ok(())
    };
    let more = scan(connection, filter, options, (head, tags_moved), take)?;
    Ok(Page { events, head: Position::try_from(head)?, more })
}

/// Gives the page's events to `take`, in order. Returns whether it stopped early.
fn scan(
    connection: &Connection,
    filter: &Filter,
    options: &ReadOptions,
    (head, tags_moved): (i64, i64),
    take: &mut dyn FnMut(RawEvent<&[u8]>) -> Result<()>,
) -> Result<bool> {
    let broken = |error| failed("reading", error);
    let until = options.until_position().map_or(head, |until| until.to_i64().min(head));
    let window = Window { after: options.after_position().to_i64(), until, tags_moved };
    let mut reading = Reading {
        connection,
        options,
        limit: options.max_events().unwrap_or(PAGE_EVENTS).min(MOST_EVENTS),
        take,
        count: 0,
        bytes: 0,
    };
    if reading.limit == 0 {
        return Ok(true);
    }
    if window.after >= window.until {
        return Ok(false);
    }
    match &*searches(connection, filter, window, options).map_err(broken)? {
        [only] => reading.walk(only),
        [first, second] if second.begins_behind(first) => {
            let (near, far) = match options.direction() {
                Direction::Forward => (first, second),
                Direction::Backward => (second, first),
            };
            Ok(reading.walk(near)? || reading.walk(far)?)
        }
        several => reading.merge(several),
    }
}

/// The position of the newest event there ever was.
pub(crate) fn head(connection: &Connection) -> rusqlite::Result<i64> {
    head_and_tags_moved(connection).map(|(head, _)| head)
}

fn head_and_tags_moved(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    let mut statement = connection.prepare_cached(include_str!("sql/head.sql"))?;
    statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// What `read` makes of the event at a position, if there is one.
pub(crate) fn event_at<T>(
    connection: &Connection,
    position: i64,
    read: impl FnOnce(RawEvent<&[u8]>) -> Result<T>,
) -> Result<Option<T>> {
    let broken = |error| failed("reading an event", error);
    let statement = format!("SELECT {COLUMNS} FROM main.events AS e WHERE e.global_position = ?");
    let mut statement = connection.prepare_cached(&statement).map_err(broken)?;
    let mut rows = statement.query([position]).map_err(broken)?;
    rows.next().map_err(broken)?.map(|row| read(RawEvent::of(row)?)).transpose()
}

struct Reading<'c> {
    connection: &'c Connection,
    options: &'c ReadOptions,
    limit: u64,
    take: &'c mut dyn FnMut(RawEvent<&[u8]>) -> Result<()>,
    count: u64,
    bytes: usize,
}

impl Reading<'_> {
    /// Takes the events as the search yields them; returns whether it stopped early.
    fn walk(&mut self, search: &Search<'_>) -> Result<bool> {
        let broken = |error| failed("reading", error);
        let statement = search.statement(Wanted::Events, self.options.direction());
        let mut statement = self.connection.prepare_cached(&statement).map_err(broken)?;
        let limit = self.limit_parameter();
        let parameters = rusqlite::params_from_iter(search.parameters().chain([&limit]));
        let mut rows = statement.query(parameters).map_err(broken)?;
        while let Some(row) = rows.next().map_err(broken)? {
            if self.take(RawEvent::of(row)?)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes what any of the searches yields, in order and each event once; returns whether it stopped early.
    fn merge(&mut self, searches: &[Search<'_>]) -> Result<bool> {
        for position in self.positions(searches).map_err(|error| failed("reading", error))? {
            let is_full = event_at(self.connection, position, |event| self.take(event))?;
            let empty = || Error::corrupt(format!("an index names position {position}, which is empty"));
            if is_full.ok_or_else(empty)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The first positions that the searches yield together. Each is asked for as many as the page has room for.
    fn positions(&self, searches: &[Search<'_>]) -> rusqlite::Result<Vec<i64>> {
        let limit = self.limit_parameter();
        let room = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let mut positions: Vec<i64> = Vec::new();
        for search in searches {
            let statement = search.statement(Wanted::Positions, self.options.direction());
            let mut statement = self.connection.prepare_cached(&statement)?;
            let parameters = rusqlite::params_from_iter(search.parameters().chain([&limit]));
            for position in statement.query_map(parameters, |row| row.get(0))? {
                positions.push(position?);
            }
            match self.options.direction() {
                Direction::Forward => positions.sort_unstable(),
                Direction::Backward => positions.sort_unstable_by(|one, other| other.cmp(one)),
            }
            positions.dedup();
            positions.truncate(room);
        }
        Ok(positions)
    }

    /// Takes one event; returns whether the page is full.
    fn take(&mut self, event: RawEvent<&[u8]>) -> Result<bool> {
        self.bytes += event.byte_count();
        self.count += 1;
        (self.take)(event)?;
        Ok(self.bytes >= PAGE_BYTES || self.count >= self.limit)
    }

    /// How many more events the page has room for.
    fn limit_parameter(&self) -> Parameter<'static> {
        Parameter::Number((self.limit - self.count).cast_signed())
    }
}
