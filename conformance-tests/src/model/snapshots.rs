use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use eventsource_core::{
    Result, Snapshot, SnapshotKey, SnapshotSaved, SnapshotStore, SnapshotSubject, TenantId,
};

/// Snapshots in memory, kept as the contract wants them.
#[derive(Debug, Default)]
pub struct ModelSnapshots(Mutex<Kept>);

type Place = (SnapshotSubject, Option<TenantId>);
type Kept = HashMap<Place, Snapshot>;

impl ModelSnapshots {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream has one snapshot, whichever tenant it was saved for; a view has one for each.
fn place(key: &SnapshotKey) -> Place {
    let is_view = matches!(key.subject(), SnapshotSubject::View { .. });
    (key.subject().clone(), key.tenant().filter(|_| is_view))
}

#[async_trait]
impl SnapshotStore for ModelSnapshots {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<SnapshotSaved> {
        let snapshot = snapshot.checked()?;
        let (mut kept, place) = (self.kept(), place(&snapshot.key));
        if kept.get(&place).is_some_and(|stored| stored.is_newer_than(&snapshot)) {
            return Ok(SnapshotSaved::Stale);
        }
        kept.insert(place, snapshot);
        Ok(SnapshotSaved::Saved)
    }

    async fn load_snapshot(&self, key: &SnapshotKey) -> Result<Option<Snapshot>> {
        Ok(self.kept().get(&place(key)).filter(|stored| stored.key == *key).cloned())
    }

    async fn delete_snapshot(&self, key: &SnapshotKey) -> Result<()> {
        let (mut kept, place) = (self.kept(), place(key));
        if kept.get(&place).is_some_and(|stored| stored.key == *key) {
            kept.remove(&place);
        }
        Ok(())
    }
}
