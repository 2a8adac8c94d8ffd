//! How far consumers have come, and that it never goes back by accident.

use std::time::Duration;

use eventsource_core::{
    Append, Checkpoint, CheckpointSave, Conflict, ConsumerName, ErrorKind, EventId, LastEvent, LogId,
    Position,
};
use uuid::Uuid;

use crate::clock::SetClock;
use crate::given::{conflict, events, log_of, name, race_all, refused};
use crate::{CaseResult, Cx, Setup};

async fn first(cx: &Cx, consumer: &str) -> CaseResult<CheckpointSave> {
    Ok(CheckpointSave::first(name(consumer), cx.identity().log_id().await?))
}

async fn load(cx: &Cx, consumer: &str) -> CaseResult<Option<Checkpoint>> {
    Ok(cx.checkpoints().load_checkpoint(&name(consumer)).await?)
}

pub async fn a_saved_checkpoint_comes_back(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(3))).await?;
    let log = log_of(cx.store()).await?;
    assert_eq!(load(&cx, "orders").await?, None);
    let save = first(&cx, "orders").await?.past(&log[0]).past(&log[1]).scanned_to(log[2].position());
    cx.checkpoints().save_checkpoint(&save).await?;
    let loaded = load(&cx, "orders").await?.expect("it was saved");
    assert_eq!(loaded, save.to_checkpoint(loaded.updated_at));
    assert_eq!((loaded.events_processed, loaded.position), (2, log[2].position()));
    let last = loaded.last_event.clone().expect("two events were done");
    assert_eq!(
        (last.id, last.position, &last.event_type),
        (log[1].id(), log[1].position(), log[1].event_type())
    );
    assert_eq!(load(&cx, "others").await?, None);
    loaded.verify(cx.store(), cx.identity()).await?;
    Ok(())
}

pub async fn a_checkpoint_never_goes_back(cx: Cx) -> CaseResult {
    let at = |raw| Position::from_raw(raw);
    let save = first(&cx, "orders").await?.scanned_to(at(7));
    cx.checkpoints().save_checkpoint(&save).await?;
    let loaded = load(&cx, "orders").await?.expect("it was saved");
    let back = CheckpointSave::following(&loaded).scanned_to(at(6));
    assert!(matches!(
        conflict(cx.checkpoints().save_checkpoint(&back).await)?,
        Conflict::CheckpointMoved { .. }
    ));
    assert_eq!(load(&cx, "orders").await?, Some(loaded.clone()));
    cx.checkpoints().save_checkpoint(&CheckpointSave::following(&loaded).scanned_to(at(8))).await?;
    Ok(())
}

pub async fn of_two_instances_one_goes_on(cx: Cx) -> CaseResult {
    let at = |raw| Position::from_raw(raw);
    let save = first(&cx, "orders").await?;
    cx.checkpoints().save_checkpoint(&save.clone().scanned_to(at(5))).await?;
    // Another one that began when there was no checkpoint, and has come further.
    let refused = conflict(cx.checkpoints().save_checkpoint(&save.scanned_to(at(9))).await)?;
    let (expected, found) = (None, Some(at(5)));
    assert_eq!(refused, Conflict::CheckpointMoved { consumer: name("orders"), expected, found });
    let loaded = load(&cx, "orders").await?.expect("it was saved");
    let racers = (0..8_u64).map(|racer| {
        let (checkpoints, save) = (cx.checkpoints().clone(), CheckpointSave::following(&loaded));
        async move { checkpoints.save_checkpoint(&save.scanned_to(at(10 + racer))).await }
    });
    let answers = race_all(racers).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    for answer in answers.into_iter().filter(Result::is_err) {
        assert!(matches!(conflict(answer)?, Conflict::CheckpointMoved { .. }));
    }
    Ok(())
}

pub async fn the_same_save_again_is_fine(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(1))).await?;
    let save = first(&cx, "orders").await?.past(&log_of(cx.store()).await?[0]);
    cx.checkpoints().save_checkpoint(&save).await?;
    cx.checkpoints().save_checkpoint(&save).await?;
    assert_eq!(load(&cx, "orders").await?.expect("it was saved").events_processed, 1);
    cx.checkpoints().save_checkpoint(&save.next().scanned_to(Position::from_raw(9))).await?;
    Ok(())
}

pub async fn a_reset_goes_back_and_refuses_who_works_on(cx: Cx) -> CaseResult {
    let at = |raw| Position::from_raw(raw);
    let save = first(&cx, "orders").await?.scanned_to(at(7));
    cx.checkpoints().save_checkpoint(&save).await?;
    let log_id = save.log_id();
    cx.checkpoints().reset_checkpoint(&name("orders"), log_id, at(2)).await?;
    let reset = load(&cx, "orders").await?.expect("it is there");
    assert_eq!(
        (reset.position, reset.events_processed, reset.resets, reset.last_event.clone()),
        (at(2), 0, 1, None)
    );
    conflict(cx.checkpoints().save_checkpoint(&save.next().scanned_to(at(8))).await)?;
    // Also one that comes to the very place where it would have been.
    cx.checkpoints().save_checkpoint(&CheckpointSave::following(&reset).scanned_to(at(7))).await?;
    conflict(cx.checkpoints().save_checkpoint(&save.next().scanned_to(at(8))).await)?;
    cx.checkpoints().reset_checkpoint(&name("new"), log_id, Position::START).await?;
    assert_eq!(load(&cx, "new").await?.expect("it is there").position, Position::START);
    Ok(())
}

