//! A clock that fails.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use common::{fresh, one};
use eventsource_core::{Clock, ErrorKind, EventStore, EventStoreExt, Filter};
use eventsource_sqlite::{SqliteConfig, SqliteStore};
use rusqlite::{Connection, TransactionBehavior};

/// Panics while it is told to.
#[derive(Debug, Default)]
struct Broken(AtomicBool);

impl Clock for Broken {
    fn now(&self) -> DateTime<Utc> {
        assert!(!self.0.load(Ordering::SeqCst), "this clock is broken");
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }
}

#[tokio::test]
async fn a_clock_that_panics_fails_the_append_and_not_the_store() {
    let (_directory, path) = fresh();
    for config in [SqliteConfig::in_memory(), SqliteConfig::file(&path)] {
        let clock = Arc::new(Broken::default());
        let store = SqliteStore::open(config.clock(clock.clone())).await.unwrap();
        clock.0.store(true, Ordering::SeqCst);
        for _ in 0..3 {
            assert_eq!(store.append(one("A")).await.unwrap_err().kind(), ErrorKind::Backend);
        }
        clock.0.store(false, Ordering::SeqCst);
        store.append(one("B")).await.unwrap();
        assert_eq!(store.query(&Filter::all()).await.unwrap().events.len(), 1);
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_clock_that_panics_leaves_the_callers_transaction_as_it_was() {
    let (_directory, path) = fresh();
    let clock = Arc::new(Broken::default());
    let store = SqliteStore::open(SqliteConfig::file(&path).clock(clock.clone())).await.unwrap();
    let mut own = Connection::open(&path).unwrap();
    let transaction = own.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    clock.0.store(true, Ordering::SeqCst);
    assert_eq!(store.append_in(&transaction, one("A")).unwrap_err().kind(), ErrorKind::Backend);
    clock.0.store(false, Ordering::SeqCst);
    store.append_in(&transaction, one("B")).unwrap();
    transaction.commit().unwrap();
    assert_eq!(store.query(&Filter::all()).await.unwrap().events.len(), 1);
}

#[tokio::test]
async fn a_clock_that_panics_while_the_store_is_opened_fails_that() {
    let (_directory, path) = fresh();
    let clock = Arc::new(Broken(AtomicBool::new(true)));
    let error = SqliteStore::open(SqliteConfig::file(&path).clock(clock)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend);
    // And leaves nothing in the way of the next.
    SqliteStore::open(SqliteConfig::file(&path)).await.unwrap().append(one("A")).await.unwrap();
}
