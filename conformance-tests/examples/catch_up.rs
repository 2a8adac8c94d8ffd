//! How fast an exactly-once view catches up, beside the bare feed: `cargo run --release -p conformance-tests --example
//! catch_up -- sqlite 200000`, or `postgres`. The two take turns; the last line is the ratio of their medians.

use std::fs;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use eventsource_consumers::Consumer;
use eventsource_core::{
    Append, EventStore, ExpectedVersion, Filter, HandlerError, NewEvent, Purpose, ReadOptions, RecordedEvent,
    StreamId,
};
use eventsource_postgres::{PostgresConfig, PostgresStore, PostgresView};
use eventsource_sqlite::{SqliteConfig, SqliteStore};
use rusqlite::Transaction;
use serde_json::json;
use sqlx::PgConnection;
use test_servers::Postgres;
use uuid::Uuid;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const PAGE: u64 = 500;
const ROUNDS: usize = 7;

#[tokio::main]
async fn main() -> Result {
    let mut arguments = std::env::args().skip(1);
    let backend = arguments.next().unwrap_or_else(|| "sqlite".to_owned());
    let events: usize = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    match backend.as_str() {
        "sqlite" => {
            let directory = tempfile::tempdir()?;
            let store = SqliteStore::open(SqliteConfig::file(directory.path().join("log.db"))).await?;
            fill(&store, events).await?;
            turns(events, &store, async |name| {
                let view = store.project(|_: &Transaction<'_>, event: &RecordedEvent| {
                    count(event);
                    Ok(())
                });
                Consumer::new(name, store.clone())?.page_size(PAGE).run_until_caught_up(view).await?;
                Ok(())
            })
            .await?;
            Ok(store.close().await?)
        }
        "postgres" => {
            let server = Postgres::own().start().await?;
            let url = server.create_database("catch_up").await?;
            let store = PostgresStore::connect(PostgresConfig::new(&url)).await?;
            fill(&store, events).await?;
            turns(events, &store, async |name| {
                let consumer = Consumer::new(name, store.clone())?.page_size(PAGE);
                consumer.run_until_caught_up(store.project(Cheap)).await?;
                Ok(())
            })
            .await?;
            Ok(store.close().await?)
        }
        other => Err(format!("no backend is called {other}").into()),
    }
}

/// A handler that costs next to nothing, so that what is measured is the delivery.
fn count(event: &RecordedEvent) {
    std::hint::black_box(event.payload().as_json().len());
}

struct Cheap;

#[async_trait]
impl PostgresView for Cheap {
    async fn apply(
        &self,
        _connection: &mut PgConnection,
        event: &RecordedEvent,
        _purpose: Purpose,
    ) -> std::result::Result<(), HandlerError> {
        count(event);
        Ok(())
    }
}

async fn fill(store: &dyn EventStore, events: usize) -> Result {
    for number in 0..events.div_ceil(1_000) {
        let stream = StreamId::new("Order", Uuid::now_v7())?;
        let payload =
            json!({"customer": format!("cust-{number}"), "total_cents": 29_999, "items": ["a", "b"]});
        let events = (0..1_000)
            .map(|_| NewEvent::new("OrderPlaced", &payload)?.tag("customer", number))
            .collect::<eventsource_core::Result<Vec<_>>>()?;
        store.append(Append::to_stream(stream, ExpectedVersion::Any, events)).await?;
    }
    Ok(())
}

async fn feed(store: &dyn EventStore) -> Result {
    let (mut options, all) = (ReadOptions::new().limit(PAGE), Filter::all());
    loop {
        let page = store.read_page(&all, &options).await?;
        page.events.iter().for_each(count);
        options = options.clone().after(page.scanned_to(&options));
        if !page.more {
            return Ok(());
        }
    }
}

async fn turns(events: usize, store: &dyn EventStore, catch_up: impl AsyncFn(String) -> Result) -> Result {
    let (mut feeds, mut consumers) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        feeds.push(measured("feed", events, feed(store)).await?);
        consumers.push(measured("consumer", events, catch_up(format!("view {round}"))).await?);
    }
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64()
    };
    println!("consumer / feed: {:.2} of its rate", median(feeds) / median(consumers));
    Ok(())
}

async fn measured(what: &str, events: usize, work: impl Future<Output = Result>) -> Result<Duration> {
    let (begun, cpu) = (Instant::now(), cpu_time()?);
    work.await?;
    let (took, cpu) = (begun.elapsed(), cpu_time()? - cpu);
    let each =
        |time: Duration| time.as_secs_f64() * 1e6 / f64::from(u32::try_from(events).unwrap_or(u32::MAX));
    println!(
        "{what:9} {:6.2} us an event, {:6.2} us of them on a CPU of this process",
        each(took),
        each(cpu)
    );
    Ok(took)
}

/// What this process's threads have used.
fn cpu_time() -> Result<Duration> {
    let mut nanoseconds = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        nanoseconds += text.split_whitespace().next().map_or(Ok(0), str::parse::<u64>)?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}
