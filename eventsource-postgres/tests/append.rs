//! Group commit: who shares a batch has his own verdict; and what an append leaves behind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use eventsource_core::{
    Append, Conflict, ErrorKind, EventId, EventStore, EventStoreExt, ExpectedVersion, Filter, Position,
    Version,
};
use futures_util::future::join_all;
use sqlx::Row as _;
use support::{event, one, order, run, store, tagged, to_new};

#[tokio::test]
async fn a_failing_append_does_not_fail_its_neighbours() {
    let store = store("neighbours").await;
    run(store.pool(), "ALTER TABLE events ADD CONSTRAINT no_such CHECK (event_type <> 'Forbidden')").await;
    let results =
        join_all((0..40).map(|n| store.append(one(if n % 10 == 3 { "Forbidden" } else { "Fine" })))).await;
    for (n, result) in results.into_iter().enumerate() {
        if n % 10 == 3 {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Backend);
            assert!(!format!("{error:?}").contains("cust-123"), "no payload in an error: {error:?}");
        } else {
            result.unwrap();
        }
    }
    assert_eq!(store.query(&Filter::all()).await.unwrap().events.len(), 36);
    store.close().await.unwrap();
}

#[tokio::test]
async fn positions_have_no_gaps_even_after_refusals() {
    let store = store("gaps").await;
    let stream = order();
    join_all((0..30).map(|_| store.append(to_new(&stream)))).await;
    let appended = store.append(one("Next")).await.unwrap();
    assert_eq!(appended.first, Position::from_raw(2));
    store.close().await.unwrap();
}

#[tokio::test]
async fn in_one_batch_later_appends_see_earlier_ones() {
    let store = store("batch").await;
    let streams = [order(), order()];
    let boundary = Filter::tagged("unit", "a").unwrap();
    let results = join_all((0..20).map(|n| {
        let append = if n % 2 == 0 {
            to_new(&streams[n / 2 % 2])
        } else {
            Append::events([tagged("Claimed", "a")]).fail_if(boundary.clone())
        };
        store.append(append)
    }))
    .await;
    // The first of all claims the boundary; of the others only the second stream's first has a chance.
    assert!(results[0].is_ok() && results[2].is_ok());
    for (n, result) in results.iter().enumerate().filter(|(n, _)| ![0, 2].contains(n)) {
        let error = result.as_ref().unwrap_err();
        match (n % 2, error.conflict().unwrap()) {
            (0, Conflict::StreamVersion { actual, .. }) => assert_eq!(*actual, Some(Version::FIRST)),
            (1, Conflict::Condition { position, event_type }) => {
                assert_eq!((*position, event_type.as_str()), (Position::from_raw(1), "OrderCreated"));
            }
            (_, other) => panic!("{other:?}"),
        }
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn the_same_append_many_times_at_once_is_stored_once() {
    let store = store("same").await;
    let append = Append::to_stream(order(), ExpectedVersion::NoStream, [event("A"), event("B")])
        .and_stream(order(), ExpectedVersion::Any, [event("C")])
        .and_events([event("D")]);
    let results = join_all((0..10).map(|_| store.append(append.clone()))).await;
    let first = results[0].as_ref().unwrap();
    assert!(!first.replayed);
    assert_eq!((first.first.to_raw(), first.last.to_raw(), first.versions.len()), (1, 4, 2));
    for result in &results[1..] {
        let replayed = result.as_ref().unwrap();
        assert!(replayed.replayed);
        assert_eq!((&replayed.versions, replayed.first), (&first.versions, first.first));
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn part_of_a_stored_append_is_a_duplicate() {
    let store = store("part").await;
    let (a, b, c) = (event("A"), event("B"), event("C"));
    store.append(Append::events([a.clone(), b.clone()])).await.unwrap();
    let taken = |append: Append| async {
        match store.append(append).await.unwrap_err().conflict().unwrap() {
            Conflict::DuplicateEvent { event_id, position } => (*event_id, position.to_raw()),
            other => panic!("{other:?}"),
        }
    };
    let id = |event: &eventsource_core::NewEvent| -> EventId { event.event_id() };
    assert_eq!(taken(Append::events([a.clone()])).await, (id(&a), 1), "shorter");
    assert_eq!(taken(Append::events([b.clone()])).await, (id(&b), 2), "its end");
    assert_eq!(taken(Append::events([b.clone(), a.clone()])).await, (id(&b), 2), "another order");
    assert_eq!(taken(Append::events([c, a.clone(), b.clone()])).await, (id(&a), 1), "longer");
    assert_eq!(taken(Append::events([a.clone().tag("x", 1).unwrap(), b.clone()])).await, (id(&a), 1));
    let elsewhere = Append::to_stream(order(), ExpectedVersion::Any, [a.clone(), b.clone()]);
    assert_eq!(taken(elsewhere).await, (id(&a), 1), "to another stream");
    assert!(store.append(Append::events([a, b])).await.unwrap().replayed);
    store.close().await.unwrap();
}

#[tokio::test]
async fn everything_that_an_event_carries_is_in_its_columns() {
    let store = store("columns").await;
    let stream = order();
    store
        .append(Append::to_stream(
            stream,
            ExpectedVersion::Any,
            [tagged("OrderCreated", "a").actor("ann").unwrap()],
        ))
        .await
        .unwrap();
    let row = sqlx::query(
        "SELECT aggregate_type, actor_id, version, tags, timestamp = created_at, append_index FROM events",
    )
    .fetch_one(store.pool())
    .await
    .unwrap();
    assert_eq!(row.get::<String, _>(0), "Order");
    assert_eq!(row.get::<String, _>(1), "ann");
    assert_eq!(row.get::<i64, _>(2), 1);
    assert_eq!(row.get::<Vec<String>, _>(3), ["unit:a"]);
    assert!(row.get::<bool, _>(4));
    assert_eq!(row.get::<i32, _>(5), 0);
    store.close().await.unwrap();
}

#[tokio::test]
async fn closing_drains_the_queue_and_refuses_the_rest() {
    let store = store("close").await;
    let appending = join_all((0..50).map(|_| store.append(one("A"))));
    let (results, closed) = tokio::join!(appending, store.close());
    closed.unwrap();
    assert!(results.iter().all(Result::is_ok));
    store.close().await.unwrap();
    assert_eq!(store.append(one("A")).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.head().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.changes().changed().await.unwrap_err().kind(), ErrorKind::Unavailable);
}
