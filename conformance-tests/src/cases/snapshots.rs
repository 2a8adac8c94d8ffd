//! What is kept of states, so that they need not be folded again.

use std::sync::Arc;

use eventsource_core::{
    AggregateRoot, Append, Boundary, Capability, DecisionMaker, DomainEvent, ErrorKind, EventId, EventStore,
    ExpectedVersion, Filter, Payload, Position, ReadOptions, Repository, Snapshot, SnapshotKey,
    SnapshotPolicy, SnapshotSaved, SnapshotStore, Snapshots, StreamId, UnitOfWork, Version,
};
use proptest::prelude::RngExt;
use tokio::sync::Barrier;
use uuid::Uuid;

use super::repositories::{Purse, PurseCommand, PurseEvent, filled};
use crate::given::{events, refused, stream, stream_of, tag, tenant, time};
use crate::{CaseResult, Cx, Failure, Setup, random};

use ExpectedVersion::Any;
use SnapshotSaved::{Saved, Stale};

/// A snapshot of a stream at this version, whose state says so.
fn of_stream(stream: &StreamId, version: u64) -> CaseResult<Snapshot> {
    Ok(Snapshot {
        key: SnapshotKey::stream(stream.clone()),
        version: Some(Version::new(version)?),
        position: Position::from_raw(version * 10),
        event_id: EventId::new(Uuid::from_u128(7))?,
        schema_version: 1,
        state: Payload::from_serialize(&version)?,
        taken_at: time("2026-01-02T03:04:05.678901Z"),
    })
}

/// A snapshot of a view at this position, whose state says so.
fn of_view(key: SnapshotKey, position: u64) -> CaseResult<Snapshot> {
    Ok(Snapshot {
        key,
        version: None,
        position: Position::from_raw(position),
        event_id: EventId::new(Uuid::from_u128(7))?,
        schema_version: 1,
        state: Payload::from_serialize(&position)?,
        taken_at: time("2026-01-02T03:04:05.678901Z"),
    })
}

fn view(name: &str) -> CaseResult<SnapshotKey> {
    Ok(SnapshotKey::view(name, tag("course", "c1").fingerprint())?)
}

/// What is kept under the key says this version or position.
async fn kept(store: &dyn SnapshotStore, key: &SnapshotKey) -> CaseResult<Option<u64>> {
    let found = store.load_snapshot(key).await?;
    Ok(found.map(|found| found.state.deserialize()).transpose()?)
}

pub async fn where_there_is_none_none_is_loaded(cx: Cx) -> CaseResult {
    let store = cx.snapshots()?;
    assert_eq!(store.load_snapshot(&SnapshotKey::stream(stream())).await?, None);
    assert_eq!(store.load_snapshot(&view("capacity")?).await?, None);
    Ok(())
}

pub async fn a_snapshot_comes_back_as_it_was_saved(cx: Cx) -> CaseResult {
    let store = cx.snapshots()?;
    let state = r#"{"name":"Zoë \"☃\"","cents":18446744073709551615,"rate":0.1,"list":[null,true,{}]}"#;
    for snapshot in [of_stream(&stream(), 7)?, of_view(view("course capacity")?, 70)?] {
        let snapshot = Snapshot {
            state: Payload::from_json(state)?,
            schema_version: i32::MAX.unsigned_abs(),
            ..snapshot
        };
        assert_eq!(store.save_snapshot(snapshot.clone()).await?, Saved);
        assert_eq!(store.load_snapshot(&snapshot.key).await?, Some(snapshot));
    }
    Ok(())
}

pub async fn a_newer_snapshot_replaces_an_older_one(cx: Cx) -> CaseResult {
    let (store, stream) = (cx.snapshots()?, stream());
    for version in [1, 2, 50] {
        assert_eq!(store.save_snapshot(of_stream(&stream, version)?).await?, Saved);
        assert_eq!(store.save_snapshot(of_view(view("v")?, version)?).await?, Saved);
    }
    assert_eq!(kept(store, &SnapshotKey::stream(stream)).await?, Some(50));
    assert_eq!(kept(store, &view("v")?).await?, Some(50));
    Ok(())
}

