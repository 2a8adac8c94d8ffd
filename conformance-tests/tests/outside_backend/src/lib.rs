//! The smallest store that keeps the contract: a `Vec` and loops. It shows what a backend has to do, and is no example
//! of how to do it fast.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use eventsource_core::{
    Append, Appended, Capabilities, ChangeSignal, Changes, Clock, Conflict, Direction, Error, EventStore,
    Filter, Page, Position, ReadOptions, RecordedEvent, Result, StreamId, Version, to_microseconds,
};

/// A log in a `Vec`.
#[derive(Debug)]
pub struct VecStore {
    clock: Arc<dyn Clock>,
    log: Mutex<Log>,
}

#[derive(Debug)]
struct Log {
    events: Vec<Stored>,
    /// None when the store is closed.
    signal: Option<ChangeSignal>,
}

#[derive(Debug)]
struct Stored {
    event: RecordedEvent,
    /// Where in its append it came, from 0.
    index: usize,
}

impl VecStore {
    /// An empty log.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let log = Log { events: Vec::new(), signal: Some(ChangeSignal::new()) };
        Self { clock, log: Mutex::new(log) }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_log(&self) -> Result<MutexGuard<'_, Log>> {
        let log = self.log();
        if log.signal.is_some() { Ok(log) } else { Err(Error::closed("the store is closed")) }
    }
}

#[async_trait]
impl EventStore for VecStore {
    async fn append(&self, append: Append) -> Result<Appended> {
        append.validate()?;
        let mut log = self.open_log()?;
        if let Some(repeated) = log.repeated(&append)? {
            return Ok(repeated);
        }
        log.judge(&append)?;
        let recorded_at = to_microseconds(self.clock.now())?;
        let first = log.events.len();
        for (stream, event) in append.each_event() {
            let position = Position::from_raw(log.events.len() as u64 + 1);
            let stream = stream.map(|stream| (stream.clone(), Version::after(log.version(stream), 1)));
            let event = RecordedEvent::new(event.clone(), position, stream, recorded_at);
            let index = log.events.len() - first;
            log.events.push(Stored { event, index });
        }
        if let Some(signal) = &log.signal {
            signal.notify();
        }
        Ok(log.appended(&append, first, false))
    }

    async fn read_page(&self, filter: &Filter, options: &ReadOptions) -> Result<Page> {
        options.validate(filter)?;
        let log = self.open_log()?;
        let limit = usize::try_from(options.max_events().unwrap_or(1_000)).unwrap_or(usize::MAX);
        let matches = |event: &&RecordedEvent| options.admits(event) && filter.matches(event);
        let events = log.events.iter().map(|stored| &stored.event);
        let mut matching: Vec<RecordedEvent> = match options.direction() {
            Direction::Forward => events.filter(matches).take(limit.saturating_add(1)).cloned().collect(),
            Direction::Backward => {
                events.rev().filter(matches).take(limit.saturating_add(1)).cloned().collect()
            }
        };
        let more = matching.len() >= limit;
        matching.truncate(limit);
        Ok(Page { events: matching, head: log.head(), more })
    }

    async fn head(&self) -> Result<Position> {
        Ok(self.open_log()?.head())
    }

    async fn stream_version(&self, stream: &StreamId) -> Result<Option<Version>> {
        Ok(self.open_log()?.version(stream))
    }

    fn changes(&self) -> Changes {
        // Of a closed store: a signal that is gone at once.
        self.log().signal.clone().unwrap_or_default().subscribe()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
    }

    async fn close(&self) -> Result<()> {
        self.log().signal = None;
        Ok(())
    }
}

impl Log {
    fn head(&self) -> Position {
        self.events.last().map_or(Position::START, |stored| stored.event.position())
    }

    fn version(&self, stream: &StreamId) -> Option<Version> {
        self.events.iter().rev().find(|stored| stored.event.stream() == Some(stream))?.event.version()
    }

    /// The first result, if this very append is stored; a conflict, if one of its ids is.
    fn repeated(&self, append: &Append) -> Result<Option<Appended>> {
        let stored_as = |id| self.events.iter().position(|stored| stored.event.id() == id);
        let taken =
            append.each_event().find_map(|(_, event)| Some((event.event_id(), stored_as(event.event_id())?)));
        let Some((event_id, first)) = taken else { return Ok(None) };
        let end = first + append.event_count();
        let same = end <= self.events.len()
            && self.events[first..end].iter().zip(append.each_event()).enumerate().all(
                |(index, (stored, (stream, event)))| {
                    stored.index == index && stored.event.records(event, stream)
                },
            )
            && self.events.get(end).is_none_or(|next| next.index == 0);
        if same {
            return Ok(Some(self.appended(append, first, true)));
        }
        Err(Conflict::DuplicateEvent { event_id, position: self.events[first].event.position() }.into())
    }

    fn judge(&self, append: &Append) -> Result<()> {
        for part in append.parts() {
            let Some(stream) = part.stream() else { continue };
            let (expected, actual) = (part.expected(), self.version(stream));
            if !expected.is_met_by(actual) {
                return Err(Conflict::StreamVersion { stream: stream.clone(), expected, actual }.into());
            }
        }
        for condition in append.conditions() {
            let matching = self.events.iter().map(|stored| &stored.event).find(|event| {
                event.position() > condition.after_position() && condition.filter().matches(event)
            });
            if let Some(event) = matching {
                let (position, event_type) = (event.position(), event.event_type().clone());
                return Err(Conflict::Condition { position, event_type }.into());
            }
        }
        Ok(())
    }

    /// What the append came to whose first event lies at this place.
    fn appended(&self, append: &Append, first: usize, replayed: bool) -> Appended {
        let events = &self.events[first..first + append.event_count()];
        let mut versions: Vec<(StreamId, Version)> = Vec::new();
        for stored in events {
            if let (Some(stream), Some(version)) = (stored.event.stream(), stored.event.version()) {
                match versions.iter_mut().find(|(each, _)| each == stream) {
                    Some(known) => known.1 = version,
                    None => versions.push((stream.clone(), version)),
                }
            }
        }
        let position = |stored: &Stored| stored.event.position();
        Appended {
            first: position(&events[0]),
            last: position(&events[events.len() - 1]),
            versions,
            replayed,
        }
    }
}
