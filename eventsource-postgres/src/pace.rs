use std::time::Duration;

/// How fast batches go, to tell whether they had better be larger.
///
/// A process's callers fall into groups: one waits for the log's lock while another waits for a flush. That is as it should
/// be while the lock is free. Where many processes want it, each group waits for it in turn, and all of them together would
/// wait no longer.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// How long an event took in the fastest call: what a batch needs by itself.
    event: Option<Duration>,
    /// How long the last call took beyond that, most of it for the log's lock.
    waited: Duration,
    /// How long callers last waited for a flush.
    replied: Duration,
}

impl Pace {
    /// A call with so many events has come to an end.
    pub(crate) fn called(&mut self, events: usize, took: Duration) {
        let events = u32::try_from(events).unwrap_or(u32::MAX).max(1);
        let event = self.event.map_or(took / events, |event| event.min(took / events));
        self.waited = took.saturating_sub(event.saturating_mul(events));
        self.event = Some(event);
    }

    /// The callers of a batch were told after that time.
    pub(crate) fn replied(&mut self, took: Duration) {
        self.replied = took;
    }

    /// How long to wait for those who wait for a flush; not at all where the lock takes less time than that.
    pub(crate) fn patience(&self) -> Option<Duration> {
        (self.waited > self.replied).then_some(self.replied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn who_waits_for_the_lock_longer_than_for_a_flush_waits_for_the_others() {
        let mut pace = Pace::default();
        assert_eq!(pace.patience(), None);
        pace.replied(milliseconds(3));
        pace.called(4, milliseconds(1));
        assert_eq!(pace.patience(), None, "the lock was free");
        pace.called(4, milliseconds(5));
        assert_eq!(pace.patience(), Some(milliseconds(3)));
        pace.called(4, milliseconds(4));
        assert_eq!(pace.patience(), None, "a flush takes as long");
    }

    #[test]
    fn a_batch_that_takes_long_because_it_is_large_does_not_wait() {
        let mut pace = Pace::default();
        pace.replied(milliseconds(3));
        pace.called(100, milliseconds(1));
        pace.called(1_000, milliseconds(10));
        assert_eq!(pace.patience(), None);
        pace.called(1_000, milliseconds(14));
        assert_eq!(pace.patience(), Some(milliseconds(3)));
    }
}
