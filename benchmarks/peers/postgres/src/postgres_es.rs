use std::sync::Arc;

use common::{Event, Failure, Stream, System, broken};
use postgres_es::PostgresEventRepository;
use shared::cqrs;

pub(crate) struct PostgresEs(PostgresEventRepository);

/// As in the crate's `db/init.sql`.
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS events (
    aggregate_type text                         NOT NULL,
    aggregate_id   text                         NOT NULL,
    sequence       bigint CHECK (sequence >= 0) NOT NULL,
    event_type     text                         NOT NULL,
    event_version  text                         NOT NULL,
    payload        json                         NOT NULL,
    metadata       json                         NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
)";

impl System for PostgresEs {
    async fn open(place: &str) -> Result<Self, Failure> {
        let pool = crate::pool(place).await?;
        // Several processes may open one database at once.
        let created = sqlx::query(SCHEMA).execute(&pool).await;
        if let Err(error) = created
            && !crate::is_conflict(&error)
        {
            return Err(broken(error));
        }
        Ok(Self(PostgresEventRepository::new(pool)))
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
