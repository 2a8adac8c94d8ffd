use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// How long to wait between attempts: twice as long each time, with jitter, up to a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    seed: Option<u64>,
}

impl Backoff {
    /// Waits for about `first`, then about twice as long each time, up to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, seed: None }
    }

    /// Repeats the same jitter each time, for tests.
    pub fn seeded(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// How long to wait before each further attempt; there is no end.
    pub(crate) fn delays(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        let builder = ExponentialBuilder::new()
            .with_min_delay(self.first)
            .with_max_delay(self.longest)
            .with_factor(2.0)
            .without_max_times()
            .with_jitter();
        let builder = match self.seed {
            Some(seed) => builder.with_jitter_seed(seed),
            None => builder,
        };
        // Jitter adds up to a delay's own length.
        builder.build().chain(std::iter::repeat(self.longest))
    }
}

impl Default for Backoff {
    /// A tenth of a second first, 30 seconds at most.
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(30))
    }
}
