use std::fmt;
use std::time::Duration;

use uuid::Uuid;

use crate::name::check_text;
use crate::{Error, RecordedEvent, Result};

/// Which claim: whoever settles an entry shows that it is still theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClaimId(Uuid);

impl ClaimId {
    /// A fresh id.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::now_v7())
    }

    /// The UUID.
    #[must_use]
    pub fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for ClaimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who wants how many entries of an outbox, and for how long.
///
/// ```
/// use std::time::Duration;
/// use eventsource_core::ClaimRequest;
///
/// let request = ClaimRequest::new("relay-1", 100, Duration::from_secs(30))?;
/// assert_eq!(request.limit(), 100);
/// # Ok::<(), eventsource_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRequest {
    worker: String,
    limit: usize,
    lease: Duration,
}

impl ClaimRequest {
    /// The longest name of a worker, in bytes.
    pub const MAX_WORKER_BYTES: usize = 255;
    /// The most entries of one claim.
    pub const MAX_LIMIT: usize = 1_000;
    /// The longest lease: a day.
    pub const MAX_LEASE: Duration = Duration::from_secs(24 * 60 * 60);

    /// A request by `worker`, whose name is for people who look at the table.
    ///
    /// # Errors
    /// `InvalidInput` if the name is empty, longer than [`MAX_WORKER_BYTES`](Self::MAX_WORKER_BYTES) or contains a NUL
    /// character; if the limit is 0 or above [`MAX_LIMIT`](Self::MAX_LIMIT); if the lease is shorter than a millisecond or
    /// longer than [`MAX_LEASE`](Self::MAX_LEASE).
    pub fn new(worker: impl Into<String>, limit: usize, lease: Duration) -> Result<Self> {
        let worker = worker.into();
        check_text("a worker's name", &worker, Self::MAX_WORKER_BYTES)?;
        if !(1..=Self::MAX_LIMIT).contains(&limit) {
            let max = Self::MAX_LIMIT;
            return Err(Error::invalid_input(format!("a claim takes 1 to {max} entries, not {limit}")));
        }
        if !(Duration::from_millis(1)..=Self::MAX_LEASE).contains(&lease) {
            return Err(Error::invalid_input("a lease lasts a millisecond at least and a day at most"));
        }
        Ok(Self { worker, limit, lease })
    }

    /// Who asks.
    #[must_use]
    pub fn worker(&self) -> &str {
        &self.worker
    }

    /// How many entries at most.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// For how long.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.lease
    }
}

/// Entries that nobody else is given while the lease lasts.
#[derive(Clone, Debug)]
pub struct Claim {
    /// To be shown when they are settled.
    pub id: ClaimId,
    /// In log order.
    pub entries: Vec<OutboxEntry>,
}

/// An event that waits to be published, or was given up.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxEntry {
    /// The event, as it lies in the log.
    pub event: RecordedEvent,
    /// How many attempts have failed.
    pub failed_attempts: u32,
    /// What went wrong the last time.
    pub last_error: Option<String>,
}
