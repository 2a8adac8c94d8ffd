//! The contract on the SQLite store without a file.

use std::sync::Arc;

use async_trait::async_trait;
use conformance_tests::{Fixture, Harness, Setup, Stores};
use eventsource_core::{Capability, Result};
use eventsource_sqlite::{SqliteConfig, SqliteStore};

struct SqliteInMemory;

#[async_trait]
impl Harness for SqliteInMemory {
    fn name(&self) -> &'static str {
        "sqlite_in_memory"
    }

    fn lacks(&self) -> &'static [(Capability, &'static str)] {
        &[
            (Capability::Durable, "the log is gone with the store"),
            (Capability::Shared, "nothing else has a connection to it"),
            (Capability::Transactional, "nothing else has a connection to it"),
            (Capability::Inline, "nothing else has a connection to read a view by"),
        ]
    }

    async fn fresh(&self, setup: Setup) -> Result<Fixture> {
        let mut config = SqliteConfig::in_memory();
        if let Some(clock) = setup.clock {
            config = config.clock(clock);
        }
        if let Some(publish) = setup.outbox {
            config = config.outbox(publish);
        }
        let store = Arc::new(SqliteStore::open(config).await?);
        Ok(Fixture::new(
            Stores::from(store.clone())
                .with_snapshots(store.clone())
                .with_outbox(store.clone())
                .with_consumers(store),
        ))
    }
}

conformance_tests::suite!(SqliteInMemory);
