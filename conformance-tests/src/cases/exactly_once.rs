//! View, checkpoint and fence in one transaction: what was applied is the log, once and in order.

use std::time::Duration;

use eventsource_consumers::{DeadLetterOffice, FailurePolicy, Rebuild};
use eventsource_core::{
    Append, CheckpointSave, Conflict, DeadLetterKey, DeadLetterQuery, DeadLetterState, Delivery,
    DeliveryError, DeliveryFailure, ErrorKind, LeaseKey, MemberId, NewDeadLetter, Position, Purpose, Record,
    Sink,
};
use tokio::time::timeout;

use crate::consuming::{consumer, quick};
use crate::given::{event, events, log_of, name, positions, race_all, refused};
use crate::{CaseResult, Cx};

const PATIENCE: Duration = Duration::from_secs(40);

async fn delivery(cx: &Cx, save: CheckpointSave) -> CaseResult<Delivery> {
    let events = log_of(cx.store()).await?;
    let save = events.iter().fold(save, CheckpointSave::past);
    Ok(Delivery { events, record: Record::Checkpoint(save), purpose: Purpose::Live, timeout: None })
}

pub async fn the_view_is_the_log_over_restarts(cx: Cx) -> CaseResult {
    let view = cx.view().clone();
    for _ in 0..3 {
        cx.store().append(Append::events(events(12))).await?;
        consumer(&cx, "view")?.page_size(5).run_until_caught_up(view.clone()).await?;
        assert_eq!(view.applied().await?, positions(&log_of(cx.store()).await?));
    }
    Ok(())
}

pub async fn a_failing_handler_leaves_nothing_of_its_page(cx: Cx) -> CaseResult {
    let view = cx.view().clone();
    cx.store().append(Append::events([event("A"), event("Poison"), event("A")])).await?;
    let log = positions(&log_of(cx.store()).await?);
    let first = CheckpointSave::first(name("view"), cx.identity().log_id().await?);
    let failed = view.deliver(&delivery(&cx, first).await?).await.expect_err("it holds poison");
    assert!(matches!(failed.cause, DeliveryFailure::Event { index: 1, .. }), "{failed:?}");
    assert_eq!((failed.handled, view.applied().await?), (0, vec![]));
    assert_eq!(cx.checkpoints().load_checkpoint(&name("view")).await?, None);
    let stopped =
        consumer(&cx, "view")?.policy(quick(FailurePolicy::stop()).attempts(2)).run(view.clone()).await;
    refused(ErrorKind::Backend, stopped)?;
    assert_eq!(view.applied().await?, log[..1]);
    consumer(&cx, "view")?
        .policy(quick(FailurePolicy::park()).attempts(2))
        .run_until_caught_up(view.clone())
        .await?;
    assert_eq!(view.applied().await?, [log[0], log[2]]);
    let office = DeadLetterOffice::new("view", cx.consumer_store(), view.clone())?;
    assert_eq!(office.retry_all("ann").await?.failed, 1);
    assert_eq!(view.applied().await?, [log[0], log[2]]);
    Ok(())
}

pub async fn nothing_is_recorded_where_a_handler_ends_the_transaction(cx: Cx) -> CaseResult {
    let view = cx.view().clone();
    cx.store().append(Append::events([event("A"), event("Commit"), event("A")])).await?;
    let log = log_of(cx.store()).await?;
    let of_events = |failed: DeliveryError| {
        let of_events = matches!(failed.cause, DeliveryFailure::Event { .. } | DeliveryFailure::Page(_));
        assert!(of_events, "{failed:?}");
    };
    let first = CheckpointSave::first(name("view"), cx.identity().log_id().await?);
    of_events(view.deliver(&delivery(&cx, first).await?).await.expect_err("it commits"));
    assert_eq!(cx.checkpoints().load_checkpoint(&name("view")).await?, None);

    let letter = NewDeadLetter::new(name("view"), log[1].clone(), "it failed", 3);
    cx.dead_letters().park(&letter).await?;
    let record = Record::Resolved { key: letter.key(), by: "ann".to_owned() };
    let again = Delivery { events: vec![log[1].clone()], record, purpose: Purpose::Live, timeout: None };
    of_events(view.deliver(&again).await.expect_err("it commits"));
    let resolved = DeadLetterQuery::all().in_state(DeadLetterState::Resolved);
    assert_eq!(cx.dead_letters().count_dead_letters(&resolved).await?, 0);

    let policy = quick(FailurePolicy::park()).attempts(1);
    consumer(&cx, "view")?.policy(policy).run_until_caught_up(view.clone()).await?;
    let checkpoint =
        cx.checkpoints().load_checkpoint(&name("view")).await?.expect("it has passed over the event");
    assert_eq!((checkpoint.position, checkpoint.events_processed), (log[2].position(), 2));
    Ok(())
}

pub async fn a_delivery_whose_answer_was_lost_is_applied_once(cx: Cx) -> CaseResult {
    let view = cx.view().clone();
    cx.store().append(Append::events(events(3))).await?;
    let first = CheckpointSave::first(name("view"), cx.identity().log_id().await?);
    let delivery = delivery(&cx, first).await?;
    for _ in 0..3 {
        view.deliver(&delivery).await?;
    }
    assert_eq!(view.applied().await?, positions(&log_of(cx.store()).await?));
    Ok(())
}