pub async fn an_older_snapshot_is_stale_and_changes_nothing(cx: Cx) -> CaseResult {
    let (store, stream) = (cx.snapshots()?, stream());
    let newest = of_stream(&stream, 50)?;
    store.save_snapshot(newest.clone()).await?;
    // Another schema version makes nothing newer.
    let older = Snapshot { schema_version: 9, ..of_stream(&stream, 49)? };
    assert_eq!(store.save_snapshot(older).await?, Stale);
    assert_eq!(store.load_snapshot(&newest.key).await?, Some(newest));
    store.save_snapshot(of_view(view("v")?, 50)?).await?;
    assert_eq!(store.save_snapshot(of_view(view("v")?, 49)?).await?, Stale);
    assert_eq!(kept(store, &view("v")?).await?, Some(50));
    Ok(())
}

pub async fn a_snapshot_of_the_same_place_replaces_the_other(cx: Cx) -> CaseResult {
    let (store, stream) = (cx.snapshots()?, stream());
    store.save_snapshot(of_stream(&stream, 5)?).await?;
    let again = Snapshot { schema_version: 2, state: Payload::from_json("{}")?, ..of_stream(&stream, 5)? };
    assert_eq!(store.save_snapshot(again.clone()).await?, Saved);
    assert_eq!(store.load_snapshot(&again.key).await?, Some(again));
    Ok(())
}

pub async fn of_racing_snapshots_the_newest_stays(cx: Cx) -> CaseResult {
    const RACERS: u64 = 8;
    let start = Arc::new(Barrier::new(8));
    for round in 0..20 {
        let (order, name) = (stream(), format!("v{round}"));
        let taken = |version| {
            if round % 2 == 0 { of_stream(&order, version) } else { of_view(view(&name)?, version) }
        };
        let racers: Vec<_> = (1..=RACERS)
            .map(|version| {
                let (store, start, snapshot) = (cx.snapshots()?.clone(), start.clone(), taken(version)?);
                Ok(tokio::spawn(async move {
                    start.wait().await;
                    let saved = store.save_snapshot(snapshot.clone()).await?;
                    // Whatever is found from now on is at least as new.
                    let found = kept(&*store, &snapshot.key).await?;
                    Ok::<_, Failure>((saved, found))
                }))
            })
            .collect::<CaseResult<_>>()?;
        for (version, racer) in (1..=RACERS).zip(racers) {
            let (saved, found) = racer.await??;
            assert!(
                found >= Some(version),
                "round {round}: {version} was {saved:?}, and {found:?} was found"
            );
            assert!(saved == Saved || version < RACERS, "round {round}: the newest was stale");
        }
        assert_eq!(kept(cx.snapshots()?, &taken(1)?.key).await?, Some(RACERS), "round {round}");
    }
    Ok(())
}

pub async fn deleting_a_snapshot_twice_is_fine(cx: Cx) -> CaseResult {
    let (store, stream) = (cx.snapshots()?, stream());
    for snapshot in [of_stream(&stream, 5)?, of_view(view("v")?, 5)?] {
        store.delete_snapshot(&snapshot.key).await?;
        store.save_snapshot(snapshot.clone()).await?;
        store.delete_snapshot(&snapshot.key).await?;
        store.delete_snapshot(&snapshot.key).await?;
        assert_eq!(store.load_snapshot(&snapshot.key).await?, None);
    }
    // What was deleted makes nothing stale.
    assert_eq!(store.save_snapshot(of_stream(&stream, 1)?).await?, Saved);
    assert_eq!(store.save_snapshot(of_view(view("v")?, 1)?).await?, Saved);
    Ok(())
}

pub async fn snapshots_of_different_subjects_are_apart(cx: Cx) -> CaseResult {
    let (store, order) = (cx.snapshots()?, stream());
    let invoice = StreamId::new("Invoice", order.aggregate_id())?;
    let lower = StreamId::new("order", order.aggregate_id())?;
    let other_filter = SnapshotKey::view("v", tag("course", "c2").fingerprint())?;
    let streams = [order, invoice, lower, stream_of("Order")];
    let views = [view("v")?, view("V")?, view("v ")?, other_filter];
    for (version, (stream, key)) in (1..).zip(streams.iter().zip(&views)) {
        store.save_snapshot(of_stream(stream, version)?).await?;
        store.save_snapshot(of_view(key.clone(), version)?).await?;
    }
    for (version, (stream, key)) in (1..).zip(streams.iter().zip(&views)) {
        assert_eq!(kept(store, &SnapshotKey::stream(stream.clone())).await?, Some(version), "{stream}");
        assert_eq!(kept(store, key).await?, Some(version), "{key:?}");
    }
    store.delete_snapshot(&views[0]).await?;
    assert_eq!(kept(store, &views[1]).await?, Some(2), "the one that was not deleted");
    Ok(())
}

