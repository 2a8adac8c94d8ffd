use std::time::Duration;

/// How many entries an outbox has in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxStatistics {
    /// Waiting: nobody has claimed them, or whoever had lost them.
    pub pending: u64,
    /// Claimed by a relay that is at work.
    pub in_flight: u64,
    /// Published, and not yet deleted.
    pub published: u64,
    /// Given up.
    pub failed: u64,
    /// How long the oldest that is pending or in flight has been waiting, since its event was recorded.
    pub oldest_pending: Option<Duration>,
}