pub async fn two_instances_apply_nothing_twice(cx: Cx) -> CaseResult {
    let view = cx.view().clone();
    let consumers =
        (0..2).map(|_| Ok(consumer(&cx, "view")?.page_size(3))).collect::<CaseResult<Vec<_>>>()?;
    let controls: Vec<_> = consumers.iter().map(eventsource_consumers::Consumer::control).collect();
    let running: Vec<_> = consumers.into_iter().map(|each| tokio::spawn(each.run(view.clone()))).collect();
    for _ in 0..30 {
        cx.store().append(Append::events(events(2))).await?;
    }
    let head = cx.store().head().await?;
    eventsource_consumers::wait_for(cx.checkpoints(), &name("view"), head, PATIENCE).await?;
    for control in controls {
        control.stop();
    }
    for each in running {
        timeout(PATIENCE, each).await???;
    }
    assert_eq!(view.applied().await?, positions(&log_of(cx.store()).await?));
    Ok(())
}

pub async fn a_fenced_member_changes_no_view(cx: Cx) -> CaseResult {
    let view = cx.view().clone();
    cx.store().append(Append::events(events(3))).await?;
    let key = LeaseKey { group: name("view"), partition: 0 };
    let hold = async || {
        let lease = cx.leases().acquire_lease(&key, MemberId::random(), Duration::from_secs(60)).await?;
        CaseResult::Ok(lease.expect("it is free"))
    };
    let paused = hold().await?;
    cx.leases().release_lease(&paused).await?;
    let other = hold().await?;
    let first = CheckpointSave::first(name("view"), cx.identity().log_id().await?);
    let fenced = delivery(&cx, first.clone().fenced(Some(paused.fence()))).await?;
    let is_refused = async || {
        let refused = view.deliver(&fenced).await.expect_err("its lease is another's");
        let DeliveryFailure::Store(error) = refused.cause else { panic!("{refused:?}") };
        assert!(matches!(error.conflict(), Some(Conflict::Fenced { .. })), "{error:?}");
    };
    is_refused().await;
    assert!(view.applied().await?.is_empty());
    view.deliver(&delivery(&cx, first.fenced(Some(other.fence()))).await?).await?;
    // Also of what the other one has done meanwhile.
    is_refused().await;
    assert_eq!(view.applied().await?.len(), 3);
    Ok(())
}

pub async fn a_rebuilt_view_takes_the_place_of_the_live_one(cx: Cx) -> CaseResult {
    let view = cx.view().clone();
    cx.store().append(Append::events(events(20))).await?;
    let live = consumer(&cx, "view")?.page_size(3);
    let control = live.control();
    let running = tokio::spawn(live.run(view.clone()));
    let store = cx.store().clone();
    let writer = tokio::spawn(async move {
        for _ in 0..40 {
            store.append(Append::events(events(1))).await?;
        }
        Ok::<_, eventsource_core::Error>(())
    });
    for _ in 0..2 {
        let report = Rebuild::new("view", cx.consumer_store())?.page_size(7).run(view.clone()).await?;
        assert!(report.progress.applied >= 20, "{report:?}");
    }
    writer.await??;
    let last = cx.store().append(Append::events(events(1))).await?.last;
    eventsource_consumers::wait_for(cx.checkpoints(), &name("view"), last, PATIENCE).await?;
    control.stop();
    timeout(PATIENCE, running).await???;
    assert_eq!(view.applied().await?, positions(&log_of(cx.store()).await?));
    assert_eq!(cx.checkpoints().checkpoints().await?.len(), 1, "the rebuild's own checkpoint is gone");
    assert!(last > Position::START);
    Ok(())
}

pub async fn a_rebuild_hands_its_dead_letters_over_with_its_view(cx: Cx) -> CaseResult {
    let view = cx.view().clone();
    cx.store().append(Append::events([event("A"), event("Poison"), event("A")])).await?;
    let log = log_of(cx.store()).await?;
    let policy = quick(FailurePolicy::park()).attempts(1);
    consumer(&cx, "view")?.policy(policy).run_until_caught_up(view.clone()).await?;
    // One more that had failed, and does not fail any more.
    let before = NewDeadLetter::new(name("view"), log[2].clone(), "it failed", 3);
    cx.dead_letters().park(&before).await?;
    let report = Rebuild::new("view", cx.consumer_store())?.policy(policy).run(view.clone()).await?;
    let poison = DeadLetterKey { consumer: name("view"), event_id: log[1].id() };
    assert_eq!(report.parked, std::slice::from_ref(&poison));
    let open = DeadLetterQuery::all().in_state(DeadLetterState::Failed);
    let open = cx.dead_letters().dead_letters(&open).await?;
    assert_eq!(open.into_iter().map(|letter| letter.key).collect::<Vec<_>>(), [poison]);
    let office = DeadLetterOffice::new("view", cx.consumer_store(), view.clone())?;
    let retried = office.retry_all("ann").await?;
    assert_eq!((retried.resolved, retried.failed), (0, 1));
    assert_eq!(view.applied().await?, [log[0].position(), log[2].position()]);
    Ok(())
}

pub async fn a_parked_event_is_applied_once_however_often_it_is_tried(cx: Cx) -> CaseResult {
    let view = cx.view().clone();
    cx.store().append(Append::events(events(1))).await?;
    let events = log_of(cx.store()).await?;
    let letter = NewDeadLetter::new(name("view"), events[0].clone(), "it failed", 3);
    cx.dead_letters().park(&letter).await?;
    let record = Record::Resolved { key: letter.key(), by: "ann".to_owned() };
    let delivery = Delivery { events: events.clone(), record, purpose: Purpose::Live, timeout: None };
    // As by one whose answer was lost, or who was taken for gone.
    let tries = (0..4).map(|_| {
        let (view, delivery) = (view.clone(), delivery.clone());
        async move { view.deliver(&delivery).await }
    });
    for answer in race_all(tries).await {
        answer?;
    }
    assert_eq!(view.applied().await?, positions(&events));
    let resolved = DeadLetterQuery::all().in_state(DeadLetterState::Resolved);
    assert_eq!(cx.dead_letters().count_dead_letters(&resolved).await?, 1);
    Ok(())
}
