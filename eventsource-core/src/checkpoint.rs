use chrono::{DateTime, Utc};

use crate::{
    Conflict, ConsumerName, EventId, EventStore, EventType, Fence, Filter, LogId, LogIdentity, Position,
    ReadOptions, RecordedEvent, Result,
};

/// How far a consumer has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose it is.
    pub consumer: ConsumerName,
    /// The log that it is a place in.
    pub log_id: LogId,
    /// Everything up to here is done, or was of no concern.
    pub position: Position,
    /// The last event that was done, if any was.
    pub last_event: Option<LastEvent>,
    /// How many events were done since it began, or was reset.
    pub events_processed: u64,
    /// How often it was reset. Whoever works on from before a reset is refused by this.
    pub resets: u64,
    /// When it was saved last, by the store's clock.
    pub updated_at: DateTime<Utc>,
}

/// The last event that a consumer has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastEvent {
    /// Where it lies.
    pub position: Position,
    /// Its id.
    pub id: EventId,
    /// What kind of fact.
    pub event_type: EventType,
}

impl From<&RecordedEvent> for LastEvent {
    fn from(event: &RecordedEvent) -> Self {
        Self { position: event.position(), id: event.id(), event_type: event.event_type().clone() }
    }
}

impl Checkpoint {
    /// Refuses a checkpoint that does not belong to the log as it is now: of another log, ahead of its head, or behind an
    /// event that is another one now. All of this is what a restored backup looks like to a consumer.
    ///
    /// # Errors
    /// `Conflict` that says which; what reading the log fails with.
    pub async fn verify(
        &self,
        log: &(impl EventStore + ?Sized),
        identity: &(impl LogIdentity + ?Sized),
    ) -> Result<()> {
        self.verify_place(identity.log_id().await?, log.head().await?)?;
        if let Some(last) = &self.last_event {
            let options = ReadOptions::new().after(last.position.just_before()).until(last.position).limit(1);
            let page = log.read_page(&Filter::all(), &options).await?;
            // One that is gone was deleted in order; one that is another was written after a restore.
            if let Some(found) = page.events.first().filter(|found| found.id() != last.id) {
                let (position, expected, found) = (last.position, last.id, found.id());
                let consumer = self.consumer.clone();
                return Err(Conflict::OtherHistory { consumer, position, expected, found }.into());
            }
        }
        Ok(())
    }

    /// Refuses a checkpoint of another log than this, or ahead of this head: the part of [`verify`](Self::verify) that reads
    /// no events, for who knows both already.
    ///
    /// # Errors
    /// `Conflict` that says which.
    pub fn verify_place(&self, log: LogId, head: Position) -> Result<()> {
        let (consumer, position) = (self.consumer.clone(), self.position);
        if self.log_id != log {
            return Err(Conflict::OtherLog { consumer, checkpoint: self.log_id, log }.into());
        }
        if position > head {
            return Err(Conflict::CheckpointAhead { consumer, position, head }.into());
        }
        Ok(())
    }

    /// What tells this state of the checkpoint from others.
    #[must_use]
    pub fn mark(&self) -> CheckpointMark {
        CheckpointMark { position: self.position, resets: self.resets }
    }
}

/// What tells one state of a checkpoint from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointMark {
    /// How far.
    pub position: Position,
    /// How often it was reset.
    pub resets: u64,
}

/// A step forward of a checkpoint, from the state that the consumer knows to a later one.
///
/// ```
/// use eventsource_core::{CheckpointSave, ConsumerName, LogId, Position};
/// # let log_id = LogId::new(uuid::Uuid::now_v7());
///
/// let first = CheckpointSave::first(ConsumerName::new("dashboard")?, log_id).scanned_to(Position::from_raw(7));
/// assert_eq!(first.position(), Position::from_raw(7));
/// # Ok::<(), eventsource_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct CheckpointSave {
    consumer: ConsumerName,
    log_id: LogId,
    expected: Option<CheckpointMark>,
    position: Position,
    last_event: Option<LastEvent>,
    events_processed: u64,
    fence: Option<Fence>,
}

impl CheckpointSave {
    /// The first one of a consumer that has none yet.
    pub fn first(consumer: ConsumerName, log_id: LogId) -> Self {
        Self {
            consumer,
            log_id,
            expected: None,
            position: Position::START,
            last_event: None,
            events_processed: 0,
            fence: None,
        }
    }

