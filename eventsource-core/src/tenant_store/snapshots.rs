use async_trait::async_trait;

use super::{Owner, TenantStore, belongs_to_another};
use crate::{
    Error, EventStore, Result, Snapshot, SnapshotKey, SnapshotSaved, SnapshotStore, SnapshotSubject,
};

impl<S> TenantStore<S> {
    fn scoped_key(&self, key: &SnapshotKey) -> Result<SnapshotKey> {
        match key.tenant() {
            Some(named) if named != self.tenant => {
                Err(Error::invalid_input("the snapshot is another tenant's than the store's"))
            }
            _ => Ok(key.clone().in_tenant(self.tenant)),
        }
    }
}

/// The tenant's own snapshots: a key says nothing of a tenant, and means this one.
#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: EventStore + SnapshotStore> SnapshotStore for TenantStore<S> {
    /// As the store does; `InvalidInput` if it is a snapshot of another tenant's, or of a stream that the tenant has not.
    async fn save_snapshot(&self, mut snapshot: Snapshot) -> Result<SnapshotSaved> {
        snapshot.key = self.scoped_key(&snapshot.key)?;
        if let SnapshotSubject::Stream(stream) = snapshot.key.subject() {
            match self.owner(stream).await? {
                Owner::This => {}
                Owner::Another => return Err(belongs_to_another(stream)),
                // There is one snapshot of a stream, so it could stand in the way of whoever gets the stream.
                Owner::Nobody => {
                    return Err(Error::invalid_input(format!("stream {stream} does not exist")));
                }
            }
        }
        self.store.save_snapshot(snapshot).await
    }

    async fn load_snapshot(&self, key: &SnapshotKey) -> Result<Option<Snapshot>> {
        let found = self.store.load_snapshot(&self.scoped_key(key)?).await?;
        Ok(found.map(|snapshot| Snapshot { key: key.clone(), ..snapshot }))
    }

    async fn delete_snapshot(&self, key: &SnapshotKey) -> Result<()> {
        self.store.delete_snapshot(&self.scoped_key(key)?).await
    }
}
