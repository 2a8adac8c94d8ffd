use std::sync::Arc;

use async_trait::async_trait;
use eventsource_core::{
    Append, Appended, Capabilities, Changes, EventStore, Filter, Page, Position, ReadOptions, Result,
    Snapshot, SnapshotKey, SnapshotSaved, SnapshotStore, StreamId, Version,
};

/// A store of events, and what it stores beside them, as one again.
#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) snapshots: Arc<dyn SnapshotStore>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventStore for Beside {
    async fn append(&self, append: Append) -> Result<Appended> {
        self.events.append(append).await
    }

    async fn read_page(&self, filter: &Filter, options: &ReadOptions) -> Result<Page> {
        self.events.read_page(filter, options).await
    }

    async fn head(&self) -> Result<Position> {
        self.events.head().await
    }

    async fn stream_version(&self, stream: &StreamId) -> Result<Option<Version>> {
        self.events.stream_version(stream).await
    }

    fn changes(&self) -> Changes {
        self.events.changes()
    }

    fn capabilities(&self) -> Capabilities {
        self.events.capabilities()
    }

    async fn close(&self) -> Result<()> {
        self.events.close().await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SnapshotStore for Beside {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<SnapshotSaved> {
        self.snapshots.save_snapshot(snapshot).await
    }

    async fn load_snapshot(&self, key: &SnapshotKey) -> Result<Option<Snapshot>> {
        self.snapshots.load_snapshot(key).await
    }

    async fn delete_snapshot(&self, key: &SnapshotKey) -> Result<()> {
        self.snapshots.delete_snapshot(key).await
    }
}
