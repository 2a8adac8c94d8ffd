//! Measures single-event appends, each with a version check and two tags: `append_rate [path] [seconds]`.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use eventsource_core::{Append, EventStore, ExpectedVersion, NewEvent, StreamId, Version};
use eventsource_sqlite::{SqliteConfig, SqliteStore};
use uuid::Uuid;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().unwrap_or_else(|| "/tmp".to_owned());
    let seconds: u64 = arguments.next().map_or(Ok(3), |text| text.parse())?;
    for callers in [1_u64, 8, 64, 256] {
        let path = std::path::Path::new(&directory).join(format!("append_rate_{}.db", Uuid::now_v7()));
        let store = Arc::new(SqliteStore::open(SqliteConfig::file(&path)).await?);
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let begun = Instant::now();
        let tasks: Vec<_> = (0..callers)
            .map(|caller| {
                let (store, stop, count) = (store.clone(), stop.clone(), count.clone());
                tokio::spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        // Streams of five events each.
                        let stream = StreamId::new("Order", Uuid::now_v7())?;
                        let mut expected = ExpectedVersion::NoStream;
                        for number in 0..5_u64 {
                            let event = NewEvent::new(
                                "OrderPlaced",
                                &(caller, number, "a customer's name, and more"),
                            )?
                            .tag("order", stream.aggregate_id())?
                            .tag("customer", caller)?;
                            let appended =
                                store.append(Append::to_stream(stream.clone(), expected, [event])).await?;
                            expected = ExpectedVersion::Exact(
                                appended.version_of(&stream).unwrap_or(Version::FIRST),
                            );
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    Ok::<(), eventsource_core::Error>(())
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        stop.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await??;
        }
        let rate = count.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
        store.close().await?;
        let bytes = std::fs::metadata(&path)?.len();
        println!("{callers:>4} callers: {rate:>8.0} appends/s ({} MiB)", bytes >> 20);
        std::fs::remove_file(&path)?;
    }
    Ok(())
}