pub async fn a_checkpoint_of_another_log_is_refused(cx: Cx) -> CaseResult {
    let own = cx.identity().log_id().await?;
    let other = cx.fresh(Setup::default()).await?.identity().log_id().await?;
    assert_ne!(own, other);
    assert_eq!(own, cx.identity().log_id().await?);
    let foreign = CheckpointSave::first(name("orders"), other).scanned_to(Position::START);
    cx.checkpoints().save_checkpoint(&foreign).await?;
    let loaded = load(&cx, "orders").await?.expect("it was saved");
    let refused = conflict(loaded.verify(cx.store(), cx.identity()).await)?;
    assert!(refused.is_divergence() && refused.to_string().contains("reset"), "{refused}");
    let save = CheckpointSave::following(&Checkpoint { log_id: own, ..loaded });
    assert!(matches!(
        conflict(cx.checkpoints().save_checkpoint(&save.scanned_to(Position::from_raw(1))).await)?,
        Conflict::OtherLog { .. }
    ));
    cx.checkpoints().reset_checkpoint(&name("orders"), own, Position::START).await?;
    load(&cx, "orders").await?.expect("it is there").verify(cx.store(), cx.identity()).await?;
    Ok(())
}

pub async fn a_checkpoint_ahead_of_the_head_is_refused(cx: Cx) -> CaseResult {
    let head = cx.store().append(Append::events(events(2))).await?.last;
    let ahead = Position::from_raw(head.to_raw() + 1);
    let save = first(&cx, "orders").await?;
    let of = |position| save.clone().scanned_to(position).to_checkpoint(chrono::DateTime::UNIX_EPOCH);
    of(head).verify(cx.store(), cx.identity()).await?;
    let refused = conflict(of(ahead).verify(cx.store(), cx.identity()).await)?;
    assert_eq!(refused, Conflict::CheckpointAhead { consumer: name("orders"), position: ahead, head });
    assert!(refused.to_string().contains("restored"), "{refused}");
    Ok(())
}

pub async fn a_checkpoint_behind_another_event_is_refused(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(3))).await?;
    let log = log_of(cx.store()).await?;
    let mut checkpoint =
        first(&cx, "orders").await?.past(&log[1]).to_checkpoint(chrono::DateTime::UNIX_EPOCH);
    checkpoint.verify(cx.store(), cx.identity()).await?;
    let other = EventId::new(Uuid::from_u128(1))?;
    let event_type = log[1].event_type().clone();
    checkpoint.last_event = Some(LastEvent { position: log[1].position(), id: other, event_type });
    let refused = conflict(checkpoint.verify(cx.store(), cx.identity()).await)?;
    let (position, found) = (log[1].position(), log[1].id());
    assert_eq!(
        refused,
        Conflict::OtherHistory { consumer: name("orders"), position, expected: other, found }
    );
    Ok(())
}

pub async fn checkpoints_are_listed_and_deleted(cx: Cx) -> CaseResult {
    for consumer in ["b", "c", "a"] {
        cx.checkpoints().save_checkpoint(&first(&cx, consumer).await?).await?;
    }
    let names = async || {
        let listed = cx.checkpoints().checkpoints().await?;
        CaseResult::Ok(listed.into_iter().map(|each| each.consumer.to_string()).collect::<Vec<_>>())
    };
    assert_eq!(names().await?, ["a", "b", "c"]);
    assert!(cx.checkpoints().delete_checkpoint(&name("b")).await?);
    assert!(!cx.checkpoints().delete_checkpoint(&name("b")).await?);
    assert_eq!(names().await?, ["a", "c"]);
    assert_eq!(load(&cx, "b").await?, None);
    Ok(())
}

pub async fn a_checkpoint_is_stamped_with_the_stores_time(cx: Cx) -> CaseResult {
    let clock = SetClock::at("2026-01-02T03:04:05.000006Z");
    let cx = cx.fresh(Setup::with_clock(clock.clone())).await?;
    let stale = first(&cx, "stale").await?;
    cx.checkpoints().save_checkpoint(&stale).await?;
    clock.advance(Duration::from_secs(3_600));
    cx.checkpoints().save_checkpoint(&first(&cx, "fresh").await?).await?;
    let limit = crate::given::time("2026-01-02T03:30:00Z");
    let listed = cx.checkpoints().checkpoints().await?;
    let stale: Vec<_> = listed.iter().filter(|each| each.updated_at < limit).collect();
    assert_eq!(stale.len(), 1);
    assert_eq!(stale[0].updated_at, crate::given::time("2026-01-02T03:04:05.000006Z"));
    Ok(())
}

pub async fn a_name_is_never_empty_or_too_long(cx: Cx) -> CaseResult {
    for bad in ["", "nul\0", &"x".repeat(256)] {
        refused(ErrorKind::InvalidInput, ConsumerName::new(bad))?;
    }
    for good in ["x".repeat(255), "ü'; DROP TABLE projection_checkpoints; --".to_owned(), "Orders".to_owned()]
    {
        let save = CheckpointSave::first(name(&good), LogId::new(Uuid::from_u128(7)));
        cx.checkpoints().save_checkpoint(&save).await?;
        assert_eq!(load(&cx, &good).await?.expect("it was saved").consumer.as_str(), good);
    }
    assert_eq!(load(&cx, "orders").await?, None);
    Ok(())
}
