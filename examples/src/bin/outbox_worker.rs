//! An outbox and its worker: what is appended is published, through a broker that fails, in order.
//!
//! `cargo run -p examples --bin outbox_worker -- [--backend memory|sqlite|postgres] [--url …]`

use std::collections::HashMap;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use clap::Parser;
use eventsource_core::{
    Append, EventPublisher, ExpectedVersion, Filter, NewEvent, Outbox, RecordedEvent, Relay, RelayConfig,
    RetryPolicy, StreamId,
};
use examples::StoreArguments;
use tokio::sync::mpsc;
use uuid::Uuid;

const PLACED: &str = "OrderPlaced";
const SHIPPED: &str = "OrderShipped";
/// Nobody outside is to learn of these.
const NOTE: &str = "NoteTaken";

/// Stands for a message broker. It is down when the first order's first event comes, and well again afterwards.
#[derive(Debug)]
struct Broker {
    orders: HashMap<StreamId, &'static str>,
    was_down: AtomicBool,
    published: mpsc::UnboundedSender<RecordedEvent>,
}

#[async_trait]
impl EventPublisher for Broker {
    async fn publish(&self, event: &RecordedEvent) -> eventsource_core::Result<()> {
        let order = event.stream().and_then(|order| self.orders.get(order)).copied();
        let what = format!("{} of {}", event.event_type(), order.unwrap_or("an order of another run"));
        if order == Some("the first order") && !self.was_down.swap(true, Ordering::Relaxed) {
            println!("the broker is down: {what}");
            return Err(eventsource_core::Error::unavailable("the broker is down"));
        }
        println!("published: {what}");
        // Nobody listens any more when enough was published.
        let _ = self.published.send(event.clone());
        Ok(())
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    examples::conclude(run().await)
}

async fn run() -> Result<(), Box<dyn Error>> {
    let publish = Filter::event_types([PLACED, SHIPPED])?;
    let (picked, outbox) = StoreArguments::parse().open_with_outbox("outbox_worker.db", publish).await?;
    let store = &*picked.store;
    println!("An outbox in {}", picked.place);

    let [first, second] = [StreamId::new("Order", Uuid::now_v7())?, StreamId::new("Order", Uuid::now_v7())?];
    let of_first = vec![
        NewEvent::new(PLACED, "chair")?,
        NewEvent::new(NOTE, "a friend")?,
        NewEvent::new(SHIPPED, "T-1")?,
    ];
    let append = Append::to_stream(first.clone(), ExpectedVersion::NoStream, of_first).and_stream(
        second.clone(),
        ExpectedVersion::NoStream,
        [NewEvent::new(PLACED, "table")?],
    );
    // The events and their entries in the outbox are committed together.
    store.append(append).await?;
    println!("appended: 4 events, 3 of them to be published");
    println!("waiting in the outbox: {}", outbox.statistics().await?.pending);

    let (published, mut told) = mpsc::unbounded_channel();
    let orders = HashMap::from([(first.clone(), "the first order"), (second, "the second order")]);
    let broker = Broker { orders, was_down: AtomicBool::new(false), published };
    let config = RelayConfig::new("outbox worker")
        .retry(RetryPolicy::default().attempts(5).pauses(Duration::from_millis(50), Duration::from_secs(5)))
        .poll_interval(Duration::from_millis(100));
    let relay = Relay::new(outbox.clone(), Arc::new(broker), config)?.wake_by(store.changes());

    let mut seen = Vec::new();
    let enough = async {
        while seen.len() < 3 {
            let Some(event) = told.recv().await else { break };
            seen.push(event);
        }
    };
    // A service would pass the future of its own shutdown.
    let report = relay.run(enough).await?;
    println!(
        "the worker has stopped: {} published, {} retried, {} given up",
        report.published, report.retried, report.given_up
    );

    let of_first: Vec<_> = seen.iter().filter(|event| event.stream() == Some(&first)).collect();
    let types: Vec<_> = of_first.iter().map(|event| event.event_type().as_str()).collect();
    let statistics = outbox.statistics().await?;
    if types != [PLACED, SHIPPED] || statistics.pending + statistics.in_flight + statistics.failed > 0 {
        return Err(format!("published out of order, or not at all: {types:?}, {statistics:?}").into());
    }
    // What was published needs no place for ever.
    outbox.delete_published(Duration::from_secs(7 * 24 * 60 * 60)).await?;
    store.close().await?;
    println!("SUCCESS: every event was published, each order's in its order");
    Ok(())
}
