//! What these tests share.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use std::path::PathBuf;

use eventsource_core::{Append, ExpectedVersion, NewEvent, StreamId};
use eventsource_sqlite::{SqliteConfig, SqliteStore};
use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;

/// A directory of the test's own, and the path of a database in it.
pub fn fresh() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    (directory, path)
}

pub async fn open(path: &PathBuf) -> SqliteStore {
    SqliteStore::open(SqliteConfig::file(path)).await.unwrap()
}

/// Opens a new store whose next event is the one behind `head`.
pub async fn open_at(path: &PathBuf, head: i64) -> SqliteStore {
    let store = open(path).await;
    Connection::open(path).unwrap().execute("UPDATE log SET head = ?1", [head]).unwrap();
    store
}

pub fn event(event_type: &str) -> NewEvent {
    NewEvent::new(event_type, &serde_json::json!({"n": 1})).unwrap()
}

pub fn one(event_type: &str) -> Append {
    Append::events([event(event_type)])
}

pub fn stream() -> StreamId {
    StreamId::new("Order", Uuid::now_v7()).unwrap()
}

pub fn to_new_stream(event_type: &str) -> Append {
    Append::to_stream(stream(), ExpectedVersion::NoStream, [event(event_type)])
}
