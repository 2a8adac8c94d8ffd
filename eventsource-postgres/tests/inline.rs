//! What a handler may do to the transaction that the append is in, and what it may not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::error::Error as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use eventsource_core::{
    Append, ErrorKind, EventStore, HandlerError, HandlerTimedOut, Purpose, RecordedEvent, Result, ViewRefusal,
};
use eventsource_postgres::{PostgresConfig, PostgresInlineView, PostgresStore, PostgresView};
use futures_util::future::join_all;
use sqlx::{PgConnection, PgPool};
use support::{config, database, event, one, order, run, small, to_new};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

/// Notes positions of events, and does to the transaction what their types say.
struct Notes;

#[async_trait]
impl PostgresView for Notes {
    async fn apply(
        &self,
        connection: &mut PgConnection,
        event: &RecordedEvent,
        _purpose: Purpose,
    ) -> Result<(), HandlerError> {
        sqlx::query("INSERT INTO notes (position) VALUES ($1)")
            .bind(event.position().to_i64())
            .execute(&mut *connection)
            .await?;
        let sql = match event.event_type().as_str() {
            "Commits" => "COMMIT",
            "RollsBack" => "ROLLBACK",
            "CommitsAndErrs" => "COMMIT; SELECT 1 / 0",
            "CommitsAndErrsInNext" => "COMMIT; BEGIN; SELECT 1 / 0",
            "CommitsAndPanics" => {
                sqlx::raw_sql("COMMIT").execute(connection).await?;
                panic!("as the event says");
            }
            "CommitsAndWaits" => {
                sqlx::raw_sql("COMMIT").execute(connection).await?;
                std::future::pending::<()>().await;
                return Ok(());
            }
            "CommitsAndDies" => "COMMIT; SELECT pg_terminate_backend(pg_backend_pid())",
            "Dies" => "SELECT pg_terminate_backend(pg_backend_pid())",
            "RollsBackAndErrs" => "ROLLBACK; SELECT 1 / 0",
            "Sleeps" => "SELECT pg_sleep(60)",
            "Errs" => "SELECT 1 / 0",
            "Fails" => return Err("as the event says".into()),
            "ErrsInSecret" => {
                let _ = sqlx::raw_sql("SELECT 1 / 0").execute(&mut *connection).await;
                return Ok(());
            }
            "Waits" => {
                std::future::pending::<()>().await;
                return Ok(());
            }
            _ => return Ok(()),
        };
        sqlx::raw_sql(sql).execute(connection).await?;
        Ok(())
    }

    async fn prepare(&self, connection: &mut PgConnection) -> Result<(), HandlerError> {
        let sql = "CREATE TABLE IF NOT EXISTS notes (n BIGSERIAL PRIMARY KEY, position BIGINT NOT NULL)";
        sqlx::raw_sql(sql).execute(connection).await?;
        Ok(())
    }
}

fn keeping(config: PostgresConfig, limit: Duration) -> PostgresConfig {
    config.inline(PostgresInlineView::new("notes", Notes).unwrap().timeout(limit))
}

async fn store(name: &str) -> PostgresStore {
    PostgresStore::connect(keeping(config(name).await, Duration::from_secs(30))).await.unwrap()
}

async fn noted(store: &PostgresStore) -> Vec<i64> {
    sqlx::query_scalar("SELECT position FROM notes ORDER BY n").fetch_all(store.pool()).await.unwrap()
}

#[tokio::test]
async fn a_failed_statement_refuses_its_append_only() {
    let store = store("errs").await;
    for bad in ["Errs", "ErrsInSecret", "Fails"] {
        let before = store.head().await.unwrap().to_i64();
        let types = ["Good", bad, "Good", "Good", bad];
        let answers = join_all(types.map(|each| store.append(one(each)))).await;
        for (each, answer) in types.into_iter().zip(answers) {
            let refusal = answer.err().and_then(|error| error.view_refusal().cloned());
            let refused = matches!(refusal, Some(ViewRefusal::Failed { .. }));
            assert_eq!(refused, each == bad, "{each}: {refusal:?}");
        }
        assert_eq!(store.head().await.unwrap().to_i64(), before + 3);
        assert_eq!(noted(&store).await, (1..=before + 3).collect::<Vec<_>>());
    }
    store.close().await.unwrap();
}

