use std::time::Duration;

use crate::EventId;

/// What came of one entry of an outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    event_id: EventId,
    outcome: Outcome,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The event was published.
    Published,
    /// Nobody tried: the entry is as before, for whoever claims it next.
    Released,
    /// It failed, and is to be tried again, not before this time has passed.
    Retry {
        /// How long to wait.
        after: Duration,
        /// What went wrong.
        error: String,
    },
    /// It failed for good: it waits for somebody to look at it, and no longer holds up its stream.
    GivenUp {
        /// What went wrong.
        error: String,
    },
}

impl Settlement {
    /// The longest text of an error, in bytes; what is longer is cut.
    pub const MAX_ERROR_BYTES: usize = 2_000;
    /// The longest wait for the next attempt: 30 days. What is longer is cut.
    pub const MAX_WAIT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    /// The event was published.
    #[must_use]
    pub fn published(event_id: EventId) -> Self {
        Self { event_id, outcome: Outcome::Published }
    }

    /// Nobody tried.
    #[must_use]
    pub fn released(event_id: EventId) -> Self {
        Self { event_id, outcome: Outcome::Released }
    }

    /// It failed, and is to be tried again after a while.
    #[must_use]
    pub fn retry(event_id: EventId, after: Duration, error: &str) -> Self {
        let (after, error) = (after.min(Self::MAX_WAIT), bounded(error));
        Self { event_id, outcome: Outcome::Retry { after, error } }
    }

    /// It failed for good.
    #[must_use]
    pub fn given_up(event_id: EventId, error: &str) -> Self {
        Self { event_id, outcome: Outcome::GivenUp { error: bounded(error) } }
    }

    /// Which event.
    #[must_use]
    pub fn event_id(&self) -> EventId {
        self.event_id
    }

    /// How it ended.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }
}

/// What every store can hold.
fn bounded(error: &str) -> String {
    let mut text = error.replace('\0', "\u{fffd}");
    text.truncate(text.floor_char_boundary(Settlement::MAX_ERROR_BYTES));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_cut_to_what_every_store_holds() {
        let settlement = Settlement::given_up(EventId::random(), &format!("\0{}", "é".repeat(2_000)));
        let Outcome::GivenUp { error } = settlement.outcome() else { panic!("{settlement:?}") };
        assert!(!error.contains('\0') && error.len() <= Settlement::MAX_ERROR_BYTES);
        assert!(error.len() > Settlement::MAX_ERROR_BYTES - 4);
    }
}
