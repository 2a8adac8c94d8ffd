use std::path::Path;
use std::sync::Arc;

use common::{Deliveries, Event, Failure, Stream, System, broken};
use eventcore_sqlite::{SqliteConfig, SqliteEventStore};
use shared::eventcore;

pub(crate) struct EventcoreSqlite(SqliteEventStore);

impl System for EventcoreSqlite {
    async fn open(place: &str) -> Result<Self, Failure> {
        let path = Path::new(place).join("events.db");
        let store = SqliteEventStore::new(SqliteConfig { path, encryption_key: None }).map_err(broken)?;
        store.migrate().await.map_err(broken)?;
        Ok(Self(store))
    }

    async fn append(&self, stream: Stream, expected: u64, events: Vec<Event>) -> Result<(), Failure> {
        eventcore::append(&self.0, stream, expected, events).await
    }

    async fn read_stream(&self, stream: Stream) -> Result<u64, Failure> {
        eventcore::read_stream(&self.0, stream).await
    }

    async fn feed(&self) -> Result<u64, Failure> {
        eventcore::feed(&self.0).await
    }

    async fn find_type(&self, _event_type: &'static str) -> Result<u64, Failure> {
        Err(Failure::absent(eventcore::ONE_TYPE))
    }

    async fn follow(&self, _deliveries: Arc<Deliveries>) -> Result<(), Failure> {
        Err(Failure::absent(eventcore::POLLED))
    }

    async fn preload(self: Arc<Self>, size: u64) -> Result<(), Failure> {
        eventcore::preload(&self.0, size).await
    }
}
