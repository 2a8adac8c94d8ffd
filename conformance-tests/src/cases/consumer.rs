//! A consumer goes on where it was, and says when it can't.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use eventsource_consumers::{
    Consumer, ConsumerStore, FailurePolicy, Outcome, Reaction, Start, State, derived_event_id, each_event,
    each_page, lag, wait_for,
};
use eventsource_core::{
    Append, Conflict, Error, ErrorKind, EventStore as _, NewEvent, Position, RecordedEvent,
};
use tokio::time::timeout;

use crate::clock::SetClock;
use crate::consuming::{Diary, consumer, quick};
use crate::given::{closed, conflict, event, events, found, log_of, name, positions, refused, types};
use crate::watched::Watched;
use crate::{CaseResult, Cx, Setup};

const PATIENCE: Duration = Duration::from_secs(40);

async fn checkpoint(cx: &Cx, consumer: &str) -> CaseResult<(Position, u64)> {
    let checkpoint = cx.checkpoints().load_checkpoint(&name(consumer)).await?;
    Ok(checkpoint.map_or((Position::START, 0), |each| (each.position, each.events_processed)))
}

pub async fn it_goes_on_where_it_was(cx: Cx) -> CaseResult {
    let diary = Diary::default();
    for round in 1..=3 {
        cx.store().append(Append::events(events(25))).await?;
        let consumer = consumer(&cx, "orders")?.page_size(10);
        assert_eq!(consumer.run_until_caught_up(diary.handler()).await?, Outcome::CaughtUp);
        assert_eq!(checkpoint(&cx, "orders").await?, (cx.store().head().await?, round * 25));
    }
    assert_eq!(diary.handled(), positions(&log_of(cx.store()).await?));
    Ok(())
}

pub async fn stopping_finishes_and_records_what_is_in_hand(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(10))).await?;
    let consumer = consumer(&cx, "orders")?.page_size(4);
    let control = consumer.control();
    let diary = Diary::default();
    let handler = each_page({
        let (control, diary) = (control.clone(), Arc::new(std::sync::Mutex::new(0)));
        move |events: Vec<RecordedEvent>, _| {
            control.stop();
            *diary.lock().expect("nothing panics under it") += events.len();
            async { Ok(()) }
        }
    });
    assert_eq!(consumer.run(handler).await?, Outcome::Stopped);
    assert_eq!(control.status().state, State::Stopped);
    let log = positions(&log_of(cx.store()).await?);
    assert_eq!(checkpoint(&cx, "orders").await?, (log[3], 4));
    crate::consuming::consumer(&cx, "orders")?.run_until_caught_up(diary.handler()).await?;
    assert_eq!(diary.handled(), log[4..]);
    Ok(())
}

pub async fn it_pauses_and_goes_on(cx: Cx) -> CaseResult {
    let (diary, consumer) = (Diary::default(), consumer(&cx, "orders")?);
    let control = consumer.control();
    let running = tokio::spawn(consumer.run(diary.handler()));
    let first = cx.store().append(Append::events(events(3))).await?.last;
    timeout(PATIENCE, control.wait_until(|status| status.position == first)).await?;
    control.pause();
    timeout(PATIENCE, control.wait_until(|status| status.state == State::Paused)).await?;
    let second = cx.store().append(Append::events(events(3))).await?.last;
    crate::given::a_while().await;
    assert_eq!(diary.handled().len(), 3, "it works while it is paused");
    control.resume();
    timeout(PATIENCE, control.wait_until(|status| status.position == second)).await?;
    control.pause();
    control.stop();
    assert_eq!(timeout(PATIENCE, running).await???, Outcome::Stopped);
    assert_eq!(diary.handled(), positions(&log_of(cx.store()).await?));
    Ok(())
}

pub async fn it_begins_at_its_start_once(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(3))).await?;
    let diary = Diary::default();
    consumer(&cx, "orders")?.start(Start::End).run_until_caught_up(diary.handler()).await?;
    cx.store().append(Append::events(events(2))).await?;
    consumer(&cx, "orders")?.start(Start::End).run_until_caught_up(diary.handler()).await?;
    let log = positions(&log_of(cx.store()).await?);
    assert_eq!(diary.handled(), log[3..]);
    let other = Diary::default();
    consumer(&cx, "other")?.start(Start::After(log[1])).run_until_caught_up(other.handler()).await?;
    assert_eq!(other.handled(), log[2..]);
    Ok(())
}

pub async fn the_checkpoint_moves_where_nothing_matches(cx: Cx) -> CaseResult {
    let (diary, consumer) = (Diary::default(), consumer(&cx, "orders")?.filter(types(["Wanted"])));
    let control = consumer.control();
    let running = tokio::spawn(consumer.run(diary.handler()));
    let last = cx.store().append(Append::events(events(30))).await?.last;
    wait_for(cx.checkpoints(), &name("orders"), last, PATIENCE).await?;
    assert_eq!(checkpoint(&cx, "orders").await?, (last, 0));
    control.stop();
    running.await??;
    Ok(())
}

