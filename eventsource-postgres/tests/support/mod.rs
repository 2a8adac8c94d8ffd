//! What the tests share: a database of one's own, and events.

#![allow(dead_code, reason = "every test binary uses a part of it")]

use eventsource_core::{Append, ExpectedVersion, NewEvent, StreamId};
use eventsource_postgres::{PostgresConfig, PostgresStore};
use sqlx::PgPool;
use test_servers::Postgres;
use uuid::Uuid;

/// The URL of an empty database for this test.
pub(crate) async fn database(name: &str) -> String {
    Postgres::shared().await.create_database(name).await.unwrap()
}

/// A store in a database of its own.
pub(crate) async fn store(name: &str) -> PostgresStore {
    PostgresStore::connect(config(name).await).await.unwrap()
}

/// A small pool: tests run side by side on one server.
pub(crate) async fn config(name: &str) -> PostgresConfig {
    small(&database(name).await)
}

pub(crate) fn small(url: &str) -> PostgresConfig {
    PostgresConfig::new(url).min_connections(0).max_connections(4)
}

pub(crate) fn event(event_type: &str) -> NewEvent {
    NewEvent::new(event_type, &serde_json::json!({"customer_id": "cust-123", "total_cents": 29_999})).unwrap()
}

pub(crate) fn tagged(event_type: &str, tag: &str) -> NewEvent {
    event(event_type).tag("unit", tag).unwrap()
}

pub(crate) fn one(event_type: &str) -> Append {
    Append::events([event(event_type)])
}

pub(crate) fn order() -> StreamId {
    StreamId::new("Order", Uuid::now_v7()).unwrap()
}

pub(crate) fn to_new(stream: &StreamId) -> Append {
    Append::to_stream(stream.clone(), ExpectedVersion::NoStream, [tagged("OrderCreated", "a")])
}

/// Runs statements on a connection of its own.
pub(crate) async fn run(pool: &PgPool, sql: &'static str) -> u64 {
    sqlx::raw_sql(sql).execute(pool).await.unwrap_or_else(|error| panic!("{sql}: {error}")).rows_affected()
}