pub async fn a_tenants_snapshot_is_found_by_that_tenant_only(cx: Cx) -> CaseResult {
    let (store, ours, theirs) = (cx.snapshots()?, tenant(), tenant());
    let keys = [SnapshotKey::stream(stream()), view("v")?];
    for (key, version) in keys.into_iter().zip([Some(Version::FIRST), None]) {
        let own = key.clone().in_tenant(ours);
        let snapshot = Snapshot { version, ..of_view(own.clone(), 5)? };
        store.save_snapshot(snapshot.clone()).await?;
        for other in [key.clone(), key.in_tenant(theirs)] {
            assert_eq!(store.load_snapshot(&other).await?, None, "{other:?}");
            store.delete_snapshot(&other).await?;
        }
        assert_eq!(store.load_snapshot(&own).await?, Some(snapshot));
        store.delete_snapshot(&own).await?;
        assert_eq!(store.load_snapshot(&own).await?, None);
    }
    // A view may be the same for two tenants, and says something else for each.
    for (tenant, position) in [(ours, 7), (theirs, 3)] {
        store.save_snapshot(of_view(view("v")?.in_tenant(tenant), position)?).await?;
    }
    assert_eq!(kept(store, &view("v")?.in_tenant(ours)).await?, Some(7));
    assert_eq!(kept(store, &view("v")?.in_tenant(theirs)).await?, Some(3));
    Ok(())
}

pub async fn a_snapshot_that_has_no_meaning_is_refused(cx: Cx) -> CaseResult {
    let store = cx.snapshots()?;
    let whole = of_stream(&stream(), 5)?;
    for broken in [
        Snapshot { version: None, ..whole.clone() },
        Snapshot { version: Some(Version::FIRST), ..of_view(view("v")?, 5)? },
        Snapshot { schema_version: 0, ..whole.clone() },
        Snapshot { schema_version: u32::MAX, ..whole.clone() },
    ] {
        refused(ErrorKind::InvalidInput, store.save_snapshot(broken).await)?;
    }
    assert_eq!(store.load_snapshot(&whole.key).await?, None);
    refused(ErrorKind::InvalidInput, SnapshotKey::view("", tag("course", "c1").fingerprint()))?;
    Ok(())
}

pub async fn a_snapshot_of_many_megabytes_is_kept(cx: Cx) -> CaseResult {
    let store = cx.snapshots()?;
    let state = Payload::from_serialize(&"Zoë ☃ ".repeat(500_000))?;
    let snapshot = Snapshot { state, ..of_stream(&stream(), 5)? };
    store.save_snapshot(snapshot.clone()).await?;
    assert_eq!(store.load_snapshot(&snapshot.key).await?, Some(snapshot));
    Ok(())
}

pub async fn snapshots_last_as_long_as_the_log(cx: Cx) -> CaseResult {
    let snapshot = of_stream(&stream(), 5)?;
    cx.snapshots()?.save_snapshot(snapshot.clone()).await?;
    cx.store().append(Append::events(events(1))).await?;
    cx.store().close().await?;
    refused(ErrorKind::Unavailable, cx.snapshots()?.load_snapshot(&snapshot.key).await)?;
    refused(ErrorKind::Unavailable, cx.snapshots()?.save_snapshot(snapshot.clone()).await)?;
    refused(ErrorKind::Unavailable, cx.snapshots()?.delete_snapshot(&snapshot.key).await)?;
    let reopened = cx.log().open().await;
    if !cx.store().capabilities().has(Capability::Durable) {
        refused(ErrorKind::Unsupported, reopened)?;
        return Ok(());
    }
    let reopened = reopened?;
    let snapshots = reopened.snapshots.ok_or_else(|| Failure::new("the reopened store keeps none"))?;
    assert_eq!(snapshots.load_snapshot(&snapshot.key).await?, Some(snapshot));
    reopened.events.close().await?;
    Ok(())
}

