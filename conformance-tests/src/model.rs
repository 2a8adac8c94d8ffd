//! The contract's own idea of a log: a `Vec` and a loop, too simple to be wrong in the same way as a store.

mod compare;
mod snapshots;
mod store;

use eventsource_core::{
    Append, Appended, Conflict, Direction, EventId, Filter, NewEvent, Page, Position, ReadOptions,
    RecordedEvent, Result, StreamId, Version,
};

pub use compare::Pair;
pub use snapshots::ModelSnapshots;
pub use store::ModelStore;

/// A log as it must be after what was appended to it.
///
/// It knows what a store has to answer, but not which positions and times a store gives: [`decide`](Self::decide)
/// says what an append comes to, and [`adopt`](Self::adopt) takes over how it was recorded.
#[derive(Clone, Debug, Default)]
pub struct Model {
    log: Vec<RecordedEvent>,
    /// By event: the number of the append that it came with.
    appends: Vec<usize>,
}

/// What an append must come to, if it is not refused.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// It is stored already, and this was its result.
    Replay(Appended),
    /// These events are to be written.
    Write(Vec<Written>),
}

/// An event that is to be written, with its place in its stream.
pub type Written = (NewEvent, Option<(StreamId, Version)>);

impl Model {
    /// What an append must come to.
    ///
    /// # Errors
    /// What a store must refuse it with.
    pub fn decide(&self, append: &Append) -> Result<Decision> {
        append.validate()?;
        if let Some(replay) = self.known(append)? {
            return Ok(Decision::Replay(replay));
        }
        for part in append.parts() {
            let Some(stream) = part.stream() else { continue };
            let (expected, actual) = (part.expected(), self.stream_version(stream));
            if !expected.is_met_by(actual) {
                return Err(Conflict::StreamVersion { stream: stream.clone(), expected, actual }.into());
            }
        }
        for condition in append.conditions() {
            let after = condition.after_position();
            let mut matching = self.log.iter().filter(|event| condition.filter().matches(event));
            if let Some(found) = matching.find(|event| event.position() > after) {
                let (position, event_type) = (found.position(), found.event_type().clone());
                return Err(Conflict::Condition { position, event_type }.into());
            }
        }
        Ok(Decision::Write(self.numbered(append)))
    }

    /// Takes over an append as it was recorded.
    pub fn adopt(&mut self, recorded: Vec<RecordedEvent>) {
        let number = self.appends.last().map_or(0, |last| last + 1);
        self.appends.extend(recorded.iter().map(|_| number));
        self.log.extend(recorded);
    }

    /// What reading must find: all of it, up to the limit.
    ///
    /// # Errors
    /// What a store must refuse it with.
    pub fn read(&self, filter: &Filter, options: &ReadOptions) -> Result<Page> {
        options.validate(filter)?;
        let admitted = |event: &&RecordedEvent| filter.matches(event) && options.admits(event);
        let mut events: Vec<_> = self.log.iter().filter(admitted).cloned().collect();
        if options.direction() == Direction::Backward {
            events.reverse();
        }
        let limit =
            options.max_events().map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        events.truncate(limit);
        Ok(Page { more: events.len() == limit, events, head: self.head() })
    }

    /// The newest event's position.
    #[must_use]
    pub fn head(&self) -> Position {
        self.log.last().map_or(Position::START, RecordedEvent::position)
    }

    /// The stream's version.
    #[must_use]
    pub fn stream_version(&self, stream: &StreamId) -> Option<Version> {
        self.log.iter().rev().find(|event| event.stream() == Some(stream)).and_then(RecordedEvent::version)
    }

    /// All events.
    #[must_use]
    pub fn log(&self) -> &[RecordedEvent] {
        &self.log
    }

    /// The result of the append whose first event lies at this index.
    #[must_use]
    pub fn result_at(&self, index: usize) -> Appended {
        let stored = self.append_at(index);
        let mut versions: Vec<(StreamId, Version)> = Vec::new();
        for event in stored {
            let (Some(stream), Some(version)) = (event.stream(), event.version()) else { continue };
            match versions.iter_mut().find(|(each, _)| each == stream) {
                Some((_, last)) => *last = version,
                None => versions.push((stream.clone(), version)),
            }
        }
        let (first, last) = (stored[0].position(), stored[stored.len() - 1].position());
        Appended { first, last, versions, replayed: false }
    }

    /// The result of an append that is stored; a conflict if only its ids are.
    fn known(&self, append: &Append) -> Result<Option<Appended>> {
        let Some((event_id, index)) = append
            .each_event()
            .find_map(|(_, event)| Some((event.event_id(), self.index_of(event.event_id())?)))
        else {
            return Ok(None);
        };
        let stored = self.append_at(index);
        let same = stored.len() == append.event_count()
            && stored
                .iter()
                .zip(append.each_event())
                .all(|(stored, (stream, event))| stored.records(event, stream));
        if same {
            return Ok(Some(Appended { replayed: true, ..self.result_at(index) }));
        }
        Err(Conflict::DuplicateEvent { event_id, position: self.log[index].position() }.into())
    }

    fn append_at(&self, index: usize) -> &[RecordedEvent] {
        let number = self.appends[index];
        let from = self.appends.partition_point(|each| *each < number);
        let to = self.appends.partition_point(|each| *each <= number);
        &self.log[from..to]
    }

    fn index_of(&self, id: EventId) -> Option<usize> {
        self.log.iter().position(|event| event.id() == id)
    }

    fn numbered(&self, append: &Append) -> Vec<Written> {
        let mut written = Vec::new();
        for part in append.parts() {
            let current = part.stream().and_then(|stream| self.stream_version(stream));
            for (count, event) in (1..).zip(part.events()) {
                let place = part.stream().map(|stream| (stream.clone(), Version::after(current, count)));
                written.push((event.clone(), place));
            }
        }
        written
    }
}
