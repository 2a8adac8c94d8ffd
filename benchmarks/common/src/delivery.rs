use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::closed_loop::{closed_loop, warm_up};
use crate::report::{histogram, recorded};
use crate::{Event, Failure, Outcome, Stream, System, Task};

/// How many events have room from the start. To make room meanwhile takes milliseconds, which would be the delivery's.
const ROOM: usize = 1 << 20;

/// When which event was delivered.
#[derive(Debug)]
pub struct Deliveries {
    times: Mutex<HashMap<u64, Instant>>,
    begun: AtomicBool,
    beginning: Notify,
}

impl Deliveries {
    fn new() -> Self {
        let times = Mutex::new(HashMap::with_capacity(ROOM));
        Self { times, begun: AtomicBool::new(false), beginning: Notify::new() }
    }

    /// To be called when whatever is appended from now on will be delivered.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::Release);
        self.beginning.notify_waiters();
    }

    /// The event with this number arrived; when it arrives again, nothing changes.
    pub fn deliver(&self, number: u64) {
        let now = Instant::now();
        self.times.lock().unwrap_or_else(PoisonError::into_inner).entry(number).or_insert(now);
    }

    async fn wait_for_begin(&self) {
        loop {
            let beginning = self.beginning.notified();
            if self.begun.load(Ordering::Acquire) {
                return;
            }
            tokio::select! {
                () = beginning => {}
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
            }
        }
    }

    fn count(&self) -> usize {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Lets callers append and a follower follow, and compares the times.
pub(crate) async fn delivery<S: System>(store: Arc<S>, task: &Task) -> Result<Outcome, Failure> {
    let deliveries = Arc::new(Deliveries::new());
    let (following, sink) = (store.clone(), deliveries.clone());
    let mut follower = tokio::spawn(async move { following.follow(sink).await });
    tokio::select! {
        () = deliveries.wait_for_begin() => {}
        ended = &mut follower => return Err(ended_early(ended.map_err(crate::broken)?)),
    }
    let acknowledged = Arc::new(Mutex::new(HashMap::with_capacity(ROOM)));
    let begin = Instant::now() + warm_up(task);
    let (seed, noted, writer) = (task.clone(), acknowledged.clone(), store.clone());
    closed_loop(task, move |caller| {
        let (store, noted) = (writer.clone(), noted.clone());
        let number = caller.unique(&seed);
        let stream = Stream::numbered(seed.seed << 40 | caller.index, caller.done / 10);
        let expected = caller.done % 10;
        async move {
            let event = Event::fresh(stream, number, 100_000);
            let result = store.append(stream, expected, vec![event]).await;
            let now = Instant::now();
            noted.lock().unwrap_or_else(PoisonError::into_inner).insert(number, now);
            // An application awaits something between two appends. A store that never waits would leave the follower out.
            tokio::task::yield_now().await;
            (caller, result.map(|()| 1))
        }
    })
    .await?;
    let acknowledged = std::mem::take(&mut *acknowledged.lock().unwrap_or_else(PoisonError::into_inner));
    let deadline = Instant::now() + Duration::from_secs(30);
    while deliveries.count() < acknowledged.len() && Instant::now() < deadline && !follower.is_finished() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    if follower.is_finished() {
        return Err(ended_early(follower.await.map_err(crate::broken)?));
    }
    follower.abort();
    let delivered = deliveries.times.lock().unwrap_or_else(PoisonError::into_inner);
    let missing = acknowledged.keys().filter(|number| !delivered.contains_key(number)).count();
    if missing > 0 {
        return Err(Failure::Broken(format!(
            "{missing} of {} events were not delivered within 30 s after the last",
            acknowledged.len()
        )));
    }
    let mut latencies = histogram();
    let is_counted = |at: &Instant| *at >= begin;
    // What is over within the warm-up would leave nothing to count.
    let none_is = !acknowledged.values().any(is_counted);
    for (number, at) in acknowledged.iter().filter(|(_, at)| none_is || is_counted(at)) {
        // Delivered before its writer heard of it: no time at all.
        let waited = delivered[number].saturating_duration_since(*at);
        latencies.record((waited.as_nanos() as u64).max(1)).map_err(crate::broken)?;
    }
    Ok(Outcome::Latencies { latencies: recorded(&latencies) })
}

fn ended_early(result: Result<(), Failure>) -> Failure {
    result.err().unwrap_or_else(|| Failure::Broken("the subscription ended by itself".to_owned()))
}
