//! What `Repository::execute` costs beyond the append that it ends in: loading, decoding and folding ten events,
//! deciding, saving. The append alone is measured in the same run, in turns with it.
//!
//! `cargo run --release -p eventsource-memory --example execute_overhead`

use std::convert::Infallible;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use eventsource_core::{
    Aggregate, DomainEvent, EventStore, EventStoreExt, ExecuteError, ExpectedVersion, Filter, ReadOptions,
    Repository, Result, StreamId, Version,
};
use eventsource_memory::MemoryStore;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How many events a stream has when it is given one more.
const EVENTS: u64 = 10;
const STREAMS: usize = 2_000;
const ROUNDS: usize = 25;
/// What is promised, per command.
const LIMIT: Duration = Duration::from_micros(2);

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum OrderEvent {
    ItemAdded { item: u64, quantity: u32, cents: u64 },
}

impl DomainEvent for OrderEvent {}

#[derive(Default)]
struct Order {
    cents: u64,
}

impl Aggregate for Order {
    const TYPE: &'static str = "Order";
    type Command = u64;
    type Event = OrderEvent;
    type Rejection = Infallible;

    fn decide(&self, item: &u64) -> Result<Vec<OrderEvent>, Infallible> {
        Ok(vec![OrderEvent::ItemAdded { item: *item, quantity: 2, cents: 29_999 }])
    }

    fn apply(&mut self, event: &OrderEvent) {
        let OrderEvent::ItemAdded { quantity, cents, .. } = event;
        self.cents += u64::from(*quantity) * cents;
    }
}

/// Streams of so many events each, in a store of their own.
async fn filled() -> Result<(MemoryStore, Vec<Uuid>)> {
    let (store, ids) = (MemoryStore::new(), (0..STREAMS).map(|_| Uuid::now_v7()).collect::<Vec<_>>());
    for id in &ids {
        let events = (0..EVENTS).map(|item| OrderEvent::ItemAdded { item, quantity: 1, cents: 100 }.encode());
        let events = events.collect::<Result<Vec<_>>>()?;
        store.append_to_stream(StreamId::new("Order", *id)?, ExpectedVersion::NoStream, events).await?;
    }
    Ok((store, ids))
}

/// The append that a command ends in, by hand: the same event, encoded and appended at the same version.
async fn append_alone() -> Result<Duration> {
    let (store, ids) = filled().await?;
    let version = ExpectedVersion::Exact(Version::new(EVENTS)?);
    let mut times = Vec::with_capacity(ids.len());
    for id in ids {
        let begun = Instant::now();
        let event = OrderEvent::ItemAdded { item: 7, quantity: 2, cents: 29_999 }.encode()?;
        store.append_to_stream(StreamId::new("Order", id)?, version, vec![event]).await?;
        times.push(begun.elapsed());
    }
    Ok(median(times))
}

async fn execute() -> Result<Duration> {
    let (store, ids) = filled().await?;
    let orders = Repository::<Order, _>::new(store);
    let mut times = Vec::with_capacity(ids.len());
    for id in ids {
        let begun = Instant::now();
        let outcome = orders.execute(id, &7).await;
        times.push(begun.elapsed());
        if let Err(ExecuteError::Store(error)) = outcome {
            return Err(error);
        }
    }
    Ok(median(times))
}

/// Of times that a busy machine stretches here and there, the one in the middle.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Loading alone.
async fn load() -> Result<Duration> {
    let (store, ids) = filled().await?;
    let orders = Repository::<Order, _>::new(store);
    let mut times = Vec::with_capacity(ids.len());
    for id in ids {
        let begun = Instant::now();
        black_box(orders.load(id).await?);
        times.push(begun.elapsed());
    }
    Ok(median(times))
}

/// What of it the store takes to read the page, and what it takes to decode ten events.
async fn read_and_decode() -> Result<(Duration, Duration)> {
    let (store, ids) = filled().await?;
    let (mut reading, mut decoding) = (Vec::new(), Vec::new());
    for id in ids {
        let filter = Filter::all().in_stream(StreamId::new("Order", id)?);
        let begun = Instant::now();
        let page = store.read_page(&filter, &ReadOptions::new().limit(256)).await?;
        reading.push(begun.elapsed());
        let begun = Instant::now();
        for event in &page.events {
            black_box(OrderEvent::decode(event)?);
        }
        decoding.push(begun.elapsed());
    }
    Ok((median(reading), median(decoding)))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<bool> {
    let mut best = [Duration::MAX; 5];
    for _ in 0..ROUNDS {
        let (alone, whole) = (append_alone().await?, execute().await?);
        let (reading, decoding) = read_and_decode().await?;
        let loading = load().await?;
        for (best, found) in best.iter_mut().zip([alone, whole, reading, decoding, loading]) {
            *best = (*best).min(found);
        }
    }
    let [alone, whole, reading, decoding, loading] = best;
    let overhead = whole.saturating_sub(alone);
    println!("append alone, its event encoded: {alone:?}");
    println!("execute on a stream of {EVENTS} events: {whole:?}");
    println!(
        "  of it loading: {loading:?}, in which reading the page: {reading:?}, decoding {EVENTS} events: {decoding:?}"
    );
    println!("overhead per command: {overhead:?} (promised: under {LIMIT:?})");
    Ok(overhead < LIMIT)
}
