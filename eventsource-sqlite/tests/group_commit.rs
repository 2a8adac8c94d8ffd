//! Appends that share a transaction, and yet are each on their own.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use common::{event, fresh, one, open, stream, to_new_stream};
use eventsource_core::{
    Append, Conflict, ErrorKind, EventStore, EventStoreExt, ExpectedVersion, Filter, FilterItem, Position,
    ReadOptions, Version,
};
use eventsource_sqlite::{SqliteConfig, SqliteStore};
use rusqlite::{Connection, TransactionBehavior};

type Answer = eventsource_core::Result<eventsource_core::Appended>;

/// Holds the writer up until all of `appends` wait, so that they come to be one batch; in their order.
async fn in_one_batch(
    path: &std::path::Path,
    store: &std::sync::Arc<SqliteStore>,
    appends: Vec<Append>,
) -> Vec<Answer> {
    let mut own = Connection::open(path).unwrap();
    let held = own.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    // The first makes the writer wait for the lock; the others come together behind it.
    let first = queued(store, one("First"));
    while store.queue_length() > 0 {
        tokio::task::yield_now().await;
    }
    let answers: Vec<_> = appends.into_iter().map(|append| queued(store, append)).collect();
    held.rollback().unwrap();
    first.await.unwrap();
    let mut all = Vec::new();
    for answer in answers {
        all.push(answer.await);
    }
    all
}