/// Nobody but the handler knows whether the events are in the log now.
#[tokio::test]
async fn a_handler_that_ends_the_transaction_is_found_out() {
    for (name, bad, stays) in [("commits", "Commits", 1), ("rolls_back", "RollsBack", 0)] {
        let store = store(name).await;
        let error = store.append(one(bad)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error:?}");
        assert!(error.to_string().contains("notes"), "{error}");
        assert_eq!(store.head().await.unwrap().to_raw(), stays);
        store.close().await.unwrap();
    }
}

/// What commits the append, and fails then.
const COMMIT_AND_FAIL: [&str; 5] =
    ["CommitsAndErrs", "CommitsAndErrsInNext", "CommitsAndPanics", "CommitsAndWaits", "CommitsAndDies"];

/// Nobody may be told that nothing was written where it was.
#[tokio::test]
async fn what_a_handler_has_committed_before_it_failed_is_not_refused() {
    for bad in COMMIT_AND_FAIL {
        let config = keeping(config(&bad.to_lowercase()).await, Duration::from_secs(1)).max_connections(1);
        let store = PostgresStore::connect(config).await.unwrap();
        let error = store.append(one(bad)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{bad}: {error:?}");
        assert_eq!(store.head().await.unwrap().to_raw(), 1, "{bad}");
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn what_a_handler_has_committed_of_a_batch_is_not_refused() {
    for (name, bad) in [("batch_errs", "Errs"), ("batch_secret", "ErrsInSecret"), ("batch_waits", "Waits")] {
        let config = keeping(config(name).await, Duration::from_secs(1));
        let store = PostgresStore::connect(config).await.unwrap();
        let answers = join_all(["Commits", bad].map(|each| store.append(one(each)))).await;
        assert_eq!(store.head().await.unwrap().to_raw(), 2, "they were one batch");
        for answer in answers {
            let error = answer.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{bad}: {error:?}");
        }
        store.close().await.unwrap();
    }
}

/// Whoever may decide again is told so, where that is certain.
#[tokio::test]
async fn what_is_undone_is_told_as_such_whatever_the_handler_did() {
    for (name, bad, kind) in [
        ("rolls_back_and_errs", "RollsBackAndErrs", ErrorKind::Refused),
        ("dies", "Dies", ErrorKind::Unavailable),
    ] {
        let config = keeping(config(name).await, Duration::from_secs(30)).max_connections(1);
        let store = PostgresStore::connect(config).await.unwrap();
        let error = store.append(one(bad)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{bad}: {error:?}");
        assert_eq!(store.head().await.unwrap().to_raw(), 0, "{bad}");
        store.append(one("Good")).await.unwrap();
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_handler_that_takes_too_long_has_failed_and_holds_up_nobody() {
    let config = keeping(config("too_long").await, Duration::from_secs(1));
    let store = PostgresStore::connect(config).await.unwrap();
    for bad in ["Sleeps", "Waits"] {
        let begun = Instant::now();
        let error = store.append(one(bad)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error:?}");
        assert!(error.source().unwrap().is::<HandlerTimedOut>(), "{error:?}");
        timeout(Duration::from_secs(40), store.append(one("Good"))).await.unwrap().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(40));
    }
    assert_eq!(noted(&store).await, [1, 2]);
    store.close().await.unwrap();
}

/// Says that it has begun, and stands still with its whole process until it is told to go on.
struct StandsStill {
    begun: mpsc::UnboundedSender<()>,
    goes_on: Mutex<std::sync::mpsc::Receiver<()>>,
}

#[async_trait]
impl PostgresView for StandsStill {
    async fn apply(
        &self,
        _connection: &mut PgConnection,
        _event: &RecordedEvent,
        _purpose: Purpose,
    ) -> Result<(), HandlerError> {
        self.begun.send(())?;
        self.goes_on.lock().unwrap().recv_timeout(Duration::from_secs(60))?;
        Ok(())
    }
}

#[tokio::test]
async fn a_process_that_stands_still_in_a_handler_holds_up_others_no_longer_than_its_limit() {
    let url = database("stands_still").await;
    let plain = PostgresStore::connect(small(&url)).await.unwrap();
    let (begun, mut has_begun) = mpsc::unbounded_channel();
    let (go_on, goes_on) = std::sync::mpsc::channel();
    let still = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let view = StandsStill { begun, goes_on: Mutex::new(goes_on) };
            let view = PostgresInlineView::new("still", view).unwrap().timeout(Duration::from_secs(1));
            let store = PostgresStore::connect(small(&url).inline(view)).await.unwrap();
            let answer = store.append(one("Still")).await;
            store.close().await.unwrap();
            answer
        })
    });
    has_begun.recv().await.unwrap();
    plain.append(one("Others")).await.unwrap();
    go_on.send(()).unwrap();
    let error = still.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend, "{error:?}");
    assert_eq!(plain.head().await.unwrap().to_raw(), 1);
    plain.close().await.unwrap();
}

