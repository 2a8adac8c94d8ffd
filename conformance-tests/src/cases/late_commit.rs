//! The interleavings that lose events elsewhere, step by step: a transaction that has appended stays open while
//! others read, decide and append.

use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{
    Append, Appended, EventStore, EventStoreExt, ExpectedVersion, Filter, Position, ReadOptions, Result,
};
use tokio::task::JoinHandle;

use crate::given::{
    a_while, conflict, event, events, log_of, names, page_after, positions, read, stream, tag, tagged,
};
use crate::{CaseResult, Cx};

/// Begins an append, which may have to wait.
async fn begin(store: &Arc<dyn EventStore>, append: Append) -> JoinHandle<Result<Appended>> {
    let store = Arc::clone(store);
    let begun = tokio::spawn(async move { store.append(append).await });
    a_while().await;
    begun
}

pub async fn a_late_commit_never_lands_below_the_head(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(3))).await?;
    let held = cx.log().hold(Append::events([event("Late")])).await?;
    let other = begin(cx.store(), Append::events([event("Other")])).await;
    let seen = cx.store().head().await?;
    let below = log_of(cx.store()).await?;
    held.commit().await?;
    other.await??;
    assert_eq!(read(cx.store(), Filter::all(), ReadOptions::new().until(seen)).await?, below);
    assert_eq!(names(&page_after(&**cx.store(), seen, 10).await?.events), ["Late", "Other"]);
    Ok(())
}

