use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::{ClaimRequest, Error, Result};

/// How a [`Relay`](crate::Relay) works.
///
/// ```
/// use std::time::Duration;
/// use eventsource_core::RelayConfig;
///
/// let config = RelayConfig::new("relay-1").attempts(10).publish_timeout(Duration::from_secs(3));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct RelayConfig {
    worker: String,
    batch: usize,
    lease: Duration,
    attempts: u32,
    first_delay: Duration,
    longest_delay: Duration,
    jitter_seed: Option<u64>,
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
            attempts: 5,
            first_delay: Duration::from_secs(1),
            longest_delay: Duration::from_secs(60),
            jitter_seed: None,
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

    /// Gives an event up after so many failed attempts; 5 if not set.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Waits for so long after the first failed attempt, and twice as long after each further one, up to `longest`; 1 second
    /// and 60 if not set. A random share of the wait, up to all of it, is added.
    pub fn delays(mut self, first: Duration, longest: Duration) -> Self {
        (self.first_delay, self.longest_delay) = (first, longest);
        self
    }

    /// Draws the random shares of waits from this seed; without it, from the machine.
    pub fn jitter_seed(mut self, seed: u64) -> Self {
        self.jitter_seed = Some(seed);
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
        if self.attempts == 0 || self.concurrency == 0 || self.poll_interval.is_zero() {
            return Err(Error::invalid_input(
                "a relay makes an attempt at least, publishes an event at once at least, and rests between two looks",
            ));
        }
        ClaimRequest::new(self.worker.clone(), self.batch, self.lease)
    }

    pub(super) fn backoff(&self) -> ExponentialBuilder {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(self.first_delay)
            .with_max_delay(self.longest_delay)
            .with_jitter();
        self.jitter_seed.map_or(backoff, |seed| backoff.with_jitter_seed(seed))
    }

    /// How long to wait after the attempt that was the `failed`-th to fail; none if it was the last.
    pub(super) fn delay_after(&self, failed: u32) -> Option<Duration> {
        if failed >= self.attempts {
            return None;
        }
        // Beyond some steps the longest delay is reached, or so is the end of patience.
        let steps = usize::try_from(failed.clamp(1, 64)).unwrap_or(64);
        self.backoff().with_max_times(steps).build().last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_vary() {
        let second = Duration::from_secs(1);
        let config = RelayConfig::new("a").attempts(9).jitter_seed(7);
        for (failed, least) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60)] {
            let delay = config.delay_after(failed).unwrap();
            assert!((least * second..=2 * least * second).contains(&delay), "{failed}: {delay:?}");
            assert_eq!(config.delay_after(failed), Some(delay), "the seed decides");
        }
        assert_eq!(config.delay_after(9), None);
        assert_ne!(config.delay_after(1), config.clone().jitter_seed(8).delay_after(1));
    }

    #[test]
    fn nonsense_is_refused() {
        let config = || RelayConfig::new("a");
        assert!(config().checked().is_ok());
        for broken in [
            RelayConfig::new(""),
            config().attempts(0),
            config().batch(0),
            config().concurrency(0),
            config().lease(Duration::ZERO),
            config().poll_interval(Duration::ZERO),
        ] {
            assert!(broken.checked().is_err(), "{broken:?}");
        }
    }
}
