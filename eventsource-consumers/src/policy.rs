use std::time::Duration;

use crate::Backoff;

/// What a consumer does when its handler fails. The store's own failures are retried and never counted.
///
/// ```
/// use std::time::Duration;
/// use eventsource_consumers::{Backoff, FailurePolicy};
///
/// let policy = FailurePolicy::park_and_hold()
///     .attempts(3)
///     .backoff(Backoff::new(Duration::from_millis(50), Duration::from_secs(5)))
///     .handler_timeout(Duration::from_secs(10));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct FailurePolicy {
    pub(crate) attempts: u32,
    pub(crate) backoff: Backoff,
    pub(crate) handler_timeout: Option<Duration>,
    pub(crate) on_failure: OnFailure,
}

/// What comes after the last attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// The consumer ends with the handler's error; its checkpoint stays before the event.
    Stop,
    /// The event becomes a dead letter, and all others go on.
    Park,
    /// The event becomes a dead letter, and later ones with the same key are parked behind it until it is resolved.
    ParkAndHold,
}

impl FailurePolicy {
    /// Five attempts, then the consumer stops.
    pub fn stop() -> Self {
        Self::of(OnFailure::Stop)
    }

    /// Five attempts, then the event is parked, and what comes behind it is not held up.
    pub fn park() -> Self {
        Self::of(OnFailure::Park)
    }

    /// Five attempts, then the event is parked with all later ones of its key: order per key stays whole.
    pub fn park_and_hold() -> Self {
        Self::of(OnFailure::ParkAndHold)
    }

    /// Sets how often an event is tried in all; at least once.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets how long to wait between two attempts; [`Backoff::default`] if not set: a tenth of a second first, 30 seconds at
    /// most.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how long a handler may take for what it is given at once; 30 seconds if not set, and as long as it likes with
    /// `None`. That is one event, and with [`each_page`](crate::each_page) the whole page.
    ///
    /// ```
    /// use std::time::Duration;
    /// use eventsource_consumers::FailurePolicy;
    ///
    /// let hurried = FailurePolicy::park().handler_timeout(Duration::from_secs(2));
    /// let patient = FailurePolicy::park().handler_timeout(None);
    /// ```
    pub fn handler_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.handler_timeout = timeout.into();
        self
    }

    fn of(on_failure: OnFailure) -> Self {
        let handler_timeout = Some(Duration::from_secs(30));
        Self { attempts: 5, backoff: Backoff::default(), handler_timeout, on_failure }
    }
}

impl Default for FailurePolicy {
    fn default() -> Self {
        Self::stop()
    }
}