pub async fn a_resuming_reader_misses_nothing_while_one_is_held_open(cx: Cx) -> CaseResult {
    // A subscriber reads on and on, through seconds in which an append neither commits nor ends.
    let reader = tokio::spawn({
        let store = cx.store().clone();
        async move {
            let (mut seen, mut cursor) = (Vec::new(), Position::START);
            while seen.last().is_none_or(|name| name != "End") {
                let options = ReadOptions::new().after(cursor).limit(3);
                let page = store.read_page(&Filter::all(), &options).await?;
                cursor = page.scanned_to(&options);
                seen.extend(page.events.iter().map(|event| event.event_type().to_string()));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Ok::<_, eventsource_core::Error>(seen)
        }
    });
    for round in 0..2 {
        cx.store().append(Append::events([event("Before")])).await?;
        let held = cx.log().hold(Append::events([event("Held"), event("Held")])).await?;
        let waiting = begin(cx.store(), Append::events([event("Waiting")])).await;
        tokio::time::sleep(Duration::from_millis(1_000)).await;
        if round == 0 {
            held.commit().await?
        } else {
            held.roll_back().await?
        }
        waiting.await??;
    }
    cx.store().append(Append::events([event("End")])).await?;
    assert_eq!(reader.await??, ["Before", "Held", "Held", "Waiting", "Before", "Waiting", "End"]);
    Ok(())
}

pub async fn a_long_append_and_a_short_one_keep_commit_order(cx: Cx) -> CaseResult {
    // The first has one event in the log and is not done; the second begins later and would be done at once.
    let held = cx.log().hold(Append::events([event("A1"), event("A2")])).await?;
    let short = begin(cx.store(), Append::events([event("B")])).await;
    let cursor = page_after(&**cx.store(), Position::START, 10).await?.head;
    held.commit().await?;
    short.await??;
    let read = page_after(&**cx.store(), cursor, 10).await?;
    assert_eq!(names(&read.events), ["A1", "A2", "B"]);
    Ok(())
}

pub async fn of_two_deciders_at_once_one_is_refused(cx: Cx) -> CaseResult {
    let boundary = tag("course", "c1");
    cx.store().append(Append::events([tagged("CourseDefined", "course", "c1")])).await?;
    let seen = cx.store().query(&boundary).await?.head;
    let decide = |name| Append::events([tagged(name, "course", "c1")]).fail_if(boundary.clone()).after(seen);
    let held = cx.log().hold(decide("First")).await?;
    let second = begin(cx.store(), decide("Second")).await;
    held.commit().await?;
    conflict(second.await?)?;
    assert_eq!(names(&log_of(cx.store()).await?), ["CourseDefined", "First"]);
    Ok(())
}

pub async fn a_decision_waits_for_the_verdict_and_wins_if_the_other_is_undone(cx: Cx) -> CaseResult {
    let claim = |name| Append::events([tagged(name, "username", "ann")]).fail_if(tag("username", "ann"));
    let held = cx.log().hold(claim("First")).await?;
    let second = begin(cx.store(), claim("Second")).await;
    assert!(!second.is_finished(), "it was decided before the other was");
    held.roll_back().await?;
    second.await??;
    assert_eq!(names(&log_of(cx.store()).await?), ["Second"]);
    Ok(())
}

pub async fn of_two_writers_of_one_version_one_is_refused(cx: Cx) -> CaseResult {
    let stream = stream();
    let write = |name| Append::to_stream(stream.clone(), ExpectedVersion::NoStream, [event(name)]);
    let held = cx.log().hold(write("First")).await?;
    let second = begin(cx.store(), write("Second")).await;
    held.commit().await?;
    conflict(second.await?)?;
    assert_eq!(names(&log_of(cx.store()).await?), ["First"]);
    Ok(())
}

pub async fn writers_of_any_version_both_succeed(cx: Cx) -> CaseResult {
    let stream = stream();
    let write = |name| Append::to_stream(stream.clone(), ExpectedVersion::Any, [event(name)]);
    let held = cx.log().hold(write("First")).await?;
    let second = begin(cx.store(), write("Second")).await;
    held.commit().await?;
    assert_eq!(second.await??.version_of(&stream).map(eventsource_core::Version::get), Some(2));
    Ok(())
}

pub async fn the_newest_position_is_a_sound_token(cx: Cx) -> CaseResult {
    // W1 draws its position and stays open; W2 commits; R reads up to W2; W1 commits; R must not be believed.
    let boundary = tag("book", "b2");
    let w1 = cx.log().hold(Append::events([tagged("W1", "book", "b2")])).await?;
    let w2 = begin(cx.store(), Append::events([tagged("W2", "book", "b2")])).await;
    let seen = cx.store().query(&boundary).await?;
    w1.commit().await?;
    w2.await??;
    let decide = Append::events([tagged("R", "book", "b2")]).fail_if(boundary.clone()).after(seen.head);
    let verdict = cx.store().append(decide).await;
    let unseen: Vec<Position> = positions(&crate::given::found(cx.store(), boundary).await?);
    assert_eq!((seen.events.len(), unseen.len()), (0, 2), "what R did not see lies behind what it saw");
    conflict(verdict)?;
    Ok(())
}

pub async fn an_unconditional_append_does_not_slip_into_a_window(cx: Cx) -> CaseResult {
    // The condition was checked and the transaction is still open: nothing matching may come before it.
    let seen = cx.store().append(Append::events([tagged("Admitted", "student", "s1")])).await?.last;
    let subscribe =
        Append::events([tagged("Subscribed", "course", "c1")]).fail_if(tag("student", "s1")).after(seen);
    let held = cx.log().hold(subscribe).await?;
    let expel = begin(cx.store(), Append::events([tagged("Expelled", "student", "s1")])).await;
    held.commit().await?;
    expel.await??;
    assert_eq!(names(&log_of(cx.store()).await?), ["Admitted", "Subscribed", "Expelled"]);
    Ok(())
}

pub async fn positions_of_a_rolled_back_append_are_no_hole_to_wait_for(cx: Cx) -> CaseResult {
    for _ in 0..3 {
        cx.log().hold(Append::events(events(3))).await?.roll_back().await?;
        cx.store().append(Append::events([event("Next")])).await?;
    }
    let (mut cursor, mut seen) = (Position::START, 0);
    loop {
        let page = page_after(&**cx.store(), cursor, 1).await?;
        let Some(next) = page.events.first() else { break };
        (cursor, seen) = (next.position(), seen + 1);
    }
    assert_eq!((seen, cursor), (3, cx.store().head().await?));
    Ok(())
}
