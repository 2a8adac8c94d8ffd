//! Measures a store in a file, `synchronous = FULL`: `append_rate [directory] [seconds]`.
//!
//! Single-event appends with two tags each, by concurrent callers: with a version check, then with a condition on a tag
//! instead; and reading the whole log. On Linux it also says what the store's threads took for an event: time on a CPU, and
//! how often they went to sleep. They are the writer and, while commits wait for the disk, the flusher.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use eventsource_core::{
    Append, EventStore, EventStoreExt, ExpectedVersion, Filter, NewEvent, ReadOptions, Result, StreamId,
    Version,
};
use eventsource_sqlite::{SqliteConfig, SqliteStore};
use futures_util::TryStreamExt;
use uuid::Uuid;

#[derive(Clone, Copy, Debug)]
enum Guard {
    Version,
    Condition,
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().unwrap_or_else(|| "/tmp".to_owned());
    let seconds: u64 = arguments.next().map_or(Ok(3), |text| text.parse())?;
    for guard in [Guard::Version, Guard::Condition] {
        for callers in [1, 8, 64, 256] {
            let path = Path::new(&directory).join(format!("append_rate_{}.db", Uuid::now_v7()));
            let store = Arc::new(SqliteStore::open(SqliteConfig::file(&path)).await?);
            let before = threads();
            let (rate, count) = append_rate(&store, guard, callers, Duration::from_secs(seconds)).await?;
            let spent = spent(&before, &threads(), count);
            println!("{guard:?}, {callers:>3} callers: {rate:>8.0} appends/s{spent}");
            if callers == 256 {
                println!("reading it: {:>8.0} events/s", read_rate(&store).await?);
            }
            store.close().await?;
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

async fn append_rate(
    store: &Arc<SqliteStore>,
    guard: Guard,
    callers: u32,
    time: Duration,
) -> std::result::Result<(f64, u32), Box<dyn Error>> {
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let begun = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let (store, stop, count) = (store.clone(), stop.clone(), count.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    append_five(&store, guard, caller, &count).await?;
                }
                Ok::<(), eventsource_core::Error>(())
            })
        })
        .collect();
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await??;
    }
    let count = count.load(Ordering::Relaxed);
    Ok((f64::from(count) / begun.elapsed().as_secs_f64(), count))
}

/// What each of the store's threads has taken so far: nanoseconds on a CPU, and how often it went to sleep.
fn threads() -> BTreeMap<u32, (u64, u64)> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return BTreeMap::new() };
    let of = |task: std::fs::DirEntry| {
        let read = |name: &str| std::fs::read_to_string(task.path().join(name)).ok();
        read("comm")?.starts_with("eventsource-sql").then_some(())?;
        let time = read("schedstat")?.split_whitespace().next()?.parse().ok()?;
        let sleeps = read("status")?
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok());
        Some((task.file_name().to_str()?.parse().ok()?, (time, sleeps?)))
    };
    tasks.flatten().filter_map(of).collect()
}

/// For an event, of those threads that did something.
fn spent(before: &BTreeMap<u32, (u64, u64)>, after: &BTreeMap<u32, (u64, u64)>, events: u32) -> String {
    let mut text = String::new();
    for (thread, &(time, sleeps)) in after {
        let (time_before, sleeps_before) = before.get(thread).copied().unwrap_or_default();
        let each = |number: u64| number as f64 / f64::from(events.max(1));
        let micros = each(time - time_before) / 1_000.0;
        if micros >= 0.01 {
            let _ = write!(text, "; {micros:.2} µs, {:.3} sleeps", each(sleeps - sleeps_before));
        }
    }
    text
}

/// Five events of one order, one after the other.
async fn append_five(store: &SqliteStore, guard: Guard, caller: u32, count: &AtomicU32) -> Result<()> {
    let order = StreamId::new("Order", Uuid::now_v7())?;
    let mut version = None;
    for number in 0..5 {
        let event =
            NewEvent::new("OrderPlaced", &(caller, number, "a customer's name, and some more of it"))?
                .tag("order", order.aggregate_id())?
                .tag("customer", caller)?;
        let append = match guard {
            Guard::Version => Append::to_stream(order.clone(), ExpectedVersion::from(version), [event]),
            Guard::Condition => Append::events([event]).fail_if(Filter::tagged("order", Uuid::now_v7())?),
        };
        version = store.append(append).await?.version_of(&order).or(Some(Version::FIRST));
        count.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

async fn read_rate(store: &SqliteStore) -> std::result::Result<f64, Box<dyn Error>> {
    let begun = Instant::now();
    let mut count = 0_u32;
    let mut events = store.read(Filter::all(), ReadOptions::new());
    while events.try_next().await?.is_some() {
        count += 1;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}
