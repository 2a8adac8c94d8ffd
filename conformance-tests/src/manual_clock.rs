use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use eventsource_core::Clock;

/// A clock that stands still until a case moves it. Cloning it gives another handle on the same clock.
#[derive(Clone, Debug)]
pub(crate) struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// It stands at noon of some day.
    pub(crate) fn new() -> Self {
        let noon = crate::given::time("2026-03-01T12:00:00Z");
        Self(Arc::new(AtomicI64::new(noon.timestamp_micros())))
    }

    /// Moves it on.
    pub(crate) fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).expect("a case moves it by little");
        self.0.fetch_add(by, Ordering::SeqCst);
    }

    /// Sets it back, as clocks are that went wrong.
    pub(crate) fn set_back(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).expect("a case moves it by little");
        self.0.fetch_sub(by, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0.load(Ordering::SeqCst)).expect("it stays near its beginning")
    }
}
