//! What breaks on the way, and what the caller is told about the data.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use eventsource_core::{Append, Clock, ErrorKind, EventStore, EventStoreExt, Filter};
use eventsource_postgres::{PostgresConfig, PostgresStore};
use support::{config, database, event, one, run, slow_to_connect, small, store};
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

#[tokio::test]
async fn closing_again_after_giving_up_waits_for_what_was_accepted() {
    let config = config("close_again").await.max_connections(1);
    let store = PostgresStore::connect(config.clone()).await.unwrap();
    let other = PostgresStore::connect(config).await.unwrap();
    let mut holding = other.pool().begin().await.unwrap();
    other.append_in(&mut holding, one("Holding")).await.unwrap();
    // The first one waits for the lock, the second one for the next batch.
    let append = |event_type| {
        let store = store.clone();
        tokio::spawn(async move { store.append(one(event_type)).await })
    };
    let first = append("First");
    sleep(Duration::from_millis(100)).await;
    let second = append("Second");
    sleep(Duration::from_millis(100)).await;
    assert!(timeout(Duration::from_millis(100), store.close()).await.is_err());
    let closing = tokio::spawn(async move { store.close().await });
    sleep(Duration::from_millis(100)).await;
    assert!(!closing.is_finished());
    holding.rollback().await.unwrap();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    closing.await.unwrap().unwrap();
    other.close().await.unwrap();
}

#[tokio::test]
async fn a_listener_that_takes_longer_to_connect_than_a_poll_lasts_listens_nevertheless() {
    let delay = Arc::new(AtomicU64::new(300));
    let (url, _serving) = slow_to_connect(&database("slow_listener").await, delay).await;
    let config = small(&url).listen().poll_interval(Duration::from_millis(50));
    let store = PostgresStore::connect(config).await.unwrap();
    let _changes = store.changes();
    let listening = "SELECT count(*) FROM pg_stat_activity \
                     WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    for _ in 0..100 {
        let count: i64 = sqlx::query_scalar(listening).fetch_one(store.pool()).await.unwrap();
        if count == 1 {
            return store.close().await.unwrap();
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("it never listened");
}

#[tokio::test]
async fn judging_a_repeated_append_holds_nobody_else_up() {
    let config = config("judging").await.max_connections(1);
    let store = PostgresStore::connect(config.clone()).await.unwrap();
    let other = PostgresStore::connect(config).await.unwrap();
    let repeated = one("Repeated");
    store.append(repeated.clone()).await.unwrap();
    let append = |append: Append| {
        let store = store.clone();
        tokio::spawn(async move { store.append(append).await })
    };
    // The next batch, which waits, is the repeated append and one that is not.
    let mut holding = other.pool().begin().await.unwrap();
    other.append_in(&mut holding, one("Holding")).await.unwrap();
    let first = append(one("First"));
    sleep(Duration::from_millis(100)).await;
    let (repeated, second) = (append(repeated), append(one("Second")));
    // The only connection: whoever asks for it is served in turn. Here: this, the batch, this.
    let pool = store.pool().clone();
    let taking = tokio::spawn(async move {
        let before = pool.acquire().await.unwrap();
        sleep(Duration::from_millis(200)).await;
        let after = tokio::spawn(async move { pool.acquire().await.unwrap() });
        sleep(Duration::from_millis(200)).await;
        drop(before);
        after.await.unwrap()
    });
    sleep(Duration::from_millis(100)).await;
    holding.rollback().await.unwrap();
    first.await.unwrap().unwrap();
    let taken = taking.await.unwrap();
    timeout(Duration::from_secs(5), second).await.expect("it waits for the judge").unwrap().unwrap();
    assert!(!repeated.is_finished(), "the test's own connection is in the way");
    drop(taken);
    assert!(repeated.await.unwrap().unwrap().replayed);
    store.close().await.unwrap();
    other.close().await.unwrap();
}

/// A clock that fails now and then.
#[derive(Debug)]
struct Broken(AtomicU32);

impl Clock for Broken {
    fn now(&self) -> DateTime<Utc> {
        assert!(self.0.fetch_add(1, Ordering::SeqCst).is_multiple_of(2), "this clock is broken");
        DateTime::UNIX_EPOCH
    }
}

#[tokio::test]
async fn a_clock_that_panics_fails_the_append_and_nothing_else() {
    let config = config("clock").await.clock(Broken(AtomicU32::new(0)));
    let store = PostgresStore::connect(config).await.unwrap();
    for _ in 0..3 {
        store.append(one("A")).await.unwrap();
        assert_eq!(store.append(one("B")).await.unwrap_err().kind(), ErrorKind::Backend);
    }
    assert_eq!(store.head().await.unwrap().to_raw(), 3);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_tag_whose_event_is_gone_is_corrupt_and_fails_nobody_else() {
    let store = store("orphan").await;
    run(store.pool(), "INSERT INTO event_tags VALUES ('unit:a', 7)").await;
    let orphan = one("A").fail_if(Filter::tagged("unit", "a").unwrap());
    let (orphan, other) = tokio::join!(store.append(orphan), store.append(one("B")));
    assert_eq!(orphan.unwrap_err().kind(), ErrorKind::Corrupt);
    other.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn closing_does_not_wait_for_a_server_that_is_gone() {
    let (url, server) = slow_to_connect(&database("gone").await, Arc::new(AtomicU64::new(300))).await;
    let config = PostgresConfig::new(&url).min_connections(4).max_connections(4);
    let store = PostgresStore::connect(config).await.unwrap();
    server.abort();
    let closing = timeout(Duration::from_secs(60), store.close()).await;
    // Whether anything was left to complain of is a matter of time.
    let _ = closing.expect("it waits for the server");
}

#[tokio::test]
async fn truncating_with_an_old_snapshot_is_refused() {
    let store = store("old_truncate").await;
    let mut old = store.pool().begin().await.unwrap();
    sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM events")
        .execute(&mut *old)
        .await
        .unwrap();
    let head = store.append(one("A")).await.unwrap().last;
    // It would not see the event whose position must never come back.
    if sqlx::raw_sql("TRUNCATE events").execute(&mut *old).await.is_ok() {
        old.commit().await.unwrap();
    } else {
        old.rollback().await.unwrap();
    }
    assert_eq!(store.head().await.unwrap(), head);
    assert!(store.append(one("B")).await.unwrap().first > head);
    store.close().await.unwrap();
}
