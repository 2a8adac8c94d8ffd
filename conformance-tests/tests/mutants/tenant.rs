//! What broken views of a tenant do.

use std::sync::Arc;

use async_trait::async_trait;
use eventsource_core::{
    Append, Appended, Capabilities, Changes, Error, EventStore, EventStoreExt, ExpectedVersion, Filter, Page,
    Position, ReadOptions, Result, Snapshot, SnapshotKey, SnapshotSaved, SnapshotStore, StreamId, TenantId,
    TenantStore, Version,
};
use tokio::time::sleep;

use crate::defect::Defect;
use crate::rewrite;
use crate::store::A_MOMENT;

/// A view that is broken above the whole one; `store` is what both look at.
#[derive(Debug)]
pub(crate) struct BrokenView {
    whole: TenantStore<Arc<dyn EventStore>>,
    store: Arc<dyn EventStore>,
    defect: Defect,
}

impl BrokenView {
    pub(crate) fn new(store: Arc<dyn EventStore>, tenant: TenantId, defect: Defect) -> Self {
        Self { whole: TenantStore::new(store.clone(), tenant), store, defect }
    }

    fn stamped(&self, append: &Append) -> Append {
        let tenant = self.whole.tenant();
        rewrite::events(append, |events| events.iter().map(|event| event.clone().tenant(tenant)).collect())
    }

    /// Stamped and narrowed, and no question asked about streams.
    fn scoped(&self, append: &Append) -> Append {
        let conditions: Vec<_> = append
            .conditions()
            .iter()
            .map(|condition| {
                let filter = condition.filter().clone().in_tenant(self.whole.tenant());
                eventsource_core::AppendCondition::new(filter).after(condition.after_position())
            })
            .collect();
        let same = |_: &StreamId, expected| expected;
        rewrite::append(&self.stamped(append), same, <[_]>::to_vec, &conditions)
    }

    async fn check_streams(&self, append: &Append) -> Result<()> {
        for stream in append.parts().iter().filter_map(|part| part.stream()) {
            let first =
                self.store.query(&Filter::all().in_stream(stream.clone())).await?.events.into_iter().next();
            if first.is_some_and(|first| first.metadata().tenant_id() != Some(self.whole.tenant())) {
                return Err(Error::invalid_input("the stream is another tenant's"));
            }
        }
        Ok(())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventStore for BrokenView {
    async fn append(&self, append: Append) -> Result<Appended> {
        append.validate()?;
        match self.defect {
            Defect::ForgetsToStamp => self.store.append(append).await,
            Defect::StampsOverAnotherTenant => self.whole.append(self.stamped(&append)).await,
            Defect::ForgetsToNarrowConditions => self.store.append(self.stamped(&append)).await,
            Defect::TakesAnothersStream => self.store.append(self.scoped(&append)).await,
            Defect::LooksAtStreamsBeforeItAppends => {
                self.check_streams(&append).await?;
                sleep(A_MOMENT).await;
                self.store.append(self.scoped(&append)).await
            }
            // The conflicts of the store, wherever there is one.
            Defect::TellsOthersConflicts => match self.whole.append(append.clone()).await {
                Err(refused) => match self.store.append(self.scoped(&append)).await {
                    Err(told) if told.is_conflict() => Err(told),
                    _ => Err(refused),
                },
                appended => appended,
            },
            Defect::TakesAnyForNoStream => {
                let mut seen = std::collections::HashSet::new();
                for stream in append.parts().iter().filter_map(|part| part.stream()) {
                    if self.store.exists(stream).await? {
                        seen.insert(stream.clone());
                    }
                }
                sleep(A_MOMENT).await;
                let new = |stream: &StreamId, expected| match expected {
                    ExpectedVersion::Any if !seen.contains(stream) => ExpectedVersion::NoStream,
                    other => other,
                };
                let append = rewrite::append(&append, new, <[_]>::to_vec, append.conditions());
                self.whole.append(append).await
            }
            _ => self.whole.append(append).await,
        }
    }

    async fn read_page(&self, filter: &Filter, options: &ReadOptions) -> Result<Page> {
        match self.defect {
            Defect::ForgetsToNarrowReads => self.store.read_page(filter, options).await,
            Defect::NarrowsAnothersFilter => {
                self.whole.read_page(&filter.clone().in_tenant(self.whole.tenant()), options).await
            }
            Defect::NarrowsAfterTheLimit => {
                let mut page = self.store.read_page(filter, options).await?;
                page.events.retain(|event| event.metadata().tenant_id() == Some(self.whole.tenant()));
                Ok(page)
            }
            _ => self.whole.read_page(filter, options).await,
        }
    }

    async fn head(&self) -> Result<Position> {
        self.whole.head().await
    }

    async fn stream_version(&self, stream: &StreamId) -> Result<Option<Version>> {
        match self.defect {
            Defect::TellsOthersVersions => self.store.stream_version(stream).await,
            _ => self.whole.stream_version(stream).await,
        }
    }

    fn changes(&self) -> Changes {
        self.whole.changes()
    }

    fn capabilities(&self) -> Capabilities {
        self.whole.capabilities()
    }

    async fn close(&self) -> Result<()> {
        self.whole.close().await
    }
}

/// A tenant's snapshots that are broken above the whole ones; `store` is what both keep them in.
#[derive(Debug)]
pub(crate) struct BrokenSnapshots {
    pub(crate) whole: Arc<dyn SnapshotStore>,
    pub(crate) store: Arc<dyn SnapshotStore>,
    pub(crate) tenant: TenantId,
    pub(crate) defect: Defect,
}

impl BrokenSnapshots {
    fn key(&self, key: &SnapshotKey) -> SnapshotKey {
        match self.defect {
            Defect::TakesAnothersSnapshotKey => key.clone().in_tenant(self.tenant),
            _ => key.clone(),
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SnapshotStore for BrokenSnapshots {
    async fn save_snapshot(&self, mut snapshot: Snapshot) -> Result<SnapshotSaved> {
        snapshot.key = self.key(&snapshot.key);
        match self.defect {
            Defect::KeepsSnapshotsForAll => self.store.save_snapshot(snapshot).await,
            Defect::KeepsSnapshotsOfAnothersStream => {
                snapshot.key = snapshot.key.in_tenant(self.tenant);
                self.store.save_snapshot(snapshot).await
            }
            _ => self.whole.save_snapshot(snapshot).await,
        }
    }

    async fn load_snapshot(&self, key: &SnapshotKey) -> Result<Option<Snapshot>> {
        let key = self.key(key);
        match self.defect {
            Defect::KeepsSnapshotsForAll => self.store.load_snapshot(&key).await,
            Defect::ShowsTheTenantsKey => self.store.load_snapshot(&key.in_tenant(self.tenant)).await,
            _ => self.whole.load_snapshot(&key).await,
        }
    }

    async fn delete_snapshot(&self, key: &SnapshotKey) -> Result<()> {
        let key = self.key(key);
        match self.defect {
            Defect::KeepsSnapshotsForAll => self.store.delete_snapshot(&key).await,
            _ => self.whole.delete_snapshot(&key).await,
        }
    }
}
