use std::fs;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::closed_loop::{Caller, closed_loop};
use crate::delivery::delivery;
use crate::memory::Memory;
use crate::{
    Event, Failure, Outcome, RARE_COUNT, RARE_CUSTOMER, RARE_TYPE, Random, Report, Stream, System, Task,
    View, Workload, boundary_count, broken, by_append,
};

/// How many events a projection reads at once.
pub const PAGE: u64 = 500;
/// How many events the streams of `read_stream` have together.
const STREAMED: u64 = 20_000;
/// How often an append is tried again that nobody stands in the way of.
const FALSE_CONFLICTS: u64 = 1_000;
/// How many events a stream of `append_contended` gets before the callers turn to the next one.
const CONTENDED: u64 = 100;

/// Does what the task says with this system.
pub async fn perform<S: System>(task: &Task) -> Report {
    let result = async {
        let store = Arc::new(S::open(&task.place).await?);
        if task.fill > 0 {
            store.clone().preload(task.fill).await?;
        }
        let outcome = measure(&store, task).await;
        store.close().await?;
        outcome
    };
    Report::from(result.await)
}

/// Writes the report where the task says.
#[must_use]
pub fn finish(task: &Task, report: &Report) -> ExitCode {
    let written = serde_json::to_string(report).map_err(std::io::Error::from);
    match written.and_then(|json| fs::write(&task.result, json)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", task.result.display());
            ExitCode::FAILURE
        }
    }
}

async fn measure<S: System>(store: &Arc<S>, task: &Task) -> Result<Outcome, Failure> {
    match task.workload {
        Workload::Append | Workload::AppendProcesses | Workload::Growth => append(store, task).await,
        Workload::AppendBatch => append_batch(store, task).await,
        Workload::AppendContended => append_contended(store, task).await,
        Workload::Decide => decide(store, task).await,
        Workload::Filter => filter(store, task).await,
        Workload::ReadStream => read_stream(store, task).await,
        Workload::Feed => feed(store, task).await,
        Workload::Projection => projection(store, task).await,
        Workload::Relay => {
            let begin = Instant::now();
            let found = as_many(store.clone().drain().await?, task.events)?;
            Ok(rate(found, begin))
        }
        Workload::Delivery => delivery(store.clone(), task).await,
        Workload::Memory => memory(store, task).await,
        Workload::Preload => {
            let begin = Instant::now();
            match task.variant.as_str() {
                "appends" => by_append(store.clone(), task.events).await?,
                _ => store.clone().preload(task.events).await?,
            }
            Ok(rate(task.events, begin))
        }
        Workload::Compare => compare(store, task).await,
        Workload::Size => Err(Failure::Broken("the runner measures sizes by itself".to_owned())),
    }
}

async fn append<S: System>(store: &Arc<S>, task: &Task) -> Result<Outcome, Failure> {
    let (store, seed) = (store.clone(), task.clone());
    closed_loop(task, move |mut caller: Caller| {
        let store = store.clone();
        let number = caller.unique(&seed);
        let stream = Stream::numbered(seed.seed << 40 | caller.index << 24, caller.done / 10);
        let expected = caller.done % 10;
        async move {
            let result = append_alone(&*store, &mut caller, stream, expected, number..number + 1).await;
            (caller, result)
        }
    })
    .await
}

/// Appends to a stream that nobody else appends to. Some systems report conflicts nevertheless, and an application has to
/// try again.
async fn append_alone<S: System>(
    store: &S,
    caller: &mut Caller,
    stream: Stream,
    expected: u64,
    numbers: Range<u64>,
) -> Result<u64, Failure> {
    for _ in 0..FALSE_CONFLICTS {
        let events = numbers.clone().map(|number| Event::fresh(stream, number, 100_000)).collect();
        match store.append(stream, expected, events).await {
            Err(Failure::Conflict) => caller.retries += 1,
            other => return other.map(|()| numbers.end - numbers.start),
        }
    }
    Err(Failure::Broken(format!(
        "{FALSE_CONFLICTS} conflicts in a row, and nobody else appends to this stream"
    )))
}

async fn append_batch<S: System>(store: &Arc<S>, task: &Task) -> Result<Outcome, Failure> {
    let (store, seed) = (store.clone(), task.clone());
    closed_loop(task, move |mut caller: Caller| {
        let store = store.clone();
        // Numbers may begin anew: nothing depends on them but what the events say.
        let first = (caller.unique(&seed) % (1 << 40)) * seed.events;
        let stream = Stream::numbered(seed.seed << 40 | caller.index << 24, caller.done);
        let size = seed.events;
        async move {
            let result = append_alone(&*store, &mut caller, stream, 0, first..first + size).await;
            (caller, result)
        }
    })
    .await
}

