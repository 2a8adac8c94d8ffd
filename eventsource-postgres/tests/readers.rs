//! The connections that a store reads with, and what they leave to others.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use eventsource_core::{EventStore, EventStoreExt, Filter};
use eventsource_postgres::{PostgresConfig, PostgresStore};
use futures_util::future::join_all;
use sqlx::postgres::PgPoolOptions;
use support::{config, database, one, small, store};
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(5);

/// So many reads at once.
async fn read(store: &PostgresStore, readers: usize) {
    let all = Filter::all();
    for found in join_all((0..readers).map(|_| store.query(&all))).await {
        found.unwrap();
    }
}

#[tokio::test]
async fn the_pool_has_all_back_when_nobody_reads() {
    let store = store("all_back").await;
    for _ in 0..3 {
        read(&store, 8).await;
        let all_back = async {
            while store.pool_statistics().in_use > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, all_back).await.unwrap();
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn whoever_needs_the_last_connection_gets_it_from_those_who_read() {
    let store = store("last_one").await;
    // The application has all connections but one.
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(store.pool().acquire().await.unwrap());
    }
    let reading: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { while store.head().await.is_ok() {} })
        })
        .collect();
    for _ in 0..20 {
        timeout(PATIENCE, store.append(one("A"))).await.unwrap().unwrap();
        drop(timeout(PATIENCE, store.pool().acquire()).await.unwrap().unwrap());
    }
    drop(held);
    store.close().await.unwrap();
    for task in reading {
        timeout(PATIENCE, task).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_callers_pool_is_whole_after_the_store_was_closed() {
    let pool = PgPoolOptions::new().max_connections(4).connect(&database("whole").await).await.unwrap();
    let store = PostgresStore::from_pool(pool.clone(), PostgresConfig::for_pool()).await.unwrap();
    read(&store, 8).await;
    // One more may be under way; it is answered, or told that the store is closed.
    let (_, closed) = tokio::join!(store.head(), store.close());
    closed.unwrap();
    let all = join_all((0..4).map(|_| pool.acquire()));
    assert!(timeout(PATIENCE, all).await.unwrap().iter().all(Result::is_ok));
    pool.close().await;
}

#[tokio::test]
async fn a_caller_may_close_the_pool_while_others_read() {
    let pool = PgPoolOptions::new().max_connections(4).connect(&database("closed").await).await.unwrap();
    let store = PostgresStore::from_pool(pool.clone(), PostgresConfig::for_pool()).await.unwrap();
    let reading: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { while store.head().await.is_ok() {} })
        })
        .collect();
    sleep(Duration::from_millis(100)).await;
    timeout(PATIENCE, pool.close()).await.unwrap();
    for task in reading {
        timeout(PATIENCE, task).await.unwrap().unwrap();
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn connections_that_were_killed_are_replaced() {
    let store = store("killed").await;
    for _ in 0..5 {
        read(&store, 8).await;
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                    WHERE datname = current_database() AND pid <> pg_backend_pid()";
        sqlx::raw_sql(kill).execute(store.pool()).await.unwrap();
        let recovering = async {
            while let Err(error) = store.head().await {
                assert!(error.is_retryable(), "{error:?}");
            }
        };
        timeout(PATIENCE, recovering).await.unwrap();
        // The killed one that killed is back at work too.
        while store.append(one("A")).await.is_err() {}
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_read_that_finds_no_connection_in_time_says_so() {
    let config = config("no_place").await.max_connections(2).acquire_timeout(Duration::from_millis(200));
    let store = PostgresStore::connect(config).await.unwrap();
    let held = [store.pool().acquire().await.unwrap(), store.pool().acquire().await.unwrap()];
    for result in join_all((0..3).map(|_| store.head())).await {
        assert!(result.unwrap_err().is_retryable());
    }
    drop(held);
    timeout(PATIENCE, store.head()).await.unwrap().unwrap();
    store.close().await.unwrap();
}

#[test]
fn a_store_may_be_dropped_outside_its_runtime() {
    for (name, its_runtime_goes_first) in [("dropped_first", false), ("dropped_last", true)] {
        let runtime = Runtime::new().unwrap();
        let url = runtime.block_on(database(name));
        let store = runtime.block_on(PostgresStore::connect(small(&url))).unwrap();
        runtime.block_on(read(&store, 4));
        if its_runtime_goes_first {
            drop(runtime);
            drop(store);
        } else {
            drop(store);
            drop(runtime);
        }
    }
}
