use futures_util::stream::BoxStream;

use crate::{Error, Filter, Position, RecordedEvent, Result, Version};

/// Events as they are read; an event that can't be decoded is an error, and ends the stream.
pub type EventStream<'s> = BoxStream<'s, Result<RecordedEvent>>;

/// Which way to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// In log order.
    #[default]
    Forward,
    /// Newest first.
    Backward,
}

/// Which part of the matching events to read, and which way. Without options: all of them, in log order.
///
/// ```
/// use eventsource_core::{Position, ReadOptions};
///
/// let checkpoint = Position::START;
/// ReadOptions::new().after(checkpoint).limit(100);
/// // The newest matching event:
/// ReadOptions::new().backward().limit(1);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct ReadOptions {
    direction: Direction,
    after: Position,
    until: Option<Position>,
    from_version: Option<Version>,
    until_version: Option<Version>,
    limit: Option<u64>,
}

impl ReadOptions {
    /// Everything, in log order.
    pub fn new() -> Self {
        Self::default()
    }

    /// Newest first.
    pub fn backward(mut self) -> Self {
        self.direction = Direction::Backward;
        self
    }

    /// Only events behind this position, whichever way is read.
    pub fn after(mut self, position: Position) -> Self {
        self.after = position;
        self
    }

    /// Only events at or before this position, whichever way is read.
    pub fn until(mut self, position: Position) -> Self {
        self.until = Some(position);
        self
    }

    /// Only events of this version or a later one; the filter must name a stream.
    pub fn from_version(mut self, version: Version) -> Self {
        self.from_version = Some(version);
        self
    }

    /// Only events of this version or an earlier one; the filter must name a stream.
    pub fn until_version(mut self, version: Version) -> Self {
        self.until_version = Some(version);
        self
    }

    /// At most so many events; events that don't match are not counted.
    pub fn limit(mut self, events: u64) -> Self {
        self.limit = Some(events);
        self
    }

    /// Which way.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Behind which position.
    #[must_use]
    pub fn after_position(&self) -> Position {
        self.after
    }

    /// Up to which position, inclusive.
    #[must_use]
    pub fn until_position(&self) -> Option<Position> {
        self.until
    }

    /// From which version, inclusive.
    #[must_use]
    pub fn first_version(&self) -> Option<Version> {
        self.from_version
    }

    /// Up to which version, inclusive.
    #[must_use]
    pub fn last_version(&self) -> Option<Version> {
        self.until_version
    }

    /// At most how many events.
    #[must_use]
    pub fn max_events(&self) -> Option<u64> {
        self.limit
    }

    /// What every store MUST call before it reads.
    ///
    /// # Errors
    /// `InvalidInput` if versions are given and the filter names no stream: they would mean nothing.
    pub fn validate(&self, filter: &Filter) -> Result<()> {
        if (self.from_version.is_some() || self.until_version.is_some()) && filter.scope().stream().is_none()
        {
            return Err(Error::invalid_input("a range of versions needs a filter that names a stream"));
        }
        Ok(())
    }

    /// Whether these options let `event` through, apart from the limit: the one definition.
    #[must_use]
    pub fn admits(&self, event: &RecordedEvent) -> bool {
        event.position() > self.after
            && self.until.is_none_or(|until| event.position() <= until)
            && self.from_version.is_none_or(|from| event.version() >= Some(from))
            && self.until_version.is_none_or(|until| event.version().is_some_and(|version| version <= until))
    }

    /// These options for what lies behind `last`, in the direction that is read.
    pub(crate) fn beyond(mut self, last: Position) -> Self {
        match self.direction {
            Direction::Forward => self.after = last,
            Direction::Backward => self.until = Some(last.just_before()),
        }
        self
    }
}

/// A part of what a read asks for: one look at the log, in one snapshot.
#[derive(Clone, Debug)]
pub struct Page {
    /// Matching events in the direction that was read.
    pub events: Vec<RecordedEvent>,
    /// The log's head in the snapshot that the events are from.
    pub head: Position,
    /// Whether the page stopped before the end of what was asked for: at the limit, or where the store found it long
    /// enough. More may match behind its last event then; it need not.
    pub more: bool,
}

impl Page {
    /// How far the log has been looked at, if it was read forward with `options`: nothing that matches lies at or
    /// below this that was not returned by now. It moves on when nothing matched.
    #[must_use]
    pub fn scanned_to(&self, options: &ReadOptions) -> Position {
        match self.events.last() {
            Some(last) if self.more => last.position(),
            None if self.more => options.after,
            _ => options.until.map_or(self.head, |until| until.min(self.head)).max(options.after),
        }
    }
}

/// What a query found, and when.
#[derive(Clone, Debug)]
pub struct Queried {
    /// The matching events in log order.
    pub events: Vec<RecordedEvent>,
    /// The log's head when they were read, in the same snapshot: give it to [`Append::after`](crate::Append::after),
    /// and the condition looks at what came since.
    pub head: Position,
}