/// The answer of `append`, which is in the queue already: its future was polled once, here and not in a task, since
/// tasks come in any order.
fn queued(store: &std::sync::Arc<SqliteStore>, append: Append) -> Pin<Box<dyn Future<Output = Answer>>> {
    let store = store.clone();
    let mut answer = Box::pin(async move { store.append(append).await });
    assert!(answer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn each_has_its_own_verdict_and_sees_those_before_it() {
    let (_directory, path) = fresh();
    let store = std::sync::Arc::new(open(&path).await);
    let order = stream();
    let filter = Filter::tagged("name", "ann").unwrap();
    let claim = || Append::events([event("Claimed").tag("name", "ann").unwrap()]).fail_if(filter.clone());
    let repeated = one("Repeated");
    let answers = in_one_batch(
        &path,
        &store,
        vec![
            Append::to_stream(order.clone(), ExpectedVersion::NoStream, [event("A")]),
            Append::to_stream(order.clone(), ExpectedVersion::NoStream, [event("B")]),
            Append::to_stream(
                order.clone(),
                ExpectedVersion::Exact(Version::FIRST),
                [event("C"), event("D")],
            ),
            claim(),
            claim(),
            repeated.clone(),
            repeated,
            Append::to_stream(order.clone(), ExpectedVersion::Any, [event("E")]),
        ],
    )
    .await;
    let positions: Vec<_> =
        answers.iter().map(|answer| answer.as_ref().ok().map(|appended| appended.first.to_raw())).collect();
    assert_eq!(positions, [Some(2), None, Some(3), Some(5), None, Some(6), Some(6), Some(7)]);
    assert!(matches!(answers[1].as_ref().unwrap_err().conflict(), Some(Conflict::StreamVersion { .. })));
    assert!(matches!(
        answers[4].as_ref().unwrap_err().conflict(),
        Some(Conflict::Condition { position, .. }) if position.to_raw() == 5
    ));
    assert!(!answers[5].as_ref().unwrap().replayed);
    assert!(answers[6].as_ref().unwrap().replayed);
    assert_eq!(store.stream_version(&order).await.unwrap().map(Version::get), Some(4));
    assert_eq!(store.query(&Filter::all()).await.unwrap().events.len(), 7);
}

/// What a batch has accepted is inserted together, and yet conditions see it: whatever they ask for.
#[tokio::test(flavor = "multi_thread")]
async fn a_condition_sees_what_the_same_batch_accepted() {
    let tagged = || event("A").tag("name", "ann").unwrap();
    let order = stream();
    let payload = FilterItem::new().all_payload("n", 1).unwrap();
    for filter in [
        Filter::tagged("name", "ann").unwrap(),
        Filter::event_types(["B", "A"]).unwrap(),
        Filter::any_of([payload.clone()]).unwrap(),
        Filter::any_of([payload.tag("name", "ann").unwrap().event_type("A").unwrap()]).unwrap(),
        Filter::all(),
        Filter::all().in_stream(order.clone()),
    ] {
        let (_directory, path) = fresh();
        let store = std::sync::Arc::new(open(&path).await);
        let elsewhere = Filter::tagged("name", "bob").unwrap();
        let answers = in_one_batch(
            &path,
            &store,
            vec![
                Append::to_stream(order.clone(), ExpectedVersion::NoStream, [tagged()]),
                one("C").fail_if(elsewhere),
                one("D").fail_if(filter.clone()).after(Position::from_raw(1)),
            ],
        )
        .await;
        assert!(answers[0].is_ok() && answers[1].is_ok());
        let refused = answers[2].as_ref().unwrap_err();
        assert!(
            matches!(refused.conflict(), Some(Conflict::Condition { position, .. }) if position.to_raw() == 2),
            "{filter:?}: {refused:?}"
        );
        assert_eq!(store.query(&Filter::all()).await.unwrap().events.len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_in_the_middle_of_its_inserts_fails_alone() {
    let (_directory, path) = fresh();
    let store = std::sync::Arc::new(open(&path).await);
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "CREATE TRIGGER poison BEFORE INSERT ON events WHEN NEW.event_type = 'Poison'
             BEGIN SELECT RAISE(ABORT, 'poison'); END",
        )
        .unwrap();
    let poisoned = || Append::events([event("Half"), event("Poison")]);
    let answers =
        in_one_batch(&path, &store, vec![one("A"), poisoned(), to_new_stream("B"), poisoned(), one("C")])
            .await;
    let kinds: Vec<_> =
        answers.iter().map(|answer| answer.as_ref().err().map(|error| error.kind())).collect();
    assert_eq!(kinds, [None, Some(ErrorKind::Backend), None, Some(ErrorKind::Backend), None]);
    let events = store.query(&Filter::all()).await.unwrap().events;
    let types: Vec<_> = events.iter().map(|event| event.event_type().as_str()).collect();
    assert_eq!(types, ["First", "A", "B", "C"]);
    let positions: Vec<_> = events.iter().map(|event| event.position().to_raw()).collect();
    assert_eq!(positions, [1, 2, 3, 4]);
    // No transaction was left open: others can write.
    Connection::open(&path).unwrap().execute_batch("BEGIN IMMEDIATE; ROLLBACK").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_never_see_a_part_of_a_batch() {
    for config in [SqliteConfig::in_memory(), SqliteConfig::file(fresh_path())] {
        let store = std::sync::Arc::new(SqliteStore::open(config).await.unwrap());
        let writers: Vec<_> = (0..8)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    for _ in 0..50 {
                        store.append(Append::events([event("A"), event("B"), event("C")])).await.unwrap();
                    }
                })
            })
            .collect();
        let mut seen = 0;
        while seen < 1_200 {
            let page = store.read_page(&Filter::all(), &ReadOptions::new().limit(2_000)).await.unwrap();
            assert_eq!(page.events.len() % 3, 0, "an append is whole");
            assert!(page.events.len() >= seen, "what was seen stays");
            assert_eq!(page.events.last().map_or(0, |event| event.position().to_raw()), page.head.to_raw());
            seen = page.events.len();
        }
        for writer in writers {
            writer.await.unwrap();
        }
        store.close().await.unwrap();
    }
}

fn fresh_path() -> std::path::PathBuf {
    let (directory, path) = fresh();
    // The system cleans its temporary directory up.
    let _ = directory.keep();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_futures_leave_whole_appends_or_none() {
    let (_directory, path) = fresh();
    let store = std::sync::Arc::new(open(&path).await);
    for round in 0..200_u32 {
        let append = Append::events([event("A"), event("B"), event("C")]);
        let appending = store.append(append);
        let _ = tokio::time::timeout(Duration::from_micros(u64::from(round) * 5), appending).await;
    }
    store.close().await.unwrap();
    let store = open(&path).await;
    let events = store.query(&Filter::all()).await.unwrap().events;
    assert_eq!(events.len() % 3, 0);
    for three in events.chunks(3) {
        let types: Vec<_> = three.iter().map(|event| event.event_type().as_str()).collect();
        assert_eq!(types, ["A", "B", "C"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn close_finishes_what_was_accepted() {
    let (_directory, path) = fresh();
    let store = std::sync::Arc::new(
        SqliteStore::open(SqliteConfig::file(&path).queue_capacity(10).batch_limit(3)).await.unwrap(),
    );
    let answers: Vec<_> = (0..100)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.append(one("A")).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(1)).await;
    store.close().await.unwrap();
    let mut acknowledged = 0;
    for answer in answers {
        match answer.await.unwrap() {
            Ok(_) => acknowledged += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
        }
    }
    let store = open(&path).await;
    assert_eq!(store.query(&Filter::all()).await.unwrap().events.len(), acknowledged);
}
