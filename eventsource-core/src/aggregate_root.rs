use std::fmt;

use uuid::Uuid;

use crate::event_ids::Ids;
use crate::snapshot_policy::Progress;
use crate::snapshots::{At, Restored};
use crate::{
    Aggregate, Append, AppendCondition, Appended, Decoder, Filter, NewEvent, Position, RecordedEvent, Result,
    StreamId, Version,
};

/// One aggregate in hand: its state, its version, and what was decided but not saved.
pub struct AggregateRoot<A: Aggregate> {
    stream: StreamId,
    state: A,
    stored_version: Option<Version>,
    /// Where the event of that version lies; none if it was never stored.
    stored_at: Option<At>,
    pending: Vec<A::Event>,
    /// The first of the pending ones as they were appended, so that saving again appends the same.
    encoded: Vec<NewEvent>,
    since_snapshot: Progress,
}

impl<A: Aggregate> AggregateRoot<A> {
    pub(crate) fn new(id: Uuid) -> Result<Self> {
        Ok(Self {
            stream: StreamId::new(A::TYPE, id)?,
            state: A::default(),
            stored_version: None,
            stored_at: None,
            pending: Vec::new(),
            encoded: Vec::new(),
            since_snapshot: Progress::default(),
        })
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

    /// How far a view has to have come to hold all its stored events; none if there is no such event. Just after a save of
    /// several aggregates it is where their append ends, the same for all of them.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.stored_at.map(|at| at.position)
    }

    /// Decides and applies; what follows is saved by [`Repository::save`](crate::Repository::save).
    ///
    /// # Errors
    /// The aggregate's rejection; nothing has changed then.
    pub fn execute(&mut self, command: &A::Command) -> Result<(), A::Rejection> {
        for event in self.state.decide(command)? {
            self.state.apply(&event);
            self.pending.push(event);
        }
        Ok(())
    }

    /// What was decided and not saved yet.
    pub fn pending(&self) -> impl ExactSizeIterator<Item = &A::Event> {
        self.pending.iter()
    }

    pub(crate) fn restore(&mut self, restored: Restored<A>) {
        self.state = restored.state;
        self.stored_version = restored.at.version;
        self.stored_at = Some(restored.at);
        self.since_snapshot = restored.progress;
    }

    pub(crate) fn replay(
        &mut self,
        recorded: &RecordedEvent,
        decoder: &(impl Decoder<A::Event> + ?Sized),
    ) -> Result<()> {
        for event in decoder.decode(recorded)? {
            self.state.apply(&event);
        }
        self.stored_version = recorded.version();
        self.stored_at = Some(At::event(recorded));
        self.since_snapshot.add(recorded.byte_count());
        Ok(())
    }

    /// The last stored event in the state, if there is one.
    pub(crate) fn at(&self) -> Option<At> {
        self.stored_at
    }

    pub(crate) fn state_and_progress(&mut self) -> (&A, &mut Progress) {
        (&self.state, &mut self.since_snapshot)
    }

    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Makes what is pending ready for [`add_to`](Self::add_to).
    pub(crate) fn encode(&mut self, ids: &Ids) -> Result<()> {
        for event in &self.pending[self.encoded.len()..] {
            self.encoded.push(ids.encode(event)?);
        }
        Ok(())
    }

    /// That nothing was appended to the stream since it was loaded.
    pub(crate) fn unchanged(&self) -> AppendCondition {
        let position = self.stored_at.map_or(Position::START, |at| at.position);
        AppendCondition::new(Filter::all().in_stream(self.stream.clone())).after(position)
    }

    /// Adds to an append what it takes to save this: what is pending, if the stream is as it was loaded. The same each
    /// time.
    pub(crate) fn add_to(&self, append: Append) -> Append {
        if self.pending.is_empty() {
            return append.condition(self.unchanged());
        }
        append.and_stream(self.stream.clone(), self.stored_version.into(), self.encoded.iter().cloned())
    }

    pub(crate) fn saved(&mut self, appended: &Appended) {
        if self.pending.is_empty() {
            return;
        }
        self.pending.clear();
        let version = appended.version_of(&self.stream);
        self.stored_version = version;
        for event in self.encoded.drain(..) {
            self.since_snapshot.add(event.byte_count());
            self.stored_at = Some(At { version, position: appended.last, event_id: event.event_id() });
        }
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
