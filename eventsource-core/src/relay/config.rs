use std::time::Duration;

use crate::retry::Pauses;
use crate::{ClaimRequest, Error, Result, RetryPolicy};

/// How a [`Relay`](crate::Relay) works.
///
/// ```
/// use std::time::Duration;
/// use eventsource_core::RelayConfig;
///
/// let config = RelayConfig::new("relay-1").batch(500).publish_timeout(Duration::from_secs(3));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct RelayConfig {
    worker: String,
    batch: usize,
    lease: Duration,
    retry: RetryPolicy,
    pub(super) concurrency: usize,
    pub(super) publish_timeout: Duration,
    pub(super) poll_interval: Duration,
}

impl RelayConfig {
    /// A relay of this name, which stands in the table beside what it has claimed. Names need not differ.
    pub fn new(worker: impl Into<String>) -> Self {
        Self {
            worker: worker.into(),
            batch: 100,
            lease: Duration::from_secs(30),
            retry: RetryPolicy::default().attempts(5).pauses(Duration::from_secs(1), Duration::from_secs(60)),
            concurrency: 16,
            publish_timeout: Duration::from_secs(10),
            poll_interval: Duration::from_secs(1),
        }
    }

    /// Claims at most so many entries at a time; 100 if not set.
    pub fn batch(mut self, entries: usize) -> Self {
        self.batch = entries;
        self
    }

    /// Claims them for so long, and again as long while it is at work; 30 seconds if not set. What a relay had in hand when
    /// it died waits for this long.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How often an event that fails is tried before it is given up, and how long apart; 5 times, 1 to 60 seconds apart, if
    /// not set. Each pause is slept by the store, so that it outlives the relay.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Publishes at most so many events at once, of different streams; 16 if not set.
    pub fn concurrency(mut self, events: usize) -> Self {
        self.concurrency = events;
        self
    }

    /// Takes an event that is not published within this time for failed; 10 seconds if not set. The publisher may have
    /// delivered it nevertheless; then it is delivered twice.
    pub fn publish_timeout(mut self, timeout: Duration) -> Self {
        self.publish_timeout = timeout;
        self
    }

    /// Looks for entries this often when nothing wakes it; every second if not set.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    pub(super) fn checked(&self) -> Result<ClaimRequest> {
        if self.concurrency == 0 || self.poll_interval.is_zero() {
            return Err(Error::invalid_input(
                "a relay publishes an event at once at least, and rests between two looks",
            ));
        }
        ClaimRequest::new(self.worker.clone(), self.batch, self.lease)
    }

    /// How long to wait after the attempt that was the `failed`-th to fail; none if it was the last.
    pub(super) fn delay_after(&self, failed: u32) -> Option<Duration> {
        self.retry.pause_after(failed)
    }

    /// How long to wait while the store can't be reached: longer and longer, and never for good.
    pub(super) fn pauses(&self) -> Pauses {
        self.retry.attempts(u32::MAX).pauses_between()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_vary() {
        let second = Duration::from_secs(1);
        let config = RelayConfig::new("a");
        let config = config.clone().retry(config.retry.attempts(9).seeded(7));
        for (failed, least) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60)] {
            let delay = config.delay_after(failed).unwrap();
            assert!((least * second..=2 * least * second).contains(&delay), "{failed}: {delay:?}");
            assert_eq!(config.delay_after(failed), Some(delay), "the seed decides");
        }
        assert_eq!(config.delay_after(9), None);
        let other = config.clone().retry(config.retry.seeded(8));
        assert_ne!(config.delay_after(1), other.delay_after(1));
    }

    #[test]
    fn nonsense_is_refused() {
        let config = || RelayConfig::new("a");
        assert!(config().checked().is_ok());
        for broken in [
            RelayConfig::new(""),
            config().batch(0),
            config().concurrency(0),
            config().lease(Duration::ZERO),
            config().poll_interval(Duration::ZERO),
        ] {
            assert!(broken.checked().is_err(), "{broken:?}");
        }
    }
}
