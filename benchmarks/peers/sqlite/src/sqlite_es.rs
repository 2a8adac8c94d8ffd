use std::path::Path;
use std::sync::Arc;

use common::{Event, Failure, Stream, System, broken};
use shared::cqrs;
use sqlite_es::SqliteEventRepository;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

pub(crate) struct SqliteEs(SqliteEventRepository);

/// As in the crate's `migrations/`.
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS events (
    aggregate_type text                          NOT NULL,
    aggregate_id   text                          NOT NULL,
    sequence       integer CHECK (sequence >= 0) NOT NULL,
    event_type     text                          NOT NULL,
    event_version  text                          NOT NULL,
    payload        text                          NOT NULL,
    metadata       text                          NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
) STRICT";

impl System for SqliteEs {
    async fn open(place: &str) -> Result<Self, Failure> {
        // Its own `default_sqlite_pool` but for one thing: an acknowledged append is flushed, as it is everywhere here.
        let options = SqliteConnectOptions::new()
            .filename(Path::new(place).join("events.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(std::time::Duration::from_secs(30))
            .foreign_keys(true);
        let pool =
            SqlitePoolOptions::new().max_connections(10).connect_with(options).await.map_err(broken)?;
        sqlx::query(SCHEMA).execute(&pool).await.map_err(broken)?;
        Ok(Self(SqliteEventRepository::new(pool)))
    }

    async fn append(&self, stream: Stream, expected: u64, events: Vec<Event>) -> Result<(), Failure> {
        cqrs::append(&self.0, stream, expected, events).await
    }

    async fn read_stream(&self, stream: Stream) -> Result<u64, Failure> {
        cqrs::read_stream(&self.0, stream).await
    }

    async fn feed(&self) -> Result<u64, Failure> {
        cqrs::replay(&self.0).await
    }

    async fn preload(self: Arc<Self>, size: u64) -> Result<(), Failure> {
        cqrs::preload(&self.0, size).await
    }
}
