//! Consumers on a server that goes away and comes back: in the middle of catching up, while they are live, and from an
//! older backup.

#[path = "views/postgres.rs"]
mod view;

use std::sync::Arc;
use std::time::Duration;

use conformance_tests::View as _;
use eventsource_consumers::{Consumer, wait_for};
use eventsource_core::{Append, ConsumerName, EventStore, EventStoreExt, Filter, NewEvent, Position};
use eventsource_postgres::{PostgresConfig, PostgresStore};
use sqlx::{AssertSqlSafe, Executor as _};
use test_servers::{LocalPostgres, Postgres};
use tokio::time::timeout;
use view::{Applied, TABLES};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const PATIENCE: Duration = Duration::from_secs(120);

async fn given(name: &str) -> Result<(LocalPostgres, PostgresStore)> {
    let server = Postgres::own().start().await?;
    let url = server.create_database(name).await?;
    let config = PostgresConfig::new(&url).acquire_timeout(Duration::from_secs(2));
    let store = PostgresStore::connect(config).await?;
    store.pool().execute(AssertSqlSafe(TABLES.replace("{schema}", "public"))).await?;
    Ok((server, store))
}

async fn append(store: &PostgresStore, count: usize) -> Result<Position> {
    let events = (0..count)
        .map(|number| NewEvent::new("Happened", &number))
        .collect::<eventsource_core::Result<Vec<_>>>()?;
    Ok(store.append(Append::events(events)).await?.last)
}

async fn log(store: &PostgresStore) -> Result<Vec<Position>> {
    let found = store.query(&Filter::all()).await?;
    Ok(found.events.iter().map(|event| event.position()).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_view_is_exact_over_restarts_of_the_server() -> Result {
    let (mut server, store) = given("restarts").await?;
    append(&store, 6_000).await?;
    let view = Arc::new(Applied::of(&store, "public"));
    let consumer = Consumer::new("view", store.clone())?.page_size(20);
    let control = consumer.control();
    let running = tokio::spawn(consumer.run(view.clone()));
    // While it catches up, twice.
    for events in [400, 1_500] {
        timeout(PATIENCE, control.wait_until(|status| status.events_processed > events)).await?;
        server.stop_immediate().await?;
        server.start().await?;
    }
    let name = ConsumerName::new("view")?;
    let head = loop {
        match store.head().await {
            Ok(head) => break head,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    wait_for(&store, &name, head, PATIENCE).await?;
    // And while it waits for more.
    server.kill().await?;
    server.start().await?;
    let last = loop {
        match append(&store, 10).await {
            Ok(last) => break last,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    wait_for(&store, &name, last, PATIENCE).await?;
    control.stop();
    timeout(PATIENCE, running).await???;
    assert_eq!(view.applied().await?, log(&store).await?);
    store.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_log_that_is_restored_under_a_running_consumer_is_refused() -> Result {
    for appended_since in [0, 300] {
        let (mut server, store) = given("restored").await?;
        append(&store, 100).await?;
        server.stop_fast().await?;
        let backup = server.data_directory().with_extension("backup");
        copy(&server.data_directory(), &backup)?;
        server.start().await?;

        // Its records are kept elsewhere, as a search index would: they are not restored with the log.
        let elsewhere = eventsource_memory::MemoryStore::new();
        let consumers_store = eventsource_consumers::ConsumerStore {
            events: Arc::new(store.clone()),
            identity: Arc::new(store.clone()),
            checkpoints: Arc::new(elsewhere.clone()),
            dead_letters: Arc::new(elsewhere.clone()),
        };
        let consumer = Consumer::new("index", consumers_store)?;
        let control = consumer.control();
        let running = tokio::spawn(consumer.run(eventsource_consumers::each_event(|_, _| async { Ok(()) })));
        let last = loop {
            match append(&store, 50).await {
                Ok(last) => break last,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        timeout(PATIENCE, control.wait_until(|status| status.position >= last)).await?;

        server.stop_fast().await?;
        std::fs::remove_dir_all(server.data_directory())?;
        copy(&backup, &server.data_directory())?;
        std::fs::remove_dir_all(&backup)?;
        server.start().await?;
        if appended_since > 0 {
            while append(&store, appended_since).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        let refused = timeout(PATIENCE, running).await??.expect_err("the log is another one");
        assert!(refused.conflict().is_some_and(|conflict| conflict.is_divergence()), "{refused:?}");
        store.close().await?;
    }
    Ok(())
}

/// With owners and modes: the server runs under an account of its own.
fn copy(from: &std::path::Path, to: &std::path::Path) -> Result {
    let status = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status()?;
    if status.success() { Ok(()) } else { Err(format!("{} can't be copied", from.display()).into()) }
}
