//! What a view's handler does on the writer's own connection.

mod common;

use common::{event, fresh, one, open, stream};
use eventsource_core::{
    Append, CheckpointSave, CheckpointStore, Conflict, ConsumerName, Delivery, EventStore, EventStoreExt,
    ExpectedVersion, Filter, HandlerError, LogIdentity, Purpose, Record, RecordedEvent, Sink, Version,
};
use eventsource_sqlite::{SqliteConfig, SqliteInlineView, SqliteStore};
use rusqlite::Transaction;

#[tokio::test]
async fn a_handler_that_puts_another_transaction_in_the_place_of_its_own_is_found_out() {
    for replacing in ["ROLLBACK; BEGIN", "COMMIT", "BEGIN IMMEDIATE"] {
        let (_directory, path) = fresh();
        let store = open(&path).await;
        store.append(Append::events([event("A")])).await.unwrap();
        let projection = store.project(
            move |transaction: &Transaction<'_>, _: &RecordedEvent| -> Result<(), HandlerError> {
                // It goes on as if that had been right.
                if replacing == "BEGIN IMMEDIATE" {
                    drop(transaction.execute_batch("COMMIT"));
                }
                drop(transaction.execute_batch(replacing));
                Ok(())
            },
        );
        let queried = store.query(&Filter::all()).await.unwrap();
        let consumer = ConsumerName::new("replacing").unwrap();
        let save = CheckpointSave::first(consumer.clone(), store.log_id().await.unwrap());
        let record = Record::Checkpoint(save.scanned_to(queried.head));
        let delivery = Delivery { events: queried.events, record, purpose: Purpose::Live, timeout: None };
        let error = projection.deliver(&delivery).await.unwrap_err();
        assert!(format!("{error:?}").contains("ended the transaction"), "{replacing}: {error:?}");
        assert_eq!(store.load_checkpoint(&consumer).await.unwrap(), None, "{replacing}");
        store.append(Append::events([event("B")])).await.unwrap();
    }
}

/// The writer remembers the versions of streams that it wrote; a handler appends on the same connection, which
/// `data_version` doesn't tell.
#[tokio::test]
async fn no_version_is_remembered_past_what_a_handler_appends() {
    let (_directory, path) = fresh();
    let store = open(&path).await;
    let stream = stream();
    let at = |version: u64| ExpectedVersion::Exact(Version::new(version).unwrap());
    let append = |expected| store.append(Append::to_stream(stream.clone(), expected, [event("A")]));
    let before = append(ExpectedVersion::NoStream).await.unwrap().last;

    let (inner, target) = (store.clone(), stream.clone());
    let projection =
        store.project(move |transaction: &Transaction<'_>, _: &RecordedEvent| -> Result<(), HandlerError> {
            let reaction =
                Append::to_stream(target.clone(), ExpectedVersion::Any, [event("Reacted").tag("k", 1)?]);
            inner.append_in(transaction, reaction)?;
            Ok(())
        });
    let queried = store.query(&Filter::all()).await.unwrap();
    let log_id = store.log_id().await.unwrap();
    let consumer = ConsumerName::new("reacting").unwrap();
    let record = Record::Checkpoint(CheckpointSave::first(consumer, log_id).scanned_to(queried.head));
    let delivery = Delivery { events: queried.events, record, purpose: Purpose::Live, timeout: None };
    projection.deliver(&delivery).await.unwrap();

    // The same goes for the tags that it wrote.
    let unless = Append::events([event("A")]).fail_if(Filter::tagged("k", 1).unwrap()).after(before);
    assert!(store.append(unless).await.unwrap_err().is_conflict());

    // This one first: a wrong version that is accepted runs into the unique index, after which all is looked up anew.
    append(at(2)).await.unwrap();
    let refused = append(at(2)).await.unwrap_err();
    assert!(matches!(
        refused.conflict(),
        Some(Conflict::StreamVersion { actual: Some(actual), .. }) if actual.get() == 3
    ));
}

/// A view that is kept inline works within the append, and the handler that appends goes on afterwards.
#[tokio::test]
async fn a_handler_that_has_appended_to_inline_views_still_cannot_end_the_transaction() {
    for replacing in ["COMMIT", "COMMIT; BEGIN IMMEDIATE"] {
        let (_directory, path) = fresh();
        let apply = |_: &Transaction<'_>, _: &RecordedEvent| -> Result<(), HandlerError> { Ok(()) };
        let inline = SqliteInlineView::new("inline", apply).unwrap();
        let store = SqliteStore::open(SqliteConfig::file(&path).inline(inline)).await.unwrap();
        let head = store.append(one("A")).await.unwrap().last;
        let inner = store.clone();
        let projection = store.project(
            move |transaction: &Transaction<'_>, _: &RecordedEvent| -> Result<(), HandlerError> {
                inner.append_in(transaction, one("Reacted"))?;
                // It goes on as if that had been right.
                drop(transaction.execute_batch(replacing));
                Ok(())
            },
        );
        let events = store.query(&Filter::all()).await.unwrap().events;
        let consumer = ConsumerName::new("replacing").unwrap();
        let save = CheckpointSave::first(consumer.clone(), store.log_id().await.unwrap());
        let record = Record::Checkpoint(save.scanned_to(head));
        let delivery = Delivery { events, record, purpose: Purpose::Live, timeout: None };
        let delivered = projection.deliver(&delivery).await;
        assert_eq!(store.head().await.unwrap(), head, "{replacing}: what it appended is in the log");
        assert_eq!(store.load_checkpoint(&consumer).await.unwrap(), None, "{replacing}");
        let error = delivered.unwrap_err();
        assert!(format!("{error:?}").contains("ended the transaction"), "{replacing}: {error:?}");
    }
}