pub async fn an_aggregate_is_the_same_with_snapshots_and_without(cx: Cx) -> CaseResult {
    let snapshots = Snapshots::new(cx.snapshots()?.clone(), SnapshotPolicy::never().events(7));
    let with = Repository::<Purse, _>::new(cx.store().clone()).snapshots(snapshots.clone(), 1);
    let without = Repository::<Purse, _>::new(cx.store().clone());
    let mut numbers = random::numbers(&cx, 0);
    let ids = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    for _ in 0..60 {
        let id = ids[numbers.random_range(0..3)];
        let mut purse = with.load_or_create(id).await?;
        for _ in 0..numbers.random_range(1..6) {
            purse.execute(&PurseCommand::Put(numbers.random_range(0..9)))?;
        }
        with.save(&mut purse).await?;
        let (one, other) = (with.load_or_create(id).await?, without.load_or_create(id).await?);
        assert_eq!((one.state(), one.version()), (other.state(), other.version()));
        if let Some(version) = one.version() {
            let past = Version::new(numbers.random_range(1..=version.get()))?;
            let (one, other) = (with.load_at(id, past).await?, without.load_at(id, past).await?);
            assert_eq!(one.map(|one| one.state().clone()), other.map(|other| other.state().clone()));
        }
    }
    let counted = snapshots.statistics();
    assert!(counted.used > 0 && counted.saved > 5, "{counted:?}");
    assert_eq!((counted.ahead, counted.unreadable, counted.other_schema, counted.failed), (0, 0, 0, 0));
    Ok(())
}

