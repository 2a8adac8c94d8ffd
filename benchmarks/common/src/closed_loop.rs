use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::report::{histogram, recorded};
use crate::{Failure, Outcome, Random, Task, broken};

/// One caller's place in a [`closed_loop`].
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) index: u64,
    pub(crate) random: Random,
    /// How many operations it has done.
    pub(crate) done: u64,
    pub(crate) retries: u64,
}

impl Caller {
    /// A number that no other operation of any task on this store has.
    pub(crate) fn unique(&self, task: &Task) -> u64 {
        (task.seed << 44) | (self.index << 32) | self.done
    }
}

/// What is run before, and not counted.
pub(crate) fn warm_up(task: &Task) -> Duration {
    Duration::from_secs_f64((task.seconds / 4.0).clamp(0.25, 1.0))
}

/// Every caller does one operation after the other, until the time is over. An operation says how many things it did.
pub(crate) async fn closed_loop<F, Operation>(task: &Task, operation: F) -> Result<Outcome, Failure>
where
    F: Fn(Caller) -> Operation + Send + Sync + 'static,
    Operation: Future<Output = (Caller, Result<u64, Failure>)> + Send,
{
    let operation = Arc::new(operation);
    task.wait_for_go().await;
    let begin = Instant::now() + warm_up(task);
    let end = begin + task.duration();
    let quota = (task.operations / task.callers).max(1);
    let mut callers = JoinSet::new();
    for index in 0..task.callers {
        let operation = operation.clone();
        let random = Random::new(task.seed.wrapping_mul(1_000_003).wrapping_add(index));
        let mut caller = Caller { index, random, done: 0, retries: 0 };
        callers.spawn(async move {
            let (mut latencies, mut things) = (histogram(), 0);
            // At least one operation of each caller counts, however slow it is.
            let mut first = None;
            let mut last = Instant::now();
            while caller.done < quota {
                let started = Instant::now();
                if started >= end && things > 0 {
                    break;
                }
                let (returned, result) = (*operation)(caller).await;
                caller = returned;
                caller.done += 1;
                let done = result?;
                last = Instant::now();
                // What never waits would never let the others act.
                tokio::task::coop::consume_budget().await;
                // A quota that ends within the warm-up would leave nothing to count.
                if started >= begin || quota < u64::MAX / 2 {
                    first.get_or_insert(started);
                    things += done;
                    latencies.record((last - started).as_nanos() as u64).map_err(broken)?;
                }
            }
            Ok::<_, Failure>((latencies, things, caller.retries, first.unwrap_or(last), last))
        });
    }
    let mut all = histogram();
    let (mut done, mut retries, mut first, mut last) = (0, 0, None::<Instant>, None::<Instant>);
    while let Some(ended) = callers.join_next().await {
        let (latencies, things, tried_again, began, stopped) = ended.map_err(broken)??;
        all.add(&latencies).map_err(broken)?;
        done += things;
        retries += tried_again;
        first = Some(first.map_or(began, |first| first.min(began)));
        last = Some(last.map_or(stopped, |last| last.max(stopped)));
    }
    let seconds = first.zip(last).map_or(0.0, |(first, last)| (last - first).as_secs_f64());
    Ok(Outcome::Rate { done, seconds, retries, latencies: recorded(&all) })
}
