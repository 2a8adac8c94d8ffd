use std::fmt;

use uuid::Uuid;

use crate::{DomainEvent, EventId, Result, StreamId, Version};

/// A thing whose state is the sum of its events, and which decides by that state alone.
///
/// Both functions are pure: no clock, no database, no chance. The value itself is the state; its `Default` is what it
/// is before the first event. See [`Repository`](crate::Repository) for an example.
pub trait Aggregate: Default + Send + Sync + 'static {
    /// The aggregate type of its streams.
    const TYPE: &'static str;
    /// What can be asked of it.
    type Command: Send + Sync;
    /// What can happen to it.
    type Event: DomainEvent;
    /// Why it says no.
    type Rejection: std::error::Error + Send + Sync + 'static;

    /// What follows from `command` in this state: events, none if there is nothing to do, or a rejection.
    ///
    /// # Errors
    /// The domain's own, where the domain says no.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Rejection>;

    /// The state after `event`. It never says no: what has happened has happened.
    fn apply(&mut self, event: &Self::Event);
}

/// One aggregate in hand: its state, its version, and what was decided but not saved.
pub struct AggregateRoot<A: Aggregate> {
    stream: StreamId,
    state: A,
    stored_version: Option<Version>,
    /// Each with the id under which it will be appended, however often that takes.
    pending: Vec<(EventId, A::Event)>,
}

impl<A: Aggregate> AggregateRoot<A> {
    pub(crate) fn new(id: Uuid) -> Result<Self> {
        let stream = StreamId::new(A::TYPE, id)?;
        Ok(Self { stream, state: A::default(), stored_version: None, pending: Vec::new() })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.stream.aggregate_id()
    }

    /// Its stream.
    #[must_use]
    pub fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// Its state, with what was decided and not saved yet.
    #[must_use]
    pub fn state(&self) -> &A {
        &self.state
    }

    /// The version that it was loaded or saved at; none if it was never stored.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.stored_version
    }

    /// Decides and applies; what follows is saved by [`Repository::save`](crate::Repository::save).
    ///
    /// # Errors
    /// The aggregate's rejection; nothing has changed then.
    pub fn execute(&mut self, command: &A::Command) -> Result<(), A::Rejection> {
        for event in self.state.decide(command)? {
            self.state.apply(&event);
            self.pending.push((EventId::random(), event));
        }
        Ok(())
    }

    /// What was decided and not saved yet.
    pub fn pending(&self) -> impl ExactSizeIterator<Item = &A::Event> {
        self.pending.iter().map(|(_, event)| event)
    }

    pub(crate) fn pending_with_ids(&self) -> &[(EventId, A::Event)] {
        &self.pending
    }

    pub(crate) fn replay(&mut self, event: &A::Event, version: Option<Version>) {
        self.state.apply(event);
        self.stored_version = version;
    }

    pub(crate) fn saved(&mut self, version: Option<Version>) {
        self.pending.clear();
        self.stored_version = version;
    }
}

impl<A: Aggregate> fmt::Debug for AggregateRoot<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AggregateRoot")
            .field("stream", &self.stream)
            .field("version", &self.stored_version)
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}
