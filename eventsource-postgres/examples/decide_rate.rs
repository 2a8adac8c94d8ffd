//! Measures decisions on the database at a URL, in the schema `decide_rate`, which is filled with so many events if it is not
//! there yet: `decide_rate URL [callers] [seconds] [events]`.
//!
//! A decision reads the events of two tags, ten each, and appends one with both under the condition that nothing came
//! between. Prints decisions a second, and how long reading and appending take.

use std::error::Error;
use std::time::{Duration, Instant};

use eventsource_core::{Append, EventStore, EventStoreExt, Filter, FilterItem, NewEvent, Result};
use eventsource_postgres::{PostgresConfig, PostgresStore};

/// How many events a tag has.
const EVENTS_OF_A_TAG: u64 = 10;

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |index: usize, default: &str| arguments.get(index).map_or(default, |text| text).to_owned();
    let url = arguments.first().ok_or("the first argument is a URL")?;
    let (callers, time) = (argument(1, "1").parse()?, Duration::from_secs(argument(2, "3").parse()?));
    let size: u64 = argument(3, "1000000").parse()?;
    let config = PostgresConfig::new(url).max_connections(16).schema("decide_rate")?;
    let store = PostgresStore::connect(config).await?;
    fill(&store, size).await?;
    let begun = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller: u64| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut took = Vec::new();
                let mut number = (caller + 1) << 40;
                while begun.elapsed() < time {
                    number += 1;
                    took.extend(decide(&store, number, size / EVENTS_OF_A_TAG).await?);
                }
                Ok::<_, eventsource_core::Error>(took)
            })
        })
        .collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await??);
    }
    store.close().await?;
    let rate = took.len() as u64 / time.as_secs().max(1);
    let half = |mut of_each: Vec<Duration>| {
        of_each.sort_unstable();
        of_each.get(of_each.len() / 2).copied().unwrap_or_default().as_micros()
    };
    let (reading, appending) = took.into_iter().unzip();
    let (reading, appending) = (half(reading), half(appending));
    println!(
        "{callers} callers: {rate} decisions/s, half of the reads within {reading} µs, of the appends within \
         {appending} µs"
    );
    Ok(())
}

/// How long it took to read and to append; nothing, if another decision came between.
async fn decide(store: &PostgresStore, number: u64, tags: u64) -> Result<Option<(Duration, Duration)>> {
    let owner = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
    let (course, student) = (owner % tags, (owner >> 20) % tags);
    let boundary = Filter::any_of([
        FilterItem::new().tag("course", course)?,
        FilterItem::new().tag("student", student)?,
    ])?;
    let begun = Instant::now();
    let found = store.query(&boundary).await?;
    let read = begun.elapsed();
    let append = Append::events([event(number, course, student)?]).fail_if(boundary).after(found.head);
    match store.append(append).await {
        Ok(_) => Ok(Some((read, begun.elapsed() - read))),
        Err(error) if error.is_conflict() => Ok(None),
        Err(error) => Err(error),
    }
}

fn event(number: u64, course: u64, student: u64) -> Result<NewEvent> {
    let text =
        "what a customer has ordered, and where it is to be sent, and some more of what is known of it";
    NewEvent::new("Ordered", &(number, text))?.tag("course", course)?.tag("student", student)
}

/// Events of a tag lie all over the log.
async fn fill(store: &PostgresStore, size: u64) -> Result<()> {
    let tags = size / EVENTS_OF_A_TAG;
    let first = store.head().await?.to_raw();
    for number in (first..size).step_by(1_000) {
        let events = (number..size.min(number + 1_000))
            .map(|number| event(number, number % tags, (number * 7_919 + number / tags) % tags))
            .collect::<Result<Vec<_>>>()?;
        store.append(Append::events(events)).await?;
    }
    Ok(())
}
