//! An order dashboard: a view in the log's own SQLite file that is exactly-once.
//!
//! `cargo run -p examples --bin order_dashboard` places some orders, lets a consumer keep the dashboard, "crashes" it in
//! the middle, and shows that the dashboard is what the log says: nothing twice, nothing missing. A broken order is parked
//! with what comes behind it, repaired, and tried again; then the dashboard is rebuilt beside the live one.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;
use eventsource_consumers::{Backoff, Consumer, DeadLetterOffice, FailurePolicy, Rebuild, wait_for};
use eventsource_core::{
    ConsumerName, EventStore, EventStoreExt, ExpectedVersion, HandlerError, NewEvent, Purpose, RecordedEvent,
    StreamId,
};
use eventsource_sqlite::{SqliteConfig, SqliteStore, SqliteView};
use rusqlite::{Connection, Transaction};
use uuid::Uuid;

type Result<T = (), E = Box<dyn StdError>> = std::result::Result<T, E>;

#[derive(Debug, Parser)]
struct Arguments {
    /// The database; a file in a temporary directory if not given.
    #[arg(long)]
    file: Option<PathBuf>,
}

/// What customers have ordered, and for how much. Orders of more than a million cents are refused until somebody has
/// looked at them.
struct Dashboard {
    large_orders_are_fine: Arc<AtomicBool>,
}

const TABLES: &str = "CREATE TABLE IF NOT EXISTS dashboard (
         customer TEXT PRIMARY KEY, orders INTEGER NOT NULL, cents INTEGER NOT NULL
     );
     CREATE TABLE IF NOT EXISTS dashboard_next (
         customer TEXT PRIMARY KEY, orders INTEGER NOT NULL, cents INTEGER NOT NULL
     );";

impl SqliteView for Dashboard {
    fn apply(
        &self,
        transaction: &Transaction<'_>,
        event: &RecordedEvent,
        purpose: Purpose,
    ) -> Result<(), HandlerError> {
        let (customer, cents): (String, i64) = event.payload().deserialize()?;
        if cents > 1_000_000 && !self.large_orders_are_fine.load(Ordering::SeqCst) {
            return Err(format!("an order of {cents} cents needs a look").into());
        }
        let table = match purpose {
            Purpose::Live => "dashboard",
            Purpose::Rebuild => "dashboard_next",
        };
        transaction
            .prepare_cached(&format!(
                "INSERT INTO {table} VALUES (?1, 1, ?2)
                 ON CONFLICT (customer) DO UPDATE SET orders = orders + 1, cents = cents + excluded.cents"
            ))?
            .execute((customer, cents))?;
        Ok(())
    }

    fn switch(&self, transaction: &Transaction<'_>) -> Result<(), HandlerError> {
        transaction.execute_batch("DROP TABLE dashboard; ALTER TABLE dashboard_next RENAME TO dashboard;")?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    examples::conclude(run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> Result {
    let directory = std::env::temp_dir().join(format!("order_dashboard-{}", Uuid::now_v7().simple()));
    let file = match arguments.file {
        Some(file) => file,
        None => {
            std::fs::create_dir(&directory)?;
            directory.join("orders.db")
        }
    };
    let shown = show(&file).await;
    if directory.exists() {
        std::fs::remove_dir_all(directory)?;
    }
    shown
}

async fn show(file: &std::path::Path) -> Result {
    let store = SqliteStore::open(SqliteConfig::file(file)).await?;
    let own = Connection::open(file)?;
    own.execute_batch(TABLES)?;
    let large_orders_are_fine = Arc::new(AtomicBool::new(false));
    let view = store.project(Dashboard { large_orders_are_fine: large_orders_are_fine.clone() });
    let name = ConsumerName::new("dashboard")?;
    let consumer = || -> Result<Consumer> {
        let policy = FailurePolicy::park_and_hold().attempts(2);
        let policy = policy.backoff(Backoff::new(Duration::from_millis(5), Duration::from_millis(50)));
        Ok(Consumer::new(name.clone(), store.clone())?.policy(policy).page_size(10))
    };

    println!("1. Placing 60 orders while the dashboard is kept...");
    let running = tokio::spawn(consumer()?.run(view.clone()));
    let customers = ["ann", "bob", "cid"].map(|name| (name, Uuid::now_v7()));
    for number in 0..60 {
        let (customer, id) = customers[number % 3];
        place(&store, id, customer, 1_000).await?;
        if number == 30 {
            // As a crash would: in the middle of whatever it does.
            running.abort();
        }
    }
    println!("   the consumer was killed in the middle");
    consumer()?.run_until_caught_up(view.clone()).await?;
    print(&own)?;

    println!("2. An order that nobody believes, and one behind it...");
    place(&store, customers[0].1, "ann", 5_000_000).await?;
    place(&store, customers[0].1, "ann", 1_000).await?;
    place(&store, customers[1].1, "bob", 1_000).await?;
    consumer()?.run_until_caught_up(view.clone()).await?;
    print(&own)?;
    let office = DeadLetterOffice::new(name.clone(), store.clone(), view.clone())?;
    large_orders_are_fine.store(true, Ordering::SeqCst);
    let retried = office.retry_all("the bookkeeper").await?;
    println!("   tried again: {} resolved, {} failed", retried.resolved, retried.failed);
    print(&own)?;

    println!("3. Rebuilding the dashboard beside the live one...");
    let live = consumer()?;
    let control = live.control();
    let running = tokio::spawn(live.run(view.clone()));
    let report = Rebuild::new(name.clone(), store.clone())?.run(view.clone()).await?;
    println!("   rebuilt from {} events", report.progress.applied);

    println!("4. Reading what was just written...");
    let last = place(&store, customers[2].1, "cid", 1_000).await?;
    wait_for(&store, &name, last, Duration::from_secs(20)).await?;
    print(&own)?;
    control.stop();
    running.await??;
    store.close().await?;
    println!("SUCCESS: the dashboard is what the log says");
    Ok(())
}

async fn place(
    store: &SqliteStore,
    id: Uuid,
    customer: &str,
    cents: i64,
) -> Result<eventsource_core::Position> {
    let placed = NewEvent::new("OrderPlaced", &(customer, cents))?.tag("customer", customer)?;
    let stream = StreamId::new("Customer", id)?;
    Ok(store.append_to_stream(stream, ExpectedVersion::Any, vec![placed]).await?.last)
}

fn print(own: &Connection) -> Result {
    let mut statement = own.prepare("SELECT customer, orders, cents FROM dashboard ORDER BY customer")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (customer, orders, cents): (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        println!("   {customer}: {orders} orders, ${}.{:02}", cents / 100, cents % 100);
    }
    Ok(())
}
