use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{ConsumerName, DeadLetter, DeadLetterKey, DeadLetterQuery, NewDeadLetter, Resolution, Result};

/// Keeps the events that consumers failed on, until somebody has dealt with them.
///
/// failed → retrying → resolved, or back to failed. What is not resolved is never deleted.
#[async_trait]
pub trait DeadLetters: fmt::Debug + Send + Sync {
    /// Parks an event. If it is parked already, it has failed again: it is failed, with this error and this many
    /// attempts, whatever it was; when it failed first stays.
    ///
    /// # Errors
    /// `Conflict` if its fence does not hold; `Unavailable`, `OutcomeUnknown`, `Backend`.
    async fn park(&self, letter: &NewDeadLetter) -> Result<()>;

    /// Parks an event if its key is held by one that is not resolved, and says so. This looks and parks at once, so that
    /// an event is neither parked behind nothing nor handled before an earlier one.
    ///
    /// # Errors
    /// As for [`park`](Self::park); `InvalidInput` if it has no key.
    async fn park_behind(&self, letter: &NewDeadLetter) -> Result<bool>;

    /// The keys of this consumer's dead letters that are not resolved.
    ///
    /// # Errors
    /// `Unavailable`, `Backend`.
    async fn held_keys(&self, consumer: &ConsumerName) -> Result<BTreeSet<String>>;

    /// The dead letters that the query asks for, in log order.
    ///
    /// # Errors
    /// `Unavailable`, `Backend`, `Corrupt`.
    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetter>>;

    /// How many dead letters the query asks for; its limit does not count.
    ///
    /// # Errors
    /// `Unavailable`, `Backend`.
    async fn count_dead_letters(&self, query: &DeadLetterQuery) -> Result<u64>;

    /// Takes a failed dead letter to try it again, and returns it. Also one that somebody has been trying for longer than
    /// `abandoned_after`: whoever that was is gone. None if there is no such one.
    ///
    /// # Errors
    /// `Unavailable`, `OutcomeUnknown`, `Backend`.
    async fn begin_retry(&self, key: &DeadLetterKey, abandoned_after: Duration)
    -> Result<Option<DeadLetter>>;

    /// Resolves a dead letter, wherever it stood; how it was resolved first stays. False if there is none.
    ///
    /// # Errors
    /// `InvalidInput` if the name is empty, too long or holds a NUL; `Unavailable`, `OutcomeUnknown`, `Backend`.
    async fn resolve(&self, key: &DeadLetterKey, by: &str) -> Result<bool>;

    /// Makes `from`'s dead letters `to`'s, as a rebuild's are when its view is switched to. What `to` had failed on is
    /// resolved by `from` before: the new view holds it, or `from` has failed on it as well. All of it at once.
    ///
    /// # Errors
    /// `Unavailable`, `OutcomeUnknown`, `Backend`.
    async fn hand_over_dead_letters(&self, from: &ConsumerName, to: &ConsumerName) -> Result<()>;

    /// Deletes what was resolved longer ago than this, by the store's clock, and says how many.
    ///
    /// # Errors
    /// `Unavailable`, `OutcomeUnknown`, `Backend`.
    async fn delete_resolved(&self, older_than: Duration) -> Result<u64>;
}

impl DeadLetter {
    /// Fails once more: what parking does to one that is parked already.
    pub fn fail_again(&mut self, again: &NewDeadLetter, now: chrono::DateTime<chrono::Utc>) {
        self.state = crate::DeadLetterState::Failed;
        self.error = again.error().to_owned();
        self.attempts = again.attempts();
        self.last_failed_at = now;
        self.resolution = None;
        self.ordering_key = again.ordering_key().map(str::to_owned);
    }

    /// Becomes `to`'s, which may have failed on the event before: when it failed first stays.
    #[must_use]
    pub fn handed_over(self, to: ConsumerName, before: Option<&Self>) -> Self {
        let first_failed_at = before.map_or(self.first_failed_at, |before| before.first_failed_at);
        Self { key: DeadLetterKey { consumer: to, ..self.key }, first_failed_at, ..self }
    }

    /// Is resolved, unless it was before.
    pub fn resolve(&mut self, by: &str, now: chrono::DateTime<chrono::Utc>) {
        self.state = crate::DeadLetterState::Resolved;
        self.resolution.get_or_insert_with(|| Resolution { at: now, by: by.to_owned() });
    }
}

macro_rules! forward {
    ($($wrapper:ty;)*) => { $(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: DeadLetters + ?Sized> DeadLetters for $wrapper {
            async fn park(&self, letter: &NewDeadLetter) -> Result<()> {
                (**self).park(letter).await
            }

            async fn park_behind(&self, letter: &NewDeadLetter) -> Result<bool> {
                (**self).park_behind(letter).await
            }

            async fn held_keys(&self, consumer: &ConsumerName) -> Result<BTreeSet<String>> {
                (**self).held_keys(consumer).await
            }

            async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetter>> {
                (**self).dead_letters(query).await
            }

            async fn count_dead_letters(&self, query: &DeadLetterQuery) -> Result<u64> {
                (**self).count_dead_letters(query).await
            }

            async fn begin_retry(
                &self,
                key: &DeadLetterKey,
                abandoned_after: Duration,
            ) -> Result<Option<DeadLetter>> {
                (**self).begin_retry(key, abandoned_after).await
            }

            async fn resolve(&self, key: &DeadLetterKey, by: &str) -> Result<bool> {
                (**self).resolve(key, by).await
            }

            async fn hand_over_dead_letters(&self, from: &ConsumerName, to: &ConsumerName) -> Result<()> {
                (**self).hand_over_dead_letters(from, to).await
            }

            async fn delete_resolved(&self, older_than: Duration) -> Result<u64> {
                (**self).delete_resolved(older_than).await
            }
        }
    )* };
}

forward! {
    Arc<S>;
    Box<S>;
    &S;
}
