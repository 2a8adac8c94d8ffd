//! Which checkpoints do not move though they should.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use eventsource_consumers::{Stale, StaleReason, stale};
use eventsource_core::{Append, CheckpointSave, Clock as _, Conflict, Position};

use crate::clock::SetClock;
use crate::consuming::{Diary, consumer};
use crate::given::{event, events, log_of, name, types};
use crate::{CaseResult, Cx, Setup};

const HOUR: Duration = Duration::from_secs(3_600);

/// A log whose time stands still.
async fn timed(cx: &Cx) -> CaseResult<(Cx, SetClock)> {
    let clock = SetClock::at("2026-01-02T03:04:05Z");
    Ok((cx.fresh(Setup::with_clock(clock.clone())).await?, clock))
}

async fn work(cx: &Cx, named: &str) -> CaseResult {
    consumer(cx, named)?.run_until_caught_up(Diary::default().handler()).await?;
    Ok(())
}

/// What was not saved for half an hour: whose, and since when events wait for it.
async fn waiting(cx: &Cx, clock: &SetClock) -> CaseResult<Vec<(String, DateTime<Utc>)>> {
    let found = stale(&cx.consumer_store(), clock.now() - TimeDelta::minutes(30)).await?;
    let waiting = found.into_iter().filter_map(|Stale { checkpoint, reason, .. }| match reason {
        StaleReason::Waiting(since) => Some((checkpoint.consumer.to_string(), since)),
        _ => None,
    });
    Ok(waiting.collect())
}

pub async fn events_that_wait_make_a_checkpoint_stale(cx: Cx) -> CaseResult {
    let (cx, clock) = timed(&cx).await?;
    cx.store().append(Append::events(events(2))).await?;
    for consumer in ["runs", "stopped", "gone"] {
        work(&cx, consumer).await?;
    }
    clock.advance(HOUR);
    cx.store().append(Append::events(events(1))).await?;
    let since = clock.now();
    clock.advance(HOUR);
    cx.store().append(Append::events(events(1))).await?;
    work(&cx, "runs").await?;
    let expected = ["gone", "stopped"].map(|consumer| (consumer.to_owned(), since));
    assert_eq!(waiting(&cx, &clock).await?, expected);
    // One of them is run again, and nobody needs the other any more.
    work(&cx, "stopped").await?;
    assert!(cx.checkpoints().delete_checkpoint(&name("gone")).await?);
    assert_eq!(waiting(&cx, &clock).await?, []);
    Ok(())
}

pub async fn a_quiet_consumer_at_the_head_is_not_stale(cx: Cx) -> CaseResult {
    let (cx, clock) = timed(&cx).await?;
    cx.store().append(Append::events(events(3))).await?;
    work(&cx, "orders").await?;
    clock.advance(1_000 * HOUR);
    assert_eq!(waiting(&cx, &clock).await?, []);
    // Nor is it as soon as something comes: it has not waited yet.
    cx.store().append(Append::events(events(1))).await?;
    clock.advance(HOUR / 3);
    assert_eq!(waiting(&cx, &clock).await?, []);
    clock.advance(HOUR / 3);
    assert_eq!(waiting(&cx, &clock).await?.len(), 1);
    Ok(())
}

pub async fn a_consumer_for_which_nothing_matches_is_not_stale(cx: Cx) -> CaseResult {
    let (cx, clock) = timed(&cx).await?;
    cx.store().append(Append::events([event("Wanted")])).await?;
    let run = async || -> CaseResult {
        let consumer = consumer(&cx, "orders")?.filter(types(["Wanted"]));
        consumer.run_until_caught_up(Diary::default().handler()).await?;
        Ok(())
    };
    run().await?;
    clock.advance(HOUR);
    cx.store().append(Append::events(events(5))).await?;
    run().await?;
    clock.advance(HOUR);
    assert_eq!(waiting(&cx, &clock).await?, []);
    Ok(())
}

pub async fn who_has_saved_lately_is_not_stale_however_far_behind(cx: Cx) -> CaseResult {
    let (cx, clock) = timed(&cx).await?;
    cx.store().append(Append::events(events(3))).await?;
    clock.advance(1_000 * HOUR);
    let log = log_of(&**cx.store()).await?;
    let save = CheckpointSave::first(name("orders"), cx.identity().log_id().await?).past(&log[0]);
    cx.checkpoints().save_checkpoint(&save).await?;
    assert_eq!(waiting(&cx, &clock).await?, []);
    clock.advance(HOUR);
    assert_eq!(waiting(&cx, &clock).await?, [("orders".to_owned(), log[1].recorded_at())]);
    Ok(())
}

pub async fn a_checkpoint_that_is_not_of_this_log_is_stale(cx: Cx) -> CaseResult {
    let (cx, clock) = timed(&cx).await?;
    let head = cx.store().append(Append::events(events(2))).await?.last;
    let (own, other) =
        (cx.identity().log_id().await?, cx.fresh(Setup::default()).await?.identity().log_id().await?);
    let ahead = Position::from_raw(head.to_raw() + 1);
    for (consumer, log_id, position) in [("ahead", own, ahead), ("here", own, head), ("other", other, head)] {
        cx.checkpoints().reset_checkpoint(&name(consumer), log_id, position).await?;
    }
    let divergence = async || -> CaseResult<_> {
        let found = stale(&cx.consumer_store(), clock.now() - TimeDelta::minutes(30)).await?;
        Ok(found.into_iter().map(|each| each.reason).collect::<Vec<_>>())
    };
    assert_eq!(divergence().await?, []);
    clock.advance(HOUR);
    let expected = [
        Conflict::CheckpointAhead { consumer: name("ahead"), position: ahead, head },
        Conflict::OtherLog { consumer: name("other"), checkpoint: other, log: own },
    ];
    assert_eq!(divergence().await?, expected.map(StaleReason::Diverged));
    Ok(())
}
