//! An order from its creation to its shipping: the first steps with a store, from opening to closing it.
//!
//! `cargo run -p examples --bin order_tutorial -- [--backend memory|sqlite|postgres] [--url …]`

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use clap::Parser;
use eventsource_core::{
    Aggregate, DomainEvent, EventStore, EventStoreExt, ExecuteError, Repository, SnapshotPolicy, Snapshots,
    Tag, Version,
};
use examples::{Backend, PickedStore, StoreArguments};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum OrderEvent {
    OrderCreated { customer_id: String, total_cents: u64 },
    OrderShipped { tracking_number: String },
}

impl DomainEvent for OrderEvent {
    fn tags(&self) -> eventsource_core::Result<Vec<Tag>> {
        match self {
            Self::OrderCreated { customer_id, .. } => Ok(vec![Tag::new("customer", customer_id)?]),
            Self::OrderShipped { .. } => Ok(Vec::new()),
        }
    }
}

enum OrderCommand {
    Create { customer_id: String, total_cents: u64 },
    Ship { tracking_number: String },
}

#[derive(Debug)]
enum OrderRejection {
    AlreadyExists,
    CannotShip(Status),
}

impl fmt::Display for OrderRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyExists => f.write_str("the order exists already"),
            Self::CannotShip(status) => write!(f, "an order that is {status} can't be shipped"),
        }
    }
}

impl Error for OrderRejection {}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
enum Status {
    #[default]
    Draft,
    Created,
    Shipped,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Draft => "draft",
            Self::Created => "created",
            Self::Shipped => "shipped",
        })
    }
}

/// Money is whole cents: a float would lose some.
#[derive(Default, Serialize, Deserialize)]
struct Order {
    status: Status,
    customer_id: String,
    total_cents: u64,
    tracking_number: Option<String>,
}

impl Order {
    fn total(&self) -> String {
        format!("${}.{:02}", self.total_cents / 100, self.total_cents % 100)
    }
}

impl Aggregate for Order {
    const TYPE: &'static str = "Order";
    type Command = OrderCommand;
    type Event = OrderEvent;
    type Rejection = OrderRejection;

    fn decide(&self, command: &OrderCommand) -> Result<Vec<OrderEvent>, OrderRejection> {
        match command {
            OrderCommand::Create { customer_id, total_cents } if self.status == Status::Draft => {
                Ok(vec![OrderEvent::OrderCreated {
                    customer_id: customer_id.clone(),
                    total_cents: *total_cents,
                }])
            }
            OrderCommand::Create { .. } => Err(OrderRejection::AlreadyExists),
            OrderCommand::Ship { tracking_number } if self.status == Status::Created => {
                Ok(vec![OrderEvent::OrderShipped { tracking_number: tracking_number.clone() }])
            }
            OrderCommand::Ship { .. } => Err(OrderRejection::CannotShip(self.status)),
        }
    }

    fn apply(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::OrderCreated { customer_id, total_cents } => {
                self.status = Status::Created;
                self.customer_id.clone_from(customer_id);
                self.total_cents = *total_cents;
            }
            OrderEvent::OrderShipped { tracking_number } => {
                self.status = Status::Shipped;
                self.tracking_number = Some(tracking_number.clone());
            }
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    examples::conclude(run().await)
}

async fn run() -> Result<(), Box<dyn Error>> {
    let arguments = StoreArguments::parse();
    let line = "=".repeat(70);
    println!("{line}\nOrder tutorial: an event store on {}\n{line}", arguments.backend);

    println!("\n1. Opening the event store...");
    let picked = arguments.open("order_tutorial.db").await?;
    println!("   It lies in {}", picked.place);
    let outcome = tell(&picked, arguments.backend).await;
    if outcome.is_ok() {
        println!("\n{line}\nSUCCESS: the {} event store is working!\n{line}", arguments.backend);
    }

    picked.store.close().await?;
    println!("\nThe store is closed.");
    outcome
}

async fn tell(picked: &PickedStore, backend: Backend) -> Result<(), Box<dyn Error>> {
    let store = &picked.store;
    println!("2. Setting up the schema...");
    println!("   The schema is in place; the log's head is at {}", store.head().await?);

    println!("3. Creating the aggregate repository...");
    let snapshots = Snapshots::new(picked.snapshots.clone(), SnapshotPolicy::never().events(100));
    let orders = Repository::<Order, _>::new(store.clone()).snapshots(snapshots, 1);

    println!("\n4. Creating an order...");
    let order_id = Uuid::now_v7();
    let mut order = orders.create(order_id)?;
    order.execute(&OrderCommand::Create { customer_id: "customer-456".into(), total_cents: 29_999 })?;
    let version = orders.save(&mut order).await?.ok_or("a saved order has a version")?;
    println!("   Order created: {order_id}");
    println!("   Version: {version}");
    println!("   Status: {}", order.state().status);
    println!("   Customer: {}", order.state().customer_id);
    println!("   Total: {}", order.state().total());

    println!("\n5. Loading and shipping the order...");
    // In one call: it loads, decides, saves, and does so again if somebody else was faster.
    let ship = OrderCommand::Ship { tracking_number: "TRACK-123456".into() };
    let shipped = orders.execute(order_id, &ship).await?;
    println!("   Order shipped!");
    println!("   Version: {}", shipped.version().ok_or("a saved order has a version")?);
    println!("   Status: {}", shipped.state().status);
    println!("   Tracking: {}", shipped.state().tracking_number.as_deref().unwrap_or("none"));
    match orders.execute(order_id, &ship).await {
        Err(ExecuteError::Rejected(rejection)) => println!("   Shipping it again is rejected: {rejection}"),
        other => return Err(format!("it was shipped twice: {other:?}").into()),
    }

    println!("\n6. Verifying what is stored...");
    let verified = orders.load(order_id).await?.ok_or("the order was saved")?;
    println!("   Loaded version: {}", verified.version().ok_or("a stored order has a version")?);
    println!("   Loaded status: {}", verified.state().status);
    let past = orders.load_at(order_id, Version::FIRST).await?.ok_or("it had a first version")?;
    println!("   Status at version 1: {}", past.state().status);

    println!("\n7. Reading the events from {backend}...");
    let events: Vec<_> = store.read_stream(verified.stream()).try_collect().await?;
    println!("   Found {} events:", events.len());
    for event in &events {
        println!(
            "     - v{}: {}",
            event.version().ok_or("a stream's event has a version")?,
            event.event_type()
        );
    }

    println!("\n8. Connection statistics...");
    println!("   {}", picked.connection_statistics());
    Ok(())
}
