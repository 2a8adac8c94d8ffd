use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Limits how long one future after another may take, with one timer for them all.
///
/// To set a timer that is the next to ring wakes the thread that waits for I/O, and a timer for each call is always that.
/// This one is set anew only when it has rung.
pub(crate) struct Deadline {
    patience: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Deadline {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { patience, timer: Box::pin(sleep(patience)) }
    }

    /// What the future comes to; none, if it takes longer than the patience.
    pub(crate) async fn limit<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let begun = Instant::now();
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            // It was set for a future before this one, if not for this one: it never rings too late.
            while self.timer.as_mut().poll(context).is_ready() {
                let left = self.patience.saturating_sub(begun.elapsed());
                if left.is_zero() {
                    return Poll::Ready(None);
                }
                self.timer.set(sleep(left));
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn each_future_has_all_the_time_whenever_the_timer_rings() {
        let mut deadline = Deadline::new(PATIENCE);
        sleep(Duration::from_secs(7)).await;
        // It rings three seconds from now.
        for _ in 0..3 {
            assert_eq!(deadline.limit(sleep(Duration::from_secs(9))).await, Some(()));
        }
        let begun = Instant::now();
        assert_eq!(deadline.limit(pending::<()>()).await, None);
        assert_eq!(begun.elapsed().as_secs(), 10);
        assert_eq!(deadline.limit(ready(1)).await, Some(1));
        assert_eq!(deadline.limit(sleep(Duration::from_secs(9))).await, Some(()));
        let begun = Instant::now();
        assert_eq!(deadline.limit(sleep(Duration::from_secs(11))).await, None);
        assert_eq!(begun.elapsed().as_secs(), 10);
    }
}