pub async fn a_store_that_is_away_is_waited_for_and_not_counted(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(2))).await?;
    let failures = Arc::new(AtomicU32::new(0));
    let handler = each_event({
        let failures = failures.clone();
        move |_, _| {
            let away = failures.fetch_add(1, Ordering::SeqCst) < 7;
            async move {
                if away { Err(Error::unavailable("the handler's store is away").into()) } else { Ok(()) }
            }
        }
    });
    let policy = eventsource_consumers::FailurePolicy::stop().attempts(1);
    consumer(&cx, "orders")?.policy(policy).run_until_caught_up(handler).await?;
    assert_eq!(failures.load(Ordering::SeqCst), 9);
    assert_eq!(checkpoint(&cx, "orders").await?.1, 2);
    Ok(())
}

pub async fn a_closed_store_of_the_handlers_own_is_a_failure_of_the_handler(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(2))).await?;
    let (tries, mailbox) = (Arc::new(AtomicU32::new(0)), cx.fresh(Setup::default()).await?);
    mailbox.store().close().await?;
    let handler = each_event({
        let tries = tries.clone();
        move |_, _| {
            let (mailbox, reopened) = (mailbox.clone(), tries.fetch_add(1, Ordering::SeqCst) >= 2);
            async move {
                if !reopened {
                    mailbox.store().head().await?;
                }
                Ok(())
            }
        }
    });
    let orders = consumer(&cx, "orders")?.policy(quick(FailurePolicy::stop()).attempts(3));
    let control = orders.control();
    assert_eq!(orders.run_until_caught_up(handler).await?, Outcome::CaughtUp);
    assert_eq!((tries.load(Ordering::SeqCst), control.status().failures), (4, 2));
    assert_eq!(checkpoint(&cx, "orders").await?.1, 2);
    Ok(())
}

pub async fn it_ends_when_its_handler_finds_its_store_closed(cx: Cx) -> CaseResult {
    for policy in [FailurePolicy::stop(), FailurePolicy::park()] {
        let cx = cx.fresh(Setup::default()).await?;
        cx.store().append(Append::events(events(2))).await?;
        let handler = each_event({
            let store = cx.store().clone();
            move |_, _| {
                let store = store.clone();
                async move {
                    store.close().await?;
                    Ok(store.append(Append::events(events(1))).await.map(drop)?)
                }
            }
        });
        let orders = consumer(&cx, "orders")?.policy(quick(policy).attempts(1));
        closed(timeout(PATIENCE, orders.run(handler)).await?)?;
    }
    Ok(())
}

/// As on a disk that can't be flushed any more.
pub async fn it_ends_when_its_handler_finds_its_store_broken_for_good(cx: Cx) -> CaseResult {
    for policy in [FailurePolicy::stop(), FailurePolicy::park()] {
        let cx = cx.fresh(Setup::default()).await?;
        cx.store().append(Append::events(events(2))).await?;
        let (tries, store) = (Arc::new(AtomicU32::new(0)), Watched::new(cx.store().clone()));
        let handler = each_event({
            let (tries, store) = (tries.clone(), store.clone());
            move |_, _| {
                tries.fetch_add(1, Ordering::SeqCst);
                store.break_for_good();
                let store = store.clone();
                async move { Ok(store.append(Append::events(events(1))).await.map(drop)?) }
            }
        });
        let own = ConsumerStore { events: Arc::new(store), ..cx.consumer_store() };
        let orders = Consumer::new("orders", own)?.policy(quick(policy).attempts(3));
        closed(timeout(PATIENCE, orders.run(handler)).await?)?;
        assert_eq!(tries.load(Ordering::SeqCst), 1);
    }
    Ok(())
}

pub async fn it_ends_when_what_keeps_its_checkpoints_is_closed(cx: Cx) -> CaseResult {
    let elsewhere = cx.fresh(Setup::default()).await?;
    let store = ConsumerStore { checkpoints: elsewhere.checkpoints().clone(), ..cx.consumer_store() };
    elsewhere.store().close().await?;
    let consumer = Consumer::new("orders", store)?.run(Diary::default().handler());
    closed(timeout(Duration::from_secs(20), consumer).await?)
}

