//! A view that is kept within the appends while many append, and where the process is killed that does.

use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{
    Append, Appended, Error, EventStore, ExpectedVersion, NewEvent, Position, Result, StreamId, ViewRefusal,
};
use proptest::prelude::RngExt;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::cases::inline::{is_the_log, kept, without_view};
use crate::consuming::consumer;
use crate::given::{event, events, log_of, stream, tag, tagged};
use crate::{CaseResult, Cx, Failure, Setup, child, random};

use ExpectedVersion::{Any, NoStream};

const PATIENCE: Duration = Duration::from_secs(40);

pub async fn a_view_kept_inline_equals_the_fold_of_the_log_under_contention(cx: Cx) -> CaseResult {
    let cx = kept(&cx).await?;
    let others = without_view(&cx).await?;
    let mut writers = Vec::new();
    for number in 0..64 {
        let store = if number % 16 == 15 { others.events.clone() } else { cx.store().clone() };
        let (cx, keeps_the_view) = (cx.clone(), number % 16 != 15);
        writers.push(tokio::spawn(async move {
            let mut wrote = 0_usize;
            for round in 0..10 {
                wrote += write(&cx, &store, number, round, keeps_the_view).await?;
            }
            CaseResult::Ok(wrote)
        }));
    }
    let mut wrote = 0;
    for writer in writers {
        wrote += writer.await??;
    }
    append_in_the_end(&cx, cx.store(), Append::events(events(1))).await?;
    wrote += 1;
    assert_eq!(log_of(cx.store()).await?.len(), wrote);
    is_the_log(&cx).await?;
    others.events.close().await?;
    Ok(())
}

/// One append of many kinds; returns how many events it wrote.
async fn write(
    cx: &Cx,
    store: &Arc<dyn EventStore>,
    number: u32,
    round: u32,
    keeps_the_view: bool,
) -> CaseResult<usize> {
    let shared = StreamId::new("Shared", Uuid::from_u128(1 + u128::from(number % 5)))?;
    let place = number.wrapping_mul(7).wrapping_add(round) % 8;
    let bad = place == 1 && keeps_the_view;
    let append = match place {
        0 => Append::to_stream(shared, NoStream, events(1)),
        1 if bad => Append::to_stream(shared, Any, [event("A"), event("Poison")]),
        2 => Append::events([tagged("Claimed", "seat", &format!("{}", round % 4))])
            .fail_if(tag("seat", &format!("{}", round % 4))),
        3 => Append::to_stream(shared, Any, events(2)).and_events(events(1)),
        _ => Append::to_stream(shared, Any, events(1)),
    };
    let appended = match append_in_the_end(cx, store, append.clone()).await {
        Ok(appended) => appended,
        Err(error) if error.is_conflict() => return Ok(0),
        Err(error) if bad && error.view_refusal().is_some_and(ViewRefusal::is_of_the_append) => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    if bad {
        return Err(Failure::new("the view took what it fails on"));
    }
    if place == 4 {
        let again = append_in_the_end(cx, store, append.clone()).await?;
        assert!(again.replayed && again.last == appended.last);
    }
    if keeps_the_view && round % 5 == 4 {
        assert!(
            cx.view().applied().await?.contains(&appended.last),
            "an acknowledged append is not in the view"
        );
    }
    Ok(append.event_count())
}

/// Appends; as often as others were faster than those who have a view to keep, a consumer catches it up first.
async fn append_in_the_end(cx: &Cx, store: &Arc<dyn EventStore>, append: Append) -> Result<Appended> {
    loop {
        match store.append(append.clone()).await {
            Err(error) if matches!(error.view_refusal(), Some(ViewRefusal::Behind { .. })) => {
                let behind =
                    consumer(cx, Setup::INLINE).map_err(|failure| Error::backend(failure.to_string()))?;
                behind.run_until_caught_up(cx.view().clone()).await?;
            }
            answer => return answer,
        }
    }
}

pub async fn a_killed_process_leaves_view_and_log_equal(cx: Cx) -> CaseResult {
    let cx = kept(&cx).await?;
    let mut random = random::numbers(&cx, 83);
    let mut head = cx.store().head().await?;
    for _ in 0..3 {
        let mut process = child::spawn(&cx, "inline", "")?;
        let deadline = Instant::now() + PATIENCE;
        let wanted = Position::from_raw(head.to_raw() + 100);
        while cx.store().head().await? < wanted {
            if Instant::now() > deadline || process.try_wait()?.is_some() {
                return Err(Failure::new("the process does not append, or has ended"));
            }
            sleep(Duration::from_millis(5)).await;
        }
        sleep(Duration::from_micros(random.random_range(0..60_000))).await;
        process.kill().await?;
        head = settled_head(&cx).await?;
        // Nobody has opened the log since, or appended: nobody has caught the view up.
        is_the_log(&cx).await?;
    }
    cx.store().append(Append::events(events(1))).await?;
    is_the_log(&cx).await
}

/// The head once it stands still: a server may yet commit what a process had asked for that is dead.
async fn settled_head(cx: &Cx) -> CaseResult<Position> {
    let mut head = cx.store().head().await?;
    loop {
        let mut moved = false;
        for _ in 0..10 {
            sleep(Duration::from_millis(100)).await;
            let next = cx.store().head().await?;
            moved |= next != head;
            head = next;
        }
        if !moved {
            return Ok(head);
        }
    }
}

/// A child's program: appends with the view kept, until it is killed, or its standard input ends.
pub(crate) async fn append_in_child(cx: Cx) -> CaseResult {
    let stores = cx.attach_inline(&child::address()).await?;
    let writers: Vec<_> =
        (0..16).map(|number| tokio::spawn(append_on(stores.events.clone(), number))).collect();
    let mut lines = child::lines();
    tokio::select! {
        (failed, ..) = futures_util::future::select_all(writers) => Err(failed?.into()),
        _ = lines.recv() => Ok(()),
    }
}

/// Appends until that does not go as it should.
async fn append_on(store: Arc<dyn EventStore>, number: u32) -> Error {
    loop {
        let poisoned = number.is_multiple_of(8);
        let mut batch: Vec<NewEvent> = events(2);
        if poisoned {
            batch.push(event("Poison"));
        }
        match store.append(Append::to_stream(stream(), NoStream, batch)).await {
            Ok(_) if !poisoned => {}
            Ok(_) => return Error::backend("the view took what it can't take"),
            Err(error) if poisoned && error.view_refusal().is_some_and(ViewRefusal::is_of_the_append) => {}
            Err(error) => return error,
        }
    }
}
