mod claim;
mod filter;
mod settlement;
mod statistics;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use claim::{Claim, ClaimId, ClaimRequest, OutboxEntry};
pub use filter::OutboxFilter;
pub use settlement::{Outcome, Settlement};
pub use statistics::OutboxStatistics;

use crate::{EventId, Result};

/// Events that wait to be published: written in the same transaction as the events themselves, so that none is ever
/// forgotten and none is published that was rolled back.
///
/// Which events are put there is the store's configuration. A [`Relay`](crate::Relay) takes them out again: it claims
/// some for a while, publishes them, and says what came of each.
///
/// # For implementors
/// - An append and its entries MUST be committed together; a replayed append MUST add none.
/// - **A stream is in one claim's hands at a time.** While an entry of a stream is claimed, or waits for its next
///   attempt, no entry of that stream may be claimed; and a claim takes a stream's pending entries from the first on,
///   without a gap. This is what keeps publishing in order.
/// - A claim that has run out is nobody's: it settles nothing, whether or not another has its entries.
/// - Time is the store's: claims made by several processes are compared by one clock. Whatever it says, also when it is set
///   back, a claim MUST judge streams and entries by the same time.
#[async_trait]
pub trait Outbox: fmt::Debug + Send + Sync {
    /// Takes the next entries, in log order, for as long as the request says. Nobody else is given them meanwhile. No
    /// entry if none is due.
    ///
    /// # Errors
    /// `Corrupt` if an entry can't be decoded: it is never left out. `Unavailable`, `Backend`: nothing was claimed;
    /// `OutcomeUnknown`: some may be, until the lease ends.
    async fn claim(&self, request: &ClaimRequest) -> Result<Claim>;

    /// Writes down what came of some of the claim's entries, all at once. What is not this claim's any more stays as it
    /// is; those events are returned.
    ///
    /// # Errors
    /// `Unavailable`, `Backend`: nothing was written; `OutcomeUnknown`: it may have been, and settling again is safe.
    async fn settle(&self, claim: ClaimId, settlements: &[Settlement]) -> Result<Vec<EventId>>;

    /// Keeps the claim's unsettled entries for this long from now, and returns how many there are. A claim that has run
    /// out is not renewed: none.
    ///
    /// # Errors
    /// `Unavailable`, `Backend`, `OutcomeUnknown`.
    async fn extend(&self, claim: ClaimId, lease: Duration) -> Result<u64>;

    /// The entries that were given up, in log order, `limit` at most: each with its last error.
    ///
    /// # Errors
    /// As for [`claim`](Self::claim).
    async fn failed(&self, limit: usize) -> Result<Vec<OutboxEntry>>;

    /// Makes entries that were given up pending again, as if nobody had tried, and returns how many: those of these events,
    /// or all of them if none is named.
    ///
    /// # Errors
    /// `Unavailable`, `Backend`, `OutcomeUnknown`.
    async fn retry_failed(&self, events: Option<&[EventId]>) -> Result<u64>;

    /// Deletes the entries that were published longer ago than this, and returns how many. The events stay in the log.
    ///
    /// # Errors
    /// `Unavailable`, `Backend`, `OutcomeUnknown`.
    async fn delete_published(&self, older_than: Duration) -> Result<u64>;

    /// How many entries there are in each state, and how long the oldest waits.
    ///
    /// # Errors
    /// `Unavailable`, `Backend`.
    async fn statistics(&self) -> Result<OutboxStatistics>;
}

macro_rules! forward {
    ($($wrapper:ty;)*) => { $(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<O: Outbox + ?Sized> Outbox for $wrapper {
            async fn claim(&self, request: &ClaimRequest) -> Result<Claim> {
                (**self).claim(request).await
            }

            async fn settle(&self, claim: ClaimId, settlements: &[Settlement]) -> Result<Vec<EventId>> {
                (**self).settle(claim, settlements).await
            }

            async fn extend(&self, claim: ClaimId, lease: Duration) -> Result<u64> {
                (**self).extend(claim, lease).await
            }

            async fn failed(&self, limit: usize) -> Result<Vec<OutboxEntry>> {
                (**self).failed(limit).await
            }

            async fn retry_failed(&self, events: Option<&[EventId]>) -> Result<u64> {
                (**self).retry_failed(events).await
            }

            async fn delete_published(&self, older_than: Duration) -> Result<u64> {
                (**self).delete_published(older_than).await
            }

            async fn statistics(&self) -> Result<OutboxStatistics> {
                (**self).statistics().await
            }
        }
    )* };
}

forward! {
    Arc<O>;
    Box<O>;
    &O;
}
