//! What breaks on the way, and what the caller is told about the data.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use eventsource_core::{Append, ErrorKind, EventStore, EventStoreExt, Filter};
use eventsource_postgres::PostgresStore;
use support::{config, event, one, run, small, store};
use tokio::time::{sleep, timeout};

/// Waits until somebody waits for the log's lock, then does `what` to its backend. Other tests share the server.
async fn to_the_waiting_append(pool: &sqlx::PgPool, what: &'static str) {
    let waiting = format!(
        "SELECT {what}(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    );
    for _ in 0..2_000 {
        let hit: Option<bool> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(waiting.clone())).fetch_optional(pool).await.unwrap();
        if hit == Some(true) {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("no append waits for the lock");
}

#[tokio::test]
async fn a_backend_that_is_terminated_leaves_the_outcome_unknown_and_the_pool_recovers() {
    let store = store("terminated").await;
    let mut holding = store.pool().begin().await.unwrap();
    store.append_in(&mut holding, one("Holding")).await.unwrap();
    let append = one("Lost");
    let appending = store.append(append.clone());
    let terminating = to_the_waiting_append(store.pool(), "pg_terminate_backend");
    let (result, ()) = tokio::join!(appending, terminating);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    holding.rollback().await.unwrap();
    assert!(!store.append(append).await.unwrap().replayed);
    assert_eq!(store.query(&Filter::all()).await.unwrap().events.len(), 1);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_cancelled_statement_wrote_nothing() {
    let store = store("cancelled").await;
    let mut holding = store.pool().begin().await.unwrap();
    store.append_in(&mut holding, one("Holding")).await.unwrap();
    let cancelling = to_the_waiting_append(store.pool(), "pg_cancel_backend");
    let (result, ()) = tokio::join!(store.append(one("Cancelled")), cancelling);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Unavailable);
    holding.rollback().await.unwrap();
    assert_eq!(store.head().await.unwrap().to_raw(), 0);
    store.close().await.unwrap();
}

#[tokio::test]
async fn no_answer_in_time_is_unknown_and_the_same_append_settles_it() {
    let store = PostgresStore::connect(config("no_answer").await.answer_timeout(Duration::from_millis(300)))
        .await
        .unwrap();
    let mut holding = store.pool().begin().await.unwrap();
    store.append_in(&mut holding, one("Holding")).await.unwrap();
    let append = one("Slow");
    assert_eq!(store.append(append.clone()).await.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    holding.rollback().await.unwrap();
    // The call that was given up may be first or second: it is stored once.
    store.append(append).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    assert_eq!(store.query(&Filter::all()).await.unwrap().events.len(), 1);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let config = small("postgres://postgres@127.0.0.1:1/x").acquire_timeout(Duration::from_millis(500));
    assert_eq!(PostgresStore::connect(config).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(PostgresStore::connect(small("no url")).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_pool_without_a_free_connection_is_unavailable() {
    let config = config("exhausted").await.max_connections(1).acquire_timeout(Duration::from_millis(200));
    let store = PostgresStore::connect(config).await.unwrap();
    let taken = store.pool().acquire().await.unwrap();
    assert!(store.pool_statistics().is_exhausted());
    assert_eq!(store.append(one("A")).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.head().await.unwrap_err().kind(), ErrorKind::Unavailable);
    drop(taken);
    store.append(one("A")).await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_read_only_server_is_unavailable_and_a_missing_table_is_not() {
    let store = store("read_only").await;
    let mut transaction = store.pool().begin().await.unwrap();
    sqlx::raw_sql("SET TRANSACTION READ ONLY").execute(&mut *transaction).await.unwrap();
    let error = store.append_in(&mut transaction, one("A")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    transaction.rollback().await.unwrap();
    run(store.pool(), "DROP TABLE event_tags").await;
    let filter = Filter::tagged("unit", "a").unwrap();
    assert_eq!(store.query(&filter).await.unwrap_err().kind(), ErrorKind::Backend);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_stored_event_that_breaks_a_rule_is_corrupt() {
    for (name, damage) in [
        ("corrupt_type", "UPDATE events SET event_type = ''"),
        ("corrupt_tag", "UPDATE events SET tags = '{nocolon}'"),
        ("corrupt_null_tag", "UPDATE events SET tags = '{NULL}'"),
        ("corrupt_metadata", "UPDATE events SET metadata = '[1]'"),
        ("corrupt_position", "UPDATE events SET global_position = -1"),
    ] {
        let store = store(name).await;
        store.append(one("A")).await.unwrap();
        run(store.pool(), damage).await;
        let result = store.query(&Filter::all()).await;
        if name == "corrupt_position" {
            // Below the log's beginning nothing is looked for; the head says that something is wrong.
            assert!(result.is_err() || result.unwrap().events.is_empty());
        } else {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Corrupt, "{damage}");
        }
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn changes_of_others_are_seen_by_polling_and_by_listening() {
    for listen in ["polling", "listening"] {
        let mut config = config(listen).await.poll_interval(Duration::from_millis(50));
        if listen == "listening" {
            config = config.listen().poll_interval(Duration::from_secs(20));
        }
        let store = PostgresStore::connect(config.clone()).await.unwrap();
        let other = PostgresStore::connect(config).await.unwrap();
        let mut changes = store.changes();
        // The first look wakes once for nothing; then it listens.
        timeout(Duration::from_secs(10), changes.changed()).await.unwrap().unwrap();
        if listen == "listening" {
            sleep(Duration::from_millis(300)).await;
        }
        other.append(Append::events([event("A")])).await.unwrap();
        timeout(Duration::from_secs(10), changes.changed()).await.unwrap().unwrap();
        store.close().await.unwrap();
        other.close().await.unwrap();
    }
    let config = small("postgres://x").listen().through_pgbouncer();
    assert_eq!(PostgresStore::connect(config).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}
