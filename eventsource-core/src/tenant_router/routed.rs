use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use async_trait::async_trait;

use super::Slot;
use crate::{
    Append, Appended, Capabilities, Changes, Error, EventStore, Filter, Page, Position, ReadOptions, Result,
    Snapshot, SnapshotKey, SnapshotSaved, SnapshotStore, StreamId, Version,
};

/// A store that a [`TenantRouter`](super::TenantRouter) keeps open for as long as this is held.
pub struct Routed<S: ?Sized> {
    store: Arc<S>,
    /// Who holds it keeps the router from closing the store.
    slot: Arc<Slot<S>>,
}

impl<S: ?Sized> Routed<S> {
    pub(super) fn new(store: Arc<S>, slot: Arc<Slot<S>>) -> Self {
        Self { store, slot }
    }
}

impl<S: ?Sized> Clone for Routed<S> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), slot: self.slot.clone() }
    }
}

impl<S: ?Sized> Deref for Routed<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.store
    }
}

impl<S: fmt::Debug + ?Sized> fmt::Debug for Routed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Routed").field(&&*self.store).finish()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: EventStore + ?Sized + 'static> EventStore for Routed<S> {
    async fn append(&self, append: Append) -> Result<Appended> {
        self.store.append(append).await
    }

    async fn read_page(&self, filter: &Filter, options: &ReadOptions) -> Result<Page> {
        self.store.read_page(filter, options).await
    }

    async fn head(&self) -> Result<Position> {
        self.store.head().await
    }

    async fn stream_version(&self, stream: &StreamId) -> Result<Option<Version>> {
        self.store.stream_version(stream).await
    }

    fn changes(&self) -> Changes {
        self.store.changes()
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    /// Refused: others may use the store, and the router closes it in time. Drop this instead.
    async fn close(&self) -> Result<()> {
        Err(Error::invalid_input("a store that a router opened is closed by the router"))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SnapshotStore + ?Sized + 'static> SnapshotStore for Routed<S> {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<SnapshotSaved> {
        self.store.save_snapshot(snapshot).await
    }

    async fn load_snapshot(&self, key: &SnapshotKey) -> Result<Option<Snapshot>> {
        self.store.load_snapshot(key).await
    }

    async fn delete_snapshot(&self, key: &SnapshotKey) -> Result<()> {
        self.store.delete_snapshot(key).await
    }
}
