//! What a view's handler does to the transaction that it is given.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use async_trait::async_trait;
use eventsource_core::{
    CheckpointSave, CheckpointStore, ConsumerName, DeadLetterQuery, DeadLetters, Delivery, DeliveryFailure,
    EventStore, EventStoreExt, Filter, HandlerError, HandlerTimedOut, LogIdentity, NewDeadLetter, Purpose,
    Record, RecordedEvent, Sink,
};
use eventsource_postgres::{PostgresStore, PostgresView};
use sqlx::PgConnection;
use support::{one, run, store};

/// Does to the transaction what it says, and goes on as if that had been right.
struct Ends(&'static str);

#[async_trait]
impl PostgresView for Ends {
    async fn apply(
        &self,
        connection: &mut PgConnection,
        _event: &RecordedEvent,
        _purpose: Purpose,
    ) -> Result<(), HandlerError> {
        self.switch(connection).await
    }

    async fn switch(&self, connection: &mut PgConnection) -> Result<(), HandlerError> {
        sqlx::raw_sql("INSERT INTO own VALUES (1)").execute(&mut *connection).await?;
        sqlx::raw_sql(self.0).execute(connection).await?;
        Ok(())
    }
}

const ENDS: [(&str, &str); 4] = [
    ("commit", "COMMIT"),
    ("roll_back", "ROLLBACK"),
    ("commit_and_begin", "COMMIT; BEGIN; INSERT INTO own VALUES (2)"),
    ("roll_back_and_begin", "ROLLBACK; BEGIN"),
];

async fn log_of_one(kind: &str, name: &str) -> (PostgresStore, Vec<RecordedEvent>, CheckpointSave) {
    let store = store(&format!("{kind}_{name}")).await;
    run(store.pool(), "CREATE TABLE own (n int)").await;
    store.append(one("A")).await.unwrap();
    let events = store.query(&Filter::all()).await.unwrap().events;
    let first = CheckpointSave::first(ConsumerName::new("ending").unwrap(), store.log_id().await.unwrap());
    let save = events.iter().fold(first, CheckpointSave::past);
    (store, events, save)
}

async fn is_found_out(store: &PostgresStore, ends: &'static str, delivery: Delivery) {
    let error = store.project(Ends(ends)).deliver(&delivery).await.unwrap_err();
    assert!(format!("{error:?}").contains("ended the transaction"), "{ends}: {error:?}");
    let of_events = matches!(error.cause, DeliveryFailure::Event { .. } | DeliveryFailure::Page(_));
    assert_eq!(of_events, !delivery.events.is_empty(), "{ends}: {error:?}");
}

#[tokio::test]
async fn no_checkpoint_is_saved_where_a_handler_ends_the_transaction() {
    for (name, ends) in ENDS {
        let (store, events, save) = log_of_one("checkpoint", name).await;
        let consumer = save.consumer().clone();
        let head = store.append(one("A")).await.unwrap().last;
        // The first one is inserted, the next ones are updates.
        let next = CheckpointSave::following(&save.to_checkpoint(events[0].recorded_at())).scanned_to(head);
        for save in [save, next] {
            let before = store.load_checkpoint(&consumer).await.unwrap();
            let record = Record::Checkpoint(save.clone());
            let delivery = Delivery { events: events.clone(), record, purpose: Purpose::Live, timeout: None };
            is_found_out(&store, ends, delivery).await;
            assert_eq!(store.load_checkpoint(&consumer).await.unwrap(), before, "{ends}");
            store.save_checkpoint(&save).await.unwrap();
        }
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn no_letter_is_resolved_where_a_handler_ends_the_transaction() {
    for (name, ends) in ENDS {
        let (store, events, save) = log_of_one("letter", name).await;
        let letter = NewDeadLetter::new(save.consumer().clone(), events[0].clone(), "it failed", 1);
        store.park(&letter).await.unwrap();
        let record = Record::Resolved { key: letter.key(), by: "ann".to_owned() };
        let delivery = Delivery { events, record, purpose: Purpose::Live, timeout: None };
        is_found_out(&store, ends, delivery).await;
        let open = DeadLetterQuery::all().in_state(eventsource_core::DeadLetterState::Failed);
        assert_eq!(store.count_dead_letters(&open).await.unwrap(), 1, "{ends}");
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn no_checkpoint_is_handed_over_where_a_switch_ends_the_transaction() {
    for (name, ends) in ENDS {
        let (store, _, save) = log_of_one("switch", name).await;
        store.save_checkpoint(&save).await.unwrap();
        let to = ConsumerName::new("live").unwrap();
        let from = CheckpointSave::following(
            &store.load_checkpoint(save.consumer()).await.unwrap().expect("it is saved"),
        );
        let record = Record::Switch { from, to: to.clone() };
        let delivery = Delivery { events: Vec::new(), record, purpose: Purpose::Rebuild, timeout: None };
        is_found_out(&store, ends, delivery).await;
        assert_eq!(store.load_checkpoint(&to).await.unwrap(), None, "{ends}");
        store.close().await.unwrap();
    }
}

/// Waits as long as the server lets it, or longer, as its events' types say.
struct Lasts;

#[async_trait]
impl PostgresView for Lasts {
    async fn apply(
        &self,
        connection: &mut PgConnection,
        event: &RecordedEvent,
        _purpose: Purpose,
    ) -> Result<(), HandlerError> {
        if event.event_type().as_str() == "Cancelled" {
            // As an administrator's `pg_cancel_backend` would.
            sqlx::raw_sql("SET LOCAL statement_timeout = 50").execute(&mut *connection).await?;
            sqlx::raw_sql("SELECT pg_sleep(60)").execute(connection).await?;
            return Ok(());
        }
        self.switch(connection).await
    }

    async fn switch(&self, connection: &mut PgConnection) -> Result<(), HandlerError> {
        for limit in ["statement_timeout", "idle_in_transaction_session_timeout"] {
            let setting: String = sqlx::query_scalar("SELECT current_setting($1)")
                .bind(limit)
                .fetch_one(&mut *connection)
                .await?;
            if setting != "0" {
                return Err(format!("{limit} is {setting}").into());
            }
        }
        Ok(())
    }
}

#[tokio::test]
async fn the_server_limits_no_handler_that_has_no_timeout() {
    let (store, events, save) = log_of_one("lasts", "no_timeout").await;
    let sink = store.project(Lasts);
    let record = Record::Checkpoint(save.clone());
    let delivery = Delivery { events, record, purpose: Purpose::Live, timeout: None };
    sink.deliver(&delivery).await.unwrap();
    let stored = store.load_checkpoint(save.consumer()).await.unwrap().expect("it is saved");
    let record =
        Record::Switch { from: CheckpointSave::following(&stored), to: ConsumerName::new("live").unwrap() };
    let switch = Delivery { events: Vec::new(), record, purpose: Purpose::Rebuild, timeout: None };
    sink.deliver(&switch).await.unwrap();
    let limited = Delivery { timeout: Some(Duration::from_secs(30)), ..switch };
    assert!(format!("{:?}", sink.deliver(&limited).await.unwrap_err()).contains("timeout is 30s"));
    store.close().await.unwrap();
}

/// Takes its time, and asks the database for nothing.
struct Thinks(Duration);

#[async_trait]
impl PostgresView for Thinks {
    async fn apply(&self, _: &mut PgConnection, _: &RecordedEvent, _: Purpose) -> Result<(), HandlerError> {
        tokio::time::sleep(self.0).await;
        Ok(())
    }
}

#[tokio::test]
async fn the_server_limits_each_handler_and_not_a_page_of_them() {
    let store = store("silent").await;
    for _ in 0..8 {
        store.append(one("A")).await.unwrap();
    }
    let events = store.query(&Filter::all()).await.unwrap().events;
    let first = CheckpointSave::first(ConsumerName::new("thinking").unwrap(), store.log_id().await.unwrap());
    let save = events.iter().fold(first, CheckpointSave::past);
    let record = Record::Checkpoint(save.clone());
    let timeout = Some(Duration::from_millis(500));
    let delivery = Delivery { events, record, purpose: Purpose::Live, timeout };
    // Three times as long together.
    store.project(Thinks(Duration::from_millis(200))).deliver(&delivery).await.unwrap();
    let stored = store.load_checkpoint(save.consumer()).await.unwrap().expect("it is saved");
    assert_eq!(stored.position, save.position());
    store.close().await.unwrap();
}

/// The store would be asked again without end, and the failure policy never.
#[tokio::test]
async fn a_statement_that_is_cancelled_is_the_handlers_failure_whatever_its_timeout() {
    let store = store("cancelled").await;
    store.append(one("Cancelled")).await.unwrap();
    let events = store.query(&Filter::all()).await.unwrap().events;
    let first = CheckpointSave::first(ConsumerName::new("ending").unwrap(), store.log_id().await.unwrap());
    let save = events.iter().fold(first, CheckpointSave::past);
    for timeout in [None, Some(Duration::from_secs(30))] {
        let record = Record::Checkpoint(save.clone());
        let delivery = Delivery { events: events.clone(), record, purpose: Purpose::Live, timeout };
        let error = store.project(Lasts).deliver(&delivery).await.unwrap_err();
        let DeliveryFailure::Event { index: 0, error } = error.cause else {
            panic!("{timeout:?}: {error:?}")
        };
        assert_eq!(error.is::<HandlerTimedOut>(), timeout.is_some(), "{error:?}");
    }
    store.close().await.unwrap();
}
