use std::time::Duration;

use chrono::{DateTime, Utc};

/// When a snapshot is taken: when any of what is set here has been reached since the last one.
///
/// ```
/// use std::time::Duration;
/// use eventsource_core::SnapshotPolicy;
///
/// let policy = SnapshotPolicy::never().events(100).bytes(1 << 20);
/// # let _ = policy;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct SnapshotPolicy {
    events: Option<u64>,
    bytes: Option<u64>,
    interval: Option<Duration>,
}

impl SnapshotPolicy {
    /// Never, unless something is set.
    pub fn never() -> Self {
        Self { events: None, bytes: None, interval: None }
    }

    /// After so many events; also where an append of several passes the number.
    pub fn events(mut self, events: u64) -> Self {
        self.events = Some(events.max(1));
        self
    }

    /// After events with so many bytes of payload, tags and metadata.
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = Some(bytes.max(1));
        self
    }

    /// After so long, if there was an event since; at once, if there is no snapshot yet.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }

    pub(crate) fn is_due(&self, since: &Progress, now: impl FnOnce() -> DateTime<Utc>) -> bool {
        since.events > 0
            && (self.events.is_some_and(|events| since.events >= events)
                || self.bytes.is_some_and(|bytes| since.bytes >= bytes)
                || self.interval.is_some_and(|interval| {
                    since
                        .taken_at
                        .is_none_or(|taken| (now() - taken).to_std().is_ok_and(|age| age >= interval))
                }))
    }
}

/// What was folded since the last snapshot.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    /// When the last one was taken, if there is one.
    pub(crate) taken_at: Option<DateTime<Utc>>,
}

impl Progress {
    pub(crate) fn add(&mut self, bytes: usize) {
        self.events += 1;
        self.bytes += bytes as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(policy: SnapshotPolicy, events: u64, bytes: u64, age: Option<i64>) -> bool {
        let now = DateTime::UNIX_EPOCH;
        let taken_at = age.map(|seconds| now - chrono::TimeDelta::seconds(seconds));
        policy.is_due(&Progress { events, bytes, taken_at }, || now)
    }

    #[test]
    fn any_of_what_is_set_makes_one_due() {
        let never = SnapshotPolicy::never();
        assert!(!due(never, u64::MAX, u64::MAX, Some(i32::MAX.into())));
        assert_eq!([9, 10, 12].map(|events| due(never.events(10), events, 0, None)), [false, true, true]);
        assert_eq!([99, 100].map(|bytes| due(never.bytes(100), 1, bytes, None)), [false, true]);
        let hourly = never.interval(Duration::from_secs(3_600));
        assert_eq!(
            [Some(3_599), Some(3_600), Some(-5), None].map(|age| due(hourly, 1, 0, age)),
            [false, true, false, true]
        );
        assert!(!due(hourly, 0, 0, None), "nothing has happened since");
        assert!(due(never.events(10).bytes(100), 1, 100, None));
    }
}