pub async fn a_reset_takes_it_back_while_it_runs(cx: Cx) -> CaseResult {
    let last = cx.store().append(Append::events(events(5))).await?.last;
    let (diary, consumer) = (Diary::default(), consumer(&cx, "orders")?);
    let control = consumer.control();
    let running = tokio::spawn(consumer.run(diary.handler()));
    timeout(PATIENCE, control.wait_until(|status| status.position == last)).await?;
    let log_id = cx.identity().log_id().await?;
    cx.checkpoints().reset_checkpoint(&name("orders"), log_id, Position::START).await?;
    let next = cx.store().append(Append::events(events(1))).await?.last;
    wait_for(cx.checkpoints(), &name("orders"), next, PATIENCE).await?;
    control.stop();
    running.await??;
    let log = positions(&log_of(cx.store()).await?);
    let handled = diary.handled();
    assert!(handled.ends_with(&log), "it has not begun again: {handled:?}");
    Ok(())
}

pub async fn a_restored_log_is_refused(cx: Cx) -> CaseResult {
    let head = cx.store().append(Append::events(events(2))).await?.last;
    let log_id = cx.identity().log_id().await?;
    let ahead = Position::from_raw(head.to_raw() + 5);
    cx.checkpoints().reset_checkpoint(&name("orders"), log_id, ahead).await?;
    let diary = Diary::default();
    let refused = conflict(consumer(&cx, "orders")?.run_until_caught_up(diary.handler()).await)?;
    assert!(matches!(refused, Conflict::CheckpointAhead { .. }), "{refused:?}");
    let other = cx.fresh(Setup::default()).await?.identity().log_id().await?;
    cx.checkpoints().reset_checkpoint(&name("orders"), other, Position::START).await?;
    let refused = conflict(consumer(&cx, "orders")?.run_until_caught_up(diary.handler()).await)?;
    assert!(matches!(refused, Conflict::OtherLog { .. }), "{refused:?}");
    assert!(diary.handled().is_empty());
    Ok(())
}

pub async fn waiting_for_a_position_ends_when_it_is_done(cx: Cx) -> CaseResult {
    let last = cx.store().append(Append::events(events(1))).await?.last;
    let late = wait_for(cx.checkpoints(), &name("orders"), last, Duration::from_millis(20)).await;
    refused(ErrorKind::Unavailable, late)?;
    wait_for(cx.checkpoints(), &name("orders"), Position::START, Duration::ZERO).await?;
    consumer(&cx, "orders")?.run_until_caught_up(Diary::default().handler()).await?;
    wait_for(cx.checkpoints(), &name("orders"), last, Duration::ZERO).await?;
    Ok(())
}

pub async fn lag_is_told_in_events_and_age(cx: Cx) -> CaseResult {
    let clock = SetClock::at("2026-01-02T03:04:05Z");
    let cx = cx.fresh(Setup::with_clock(clock.clone())).await?;
    cx.store().append(Append::events(events(2))).await?;
    consumer(&cx, "orders")?
        .filter(types(["Happened"]))
        .run_until_caught_up(Diary::default().handler())
        .await?;
    let now = crate::given::time("2026-01-02T03:05:05Z");
    let filter = types(["Happened"]);
    let told = lag(&cx.consumer_store(), &name("orders"), &filter, now).await?;
    assert_eq!((told.events, told.age, told.position), (0, None, told.head));
    clock.advance(Duration::from_secs(10));
    cx.store().append(Append::events([event("Other")])).await?;
    clock.advance(Duration::from_secs(10));
    cx.store().append(Append::events(events(3))).await?;
    let told = lag(&cx.consumer_store(), &name("orders"), &filter, now).await?;
    assert_eq!((told.events, told.age.map(|age| age.num_seconds())), (3, Some(40)));
    Ok(())
}

pub async fn a_reaction_that_comes_again_appends_nothing_again(cx: Cx) -> CaseResult {
    cx.store().append(Append::events([event("Placed"), event("Placed")])).await?;
    let placed = log_of(cx.store()).await?;
    for round in 0..3 {
        let log_id = cx.identity().log_id().await?;
        cx.checkpoints().reset_checkpoint(&name("stock"), log_id, Position::START).await?;
        // What it says differs each time: what it said first holds.
        let reaction = Reaction::new(name("stock"), cx.store().clone(), move |_| async move {
            let reserved = NewEvent::new("Reserved", &round)?;
            Ok(vec![Append::events([reserved, event("Noted")]), Append::events([event("Told")])])
        });
        consumer(&cx, "stock")?.filter(types(["Placed"])).run_until_caught_up(reaction).await?;
    }
    let log = log_of(cx.store()).await?;
    assert_eq!(log.len(), 2 + 2 * 3, "{log:?}");
    let reserved = found(&**cx.store(), types(["Reserved"])).await?;
    for (cause, caused) in placed.iter().zip(&reserved) {
        assert_eq!(caused.metadata().causation_id(), Some(cause.id()));
        assert_eq!(caused.metadata().correlation_id(), Some(cause.id().as_uuid()));
        assert_eq!(caused.id(), derived_event_id(&name("stock"), cause.id(), 0));
        assert_eq!(caused.payload().deserialize::<u32>()?, 0);
    }
    Ok(())
}
