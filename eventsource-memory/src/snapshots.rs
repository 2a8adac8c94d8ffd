use std::collections::HashMap;

use async_trait::async_trait;
use eventsource_core::{
    Result, Snapshot, SnapshotKey, SnapshotSaved, SnapshotStore, SnapshotSubject, TenantId,
};

use crate::MemoryStore;

/// The newest snapshot of each stream, and of each view for each tenant.
pub(crate) type Snapshots = HashMap<(SnapshotSubject, Option<TenantId>), Snapshot>;

/// Where a snapshot lies. A stream has one, whichever tenant it was saved for.
fn place(key: &SnapshotKey) -> (SnapshotSubject, Option<TenantId>) {
    match key.subject() {
        stream @ SnapshotSubject::Stream(_) => (stream.clone(), None),
        view @ SnapshotSubject::View { .. } => (view.clone(), key.tenant()),
    }
}

#[async_trait]
impl SnapshotStore for MemoryStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<SnapshotSaved> {
        let snapshot = snapshot.checked()?;
        self.change(|state, _| {
            let place = place(&snapshot.key);
            if state.snapshots.get(&place).is_some_and(|stored| stored.is_newer_than(&snapshot)) {
                return Ok(SnapshotSaved::Stale);
            }
            state.snapshots.insert(place, snapshot);
            Ok(SnapshotSaved::Saved)
        })
    }

    async fn load_snapshot(&self, key: &SnapshotKey) -> Result<Option<Snapshot>> {
        self.look(|state| state.snapshots.get(&place(key)).filter(|stored| stored.key == *key).cloned())
    }

    async fn delete_snapshot(&self, key: &SnapshotKey) -> Result<()> {
        self.change(|state, _| {
            let place = place(key);
            if state.snapshots.get(&place).is_some_and(|stored| stored.key == *key) {
                state.snapshots.remove(&place);
            }
            Ok(())
        })
    }
}