async fn append_contended<S: System>(store: &Arc<S>, task: &Task) -> Result<Outcome, Failure> {
    let (store, seed, epoch) = (store.clone(), task.clone(), Arc::new(AtomicU64::new(0)));
    closed_loop(task, move |mut caller: Caller| {
        let (store, epoch) = (store.clone(), epoch.clone());
        let (number, seed) = (caller.unique(&seed), seed.seed);
        async move {
            let result = loop {
                let current = epoch.load(Ordering::Relaxed);
                let stream = Stream::numbered(seed << 40, current);
                let expected = match store.version(stream).await {
                    Ok(expected) => expected,
                    Err(failure) => break Err(failure),
                };
                if expected >= CONTENDED {
                    let _ =
                        epoch.compare_exchange(current, current + 1, Ordering::Relaxed, Ordering::Relaxed);
                    continue;
                }
                match store.append(stream, expected, vec![Event::fresh(stream, number, 100_000)]).await {
                    Err(Failure::Conflict) => caller.retries += 1,
                    other => break other.map(|()| 1),
                }
            };
            (caller, result)
        }
    })
    .await
}

async fn decide<S: System>(store: &Arc<S>, task: &Task) -> Result<Outcome, Failure> {
    let (store, seed, boundaries) = (store.clone(), task.clone(), boundary_count(task.events));
    closed_loop(task, move |mut caller: Caller| {
        let store = store.clone();
        let number = caller.unique(&seed);
        let (course, student) = (caller.random.below(boundaries), caller.random.below(boundaries));
        let stream = Stream::numbered(seed.seed << 40 | caller.index << 24, caller.done);
        async move {
            let result = loop {
                match store.decide(Event::about(stream, number, course, student)).await {
                    Err(Failure::Conflict) => caller.retries += 1,
                    other => break other.map(|()| 1),
                }
            };
            (caller, result)
        }
    })
    .await
}

async fn filter<S: System>(store: &Arc<S>, task: &Task) -> Result<Outcome, Failure> {
    let (store, by_payload) = (store.clone(), task.variant == "payload");
    closed_loop(task, move |caller: Caller| {
        let store = store.clone();
        async move {
            let found = if by_payload {
                store.find_customer(RARE_CUSTOMER).await
            } else {
                store.find_type(RARE_TYPE).await
            };
            (caller, found.and_then(|found| as_many(found, RARE_COUNT)).map(|_| 1))
        }
    })
    .await
}

async fn read_stream<S: System>(store: &Arc<S>, task: &Task) -> Result<Outcome, Failure> {
    let (length, count) =
        (task.events, (STREAMED.min(task.operations.saturating_mul(4)) / task.events).max(2));
    let seed = task.seed << 40;
    for index in 0..count {
        let stream = Stream::numbered(seed, index);
        let first = index * length;
        for part in (0..length).step_by(500) {
            let mut caller = Caller { index: 0, random: Random::new(0), done: 0, retries: 0 };
            let numbers = first + part..first + length.min(part + 500);
            append_alone(&**store, &mut caller, stream, part, numbers).await?;
        }
    }
    let store = store.clone();
    closed_loop(task, move |mut caller: Caller| {
        let store = store.clone();
        let stream = Stream::numbered(seed, caller.random.below(count));
        async move {
            let found = store.read_stream(stream).await;
            (caller, found.and_then(|found| as_many(found, length)))
        }
    })
    .await
}

async fn feed<S: System>(store: &Arc<S>, task: &Task) -> Result<Outcome, Failure> {
    let begin = Instant::now();
    let found = store.feed().await?;
    at_least(found, task.events)?;
    Ok(rate(found, begin))
}

async fn projection<S: System>(store: &Arc<S>, task: &Task) -> Result<Outcome, Failure> {
    let view = match task.variant.as_str() {
        "bare-feed" => View::None,
        "empty-view" => View::Empty,
        _ => View::Counts,
    };
    let begin = Instant::now();
    let found = store.project(&format!("projection-{}", task.seed), view).await?;
    at_least(found, task.events)?;
    Ok(rate(found, begin))
}

async fn compare<S: System>(store: &Arc<S>, task: &Task) -> Result<Outcome, Failure> {
    let other = S::open(&task.variant).await?;
    let (these, those) = (store.rows().await?, other.rows().await?);
    other.close().await?;
    if let Some((this, that)) = these.iter().zip(&those).find(|(this, that)| this != that) {
        return Err(broken(format!("rows differ: {this} and {that}")));
    }
    as_many(these.len() as u64, those.len() as u64)?;
    Ok(Outcome::Figure { value: these.len() as f64 })
}

async fn memory<S: System>(store: &Arc<S>, task: &Task) -> Result<Outcome, Failure> {
    let before = Memory::look()?.now;
    Memory::reset_peak()?;
    at_least(store.feed().await?, task.events)?;
    Ok(Outcome::Figure { value: (Memory::look()?.peak - before).max(0.0) })
}

fn rate(done: u64, begin: Instant) -> Outcome {
    Outcome::Rate { done, seconds: begin.elapsed().as_secs_f64(), retries: 0, latencies: Vec::new() }
}

/// A figure of a system that does not do what was asked is worth nothing.
fn as_many(found: u64, wanted: u64) -> Result<u64, Failure> {
    if found == wanted {
        Ok(found)
    } else {
        Err(broken(format!("{found} events were read, and {wanted} are there")))
    }
}

fn at_least(found: u64, wanted: u64) -> Result<(), Failure> {
    if found >= wanted {
        Ok(())
    } else {
        Err(broken(format!("{found} events were read, and {wanted} are there")))
    }
}