pub async fn a_snapshot_that_does_not_fit_is_dropped_and_the_log_is_folded(cx: Cx) -> CaseResult {
    let store = cx.snapshots()?;
    let id = filled(&cx, 20, 20).await?;
    let stream = StreamId::new("Purse", id)?;
    let key = SnapshotKey::stream(stream.clone());
    let fifth =
        cx.store().read_page(&Filter::all().in_stream(stream.clone()), &ReadOptions::new().limit(5)).await?;
    let lies = fifth.events.last().ok_or_else(|| Failure::new("it was filled"))?;
    let good = Snapshot {
        position: lies.position(),
        event_id: lies.id(),
        state: Payload::from_serialize(&Purse { cents: 5, movements: 5 })?,
        ..of_stream(&stream, 5)?
    };
    let snapshots = Snapshots::new(store.clone(), SnapshotPolicy::never());
    let purses = Repository::<Purse, _>::new(cx.store().clone()).snapshots(snapshots.clone(), 1);
    for (broken, counted) in [
        (good.clone(), [1, 0, 0, 0]),
        (Snapshot { schema_version: 2, ..good.clone() }, [1, 1, 0, 0]),
        (Snapshot { state: Payload::from_json(r#"{"cents":"five"}"#)?, ..good.clone() }, [1, 1, 1, 0]),
        (Snapshot { version: Some(Version::new(21)?), ..good.clone() }, [1, 1, 1, 1]),
        (Snapshot { version: Some(Version::new(4)?), ..good.clone() }, [1, 1, 1, 2]),
        (Snapshot { event_id: EventId::random(), ..good.clone() }, [1, 1, 1, 3]),
    ] {
        store.save_snapshot(broken.clone()).await?;
        let purse = purses.load_or_create(id).await?;
        assert_eq!(purse.state(), &Purse { cents: 20, movements: 20 });
        let statistics = snapshots.statistics();
        let [used, other_schema, unreadable, ahead] = counted;
        assert_eq!(
            (statistics.used, statistics.other_schema, statistics.unreadable, statistics.ahead),
            (used, other_schema, unreadable, ahead),
            "{broken:?}"
        );
        assert_eq!(store.load_snapshot(&key).await?.is_some(), broken == good, "{broken:?}");
        store.delete_snapshot(&key).await?;
    }
    Ok(())
}

/// What a restored backup looks like: the beginning is the same, then it went on with other events, and further.
pub async fn a_snapshot_of_a_log_that_was_cut_back_and_grew_is_not_used(cx: Cx) -> CaseResult {
    let id = Uuid::now_v7();
    let purse = StreamId::new("Purse", id)?;
    let put = |cents| {
        let event = PurseEvent::Put { cents }.encode()?.tag("purse", id)?;
        Ok::<_, eventsource_core::Error>(event)
    };
    let backup = Append::to_stream(purse.clone(), Any, [put(1)?, put(1)?]);
    let policy = SnapshotPolicy::never().events(1);
    let kept = cx.snapshots()?;
    let total = || {
        Boundary::of_tag("purse", id)
            .fold(0, |total, event| match event {
                PurseEvent::Put { cents } | PurseEvent::Taken { cents } => total + cents,
            })
            .snapshot("total", 1)
    };
    let total_of = async |store: &Arc<dyn EventStore>, snapshots: &Snapshots| {
        let decisions = DecisionMaker::new(store.clone()).snapshots(snapshots.clone());
        CaseResult::Ok(decisions.known(&total()).await?.state)
    };
    let loaded = async |store: &Arc<dyn EventStore>, snapshots: &Snapshots| {
        let purses = Repository::<Purse, _>::new(store.clone()).snapshots(snapshots.clone(), 1);
        let found = purses.load(id).await?.ok_or_else(|| Failure::new("the purse is gone"))?;
        CaseResult::Ok((found.state().cents, found.state().movements))
    };

    let before = Snapshots::new(kept.clone(), policy);
    cx.store().append(backup.clone()).await?;
    cx.store().append(Append::to_stream(purse.clone(), Any, [put(10)?, put(10)?])).await?;
    for _ in 0..2 {
        assert_eq!(loaded(cx.store(), &before).await?, (22, 4));
        assert_eq!(total_of(cx.store(), &before).await?, 22);
    }
    assert_eq!((before.statistics().saved, before.statistics().used), (2, 2), "each once");

    let restored = cx.fresh(Setup::default()).await?;
    restored.store().append(backup).await?;
    // The same versions at the same positions, but not the same events.
    restored.store().append(Append::to_stream(purse, Any, [put(5)?, put(5)?, put(5)?])).await?;
    let after = Snapshots::new(kept.clone(), policy);
    assert_eq!(loaded(restored.store(), &after).await?, (17, 5));
    assert_eq!(total_of(restored.store(), &after).await?, 17);
    assert_eq!((after.statistics().ahead, after.statistics().used), (2, 0));
    // What was dropped stands in nobody's way.
    assert_eq!(loaded(restored.store(), &after).await?, (17, 5));
    assert_eq!(total_of(restored.store(), &after).await?, 17);
    assert_eq!((after.statistics().ahead, after.statistics().used), (2, 2));
    restored.store().close().await?;
    Ok(())
}

/// Also of one that did not come last in its append.
pub async fn aggregates_that_were_saved_together_have_snapshots_that_fit(cx: Cx) -> CaseResult {
    let snapshots = Snapshots::new(cx.snapshots()?.clone(), SnapshotPolicy::never().events(1));
    let purses = Repository::<Purse, _>::new(cx.store().clone()).snapshots(snapshots.clone(), 1);
    let ids = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    let participants = ids.iter().map(|id| purses.participant(*id)).collect::<Vec<_>>();
    let put = |roots: &mut Vec<AggregateRoot<Purse>>| {
        roots.iter_mut().try_for_each(|root| root.execute(&PurseCommand::Put(3)))
    };
    UnitOfWork::new(cx.store().clone()).execute(participants, put).await?;
    for id in ids {
        let purse = purses.load(id).await?.ok_or_else(|| Failure::new("the purse is gone"))?;
        assert_eq!(purse.state().cents, 3);
    }
    let counted = snapshots.statistics();
    assert_eq!((counted.saved, counted.used, counted.ahead), (3, 3, 0), "{counted:?}");
    Ok(())
}

pub async fn snapshots_are_saved_in_the_background_and_bounded(cx: Cx) -> CaseResult {
    let (snapshots, worker) =
        Snapshots::in_background(cx.snapshots()?.clone(), SnapshotPolicy::never().events(1), 2);
    let purses = Repository::<Purse, _>::new(cx.store().clone()).snapshots(snapshots.clone(), 1);
    let ids = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    for id in ids {
        purses
            .execute(id, &PurseCommand::Put(1))
            .await
            .map_err(|error| Failure::new(format!("{error:?}")))?;
    }
    // Nobody has saved yet; two wait, and there was no place for the third.
    let counted = snapshots.statistics();
    assert_eq!((counted.saved, counted.dropped), (0, 1), "{counted:?}");
    // The worker ends when nobody can send it anything any more.
    drop((purses, snapshots));
    worker.run().await;
    let key = |id| StreamId::new("Purse", id).map(SnapshotKey::stream);
    let mut found = Vec::new();
    for id in ids {
        found.push(cx.snapshots()?.load_snapshot(&key(id)?).await?.is_some());
    }
    assert_eq!(found, [true, true, false]);
    Ok(())
}
