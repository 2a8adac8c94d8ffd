//! `append_in`, and what holding the log's lock means for the others.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, Instant};

use eventsource_core::{ErrorKind, EventStore, EventStoreExt, ExpectedVersion, Filter};
use eventsource_postgres::{PostgresConfig, PostgresStore};
use sqlx::Connection as _;
use support::{config, event, one, order, run, store, to_new};

#[tokio::test]
async fn events_and_the_callers_rows_commit_together() {
    let store = store("together").await;
    run(store.pool(), "CREATE TABLE bills (id int)").await;
    let stream = order();
    for commit in [false, true] {
        let mut transaction = store.pool().begin().await.unwrap();
        sqlx::query("INSERT INTO bills VALUES (1)").execute(&mut *transaction).await.unwrap();
        let appended = store.append_in(&mut transaction, to_new(&stream)).await.unwrap();
        assert_eq!(appended.first.to_raw(), 1, "what was rolled back leaves no gap");
        assert_eq!(store.head().await.unwrap().to_raw(), 0, "a reader neither waits nor sees it");
        if commit {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
        }
    }
    assert_eq!(store.stream_version(&stream).await.unwrap().unwrap().get(), 1);
    assert_eq!(run(store.pool(), "SELECT * FROM bills").await, 1);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_transaction_appends_several_times_and_survives_a_conflict() {
    let store = store("several").await;
    let stream = order();
    let mut transaction = store.pool().begin().await.unwrap();
    store.append_in(&mut transaction, to_new(&stream)).await.unwrap();
    assert!(store.append_in(&mut transaction, to_new(&stream)).await.unwrap_err().is_conflict());
    let boundary =
        eventsource_core::Append::events([event("X")]).fail_if(Filter::tagged("unit", "a").unwrap());
    assert!(store.append_in(&mut transaction, boundary).await.unwrap_err().is_conflict());
    store.append_in(&mut transaction, one("Last")).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(store.query(&Filter::all()).await.unwrap().events.len(), 2);
    store.close().await.unwrap();
}

#[tokio::test]
async fn another_isolation_level_is_refused() {
    let store = store("isolation").await;
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        let mut transaction = store.pool().begin().await.unwrap();
        let set = sqlx::AssertSqlSafe(format!("SET TRANSACTION ISOLATION LEVEL {level}"));
        sqlx::raw_sql(set).execute(&mut *transaction).await.unwrap();
        let error = store.append_in(&mut transaction, one("A")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(level), "{error}");
        let error = store.append_in(&mut transaction, one("A")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "it has failed already: {error}");
        transaction.rollback().await.unwrap();
    }
    assert_eq!(store.head().await.unwrap().to_raw(), 0);
    store.close().await.unwrap();
}

#[tokio::test]
async fn writers_wait_as_long_as_configured_and_readers_not_at_all() {
    let config = config("lock").await.lock_timeout(Duration::from_millis(300));
    let store = PostgresStore::connect(config).await.unwrap();
    let mut transaction = store.pool().begin().await.unwrap();
    store.append_in(&mut transaction, one("Slow")).await.unwrap();
    let began = Instant::now();
    assert!(store.query(&Filter::all()).await.unwrap().events.is_empty());
    let error = store.append(one("Impatient")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(began.elapsed() >= Duration::from_millis(300));
    transaction.commit().await.unwrap();
    let appended = store.append(one("Later")).await.unwrap();
    assert_eq!(appended.first.to_raw(), 2);
    store.close().await.unwrap();
}

#[tokio::test]
async fn the_callers_lock_timeout_and_settings_stay_the_callers() {
    let store = store("settings").await;
    let mut transaction = store.pool().begin().await.unwrap();
    sqlx::raw_sql("SET LOCAL lock_timeout = '7s'; SET LOCAL enable_seqscan = on")
        .execute(&mut *transaction)
        .await
        .unwrap();
    store.append_in(&mut transaction, one("A")).await.unwrap();
    for (name, value) in [("lock_timeout", "7s"), ("enable_seqscan", "on"), ("plan_cache_mode", "auto")] {
        let setting: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(name)
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
        assert_eq!(setting, value, "{name}");
    }
    transaction.commit().await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn the_callers_pool_stays_open() {
    let url = support::database("callers_pool").await;
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let store = PostgresStore::from_pool(pool.clone(), PostgresConfig::for_pool()).await.unwrap();
    store.append(one("A")).await.unwrap();
    let statistics = store.pool_statistics();
    assert!(statistics.size >= 1 && statistics.max == 10 && !statistics.is_exhausted(), "{statistics}");
    store.close().await.unwrap();
    assert_eq!(store.head().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(!pool.is_closed());
    assert_eq!(run(&pool, "SELECT * FROM events").await, 1);
    pool.close().await;
}

#[tokio::test]
async fn a_pool_of_one_connection_is_enough() {
    let config = config("one_connection").await.max_connections(1);
    let store = PostgresStore::connect(config).await.unwrap();
    let mut changes = store.changes();
    let stream = order();
    let append = to_new(&stream);
    store.append(append.clone()).await.unwrap();
    assert!(store.append(append).await.unwrap().replayed);
    changes.changed().await.unwrap();
    store.append_to_stream(stream, ExpectedVersion::StreamExists, vec![event("B")]).await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn an_append_is_committed_also_where_somebody_gave_up_to_begin_a_transaction() {
    let config = config("given_up").await;
    let store = PostgresStore::connect(config.clone().max_connections(1)).await.unwrap();
    let other = PostgresStore::connect(config).await.unwrap();
    for number in 1..=3 {
        // The only connection, which goes back to the pool while the answer to BEGIN is awaited.
        let mut connection = store.pool().acquire().await.unwrap();
        drop(futures_util::poll!(Box::pin(connection.begin())));
        if number == 2 {
            // What comes next there is refused until the transaction is ended.
            sqlx::raw_sql("SELECT 1 / 0").execute(&mut *connection).await.unwrap_err();
        }
        drop(connection);
        store.append(one("Committed")).await.unwrap();
        assert_eq!(other.head().await.unwrap().to_raw(), number);
    }
    store.close().await.unwrap();
    other.close().await.unwrap();
}
