//! A clock that a case sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use eventsource_core::Clock;

/// Stands still until it is moved. Cloning it gives another handle.
#[derive(Clone, Debug)]
pub(crate) struct SetClock(Arc<AtomicI64>);

impl SetClock {
    /// At this time, in RFC 3339.
    pub(crate) fn at(text: &str) -> Self {
        Self(Arc::new(AtomicI64::new(crate::given::time(text).timestamp_micros())))
    }

    /// Moves it on.
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).expect("a case's time is short"), Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0.load(Ordering::SeqCst)).expect("a case names a valid time")
    }
}
