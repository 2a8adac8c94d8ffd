//! Measures appends on the database at a URL, in a schema of its own:
//! `append_rate URL [flushed|adaptive|pipelined] [processes] [callers of each] [seconds]`.
//!
//! Single-event appends with two tags each and a version check. Prints appends a second, and how long one takes.

use std::error::Error;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eventsource_core::{Append, EventStore, ExpectedVersion, NewEvent, Result, StreamId};
use eventsource_postgres::{CommitMode, PostgresConfig, PostgresStore};
use uuid::Uuid;

const SCHEMA: &str = "APPEND_RATE_SCHEMA";

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |index: usize, default: &str| arguments.get(index).map_or(default, |text| text).to_owned();
    let url = arguments.first().ok_or("the first argument is a URL")?;
    let mode = match &*argument(1, "flushed") {
        "flushed" => CommitMode::Flushed,
        "adaptive" => CommitMode::Adaptive,
        "pipelined" => CommitMode::Pipelined,
        other => return Err(format!("{other} is no mode").into()),
    };
    let (processes, callers): (usize, u32) = (argument(2, "1").parse()?, argument(3, "64").parse()?);
    let time = Duration::from_secs(argument(4, "3").parse()?);
    if let Ok(schema) = std::env::var(SCHEMA) {
        let store = open(url, &schema, mode, callers).await?;
        let mut took = append(&store, callers, time).await?;
        store.close().await?;
        took.sort_unstable();
        let numbers: Vec<String> = took.iter().map(|time| time.as_micros().to_string()).collect();
        println!("{}", numbers.join(" "));
        return Ok(());
    }
    let schema = format!("rate_{}", Uuid::now_v7().simple());
    open(url, &schema, mode, callers).await?.close().await?;
    let children = (0..processes)
        .map(|_| {
            Command::new(std::env::current_exe()?)
                .args(&arguments)
                .env(SCHEMA, &schema)
                .stdout(Stdio::piped())
                .spawn()
        })
        .collect::<std::io::Result<Vec<_>>>()?;
    let mut took: Vec<u64> = Vec::new();
    for child in children {
        let output = child.wait_with_output()?;
        let output = String::from_utf8(output.stdout)?;
        for number in output.split_whitespace() {
            took.push(number.parse()?);
        }
    }
    took.sort_unstable();
    let rate = took.len() as u64 / time.as_secs().max(1);
    let quantile = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or_default();
    let (half, most) = (quantile(50), quantile(99));
    println!(
        "{mode:?}, {processes} × {callers} callers: {rate} appends/s, half within {half} µs, 99 % within {most} µs"
    );
    Ok(())
}

async fn open(url: &str, schema: &str, mode: CommitMode, callers: u32) -> Result<Arc<PostgresStore>> {
    let config = PostgresConfig::new(url).max_connections(callers.clamp(2, 4)).min_connections(0);
    Ok(Arc::new(PostgresStore::connect(config.schema(schema)?.commit(mode)).await?))
}

/// How long each append took.
async fn append(store: &Arc<PostgresStore>, callers: u32, time: Duration) -> Result<Vec<Duration>> {
    let until = Instant::now() + time;
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                let mut took = Vec::new();
                while Instant::now() < until {
                    append_five(&store, caller, &mut took).await?;
                }
                Ok::<_, eventsource_core::Error>(took)
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.map_err(|error| eventsource_core::Error::backend(error.to_string()))??);
    }
    Ok(all)
}

/// Five events of one order, one after the other.
async fn append_five(store: &PostgresStore, caller: u32, took: &mut Vec<Duration>) -> Result<()> {
    let order = StreamId::new("Order", Uuid::now_v7())?;
    let mut version = None;
    for number in 0..5 {
        let event =
            NewEvent::new("OrderPlaced", &(caller, number, "a customer's name, and some more of it"))?
                .tag("order", order.aggregate_id())?
                .tag("customer", caller)?;
        let append = Append::to_stream(order.clone(), ExpectedVersion::from(version), [event]);
        let begun = Instant::now();
        version = store.append(append).await?.version_of(&order);
        took.push(begun.elapsed());
    }
    Ok(())
}
