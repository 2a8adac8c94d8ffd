use std::collections::HashSet;
use std::error::Error as StdError;
use std::fmt;

use eventsource_core::RecordedEvent;

use super::ledger::Ledger;
use super::{Attempt, History, Outcome};

/// What the witness looks at. Each is a promise of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Property {
    /// Positions rise strictly in the log.
    PositionsRise,
    /// No event id lies in the log twice.
    EventsAreUnique,
    /// Versions count 1, 2, 3, … in each stream.
    VersionsCount,
    /// What was acknowledged lies in the log: once, whole, contiguous, where the caller was told.
    AcknowledgedIsStored,
    /// An append of unknown outcome is there whole, or not at all.
    UnknownIsWholeOrAbsent,
    /// Nothing else lies in the log: nothing refused, nothing rolled back.
    NothingElseIsStored,
    /// An append that was answered with its first result had been stored before.
    ReplayIsTrue,
    /// No event that matches a condition lies between its `after` and the append.
    ConditionHeld,
    /// Every stream was as expected when it was appended to.
    ExpectedVersionHeld,
    /// Every conflict names something that the log shows, and that was so at the time.
    RefusalIsTrue,
    /// Every reader saw every event once, in order; nothing came up below its cursor.
    ReadersMissNothing,
    /// Every head was the place of the last event of a whole append.
    HeadIsAnEvent,
    /// What was over before something else began comes before it: heads never go back, and what was acknowledged is
    /// visible.
    TimeIsKept,
    /// A group handles every event of the log.
    EveryEventIsHandled,
    /// A view in the log's own database is given every event once.
    HandledOnce,
    /// Events with one key are handled in log order, where they are handled for the first time.
    KeysAreInOrder,
    /// Nothing is handled that is not in the log.
    NothingElseIsHandled,
    /// A checkpoint goes forward, and one save follows the other.
    CheckpointsGoForward,
    /// A member whose lease somebody else has taken writes nothing.
    FencedWriteNothing,
    /// Relays publish every event.
    EveryEventIsPublished,
    /// What drops messages that it has seen holds every event once.
    PublishedOnce,
    /// A stream's events are published in order, where they are published for the first time.
    StreamsArePublishedInOrder,
    /// Nothing is published that is not in the log as it is.
    NothingElseIsPublished,
    /// Every event has its entry in the outbox, and every entry is settled in the end.
    EverythingIsSettled,
    /// An entry is settled only after its event was published.
    SettledIsPublished,
}

/// One broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub property: Property,
    /// What was seen.
    pub text: String,
}

/// What a history and its log broke of what was promised.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    violations: Vec<Violation>,
}

impl Verdict {
    /// How many violations are spelt out: the first ones tell the story.
    const MOST_SHOWN: usize = 16;

    /// All of it.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Whether this promise was broken.
    #[must_use]
    pub fn breaks(&self, property: Property) -> bool {
        self.violations.iter().any(|violation| violation.property == property)
    }

    /// The first violation of each property, then the others.
    fn one_of_each_first(&self) -> impl Iterator<Item = &Violation> {
        let mut seen = HashSet::new();
        let (firsts, others): (Vec<_>, Vec<_>) =
            self.violations.iter().partition(|violation| seen.insert(violation.property));
        firsts.into_iter().chain(others)
    }

    pub(super) fn add(&mut self, property: Property, text: impl Into<String>) {
        self.violations.push(Violation { property, text: text.into() });
    }

    pub(super) fn into_result<S>(self, summary: S) -> Result<S, Self> {
        if self.violations.is_empty() { Ok(summary) } else { Err(self) }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the witness found {} broken promise(s)", self.violations.len())?;
        for violation in self.one_of_each_first().take(Self::MOST_SHOWN) {
            write!(f, "\n  {:?}: {}", violation.property, violation.text)?;
        }
        match self.violations.len().checked_sub(Self::MOST_SHOWN) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, "\n  … and {more} more"),
        }
    }
}

impl fmt::Debug for Verdict {
    /// As it is displayed: it is what a failed test shows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for Verdict {}

/// What a history that is in order consisted of, so that a test can see that it tested something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events in the log.
    pub events: usize,
    /// Appends that were acknowledged and written.
    pub acknowledged: usize,
    /// Appends that were answered with their first result.
    pub replayed: usize,
    /// Appends that met a conflict.
    pub refused: usize,
    /// Appends that were rolled back, or failed so that nothing was written.
    pub not_written: usize,
    /// Appends of unknown outcome that lie in the log.
    pub unknown_stored: usize,
    /// Appends of unknown outcome that do not.
    pub unknown_absent: usize,
    /// Pages that readers looked at.
    pub looks: usize,
}

impl Summary {
    pub(super) fn of(
        log: &[RecordedEvent],
        attempts: &[&Attempt],
        ledger: &Ledger,
        histories: &[History],
    ) -> Self {
        let mut summary = Self { events: log.len(), ..Self::default() };
        for (number, attempt) in attempts.iter().enumerate() {
            *match &attempt.outcome {
                Outcome::Acknowledged(appended) if appended.replayed => &mut summary.replayed,
                Outcome::Acknowledged(_) => &mut summary.acknowledged,
                Outcome::Refused(_) => &mut summary.refused,
                Outcome::NotWritten => &mut summary.not_written,
                Outcome::Unknown if ledger.is_stored(number) => &mut summary.unknown_stored,
                Outcome::Unknown => &mut summary.unknown_absent,
            } += 1;
        }
        let readers = histories.iter().flat_map(|history| &history.readers);
        summary.looks = readers.map(|reader| reader.looks.len()).sum();
        summary
    }
}
