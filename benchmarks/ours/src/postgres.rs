use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use common::{Failure, View, broken};
use eventsource_consumers::Consumer;
use eventsource_core::{Filter, HandlerError, Purpose, RecordedEvent, Result};
use eventsource_postgres::{CommitMode, PayloadIndex, PostgresConfig, PostgresStore, PostgresView};
use sqlx::{Connection, Executor, PgConnection};

use crate::log::Backend;

/// As it is, with as many connections as every other system on Postgres.
pub(crate) struct Postgres;

/// With an index for the payload's key that the filter is about.
pub(crate) struct PostgresWithIndex;

/// With an outbox for all events.
pub(crate) struct PostgresWithOutbox;

/// With the log's lock let go before the flush.
pub(crate) struct PostgresPipelined;

/// How it is configured.
trait Configured: Send + Sync + 'static {
    fn config(place: &str) -> Result<PostgresConfig>;
}

impl Configured for Postgres {
    fn config(place: &str) -> Result<PostgresConfig> {
        Ok(PostgresConfig::new(place).max_connections(16))
    }
}

impl Configured for PostgresWithIndex {
    fn config(place: &str) -> Result<PostgresConfig> {
        Postgres::config(place)?.payload_index(PayloadIndex::Keys(vec!["customer".to_owned()]))
    }
}

impl Configured for PostgresWithOutbox {
    fn config(place: &str) -> Result<PostgresConfig> {
        Ok(Postgres::config(place)?.outbox(Filter::all()))
    }
}

impl Configured for PostgresPipelined {
    fn config(place: &str) -> Result<PostgresConfig> {
        Ok(Postgres::config(place)?.commit(CommitMode::Pipelined))
    }
}

impl<C: Configured> Backend for C {
    type Store = PostgresStore;

    async fn open(place: &str) -> Result<PostgresStore> {
        PostgresStore::connect(C::config(place)?).await
    }

    async fn catch_up(
        store: &PostgresStore,
        place: &str,
        consumer: Consumer,
        view: View,
    ) -> Result<u64, Failure> {
        let mut own = PgConnection::connect(place).await.map_err(broken)?;
        own.execute(COUNTS).await.map_err(broken)?;
        own.close().await.map_err(broken)?;
        let seen = Arc::new(AtomicU64::new(0));
        let projection = store.project(Counts { view, seen: seen.clone() });
        consumer.run_until_caught_up(projection).await.map_err(broken)?;
        Ok(seen.load(Ordering::Relaxed))
    }
}

/// A view that counts the events of each type.
pub(crate) const COUNTS: &str =
    "CREATE TABLE IF NOT EXISTS counts (event_type text PRIMARY KEY, count bigint NOT NULL)";
pub(crate) const COUNT: &str = "INSERT INTO counts (event_type, count) VALUES ($1, 1) \
    ON CONFLICT (event_type) DO UPDATE SET count = counts.count + 1";

struct Counts {
    view: View,
    seen: Arc<AtomicU64>,
}

#[async_trait]
impl PostgresView for Counts {
    async fn apply(
        &self,
        connection: &mut PgConnection,
        event: &RecordedEvent,
        _purpose: Purpose,
    ) -> Result<(), HandlerError> {
        if self.view == View::Counts {
            sqlx::query(COUNT).bind(event.event_type().as_str()).execute(connection).await?;
        }
        self.seen.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
