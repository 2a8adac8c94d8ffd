//! Flushes of pipelined commits, made slow, one of them until it is let.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use eventsource_core::{Appended, EventStore, Filter, ReadOptions, Result};
use eventsource_postgres::{CommitMode, PostgresStore};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Postgres, Transaction};
use support::{database, one, run, slow_to_connect, small};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// The first event's flush takes 5 ms; that of the second waits for whoever holds a lock.
const SLOW: &str = "
    ALTER FUNCTION flush_log RENAME TO flush_at_once;
    CREATE FUNCTION flush_log(positions bigint[], ids uuid[]) RETURNS integer[] LANGUAGE plpgsql AS $$
    BEGIN
        IF 1 = ANY (positions) THEN
            PERFORM pg_sleep(0.005);
        END IF;
        IF 2 = ANY (positions) THEN
            PERFORM pg_advisory_xact_lock(1, 1);
        END IF;
        RETURN flush_at_once(positions, ids);
    END $$;";

/// More than any answer takes.
const LONG: Duration = Duration::from_secs(20);

/// A store at whose second event's flush is under way, until the lock is let go.
async fn held(url: &str) -> (PostgresStore, Transaction<'static, Postgres>, JoinHandle<Result<Appended>>) {
    let store = PostgresStore::connect(small(url).commit(CommitMode::Pipelined)).await.unwrap();
    run(store.pool(), SLOW).await;
    store.append(one("First")).await.unwrap();
    let mut lock = store.pool().begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock(1, 1)").execute(&mut *lock).await.unwrap();
    let second = append(&store, "Second");
    let waits =
        "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND classid = 1)";
    while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&mut *lock).await.unwrap() {
        sleep(Duration::from_millis(1)).await;
    }
    (store, lock, second)
}

/// Lets the second event's flush go on, and closes the store.
async fn let_go(
    store: PostgresStore,
    lock: Transaction<'static, Postgres>,
    second: JoinHandle<Result<Appended>>,
) {
    lock.rollback().await.unwrap();
    timeout(LONG, second).await.unwrap().unwrap().unwrap();
    store.close().await.unwrap();
}

fn append(store: &PostgresStore, event_type: &'static str) -> JoinHandle<Result<Appended>> {
    let store = store.clone();
    tokio::spawn(async move { store.append(one(event_type)).await })
}

#[tokio::test]
async fn a_flush_that_takes_long_holds_up_none_that_is_asked_for_later() {
    let (store, lock, second) = held(&database("flushes").await).await;
    let third = timeout(LONG, store.append(one("Third"))).await.expect("it does not wait").unwrap();
    assert_eq!(third.last.to_raw(), 3);
    assert!(!second.is_finished(), "what is not flushed is not acknowledged");
    let_go(store, lock, second).await;
}

#[tokio::test]
async fn nor_if_flushes_were_fast_until_then() {
    let (store, lock, second) = held(&database("flushes_fast").await).await;
    // The last flushes that ended are fast.
    for _ in 0..20 {
        timeout(LONG, store.append(one("Fast"))).await.expect("it does not wait").unwrap();
    }
    let_go(store, lock, second).await;
}

#[tokio::test]
async fn where_the_log_is_busy_a_flush_that_takes_long_holds_up_none_for_long() {
    let (store, lock, second) = held(&database("flushes_busy").await).await;
    let mut busy = store.pool().begin().await.unwrap();
    store.append_in(&mut busy, one("Busy")).await.unwrap();
    let third = append(&store, "Third");
    sleep(Duration::from_millis(100)).await;
    busy.rollback().await.unwrap();
    timeout(LONG, third).await.unwrap().unwrap().unwrap();
    // It would go with those who wait for a flush, if that ended.
    timeout(LONG, store.append(one("Fourth"))).await.expect("it does not wait for ever").unwrap();
    assert!(!second.is_finished(), "what is not flushed is not acknowledged");
    let_go(store, lock, second).await;
}

#[tokio::test]
async fn where_no_further_connection_can_be_had_flushes_take_turns() {
    let url = database("flushes_in_turns").await;
    let (server, name) = url.rsplit_once('/').unwrap();
    let (store, lock, second) = held(&url).await;
    let elsewhere = PgPoolOptions::new().connect(&format!("{server}/postgres")).await.unwrap();
    let refuse = format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS false");
    sqlx::query(sqlx::AssertSqlSafe(refuse)).execute(&elsewhere).await.unwrap();
    let third = append(&store, "Third");
    sleep(Duration::from_millis(100)).await;
    assert!(!third.is_finished() && !second.is_finished());
    lock.rollback().await.unwrap();
    timeout(LONG, second).await.unwrap().unwrap().unwrap();
    timeout(LONG, third).await.unwrap().unwrap().unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_connection_that_never_opens_holds_up_no_flush_and_no_close() {
    let delay = Arc::new(AtomicU64::new(0));
    let (url, _serving) = slow_to_connect(&database("flushes_unopened").await, delay.clone()).await;
    let (store, lock, second) = held(&url).await;
    delay.store(3_600_000, Ordering::SeqCst);
    let third = append(&store, "Third");
    sleep(Duration::from_millis(100)).await;
    lock.rollback().await.unwrap();
    timeout(LONG, second).await.unwrap().unwrap().unwrap();
    timeout(LONG, third).await.unwrap().unwrap().unwrap();
    // The last flush was fast: a next one would wait for another, not for a connection.
    timeout(LONG, append(&store, "Fourth")).await.unwrap().unwrap().unwrap();
    timeout(LONG, store.close()).await.unwrap().unwrap();
}

#[tokio::test]
async fn another_event_where_a_durable_one_lay_is_flushed_before_it_is_read() {
    let store =
        PostgresStore::connect(small(&database("flushes_failover").await).commit(CommitMode::Pipelined));
    let store = store.await.unwrap();
    store.append(one("First")).await.unwrap();
    run(store.pool(), "ALTER FUNCTION flush_log RENAME TO flush").await;
    assert_eq!(read(&store).await.unwrap(), 1, "nobody waits for what is durable");
    // As after a failover: the new server's log has as many events, and the last one is not flushed.
    run(store.pool(), "UPDATE events SET event_id = gen_random_uuid()").await;
    read(&store).await.expect_err("it can't be flushed");
    run(store.pool(), "ALTER FUNCTION flush RENAME TO flush_log").await;
    assert_eq!(read(&store).await.unwrap(), 1);
    store.close().await.unwrap();
}

async fn read(store: &PostgresStore) -> Result<usize> {
    Ok(store.read_page(&Filter::all(), &ReadOptions::new()).await?.events.len())
}
