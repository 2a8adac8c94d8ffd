//! Every reading or maintaining statement of the tutorial runs as it stands there; and what the log promises survives
//! its archiving.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use eventsource_core::{
    Append, ClaimRequest, EventStore, EventStoreExt, ExpectedVersion, Filter, FilterItem, Outbox, Position,
    RecordedEvent, Settlement, StreamId,
};
use eventsource_postgres::PostgresStore;
use sqlx::Row as _;
use support::{order, run, store, tagged};

/// Two events that occurred two years ago and two of today, in one stream; then one in no stream.
async fn filled(name: &str) -> (PostgresStore, StreamId) {
    let store = store(name).await;
    let stream = order();
    #[expect(clippy::disallowed_methods, reason = "the statements compare with the server's time")]
    let long_ago = Utc::now() - TimeDelta::days(800);
    let old = |name: &str| tagged(name, "old").occurred_at(long_ago).unwrap();
    let events =
        [old("OrderCreated"), old("OrderPaid"), tagged("OrderShipped", "new"), tagged("OrderClosed", "new")];
    store.append(Append::to_stream(stream.clone(), ExpectedVersion::NoStream, events)).await.unwrap();
    store.append(Append::events([tagged("PricesRaised", "new")])).await.unwrap();
    (store, stream)
}

#[tokio::test]
async fn monitoring() {
    let (store, _) = filled("monitoring").await;
    let pool = store.pool();
    let total = sqlx::query("SELECT COUNT(*) AS total_events FROM events;").fetch_one(pool).await.unwrap();
    assert_eq!(total.get::<i64, _>("total_events"), 5);
    let by_type = "SELECT aggregate_type, COUNT(*) AS count
FROM events
GROUP BY aggregate_type
ORDER BY count DESC;";
    assert_eq!(run(pool, by_type).await, 2);
    let per_day = "SELECT DATE(timestamp) AS date, COUNT(*) AS events
FROM events
WHERE timestamp >= CURRENT_DATE - INTERVAL '7 days'
GROUP BY DATE(timestamp)
ORDER BY date DESC;";
    assert_eq!(run(pool, per_day).await, 1);
    let largest = "SELECT aggregate_id, aggregate_type, COUNT(*) AS event_count
FROM events
GROUP BY aggregate_id, aggregate_type
ORDER BY event_count DESC
LIMIT 10;";
    assert_eq!(run(pool, largest).await, 2);
    let size = "SELECT
    pg_size_pretty(pg_total_relation_size('events')) AS total_size,
    pg_size_pretty(pg_relation_size('events')) AS table_size,
    pg_size_pretty(pg_total_relation_size('events') - pg_relation_size('events')) AS index_size;";
    assert_eq!(run(pool, size).await, 1);
    store.close().await.unwrap();
}

/// The one statement that runs on no PostgreSQL: `pg_stat_user_indexes` has `relname` and `indexrelname`, and never had
/// `tablename` and `indexname`, which are `pg_indexes`'. It is shown to fail for that and nothing else, and runs with
/// the right names beside it.
#[tokio::test]
async fn index_usage() {
    let (store, _) = filled("index_usage").await;
    let seed = "SELECT
    schemaname,
    tablename,
    indexname,
    idx_scan AS scans,
    idx_tup_read AS tuples_read,
    idx_tup_fetch AS tuples_fetched
FROM pg_stat_user_indexes
WHERE tablename = 'events'
ORDER BY idx_scan DESC;";
    let error = sqlx::raw_sql(seed).execute(store.pool()).await.unwrap_err();
    let database = error.as_database_error().unwrap();
    assert_eq!(database.code().unwrap(), "42703");
    assert!(database.message().contains("tablename"), "{database}");
    let corrected = "SELECT
    schemaname,
    relname,
    indexrelname,
    idx_scan AS scans,
    idx_tup_read AS tuples_read,
    idx_tup_fetch AS tuples_fetched
FROM pg_stat_user_indexes
WHERE relname = 'events'
ORDER BY idx_scan DESC;";
    assert_eq!(run(store.pool(), corrected).await, 7);
    store.close().await.unwrap();
}

