//! What a view's handler does to the transaction that it is given.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use async_trait::async_trait;
use eventsource_core::{
    CheckpointSave, CheckpointStore, ConsumerName, DeadLetterQuery, DeadLetters, Delivery, DeliveryFailure,
    EventStore, EventStoreExt, Filter, HandlerError, LogIdentity, NewDeadLetter, Purpose, Record,
    RecordedEvent, Sink,
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
