use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};

use crate::name::check_text;
use crate::{ConsumerName, Error, EventId, EventType, Fence, Position, RecordedEvent, Result};

/// Which dead letter: a consumer parks an event once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetterKey {
    /// Who failed.
    pub consumer: ConsumerName,
    /// On what.
    pub event_id: EventId,
}

/// An event that a consumer failed on for good, parked with its error. The event itself stays in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Which.
    pub key: DeadLetterKey,
    /// Where the event lies.
    pub position: Position,
    /// What kind of fact.
    pub event_type: EventType,
    /// What later events are held back by, if any are.
    pub ordering_key: Option<String>,
    /// What went wrong last.
    pub error: String,
    /// How often it was tried. 0 if it was held back behind another one and never tried.
    pub attempts: u32,
    /// When it failed first, by the store's clock.
    pub first_failed_at: DateTime<Utc>,
    /// When it failed last.
    pub last_failed_at: DateTime<Utc>,
    /// Where it stands.
    pub state: DeadLetterState,
    /// How it ended, if it has.
    pub resolution: Option<Resolution>,
}

/// When and by whom a dead letter was resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// When, by the store's clock.
    pub at: DateTime<Utc>,
    /// By whom.
    pub by: String,
}

/// Where a dead letter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeadLetterState {
    /// It waits for somebody.
    Failed,
    /// Somebody tries it again.
    Retrying,
    /// It is done.
    Resolved,
}

impl DeadLetterState {
    /// The word that databases hold.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Retrying => "retrying",
            Self::Resolved => "resolved",
        }
    }
}

impl FromStr for DeadLetterState {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "failed" => Ok(Self::Failed),
            "retrying" => Ok(Self::Retrying),
            "resolved" => Ok(Self::Resolved),
            _ => Err(Error::corrupt("a stored dead letter has an unknown state")),
        }
    }
}

impl fmt::Display for DeadLetterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An event that is to be parked.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct NewDeadLetter {
    consumer: ConsumerName,
    event: RecordedEvent,
    ordering_key: Option<String>,
    error: String,
    attempts: u32,
    fence: Option<Fence>,
}

impl NewDeadLetter {
    /// The longest error that is kept, in bytes; what is longer is cut.
    pub const MAX_ERROR_BYTES: usize = 8 << 10;

    /// `event`, which `consumer` failed on after so many attempts, and what it said last.
    pub fn new(consumer: ConsumerName, event: RecordedEvent, error: &str, attempts: u32) -> Self {
        Self { consumer, event, ordering_key: None, error: cut(error), attempts, fence: None }
    }

    /// Later events with this key wait behind it.
    pub fn holding(mut self, ordering_key: Option<String>) -> Self {
        self.ordering_key = ordering_key.map(|key| key.replace('\0', "\u{fffd}"));
        self
    }

    /// Refused if somebody else has taken the lease since.
    pub fn fenced(mut self, fence: Option<Fence>) -> Self {
        self.fence = fence;
        self
    }

    /// Which.
    #[must_use]
    pub fn key(&self) -> DeadLetterKey {
        DeadLetterKey { consumer: self.consumer.clone(), event_id: self.event.id() }
    }

    /// Who failed.
    #[must_use]
    pub fn consumer(&self) -> &ConsumerName {
        &self.consumer
    }

    /// The event.
    #[must_use]
    pub fn event(&self) -> &RecordedEvent {
        &self.event
    }

    /// What later events are held back by.
    #[must_use]
    pub fn ordering_key(&self) -> Option<&str> {
        self.ordering_key.as_deref()
    }

    /// What went wrong.
    #[must_use]
    pub fn error(&self) -> &str {
        &self.error
    }

    /// How often it was tried.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whose lease it needs.
    #[must_use]
    pub fn fence(&self) -> Option<&Fence> {
        self.fence.as_ref()
    }

    /// The dead letter that this makes, where there is none yet.
    #[must_use]
    pub fn to_dead_letter(&self, now: DateTime<Utc>) -> DeadLetter {
        DeadLetter {
            key: self.key(),
            position: self.event.position(),
            event_type: self.event.event_type().clone(),
            ordering_key: self.ordering_key.clone(),
            error: self.error.clone(),
            attempts: self.attempts,
            first_failed_at: now,
            last_failed_at: now,
            state: DeadLetterState::Failed,
            resolution: None,
        }
    }
}

/// Which dead letters: all of them, unless it is narrowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct DeadLetterQuery {
    consumer: Option<ConsumerName>,
    state: Option<DeadLetterState>,
    after: Position,
    limit: Option<u32>,
}

impl DeadLetterQuery {
    /// All of them.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only this consumer's.
    pub fn of(mut self, consumer: ConsumerName) -> Self {
        self.consumer = Some(consumer);
        self
    }

    /// Only those that stand there.
    pub fn in_state(mut self, state: DeadLetterState) -> Self {
        self.state = Some(state);
        self
    }

    /// Only those whose event lies behind this.
    pub fn after(mut self, position: Position) -> Self {
        self.after = position;
        self
    }

    /// So many at most.
    pub fn limit(mut self, letters: u32) -> Self {
        self.limit = Some(letters);
        self
    }

    /// Whose.
    #[must_use]
    pub fn consumer(&self) -> Option<&ConsumerName> {
        self.consumer.as_ref()
    }

    /// Where they stand.
    #[must_use]
    pub fn state(&self) -> Option<DeadLetterState> {
        self.state
    }

    /// Behind which position.
    #[must_use]
    pub fn after_position(&self) -> Position {
        self.after
    }

    /// At most how many.
    #[must_use]
    pub fn max_letters(&self) -> Option<u32> {
        self.limit
    }

    /// Whether it finds `letter`, apart from the limit: the one definition.
    #[must_use]
    pub fn admits(&self, letter: &DeadLetter) -> bool {
        self.consumer.as_ref().is_none_or(|consumer| *consumer == letter.key.consumer)
            && self.state.is_none_or(|state| state == letter.state)
            && letter.position > self.after
    }
}

/// Who resolves a dead letter.
///
/// # Errors
/// `InvalidInput` if the name is empty, longer than 255 bytes or contains a NUL character.
pub fn check_resolver(by: &str) -> Result<()> {
    check_text("the name of who resolves", by, 255)
}

fn cut(error: &str) -> String {
    let mut end = error.len().min(NewDeadLetter::MAX_ERROR_BYTES);
    while !error.is_char_boundary(end) {
        end -= 1;
    }
    // Not every store can hold it.
    error[..end].replace('\0', "\u{fffd}")
}
