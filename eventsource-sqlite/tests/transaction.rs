//! `append_in`: appends within a transaction of the caller's.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use std::time::Duration;

use common::{event, fresh, one, open, stream};
use eventsource_core::{
    Append, Conflict, ErrorKind, EventStore, EventStoreExt, ExpectedVersion, Filter, FilterItem, Position,
};
use eventsource_sqlite::{SqliteConfig, SqliteStore};
use rusqlite::{Connection, TransactionBehavior};

fn own(path: &std::path::Path) -> Connection {
    let own = Connection::open(path).unwrap();
    own.execute_batch("CREATE TABLE IF NOT EXISTS mine (n INTEGER)").unwrap();
    own
}

fn rows(own: &Connection) -> i64 {
    own.query_row("SELECT count(*) FROM mine", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn both_are_committed_or_neither() {
    let (_directory, path) = fresh();
    let store = open(&path).await;
    let mut own = own(&path);
    for commit in [false, true] {
        let transaction = own.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        transaction.execute("INSERT INTO mine VALUES (1)", []).unwrap();
        let tagged = event("A").tag("k", "v").unwrap();
        let appended = store.append_in(&transaction, Append::events([tagged, event("B")])).unwrap();
        assert_eq!((appended.first.to_raw(), appended.last.to_raw(), appended.replayed), (1, 2, false));
        assert_eq!(store.head().await.unwrap(), Position::START, "not visible before the commit");
        if commit {
            transaction.commit().unwrap();
        } else {
            transaction.rollback().unwrap();
        }
        let events = store.query(&Filter::all()).await.unwrap().events.len();
        assert_eq!((rows(&own), events), if commit { (1, 2) } else { (0, 0) });
    }
    assert_eq!(store.query(&Filter::tagged("k", "v").unwrap()).await.unwrap().events.len(), 1);
    assert_eq!(store.append(one("C")).await.unwrap().first.to_raw(), 3);
}

#[tokio::test]
async fn a_refusal_leaves_the_transaction_usable() {
    let (_directory, path) = fresh();
    let store = open(&path).await;
    let order = stream();
    store.append(Append::to_stream(order.clone(), ExpectedVersion::Any, [event("A")])).await.unwrap();
    let mut own = own(&path);
    let transaction = own.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    transaction.execute("INSERT INTO mine VALUES (1)", []).unwrap();
    let refused = Append::to_stream(order, ExpectedVersion::NoStream, [event("B")]);
    let error = store.append_in(&transaction, refused).unwrap_err();
    assert!(matches!(error.conflict(), Some(Conflict::StreamVersion { .. })));
    let item = FilterItem::new().all_payload("n", 1).unwrap();
    let refused = one("C").fail_if(Filter::any_of([item]).unwrap());
    let error = store.append_in(&transaction, refused).unwrap_err();
    assert!(matches!(error.conflict(), Some(Conflict::Condition { .. })), "{error:?}");
    let first = store.append_in(&transaction, one("D")).unwrap();
    let second = store.append_in(&transaction, one("E")).unwrap();
    assert!(first.last < second.first);
    transaction.commit().unwrap();
    assert_eq!(rows(&own), 1);
    assert_eq!(store.query(&Filter::all()).await.unwrap().events.len(), 3);
}

#[tokio::test]
async fn a_failed_insert_leaves_nothing_of_the_append() {
    let (_directory, path) = fresh();
    let store = open(&path).await;
    let mut own = own(&path);
    own.execute_batch(
        "CREATE TRIGGER poison BEFORE INSERT ON events WHEN NEW.event_type = 'Poison'
         BEGIN SELECT RAISE(ABORT, 'poison'); END",
    )
    .unwrap();
    let transaction = own.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    transaction.execute("INSERT INTO mine VALUES (1)", []).unwrap();
    let error = store.append_in(&transaction, Append::events([event("A"), event("Poison")])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend);
    transaction.commit().unwrap();
    assert_eq!(rows(&own), 1);
    assert!(store.query(&Filter::all()).await.unwrap().events.is_empty());
}

#[tokio::test]
async fn a_stale_deferred_transaction_is_unavailable_and_writes_nothing() {
    let (_directory, path) = fresh();
    let store = open(&path).await;
    let mut own = own(&path);
    let transaction = own.transaction().unwrap();
    // It has its snapshot; then the log moves on.
    transaction.query_row("SELECT count(*) FROM mine", [], |row| row.get::<_, i64>(0)).unwrap();
    store.append(one("A")).await.unwrap();
    let error = store.append_in(&transaction, one("B")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    drop(transaction);
    assert_eq!(store.query(&Filter::all()).await.unwrap().events.len(), 1);
    // A fresh one takes the lock before it looks.
    let transaction = own.transaction().unwrap();
    store.append_in(&transaction, one("C")).unwrap();
    transaction.commit().unwrap();
    assert_eq!(store.query(&Filter::all()).await.unwrap().events.len(), 2);
}

#[tokio::test]
async fn another_database_is_refused() {
    let ((_directory, path), (_other_directory, other_path)) = (fresh(), fresh());
    let (store, _other) = (open(&path).await, open(&other_path).await);
    for mut connection in [Connection::open(&other_path).unwrap(), Connection::open_in_memory().unwrap()] {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        let error = store.append_in(&transaction, one("A")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    }
    let memory = SqliteStore::open(SqliteConfig::in_memory()).await.unwrap();
    let mut connection = Connection::open(&path).unwrap();
    let transaction = connection.transaction().unwrap();
    assert_eq!(memory.append_in(&transaction, one("A")).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn changes_learns_of_it_and_a_retry_finds_it() {
    let (_directory, path) = fresh();
    let store = open(&path).await;
    let mut own = own(&path);
    let mut changes = store.changes();
    let transaction = own.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let append = one("A");
    let appended = store.append_in(&transaction, append.clone()).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let _ = tokio::time::timeout(Duration::ZERO, changes.changed()).await;
    transaction.commit().unwrap();
    tokio::time::timeout(Duration::from_secs(5), changes.changed()).await.unwrap().unwrap();
    let again = store.append(append.clone()).await.unwrap();
    assert_eq!((again.first, again.replayed), (appended.first, true));
    let transaction = own.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    assert!(store.append_in(&transaction, append).unwrap().replayed);
}

#[tokio::test]
async fn temporary_tables_of_the_same_names_do_not_get_the_append() {
    let (_directory, path) = fresh();
    let store = open(&path).await;
    let mut own = own(&path);
    // An unqualified name means the temporary table, where there is one.
    own.execute_batch(
        "CREATE TEMP TABLE event_tags AS SELECT * FROM main.event_tags;
         CREATE TEMP TABLE older_tags AS SELECT * FROM main.older_tags;
         CREATE TEMP TABLE recent_tags AS SELECT * FROM main.recent_tags;
         CREATE TEMP TABLE events AS SELECT * FROM main.events;
         CREATE TEMP TABLE log AS SELECT * FROM main.log;",
    )
    .unwrap();
    let transaction = own.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let tagged = event("A").tag("k", "v").unwrap();
    store.append_in(&transaction, Append::events([tagged])).unwrap();
    transaction.commit().unwrap();
    assert_eq!(store.query(&Filter::tagged("k", "v").unwrap()).await.unwrap().events.len(), 1);
}

#[tokio::test]
async fn a_temporary_table_does_not_swallow_the_tags() {
    let (_directory, path) = fresh();
    let store = open(&path).await;
    let mut own = own(&path);
    own.execute_batch("CREATE TEMP TABLE recent_tags AS SELECT * FROM main.recent_tags").unwrap();
    let transaction = own.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let tagged = event("A").tag("k", "v").unwrap();
    store.append_in(&transaction, Append::events([tagged])).unwrap();
    transaction.commit().unwrap();
    let filter = Filter::tagged("k", "v").unwrap();
    assert_eq!(store.query(&filter).await.unwrap().events.len(), 1);
}
