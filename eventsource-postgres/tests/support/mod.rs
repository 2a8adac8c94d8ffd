//! What the tests share: a database of one's own, and events.

#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use eventsource_core::{Append, ExpectedVersion, NewEvent, StreamId};
use eventsource_postgres::{PostgresConfig, PostgresStore};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgPool};
use test_servers::Postgres;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;
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

/// A way to the server on which every connection takes so many milliseconds to begin; its URL.
pub(crate) async fn slow_to_connect(url: &str, delay: Arc<AtomicU64>) -> (String, JoinHandle<()>) {
    let server = PgConnectOptions::from_str(url).unwrap();
    let (host, port) = (server.get_host().to_owned(), server.get_port());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slow_port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (host, delay) = (host.clone(), Duration::from_millis(delay.load(Ordering::SeqCst)));
            tokio::spawn(async move {
                sleep(delay).await;
                let mut server = TcpStream::connect((host, port)).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (server.host("127.0.0.1").port(slow_port).to_url_lossy().to_string(), serving)
}
