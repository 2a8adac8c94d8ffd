use async_trait::async_trait;
use eventsource_core::{Result, Snapshot, SnapshotKey, SnapshotSaved, SnapshotStore};

use super::{Faulty, Kind};

/// A snapshot may be missing at any time, so that nobody asks whether one was saved: a lost answer is `Unavailable`.
#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SnapshotStore> SnapshotStore for Faulty<S> {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<SnapshotSaved> {
        self.asking(Kind::Snapshots, self.store.save_snapshot(snapshot)).await
    }

    async fn load_snapshot(&self, key: &SnapshotKey) -> Result<Option<Snapshot>> {
        self.asking(Kind::Snapshots, self.store.load_snapshot(key)).await
    }

    async fn delete_snapshot(&self, key: &SnapshotKey) -> Result<()> {
        self.asking(Kind::Snapshots, self.store.delete_snapshot(key)).await
    }
}
