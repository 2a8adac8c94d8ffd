//! Snapshots of a mutant.

use std::sync::Arc;

use async_trait::async_trait;
use conformance_tests::model::ModelSnapshots;
use eventsource_core::{
    Error, EventId, Position, Result, Snapshot, SnapshotKey, SnapshotSaved, SnapshotStore, SnapshotSubject,
    Version,
};

use crate::defect::Defect;
use crate::store::{A_MOMENT, Ground, Mutant};

/// What a handle keeps beside its log; it closes with it.
#[derive(Debug)]
pub(crate) struct MutantSnapshots {
    pub(crate) handle: Arc<Mutant>,
}

impl MutantSnapshots {
    fn ground(&self) -> Result<&Ground> {
        self.handle.check_open()?;
        Ok(&self.handle.ground)
    }

    fn model(&self) -> Result<&ModelSnapshots> {
        Ok(&self.ground()?.snapshots)
    }
}

#[async_trait]
impl SnapshotStore for MutantSnapshots {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<SnapshotSaved> {
        let (defect, model) = (self.ground()?.defect, self.model()?);
        let mut snapshot = snapshot.checked()?;
        match defect {
            Defect::ReplacesANewerSnapshot => {
                model.delete_snapshot(&snapshot.key).await?;
            }
            Defect::LooksForANewerSnapshotBeforeTheLock => {
                let stored = model.load_snapshot(&snapshot.key).await?;
                tokio::time::sleep(A_MOMENT).await;
                if stored.is_some_and(|stored| stored.is_newer_than(&snapshot)) {
                    return Ok(SnapshotSaved::Stale);
                }
                model.delete_snapshot(&snapshot.key).await?;
            }
            Defect::LosesASnapshotsPosition => snapshot.position = Position::START,
            Defect::LosesASnapshotsEvent => snapshot.event_id = EventId::random(),
            Defect::ForgetsASnapshotsSchemaVersion => snapshot.schema_version = 1,
            Defect::TakesTheSamePlaceForStale => {
                let stored = model.load_snapshot(&snapshot.key).await?;
                if stored.is_some_and(|stored| !snapshot.is_newer_than(&stored)) {
                    return Ok(SnapshotSaved::Stale);
                }
            }
            Defect::SharesSnapshotsBetweenTenants => snapshot.key = untenanted(&snapshot.key)?,
            Defect::SharesSnapshotsBetweenFilters => snapshot.key = unfiltered(&snapshot.key)?,
            _ => {}
        }
        let (key, version) = (snapshot.key.clone(), snapshot.version);
        let saved = model.save_snapshot(snapshot).await?;
        if defect == Defect::SaysSavedOfAStaleSnapshot {
            return Ok(SnapshotSaved::Saved);
        }
        if defect == Defect::LosesASnapshotSomeTime && version == Some(Version::FIRST) {
            model.delete_snapshot(&key).await?;
        }
        Ok(saved)
    }

    async fn load_snapshot(&self, key: &SnapshotKey) -> Result<Option<Snapshot>> {
        let model = self.model()?;
        let found = match self.ground()?.defect {
            Defect::SharesSnapshotsBetweenTenants => model.load_snapshot(&untenanted(key)?).await?,
            Defect::SharesSnapshotsBetweenFilters => model.load_snapshot(&unfiltered(key)?).await?,
            Defect::FailsWhereThereIsNoSnapshot => {
                let found = model.load_snapshot(key).await?;
                return found.map(Some).ok_or_else(|| Error::backend("there is no such snapshot"));
            }
            _ => model.load_snapshot(key).await?,
        };
        Ok(found.map(|found| Snapshot { key: key.clone(), ..found }))
    }

    async fn delete_snapshot(&self, key: &SnapshotKey) -> Result<()> {
        if self.ground()?.defect == Defect::DeletesASnapshotOnce
            && self.model()?.load_snapshot(key).await?.is_none()
        {
            return Err(Error::backend("there is no such snapshot"));
        }
        self.model()?.delete_snapshot(key).await
    }
}

fn untenanted(key: &SnapshotKey) -> Result<SnapshotKey> {
    match key.subject() {
        SnapshotSubject::Stream(stream) => Ok(SnapshotKey::stream(stream.clone())),
        SnapshotSubject::View { name, filter } => SnapshotKey::view(name.clone(), *filter),
    }
}

fn unfiltered(key: &SnapshotKey) -> Result<SnapshotKey> {
    let SnapshotSubject::View { name, .. } = key.subject() else { return Ok(key.clone()) };
    let all = SnapshotKey::view(name.clone(), eventsource_core::Filter::all().fingerprint())?;
    Ok(key.tenant().map_or(all.clone(), |tenant| all.in_tenant(tenant)))
}
