//! Migrations: from several at once, into any schema, never backwards.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use eventsource_core::{Append, ErrorKind, EventStore, EventStoreExt, Filter};
use eventsource_postgres::{PayloadIndex, PostgresStore};
use futures_util::future::join_all;
use support::{config, database, event, one, run, small};

#[tokio::test(flavor = "multi_thread")]
async fn several_at_once_create_one_log() {
    let url = database("at_once").await;
    let stores = join_all((0..6).map(|_| {
        let config = small(&url).max_connections(2).schema("Shared").unwrap();
        let config = config.payload_index(PayloadIndex::Keys(vec!["customer_id".into()])).unwrap();
        PostgresStore::connect(config)
    }))
    .await;
    for store in &stores {
        store.as_ref().unwrap().append(one("A")).await.unwrap();
    }
    assert_eq!(stores[0].as_ref().unwrap().head().await.unwrap().to_raw(), 6);
    for store in stores {
        store.unwrap().close().await.unwrap();
    }
}

#[tokio::test]
async fn schemas_are_logs_of_their_own() {
    let url = database("isolated").await;
    let one_store = PostgresStore::connect(small(&url).schema("select").unwrap()).await.unwrap();
    let config = small(&url).schema("Select").unwrap().lock_timeout(Duration::from_millis(200));
    let other = PostgresStore::connect(config).await.unwrap();
    // Each has a lock of its own.
    let mut transaction = one_store.pool().begin().await.unwrap();
    one_store.append_in(&mut transaction, one("A")).await.unwrap();
    other.append(one("B")).await.unwrap();
    transaction.commit().await.unwrap();
    for (store, name) in [(&one_store, "A"), (&other, "B")] {
        let found = store.query(&Filter::all()).await.unwrap();
        assert_eq!(found.events.len(), 1);
        assert_eq!(found.events[0].event_type().as_str(), name);
        assert_eq!(found.head.to_raw(), 1);
    }
    one_store.close().await.unwrap();
    other.close().await.unwrap();
}

