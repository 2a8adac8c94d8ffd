use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{Result, Snapshot, SnapshotKey, SnapshotSaved};

/// Where snapshots are kept: one for each subject, the newest.
///
/// # For implementors
/// A store that has this declares [`Capability::Snapshots`](crate::Capability::Snapshots); the contract's group
/// `snapshots` is the full text. Closed, it is `Unavailable`.
#[async_trait]
pub trait SnapshotStore: fmt::Debug + Send + Sync {
    /// Keeps the snapshot, unless a newer one is there ([`Snapshot::is_newer_than`]); also when several are saved at
    /// once. It MUST call [`Snapshot::checked`] first.
    ///
    /// # Errors
    /// `InvalidInput` as for [`Snapshot::checked`]; `Unavailable`, `Backend`.
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<SnapshotSaved>;

    /// The snapshot that was kept, whatever its schema version; none if there is none under this key.
    ///
    /// # Errors
    /// `Corrupt` if what is stored can't be decoded; `Unavailable`, `Backend`.
    async fn load_snapshot(&self, key: &SnapshotKey) -> Result<Option<Snapshot>>;

    /// Removes the snapshot under this key; also one that can't be decoded. If there is none, that is fine.
    ///
    /// # Errors
    /// `Unavailable`, `Backend`.
    async fn delete_snapshot(&self, key: &SnapshotKey) -> Result<()>;
}

macro_rules! forward {
    ($($wrapper:ty;)*) => { $(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: SnapshotStore + ?Sized> SnapshotStore for $wrapper {
            async fn save_snapshot(&self, snapshot: Snapshot) -> Result<SnapshotSaved> {
                (**self).save_snapshot(snapshot).await
            }

            async fn load_snapshot(&self, key: &SnapshotKey) -> Result<Option<Snapshot>> {
                (**self).load_snapshot(key).await
            }

            async fn delete_snapshot(&self, key: &SnapshotKey) -> Result<()> {
                (**self).delete_snapshot(key).await
            }
        }
    )* };
}

forward! {
    Arc<S>;
    Box<S>;
    &S;
}
