//! What a tenant's view keeps of states: its own, and nobody else's.

use std::sync::Arc;

use eventsource_core::{
    Append, ErrorKind, EventId, EventStore, ExpectedVersion, Payload, Position, Snapshot, SnapshotKey,
    SnapshotSaved, SnapshotStore, StreamId, TenantId, Version,
};
use uuid::Uuid;

use crate::given::{events, refused, stream, tag, tenant, time};
use crate::{CaseResult, Cx};

/// A tenant's events and snapshots.
struct View {
    tenant: TenantId,
    events: Arc<dyn EventStore>,
    snapshots: Arc<dyn SnapshotStore>,
}

fn view_of(cx: &Cx, tenant: TenantId) -> CaseResult<View> {
    Ok(View { tenant, events: cx.of_tenant(tenant), snapshots: cx.snapshots_of_tenant(tenant)? })
}

fn two(cx: &Cx) -> CaseResult<(View, View)> {
    Ok((view_of(cx, tenant())?, view_of(cx, tenant())?))
}

impl View {
    async fn own_stream(&self) -> CaseResult<StreamId> {
        let stream = stream();
        let append = Append::to_stream(stream.clone(), ExpectedVersion::NoStream, events(3));
        self.events.append(append).await?;
        Ok(stream)
    }

    async fn finds(&self, key: &SnapshotKey) -> CaseResult<bool> {
        Ok(self.snapshots.load_snapshot(key).await?.is_some())
    }
}

fn of_stream(stream: &StreamId, version: u64) -> CaseResult<Snapshot> {
    Ok(Snapshot {
        key: SnapshotKey::stream(stream.clone()),
        version: Some(Version::new(version)?),
        position: Position::from_raw(version),
        event_id: EventId::new(Uuid::from_u128(7))?,
        schema_version: 1,
        state: Payload::from_serialize(&version)?,
        taken_at: time("2026-01-02T03:04:05.678901Z"),
    })
}

fn of_view() -> CaseResult<Snapshot> {
    Ok(Snapshot {
        key: SnapshotKey::view("capacity", tag("course", "c1").fingerprint())?,
        version: None,
        ..of_stream(&stream(), 2)?
    })
}

pub async fn a_tenants_snapshot_comes_back_under_the_same_key(cx: Cx) -> CaseResult {
    let mine = view_of(&cx, tenant())?;
    for snapshot in [of_stream(&mine.own_stream().await?, 2)?, of_view()?] {
        let key = snapshot.key.clone();
        assert_eq!(mine.snapshots.save_snapshot(snapshot.clone()).await?, SnapshotSaved::Saved);
        assert_eq!(mine.snapshots.load_snapshot(&key).await?, Some(snapshot));
        // It is the tenant's, whoever looks for it how.
        let named = key.clone().in_tenant(mine.tenant);
        assert!(mine.finds(&named).await?);
        assert_eq!(cx.snapshots()?.load_snapshot(&key).await?, None);
        assert!(cx.snapshots()?.load_snapshot(&named).await?.is_some());
        mine.snapshots.delete_snapshot(&key).await?;
        assert!(!mine.finds(&key).await?);
    }
    Ok(())
}

pub async fn a_tenants_snapshots_are_not_there_for_others(cx: Cx) -> CaseResult {
    let (mine, other) = two(&cx)?;
    for snapshot in [of_stream(&other.own_stream().await?, 2)?, of_view()?] {
        other.snapshots.save_snapshot(snapshot.clone()).await?;
        assert!(!mine.finds(&snapshot.key).await?);
        mine.snapshots.delete_snapshot(&snapshot.key).await?;
        assert!(other.finds(&snapshot.key).await?);
    }
    let older = Snapshot { position: Position::from_raw(1), ..of_view()? };
    assert_eq!(mine.snapshots.save_snapshot(older).await?, SnapshotSaved::Saved);
    Ok(())
}

pub async fn a_snapshot_of_another_tenants_stream_is_refused(cx: Cx) -> CaseResult {
    let (mine, other) = two(&cx)?;
    let theirs = other.own_stream().await?;
    other.snapshots.save_snapshot(of_stream(&theirs, 2)?).await?;
    // Of no stream either: a snapshot would wait there for whoever gets it.
    for stream in [theirs.clone(), stream()] {
        let snapshot = of_stream(&stream, 9)?;
        refused(ErrorKind::InvalidInput, mine.snapshots.save_snapshot(snapshot).await)?;
    }
    let kept = other.snapshots.load_snapshot(&SnapshotKey::stream(theirs)).await?;
    assert_eq!(kept.and_then(|kept| kept.version), Some(Version::new(2)?));
    Ok(())
}

pub async fn a_key_that_names_another_tenant_is_refused(cx: Cx) -> CaseResult {
    let (mine, other) = two(&cx)?;
    for snapshot in [of_stream(&mine.own_stream().await?, 2)?, of_view()?] {
        let named = Snapshot { key: snapshot.key.clone().in_tenant(other.tenant), ..snapshot };
        let key = named.key.clone();
        refused(ErrorKind::InvalidInput, mine.snapshots.save_snapshot(named).await)?;
        refused(ErrorKind::InvalidInput, mine.snapshots.load_snapshot(&key).await)?;
        refused(ErrorKind::InvalidInput, mine.snapshots.delete_snapshot(&key).await)?;
    }
    Ok(())
}