#[tokio::test]
async fn the_snapshots_of_an_older_log_are_brought_up_to_date() {
    let config = config("older_snapshots").await;
    let store = PostgresStore::connect(config.clone()).await.unwrap();
    store.append(one("A")).await.unwrap();
    run(
        store.pool(),
        "DROP FUNCTION first_match_in_tenant; ALTER TABLE snapshots DROP COLUMN event_id; ALTER TABLE view_snapshots DROP COLUMN event_id;
         INSERT INTO snapshots (aggregate_id, aggregate_type, version, position, state)
             VALUES (gen_random_uuid(), 'Known', 1, 1, '{}'), (gen_random_uuid(), 'Unknown', 1, 7, '{}');
         INSERT INTO view_snapshots VALUES ('a view', '', gen_random_uuid(), 1, 1, '{}', now());
         DELETE FROM eventsource_migrations WHERE version > 2;",
    )
    .await;
    store.close().await.unwrap();
    let store = PostgresStore::connect(config).await.unwrap();
    assert_eq!(run(store.pool(), "SELECT 1 FROM snapshots JOIN events USING (event_id)").await, 1);
    assert_eq!(run(store.pool(), "SELECT 1 FROM snapshots").await, 2);
    assert_eq!(run(store.pool(), "SELECT 1 FROM view_snapshots").await, 0);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_newer_log_is_refused() {
    let config = config("newer").await;
    let store = PostgresStore::connect(config.clone()).await.unwrap();
    run(store.pool(), "INSERT INTO eventsource_migrations (version) VALUES (99)").await;
    store.close().await.unwrap();
    let error = PostgresStore::connect(config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend);
    assert!(error.to_string().contains("version 99"), "{error}");
}

#[tokio::test]
async fn a_log_of_the_first_version_gets_the_functions_of_today_and_keeps_its_events() {
    let config = config("older").await;
    let store = PostgresStore::connect(config.clone()).await.unwrap();
    store.append(one("Before")).await.unwrap();
    let functions = "SELECT FROM pg_proc WHERE pronamespace = 'public'::regnamespace";
    let count = run(store.pool(), functions).await;
    // The older functions had the same arguments and another body; append_event took no condition.
    let older = "
        ALTER TABLE snapshots DROP COLUMN event_id; ALTER TABLE view_snapshots DROP COLUMN event_id;
        DROP FUNCTION first_match_in_tenant; DROP FUNCTION append_event;
        CREATE FUNCTION append_event(text, text, timestamptz, text, text, uuid, bigint, uuid, text, integer, jsonb, uuid, text,
            uuid, uuid, jsonb, timestamptz, text[]) RETURNS text LANGUAGE sql RETURN 'older';
        DELETE FROM eventsource_migrations WHERE version > 1;
        DO $$
        DECLARE
            v_source text := pg_get_functiondef('append_events'::regproc);
        BEGIN
            EXECUTE overlay(v_source PLACING 'RAISE ''older'';' FROM strpos(v_source, 'IF current_setting') FOR 0);
        END $$";
    run(store.pool(), older).await;
    let two = || Append::events([event("Two"), event("Two")]);
    assert!(store.append(two()).await.is_err(), "the function is not the older one");
    let upgraded = PostgresStore::connect(config).await.unwrap();
    // Also through the store that was open all the time.
    for store in [&upgraded, &store] {
        store.append(two()).await.unwrap();
        store.append(one("One").fail_if(Filter::tagged("unit", "a").unwrap())).await.unwrap();
    }
    assert_eq!(upgraded.query(&Filter::all()).await.unwrap().events.len(), 7);
    // Whoever was at work meanwhile may still call the older one.
    assert_eq!(run(store.pool(), functions).await, count + 1);
    store.close().await.unwrap();
    upgraded.close().await.unwrap();
}

#[tokio::test]
async fn a_role_without_the_right_to_create_can_use_a_log() {
    let config = config("plain_role").await;
    let store = PostgresStore::connect(config.clone().schema("log").unwrap()).await.unwrap();
    run(
        store.pool(),
        "DROP ROLE IF EXISTS plain_role; CREATE ROLE plain_role;
         GRANT USAGE ON SCHEMA log TO plain_role;
         GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA log TO plain_role;
         GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA log TO plain_role;",
    )
    .await;
    let pool = sqlx::postgres::PgPoolOptions::new()
        .max_connections(2)
        .after_connect(|connection, _| {
            Box::pin(async move { sqlx::raw_sql("SET ROLE plain_role").execute(connection).await.map(drop) })
        })
        .connect_with((*store.pool().connect_options()).clone())
        .await
        .unwrap();
    let plain = PostgresStore::from_pool(pool.clone(), config.schema("log").unwrap()).await.unwrap();
    plain.append(one("A")).await.unwrap();
    assert_eq!(plain.head().await.unwrap().to_raw(), 1);
    plain.close().await.unwrap();
    pool.close().await;
    run(store.pool(), "DROP OWNED BY plain_role; DROP ROLE plain_role").await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn hostile_schemas_are_refused_before_anything_is_sent() {
    for name in ["", "a b", "public\"; DROP TABLE events; --", "a.b", "pg_catalog", "ä"] {
        let error = small("postgres://nobody@127.0.0.1:1/x").schema(name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name:?}");
    }
    let keys = PayloadIndex::Keys(vec!["a'b".into()]);
    assert_eq!(small("x").payload_index(keys).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_payload_index_can_be_added_later() {
    let config = config("index_later").await;
    let store = PostgresStore::connect(config.clone()).await.unwrap();
    store.append(one("A")).await.unwrap();
    store.close().await.unwrap();
    let store = PostgresStore::connect(config.payload_index(PayloadIndex::Gin).unwrap()).await.unwrap();
    assert_eq!(run(store.pool(), "SELECT 'idx_events_payload'::regclass").await, 1);
    store.close().await.unwrap();
}