#[tokio::test]
async fn payloads() {
    let (store, _) = filled("payloads").await;
    let pool = store.pool();
    run(
        pool,
        "CREATE INDEX idx_events_payload_customer_id
    ON events ((payload->>'customer_id'));",
    )
    .await;
    run(
        pool,
        "CREATE INDEX idx_events_payload_gin
    ON events USING GIN (payload);",
    )
    .await;
    let by_customer = "SELECT * FROM events
WHERE payload->>'customer_id' = 'cust-123';";
    assert_eq!(run(pool, by_customer).await, 5);
    let bound = "SELECT event_id, event_type, payload
            FROM events
            WHERE payload->>'customer_id' = $1";
    assert_eq!(sqlx::query(bound).bind("cust-123").fetch_all(pool).await.unwrap().len(), 5);
    // The log works on beside the user's indexes.
    store.append(support::one("Another")).await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn the_outbox_worker() {
    let (store, _) = filled("outbox").await;
    run(
        store.pool(),
        "INSERT INTO event_outbox (event_id, event_type, aggregate_id, aggregate_type, tenant_id, event_data)
         SELECT event_id, event_type, aggregate_id, aggregate_type, tenant_id, payload FROM events",
    )
    .await;
    let select = "SELECT id, event_id, event_type, event_data
                        FROM event_outbox
                        WHERE status = 'pending'
                        ORDER BY created_at ASC
                        LIMIT 100
                        FOR UPDATE SKIP LOCKED";
    let mut worker = store.pool().begin().await.unwrap();
    let pending = sqlx::query(select).fetch_all(&mut *worker).await.unwrap();
    assert_eq!(pending.len(), 5);
    let mut second = store.pool().begin().await.unwrap();
    assert!(sqlx::query(select).fetch_all(&mut *second).await.unwrap().is_empty(), "they are locked");
    second.rollback().await.unwrap();
    let published = "UPDATE event_outbox
                                SET status = 'published',
                                    published_at = NOW()
                                WHERE id = $1";
    sqlx::query(published).bind(pending[0].get::<uuid::Uuid, _>(0)).execute(&mut *worker).await.unwrap();
    let failed = "UPDATE event_outbox
                                SET retry_count = retry_count + 1,
                                    last_error = $2,
                                    status = CASE
                                        WHEN retry_count >= 5 THEN 'failed'
                                        ELSE 'pending'
                                    END
                                WHERE id = $1";
    for _ in 0..6 {
        let id = pending[1].get::<uuid::Uuid, _>(0);
        sqlx::query(failed).bind(id).bind("broker down").execute(&mut *worker).await.unwrap();
    }
    worker.commit().await.unwrap();
    let states: Vec<(String, i64)> =
        sqlx::query_as("SELECT status, count(*) FROM event_outbox GROUP BY status ORDER BY status")
            .fetch_all(store.pool())
            .await
            .unwrap();
    assert_eq!(states, [("failed".into(), 1), ("pending".into(), 3), ("published".into(), 1)]);
    store.close().await.unwrap();
}

/// What the store puts into its outbox, the tutorial's worker can read; and what that has published, no relay publishes.
#[tokio::test]
async fn the_outbox_worker_on_the_stores_own_entries() {
    let config = support::config("own_outbox").await.outbox(Filter::all());
    let store = PostgresStore::connect(config).await.unwrap();
    let stream = order();
    let events = [tagged("OrderCreated", "a"), tagged("OrderShipped", "a")];
    store.append(Append::to_stream(stream.clone(), ExpectedVersion::NoStream, events)).await.unwrap();
    let pending: Vec<(uuid::Uuid, String, serde_json::Value)> = sqlx::query_as(
        "SELECT id, event_type, event_data
                        FROM event_outbox
                        WHERE status = 'pending'
                        ORDER BY created_at ASC
                        LIMIT 100
                        FOR UPDATE SKIP LOCKED",
    )
    .fetch_all(store.pool())
    .await
    .unwrap();
    assert_eq!(pending.len(), 2);
    let (id, event_type, data) = &pending[0];
    let event = store.query(&Filter::all()).await.unwrap().events.remove(0);
    assert_eq!((event_type.as_str(), &data["event_id"]), ("OrderCreated", &event.id().to_string().into()));
    assert_eq!(data["aggregate_id"], stream.aggregate_id().to_string());
    assert_eq!((&data["aggregate_type"], &data["tenant_id"]), (&"Order".into(), &serde_json::Value::Null));
    assert_eq!(data["payload"]["customer_id"], "cust-123");
    assert_eq!(RecordedEvent::from_json(&data.to_string()).unwrap(), event);
    let published = "UPDATE event_outbox
                                SET status = 'published',
                                    published_at = NOW()
                                WHERE id = $1";
    sqlx::query(published).bind(id).execute(store.pool()).await.unwrap();
    // Rows that somebody else has put there are somebody else's.
    run(
        store.pool(),
        "INSERT INTO event_outbox (event_id, event_type, event_data) VALUES (gen_random_uuid(), 'Theirs', '{}')",
    )
    .await;
    let request = ClaimRequest::new("relay", 100, Duration::from_secs(60)).unwrap();
    let claim = store.claim(&request).await.unwrap();
    let types: Vec<_> = claim.entries.iter().map(|entry| entry.event.event_type().as_str()).collect();
    assert_eq!(types, ["OrderShipped"]);
    // An event is published although it was archived meanwhile.
    run(store.pool(), "DELETE FROM events").await;
    store.settle(claim.id, &[Settlement::released(claim.entries[0].event.id())]).await.unwrap();
    assert_eq!(store.claim(&request).await.unwrap().entries, claim.entries);
    store.close().await.unwrap();
}

#[tokio::test]
async fn maintenance() {
    let (store, stream) = filled("maintenance").await;
    for statement in ["VACUUM ANALYZE events;", "REINDEX TABLE events;", "ANALYZE events;"] {
        run(store.pool(), statement).await;
    }
    assert_eq!(store.stream_version(&stream).await.unwrap().unwrap().get(), 4);
    store.close().await.unwrap();
}

const ARCHIVE: [&str; 4] = [
    "CREATE TABLE events_archive (LIKE events INCLUDING ALL);",
    "INSERT INTO events_archive
SELECT * FROM events
WHERE timestamp < NOW() - INTERVAL '1 year';",
    "DELETE FROM events
WHERE timestamp < NOW() - INTERVAL '1 year';",
    "VACUUM ANALYZE events;",
];

/// A stream whose beginning was archived goes on counting; what is gone stands in nobody's way.
#[tokio::test]
async fn archiving_the_beginning() {
    let (store, stream) = filled("archiving").await;
    for statement in ARCHIVE {
        run(store.pool(), statement).await;
    }
    assert_eq!(run(store.pool(), "SELECT * FROM events_archive").await, 2);
    let left = store.query(&Filter::all()).await.unwrap();
    assert_eq!((left.events.len(), left.head), (3, Position::from_raw(5)));
    assert_eq!(store.stream_version(&stream).await.unwrap().unwrap().get(), 4);
    let old = Filter::tagged("unit", "old").unwrap();
    assert!(store.query(&old).await.unwrap().events.is_empty());
    let mixed = Filter::any_of([FilterItem::new().event_type("OrderCreated").unwrap()]).unwrap();
    let append = Append::to_stream(
        stream.clone(),
        ExpectedVersion::Exact(4_u64.try_into().unwrap()),
        [tagged("A", "x")],
    )
    .fail_if(old)
    .fail_if(mixed);
    let appended = store.append(append).await.unwrap();
    assert_eq!(appended.first, Position::from_raw(6));
    assert_eq!(appended.version_of(&stream).unwrap().get(), 5);
    store.close().await.unwrap();
}

/// Even if everything is archived, the newest event included: the head stays, and no position is assigned twice. A stream
/// without events is a stream that does not exist, and counts from 1 again: keep a stream's last event if that matters.
#[tokio::test]
async fn archiving_everything() {
    for (name, statement) in [("deleted", "DELETE FROM events"), ("truncated", "TRUNCATE events")] {
        let (store, stream) = filled(name).await;
        run(store.pool(), statement).await;
        let left = store.query(&Filter::all()).await.unwrap();
        assert_eq!((left.events.len(), left.head), (0, Position::from_raw(5)), "{name}");
        assert_eq!(run(store.pool(), "SELECT * FROM event_tags").await, 0);
        assert_eq!(store.stream_version(&stream).await.unwrap(), None);
        let appended = store
            .append(Append::to_stream(stream, ExpectedVersion::NoStream, [tagged("A", "x")]))
            .await
            .unwrap();
        assert_eq!((appended.first.to_raw(), appended.versions[0].1.get()), (6, 1));
        store.close().await.unwrap();
    }
}
