use eventsource_core::Result;
use eventsource_postgres::{PayloadIndex, PostgresConfig, PostgresStore};

use crate::log::Backend;

/// As it is, with as many connections as every other system on Postgres.
pub(crate) struct Postgres;

impl Backend for Postgres {
    type Store = PostgresStore;

    async fn open(place: &str) -> Result<PostgresStore> {
        PostgresStore::connect(config(place)).await
    }
}

/// With an index for the payload's key that the filter is about.
pub(crate) struct IndexedPostgres;

impl Backend for IndexedPostgres {
    type Store = PostgresStore;

    async fn open(place: &str) -> Result<PostgresStore> {
        let index = PayloadIndex::Keys(vec!["customer".to_owned()]);
        PostgresStore::connect(config(place).payload_index(index)?).await
    }
}

fn config(place: &str) -> PostgresConfig {
    PostgresConfig::new(place).max_connections(16)
}
