//! What a handler may do to the transaction that the append is in, and what it may not.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use std::error::Error as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread::sleep;
use std::time::Duration;

use common::{event, fresh, one, to_new_stream};
use eventsource_core::{
    Append, Capability, ErrorKind, EventStore, Filter, HandlerError, HandlerTimedOut, Purpose, RecordedEvent,
    Result, ViewRefusal,
};
use eventsource_sqlite::{SqliteConfig, SqliteInlineView, SqliteStore, SqliteView};
use futures_util::future::join_all;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization, TransactionOperation};
use rusqlite::{Connection, Transaction, TransactionBehavior};

/// Notes the types of events, and does to the transaction what they say.
#[derive(Clone, Default)]
struct Notes {
    store: Arc<OnceLock<SqliteStore>>,
}

impl SqliteView for Notes {
    fn apply(
        &self,
        transaction: &Transaction<'_>,
        event: &RecordedEvent,
        _purpose: Purpose,
    ) -> Result<(), HandlerError> {
        transaction.execute("INSERT INTO notes VALUES (?1)", [event.position().to_i64()])?;
        match event.event_type().as_str() {
            // It goes on as if that had been right.
            "Commits" => drop(transaction.execute_batch("COMMIT")),
            "RollsBack" => transaction.execute_batch("ROLLBACK")?,
            "BeginsAnew" => transaction.execute_batch("ROLLBACK; BEGIN")?,
            "CommitsAndBeginsAnew" => {
                drop(transaction.execute_batch("COMMIT"));
                transaction.execute_batch("BEGIN IMMEDIATE")?;
            }
            "BeginsAnewForGood" => {
                transaction.execute_batch("ROLLBACK; BEGIN")?;
                transaction.authorizer(Some(|context: AuthContext<'_>| match context.action {
                    AuthAction::Transaction { operation: TransactionOperation::Rollback } => {
                        Authorization::Deny
                    }
                    _ => Authorization::Allow,
                }))?;
            }
            "BeginsAnewAndFails" => {
                transaction.execute_batch("ROLLBACK; BEGIN")?;
                return Err(Box::new(Unwilling));
            }
            "Sleeps" => sleep(Duration::from_millis(250)),
            "Appends" => drop(self.store.get().unwrap().append_in(transaction, one("Reaction"))?),
            "Fails" => return Err(Box::new(Unwilling)),
            _ => {}
        }
        Ok(())
    }

    fn prepare(&self, transaction: &Transaction<'_>) -> Result<(), HandlerError> {
        transaction.execute("CREATE TABLE IF NOT EXISTS notes (position INTEGER)", [])?;
        Ok(())
    }
}

#[derive(Debug)]
struct Unwilling;

impl std::fmt::Display for Unwilling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("it will not")
    }
}

impl std::error::Error for Unwilling {}

async fn open(path: &Path) -> SqliteStore {
    let notes = Notes::default();
    let view = SqliteInlineView::new("notes", notes.clone()).unwrap().timeout(Duration::from_secs(30));
    let store = SqliteStore::open(SqliteConfig::file(path).inline(view)).await.unwrap();
    assert!(notes.store.set(store.clone()).is_ok());
    store
}

fn noted(path: &Path) -> Vec<i64> {
    let own = Connection::open(path).unwrap();
    let mut statement = own.prepare("SELECT position FROM notes ORDER BY rowid").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(rusqlite::Result::unwrap).collect()
}

#[tokio::test]
async fn a_handler_that_ends_the_transaction_refuses_its_append_only() {
    let (_directory, path) = fresh();
    let store = open(&path).await;
    let mut log = 0;
    for bad in ["Commits", "RollsBack", "BeginsAnew", "CommitsAndBeginsAnew", "BeginsAnewAndFails"] {
        let types = ["Good", "Good", bad, "Good", bad, "Good"];
        let answers = join_all(types.map(|each| store.append(to_new_stream(each)))).await;
        for (each, answer) in types.into_iter().zip(answers) {
            let refusal = answer.err().and_then(|error| error.view_refusal().cloned());
            let refused = matches!(refusal, Some(ViewRefusal::Failed { .. }));
            assert_eq!(refused, each == bad, "{each}: {refusal:?}");
        }
        log += 4;
        assert_eq!(noted(&path), (1..=log).collect::<Vec<_>>());
        assert_eq!(store.head().await.unwrap().to_i64(), log);
    }
}

#[tokio::test]
async fn a_handler_that_takes_too_long_has_failed() {
    let (_directory, path) = fresh();
    let view = SqliteInlineView::new("notes", Notes::default()).unwrap().timeout(Duration::from_millis(200));
    let store = SqliteStore::open(SqliteConfig::file(&path).inline(view)).await.unwrap();
    let error = store.append(one("Sleeps")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.source().unwrap().is::<HandlerTimedOut>(), "{error:?}");
    assert!(noted(&path).is_empty());
}