    /// One that follows `checkpoint`.
    pub fn following(checkpoint: &Checkpoint) -> Self {
        Self {
            consumer: checkpoint.consumer.clone(),
            log_id: checkpoint.log_id,
            expected: Some(checkpoint.mark()),
            position: checkpoint.position,
            last_event: checkpoint.last_event.clone(),
            events_processed: checkpoint.events_processed,
            fence: None,
        }
    }

    /// One that follows this one, once it is saved.
    pub fn next(&self) -> Self {
        let resets = self.expected.map_or(0, |expected| expected.resets);
        Self { expected: Some(CheckpointMark { position: self.position, resets }), ..self.clone() }
    }

    /// Passes over an event that was done.
    pub fn past(self, event: &RecordedEvent) -> Self {
        self.past_all(std::slice::from_ref(event))
    }

    /// Passes over events that were done, in log order.
    pub fn past_all(mut self, events: &[RecordedEvent]) -> Self {
        if let Some(last) = events.last() {
            self.position = last.position();
            self.events_processed += events.len() as u64;
            self.last_event = Some(last.into());
        }
        self
    }

    /// Passes over everything up to `position`: nothing there was of concern.
    pub fn scanned_to(mut self, position: Position) -> Self {
        self.position = position;
        self
    }

    /// Refused if somebody else has taken the lease since.
    pub fn fenced(mut self, fence: Option<Fence>) -> Self {
        self.fence = fence;
        self
    }

    /// Whose.
    #[must_use]
    pub fn consumer(&self) -> &ConsumerName {
        &self.consumer
    }

    /// The log that it is a place in.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        self.log_id
    }

    /// The state that it follows; none where there is no checkpoint yet.
    #[must_use]
    pub fn expected(&self) -> Option<CheckpointMark> {
        self.expected
    }

    /// How far.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The last event that was done.
    #[must_use]
    pub fn last_event(&self) -> Option<&LastEvent> {
        self.last_event.as_ref()
    }

    /// How many events were done.
    #[must_use]
    pub fn events_processed(&self) -> u64 {
        self.events_processed
    }

    /// Whose lease it needs.
    #[must_use]
    pub fn fence(&self) -> Option<&Fence> {
        self.fence.as_ref()
    }

    /// Whether this may be written where `stored` is: the one definition. Every store MUST ask it, under a lock that
    /// keeps `stored` as it is until it has written.
    ///
    /// # Errors
    /// `Conflict`: the checkpoint is of another log; it is not as expected (another instance moved it, or it was reset
    /// or deleted); or this one goes backwards.
    pub fn judge(&self, stored: Option<&Checkpoint>) -> Result<SaveJudgement> {
        if let Some(stored) = stored {
            if stored.log_id != self.log_id {
                let (checkpoint, log) = (stored.log_id, self.log_id);
                return Err(Conflict::OtherLog { consumer: self.consumer.clone(), checkpoint, log }.into());
            }
            if self.is_stored_as(stored) {
                return Ok(SaveJudgement::Stored);
            }
        }
        let found = stored.map(Checkpoint::mark);
        let forward = self.expected.is_none_or(|expected| expected.position <= self.position);
        if found == self.expected && forward {
            return Ok(SaveJudgement::Write);
        }
        Err(Conflict::CheckpointMoved {
            consumer: self.consumer.clone(),
            expected: self.expected.map(|expected| expected.position),
            found: found.map(|found| found.position),
        }
        .into())
    }

    /// The checkpoint that this makes.
    #[must_use]
    pub fn to_checkpoint(&self, updated_at: DateTime<Utc>) -> Checkpoint {
        Checkpoint {
            consumer: self.consumer.clone(),
            log_id: self.log_id,
            position: self.position,
            last_event: self.last_event.clone(),
            events_processed: self.events_processed,
            resets: self.expected.map_or(0, |expected| expected.resets),
            updated_at,
        }
    }

    fn is_stored_as(&self, stored: &Checkpoint) -> bool {
        stored.position == self.position
            && stored.events_processed == self.events_processed
            && stored.last_event == self.last_event
            && stored.resets == self.expected.map_or(0, |expected| expected.resets)
    }
}

/// What is to be done with a [`CheckpointSave`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveJudgement {
    /// Write it.
    Write,
    /// Nothing: exactly this is stored. Its answer was lost.
    Stored,
}
