use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::{Append, Appended, ErrorKind, EventStore, Result};

/// How often a command is tried again, and how long apart: bounded, and drawn by chance so that those who were in each
/// other's way do not meet again.
///
/// Each pause is twice the last one, up to the longest, and up to as much again by chance. It is slept with tokio's
/// timer.
///
/// ```
/// use std::time::Duration;
/// use eventsource_core::RetryPolicy;
///
/// let patient = RetryPolicy::default().attempts(20).pauses(Duration::from_millis(1), Duration::from_millis(50));
/// # let _ = patient;
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct RetryPolicy(ExponentialBuilder);

impl RetryPolicy {
    const ATTEMPTS: u32 = 10;
    const SHORTEST: Duration = Duration::from_millis(1);
    const LONGEST: Duration = Duration::from_millis(100);

    /// One attempt only.
    pub fn never() -> Self {
        Self::default().attempts(1)
    }

    /// So many attempts in all; at least one. Ten unless told.
    pub fn attempts(self, attempts: u32) -> Self {
        Self(self.0.with_max_times(attempts.saturating_sub(1) as usize))
    }

    /// The first pause and the longest; 1 ms and 100 ms unless told.
    pub fn pauses(self, first: Duration, longest: Duration) -> Self {
        Self(self.0.with_min_delay(first).with_max_delay(longest.max(first)))
    }

    /// Draws chance from a seed: the same pauses each time, for tests.
    pub fn seeded(self, seed: u64) -> Self {
        Self(self.0.with_jitter_seed(seed))
    }

    /// The pause after the attempt that was the `failed`-th to fail; none if it was the last.
    pub(crate) fn pause_after(&self, failed: u32) -> Option<Duration> {
        self.0.build().nth(failed.saturating_sub(1) as usize)
    }

    /// The attempts that are left behind the first, each with the pause before it.
    pub(crate) fn pauses_between(&self) -> Pauses {
        Pauses { policy: self.0, left: None }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        let pauses = ExponentialBuilder::new().with_factor(2.0).with_jitter();
        Self(pauses).attempts(Self::ATTEMPTS).pauses(Self::SHORTEST, Self::LONGEST)
    }
}

/// What a policy leaves of one command's attempts. Nothing is drawn before the first attempt has failed.
pub(crate) struct Pauses {
    policy: ExponentialBuilder,
    left: Option<<ExponentialBuilder as BackoffBuilder>::Backoff>,
}

impl Pauses {
    /// How long to wait before the next attempt; none if there is none.
    pub(crate) fn next(&mut self) -> Option<Duration> {
        self.left.get_or_insert_with(|| self.policy.build()).next()
    }

    /// Sleeps before the next attempt; false if there is none.
    pub(crate) async fn pause(&mut self) -> bool {
        let Some(pause) = self.next() else { return false };
        tokio::time::sleep(pause).await;
        true
    }
}

/// Appends until the store's answer arrives: what `append` makes, which is the same each time. Deciding anew after a lost
/// answer could carry out a command twice.
pub(crate) async fn append_for_certain<S: EventStore + ?Sized>(
    store: &S,
    append: impl Fn() -> Append,
    policy: &RetryPolicy,
) -> Result<Appended> {
    let mut lost = match store.append(append()).await {
        Err(error) if error.kind() == ErrorKind::OutcomeUnknown => error,
        answer => return answer,
    };
    let mut pauses = policy.pauses_between();
    while pauses.pause().await {
        match store.append(append()).await {
            // Event ids are judged first, so a conflict also says that the append whose answer was lost wrote nothing;
            // and what stands in the way stays there, so that it never will.
            Err(error) if !error.is_conflict() => {
                // Whatever became of this attempt says nothing of the one whose answer was lost.
                if !error.is_retryable() {
                    break;
                }
                if error.kind() == ErrorKind::OutcomeUnknown {
                    lost = error;
                }
            }
            answer => return answer,
        }
    }
    Err(lost)
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    async fn slept(policy: RetryPolicy) -> Vec<Duration> {
        let (mut pauses, mut slept) = (policy.pauses_between(), Vec::new());
        loop {
            let begun = Instant::now();
            if !pauses.pause().await {
                return slept;
            }
            slept.push(begun.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_up_to_the_longest_and_end() {
        let policy = RetryPolicy::default()
            .attempts(6)
            .pauses(Duration::from_secs(1), Duration::from_secs(4))
            .seeded(7);
        let pauses = slept(policy).await;
        assert_eq!(pauses.len(), 5);
        for (pause, least) in pauses.iter().zip([1, 2, 4, 4, 4]) {
            let least = Duration::from_secs(least);
            let slack = Duration::from_millis(2);
            assert!(*pause >= least && *pause <= least * 2 + slack, "{pauses:?}");
        }
        assert_eq!(slept(policy).await, pauses, "the same seed draws the same pauses");
        assert_ne!(slept(policy.seeded(8)).await, pauses);
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_always_one_attempt() {
        assert_eq!(slept(RetryPolicy::never()).await, []);
        assert_eq!(slept(RetryPolicy::default().attempts(0)).await, []);
    }
}