#[tokio::test]
async fn the_handlers_own_error_is_the_source() {
    let (_directory, path) = fresh();
    let store = open(&path).await;
    let error = store.append(one("Fails")).await.unwrap_err();
    assert!(error.source().unwrap().is::<Unwilling>(), "{error:?}");
    assert!(!error.is_retryable() && !error.is_conflict());
}

/// Also where they are more than fit into a page.
#[tokio::test]
async fn an_append_makes_up_for_as_many_events_as_is_set() {
    let (_directory, path) = fresh();
    let view = SqliteInlineView::new("notes", Notes::default()).unwrap().most_behind(10_005);
    let view = view.filter(Filter::event_types(["Wanted"]).unwrap());
    let store = SqliteStore::open(SqliteConfig::file(&path).inline(view)).await.unwrap();
    let plain = common::open(&path).await;
    for (event_type, count) in [("Other", 100), ("Wanted", 10_000), ("Wanted", 5)] {
        plain.append(Append::events((0..count).map(|_| event(event_type)))).await.unwrap();
    }
    store.append(one("Wanted")).await.unwrap();
    assert_eq!(noted(&path).len(), 10_006);
    for (event_type, count) in [("Other", 100), ("Wanted", 10_000), ("Wanted", 6)] {
        plain.append(Append::events((0..count).map(|_| event(event_type)))).await.unwrap();
    }
    let refusal = store.append(one("Wanted")).await.unwrap_err().view_refusal().cloned();
    assert!(matches!(refusal, Some(ViewRefusal::Behind { .. })), "{refusal:?}");
}

#[tokio::test]
async fn a_handler_cannot_append() {
    let (_directory, path) = fresh();
    let store = open(&path).await;
    let error = store.append(one("Appends")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.source().unwrap().to_string().contains("can't append"), "{error:?}");
    store.append(one("Good")).await.unwrap();
    assert_eq!(noted(&path), [1]);
}

#[tokio::test]
async fn a_callers_transaction_goes_on_after_a_refusal() {
    let (_directory, path) = fresh();
    let store = open(&path).await;
    let mut own = Connection::open(&path).unwrap();
    own.execute_batch("CREATE TABLE own (n INTEGER)").unwrap();
    let transaction = own.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    transaction.execute("INSERT INTO own VALUES (1)", []).unwrap();
    let failing = Append::events([event("Good"), event("Fails")]);
    assert_eq!(store.append_in(&transaction, failing).unwrap_err().kind(), ErrorKind::Refused);
    store.append_in(&transaction, one("Good")).unwrap();
    transaction.commit().unwrap();
    assert_eq!(noted(&path), [1]);
    assert_eq!(store.head().await.unwrap().to_i64(), 1);
}

/// The store can't see what a handler does to a connection that is not its own; but the savepoint is gone.
#[tokio::test]
async fn a_handler_that_replaces_a_callers_transaction_leaves_nothing_of_it() {
    let (_directory, path) = fresh();
    let store = open(&path).await;
    let mut own = Connection::open(&path).unwrap();
    for bad in ["BeginsAnew", "BeginsAnewAndFails"] {
        let transaction = own.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        store.append_in(&transaction, one(bad)).unwrap_err();
        transaction.commit().unwrap_err();
        assert!(noted(&path).is_empty(), "{bad}");
    }
    store.append(one("Good")).await.unwrap();
    assert_eq!(noted(&path), [1]);
}

#[tokio::test]
async fn what_went_wrong_first_is_told_also_where_rolling_back_fails() {
    let (_directory, path) = fresh();
    let store = open(&path).await;
    let mut own = Connection::open(&path).unwrap();
    let transaction = own.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let error = store.append_in(&transaction, one("BeginsAnewForGood")).unwrap_err();
    assert!(error.source().unwrap().to_string().contains("no such savepoint"), "{error:?}");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let (_directory, path) = fresh();
    let view = || SqliteInlineView::new("notes", Notes::default()).unwrap();
    let twice = SqliteConfig::file(&path).inline(view()).inline(view());
    assert_eq!(SqliteStore::open(twice).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(!path.exists(), "nothing is changed then");
    let memory = SqliteStore::open(SqliteConfig::in_memory().inline(view())).await.unwrap_err();
    assert_eq!(memory.kind(), ErrorKind::Unsupported);
    assert!(memory.to_string().contains(&Capability::Inline.to_string()));
    assert!(SqliteInlineView::new("", Notes::default()).is_err());
}