#[tokio::test]
async fn a_callers_transaction_goes_on_after_a_refusal() {
    let store = store("goes_on").await;
    run(store.pool(), "CREATE TABLE own (n int)").await;
    let stream = order();
    store.append(to_new(&stream)).await.unwrap();
    let mut transaction = store.pool().begin().await.unwrap();
    sqlx::query("INSERT INTO own VALUES (1)").execute(&mut *transaction).await.unwrap();
    for bad in ["Errs", "Fails"] {
        let failing = Append::events([event("Good"), event(bad)]);
        let error = store.append_in(&mut transaction, failing).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error:?}");
    }
    assert!(store.append_in(&mut transaction, to_new(&stream)).await.unwrap_err().is_conflict());
    store.append_in(&mut transaction, one("Good")).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(noted(&store).await, [1, 2]);
    assert_eq!(run(store.pool(), "SELECT * FROM own").await, 1);
    store.close().await.unwrap();
}

/// The transaction's end is the caller's to know, unless a handler has taken it away.
#[tokio::test]
async fn a_handler_that_ends_a_callers_transaction_is_found_out() {
    let ends = [
        ("caller_commits", "Commits", 1),
        ("caller_rolls_back", "RollsBack", 0),
        ("caller_commits_and_errs", "CommitsAndErrs", 1),
        ("caller_errs_in_next", "CommitsAndErrsInNext", 1),
        ("caller_rolls_back_and_errs", "RollsBackAndErrs", 0),
    ];
    for (name, bad, stays) in ends {
        let config = keeping(config(name).await, Duration::from_secs(30)).max_connections(1);
        let store = PostgresStore::connect(config).await.unwrap();
        let mut transaction = store.pool().begin().await.unwrap();
        let error = store.append_in(&mut transaction, one(bad)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error:?}");
        transaction.commit().await.unwrap_err();
        assert_eq!(store.head().await.unwrap().to_raw(), stays);
        store.pool().begin().await.unwrap().rollback().await.unwrap();
        store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_prepare_and_catch_up_at_once() {
    let url = database("at_once").await;
    let plain = PostgresStore::connect(small(&url)).await.unwrap();
    plain.append(Append::events((0..1_300).map(|_| event("Old")))).await.unwrap();
    let connect =
        |_| PostgresStore::connect(keeping(small(&url).max_connections(2), Duration::from_secs(30)));
    let stores: Vec<_> = join_all((0..4).map(connect)).await.into_iter().map(Result::unwrap).collect();
    let appends = stores.iter().flat_map(|store| (0..10).map(|_| store.append(one("New"))));
    for answer in join_all(appends).await {
        answer.unwrap();
    }
    assert_eq!(noted(&plain).await, (1..=1_340).collect::<Vec<_>>());
    for store in stores.iter().chain([&plain]) {
        store.close().await.unwrap();
    }
}

/// Whether it is prepared by two at once.
#[derive(Clone, Default)]
struct Prepares {
    is_at_it: Arc<AtomicBool>,
    met_another: Arc<AtomicBool>,
}

#[async_trait]
impl PostgresView for Prepares {
    async fn apply(&self, _: &mut PgConnection, _: &RecordedEvent, _: Purpose) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn prepare(&self, _connection: &mut PgConnection) -> Result<(), HandlerError> {
        if self.is_at_it.swap(true, Ordering::SeqCst) {
            self.met_another.store(true, Ordering::SeqCst);
        }
        sleep(Duration::from_millis(100)).await;
        self.is_at_it.store(false, Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test]
async fn a_view_is_prepared_by_one_at_a_time_whether_it_is_new_or_not() {
    let url = database("prepares").await;
    let view = Prepares::default();
    for _ in 0..2 {
        let connect = |_| {
            let inline = PostgresInlineView::new("prepares", view.clone()).unwrap();
            PostgresStore::connect(small(&url).max_connections(2).inline(inline))
        };
        for opened in join_all((0..4).map(connect)).await {
            opened.unwrap().close().await.unwrap();
        }
    }
    assert!(!view.met_another.load(Ordering::SeqCst));
}

/// Has another instance begin the checkpoint while it works.
struct Meanwhile(PgPool);

#[async_trait]
impl PostgresView for Meanwhile {
    async fn apply(&self, _: &mut PgConnection, _: &RecordedEvent, _: Purpose) -> Result<(), HandlerError> {
        const BEGIN: &str = "INSERT INTO projection_checkpoints (projection_name, log_id, global_position)
            SELECT 'meanwhile', id, 2 FROM log ON CONFLICT DO NOTHING";
        run(&self.0, BEGIN).await;
        Ok(())
    }
}

#[tokio::test]
async fn a_checkpoint_that_another_has_begun_meanwhile_is_not_overwritten() {
    let url = database("meanwhile").await;
    let plain = PostgresStore::connect(small(&url)).await.unwrap();
    let view = PostgresInlineView::new("meanwhile", Meanwhile(plain.pool().clone())).unwrap();
    let store = PostgresStore::connect(small(&url).inline(view)).await.unwrap();
    plain.append(Append::events([event("A"), event("B")])).await.unwrap();
    run(plain.pool(), "DELETE FROM projection_checkpoints").await;
    let error = store.append(one("C")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert_eq!(run(plain.pool(), "SELECT FROM projection_checkpoints WHERE global_position = 2").await, 1);
    assert_eq!(store.append(one("C")).await.unwrap().last.to_raw(), 3);
    store.close().await.unwrap();
    plain.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_appended_to_can_be_opened_with_its_views() {
    let url = database("opened_meanwhile").await;
    let connect = || PostgresStore::connect(keeping(small(&url).max_connections(2), Duration::from_secs(30)));
    let busy = connect().await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let appending = tokio::spawn({
        let (busy, stop) = (busy.clone(), stop.clone());
        async move {
            while !stop.load(Ordering::Relaxed) {
                busy.append(one("New")).await.unwrap();
            }
        }
    });
    for _ in 0..20 {
        connect().await.unwrap().close().await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    appending.await.unwrap();
    busy.close().await.unwrap();
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let view = || PostgresInlineView::new("notes", Notes).unwrap();
    let twice = PostgresConfig::new("postgres://nowhere").inline(view()).inline(view());
    assert_eq!(PostgresStore::connect(twice).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(PostgresInlineView::new("", Notes).is_err());
}
