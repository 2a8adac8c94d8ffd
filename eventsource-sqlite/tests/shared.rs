//! Several connections, stores and processes on one file.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{event, fresh, one, open};
use eventsource_core::{
    Append, ErrorKind, EventStore, EventStoreExt, ExpectedVersion, Filter, ReadOptions, StreamId, Version,
};
use eventsource_sqlite::{SqliteConfig, SqliteStore};
use rusqlite::{Connection, TransactionBehavior};
use uuid::Uuid;

#[tokio::test]
async fn a_lock_held_for_too_long_is_unavailable_and_writes_nothing() {
    let (_directory, path) = fresh();
    let config = SqliteConfig::file(&path).busy_timeout(Duration::from_millis(200));
    let store = SqliteStore::open(config.clone()).await.unwrap();
    let mut own = Connection::open(&path).unwrap();
    let held = own.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let append = one("A");
    let begun = Instant::now();
    let error = store.append(append.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(begun.elapsed() >= Duration::from_millis(200));
    let opening = SqliteStore::open(config).await.unwrap_err();
    assert_eq!(opening.kind(), ErrorKind::Unavailable);
    // Reading is not held up.
    assert!(store.query(&Filter::all()).await.unwrap().events.is_empty());
    held.rollback().unwrap();
    assert!(!store.append(append).await.unwrap().replayed);
}

#[tokio::test]
async fn a_lock_that_is_given_back_in_time_is_waited_for() {
    let (_directory, path) = fresh();
    let store = Arc::new(open(&path).await);
    let mut own = Connection::open(&path).unwrap();
    let held = own.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let appending = tokio::spawn({
        let store = store.clone();
        async move { store.append(one("A")).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    held.rollback().unwrap();
    appending.await.unwrap().unwrap();
}

#[tokio::test]
async fn one_store_wakes_for_what_another_appends() {
    let (_directory, path) = fresh();
    let (one_store, other) = (open(&path).await, open(&path).await);
    for round in 1..=20 {
        let mut changes = one_store.changes();
        other.append(one("A")).await.unwrap();
        while one_store.head().await.unwrap().to_raw() < round {
            tokio::time::timeout(Duration::from_secs(60), changes.changed())
                .await
                .expect("a wake-up")
                .unwrap();
        }
        // Nobody watches between two rounds, and then somebody does again.
        drop(changes);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// The writer remembers the versions of the streams that it has written to.
#[tokio::test]
async fn no_version_is_remembered_past_what_others_write() {
    let (_directory, path) = fresh();
    let (store, other) = (open(&path).await, open(&path).await);
    let mut own = Connection::open(&path).unwrap();
    let stream = StreamId::new("Order", Uuid::from_u128(7)).unwrap();
    let exactly = |version| ExpectedVersion::Exact(Version::new(version).unwrap());
    let to = |expected| Append::to_stream(stream.clone(), expected, [event("A")]);
    let version = |appended: eventsource_core::Appended| appended.version_of(&stream).map(Version::get);
    assert_eq!(version(store.append(to(ExpectedVersion::NoStream)).await.unwrap()), Some(1));
    assert_eq!(version(store.append(to(exactly(1))).await.unwrap()), Some(2));

    assert_eq!(version(other.append(to(exactly(2))).await.unwrap()), Some(3));
    assert!(store.append(to(exactly(2))).await.unwrap_err().is_conflict());
    assert_eq!(version(store.append(to(ExpectedVersion::Any)).await.unwrap()), Some(4));

    let transaction = own.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    assert_eq!(version(store.append_in(&transaction, to(exactly(4))).unwrap()), Some(5));
    transaction.commit().unwrap();
    assert!(store.append(to(exactly(4))).await.unwrap_err().is_conflict());
    assert_eq!(version(store.append(to(exactly(5))).await.unwrap()), Some(6));

    // Whoever deletes events does not move the head.
    own.execute_batch("DELETE FROM events").unwrap();
    assert_eq!(version(store.append(to(ExpectedVersion::NoStream)).await.unwrap()), Some(1));
}

/// A flush that takes several seconds, which a busy disk can cause, is somebody else's commit and not an error.
#[tokio::test]
async fn a_slow_flush_of_another_is_waited_for() {
    let (_directory, path) = fresh();
    let store = Arc::new(open(&path).await);
    let mut own = Connection::open(&path).unwrap();
    let held = own.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let appending = tokio::spawn({
        let store = store.clone();
        async move { store.append(one("A")).await }
    });
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(!appending.is_finished());
    held.rollback().unwrap();
    appending.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn none_of_several_busy_stores_starves() {
    let (_directory, path) = fresh();
    let until = Instant::now() + Duration::from_secs(3);
    let reading = Arc::new(open(&path).await);
    // They read without a pause: the ends of the log, over and over.
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let store = reading.clone();
            tokio::spawn(async move {
                while Instant::now() < until {
                    store.head().await.unwrap();
                    store.read_page(&Filter::all(), &ReadOptions::new().limit(7)).await.unwrap();
                }
            })
        })
        .collect();
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let store = Arc::new(open(&path).await);
        tasks.push((0..16).map(|_| tokio::spawn(append_until(store.clone(), until))).collect::<Vec<_>>());
    }
    for reader in readers {
        reader.await.unwrap();
    }
    for tasks in tasks {
        let (mut appends, mut slowest) = (0, Duration::ZERO);
        for task in tasks {
            let (count, longest) = task.await.unwrap();
            appends += count;
            slowest = slowest.max(longest);
        }
        println!("{appends} appends, the slowest took {slowest:?}");
        // What the disk takes for one flush is in it.
        assert!(appends > 16 * 2 && slowest < Duration::from_secs(40));
    }
}

async fn append_until(store: Arc<SqliteStore>, until: Instant) -> (u32, Duration) {
    let (mut count, mut longest) = (0, Duration::ZERO);
    while Instant::now() < until {
        let begun = Instant::now();
        store.append(one("A")).await.unwrap();
        longest = longest.max(begun.elapsed());
        count += 1;
    }
    (count, longest)
}

const APPENDS: u64 = 300;

/// Not a test by itself: what a child process of `several_processes_share_one_log` runs.
async fn work_as_a_child(path: String) {
    let store = Arc::new(SqliteStore::open(SqliteConfig::file(path)).await.unwrap());
    let shared = StreamId::new("Shared", Uuid::from_u128(1)).unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let (store, shared) = (store.clone(), shared.clone());
            tokio::spawn(async move {
                for _ in (task..APPENDS).step_by(8) {
                    let append =
                        Append::to_stream(shared.clone(), ExpectedVersion::Any, [event("A"), event("B")]);
                    store.append(append).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_share_one_log() {
    const CHILD: &str = "EVENTSOURCE_SQLITE_CHILD";
    if let Ok(path) = std::env::var(CHILD) {
        return work_as_a_child(path).await;
    }
    let (_directory, path) = fresh();
    // Nobody has created the file: they also race for that.
    let children: Vec<_> = (0..3)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "several_processes_share_one_log"])
                .env(CHILD, &path)
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let store = open(&path).await;
    let events = store.query(&Filter::all()).await.unwrap().events;
    assert_eq!(events.len() as u64, 3 * 2 * APPENDS);
    for (number, event) in (1..).zip(&events) {
        assert_eq!(event.position().to_raw(), number);
        assert_eq!(event.version().unwrap().get(), number, "the one stream's versions have no gap");
        assert_eq!(event.event_type().as_str(), if number % 2 == 1 { "A" } else { "B" });
    }
}
