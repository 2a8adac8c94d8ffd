use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use eventsource_core::Clock;

/// A clock that stands still until a test sets it. Its clones are the same clock.
///
/// ```
/// use std::time::Duration;
///
/// use eventsource_core::Clock;
/// use eventsource_memory::MemoryStore;
/// use eventsource_testing::ManualClock;
///
/// let clock = ManualClock::at("2026-01-02T09:00:00Z");
/// let store = MemoryStore::with_clock(clock.clone());
/// clock.advance(Duration::from_secs(3_600));
/// assert_eq!(clock.now().to_rfc3339(), "2026-01-02T10:00:00+00:00");
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<DateTime<Utc>>>);

impl ManualClock {
    /// A clock at this time.
    #[must_use]
    pub fn new(now: DateTime<Utc>) -> Self {
        Self(Arc::new(Mutex::new(now)))
    }

    /// A clock at this time, in RFC 3339.
    ///
    /// # Panics
    /// If that is no time.
    #[must_use]
    #[track_caller]
    pub fn at(now: &str) -> Self {
        match now.parse() {
            Ok(now) => Self::new(now),
            Err(error) => panic!("{now:?} is no time in RFC 3339: {error}"),
        }
    }

    /// Sets it, also to the past.
    pub fn set(&self, now: DateTime<Utc>) {
        *self.lock() = now;
    }

    /// Moves it on.
    ///
    /// # Panics
    /// If that leads beyond the end of time.
    #[track_caller]
    pub fn advance(&self, by: Duration) {
        let mut now = self.lock();
        match chrono::TimeDelta::from_std(by).ok().and_then(|by| now.checked_add_signed(by)) {
            Some(later) => *now = later,
            None => panic!("{by:?} behind {now} lies beyond the end of time"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, DateTime<Utc>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.lock()
    }
}
