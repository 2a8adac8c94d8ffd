//! What holds while callers' own transactions are open beside everything else, to be committed or rolled back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eventsource_core::{Append, Conflict, EventStore, Filter};
use proptest::prelude::RngExt;
use tokio::time::{Instant, sleep};

use crate::given::{conflict, event, events, log_of, names, types};
use crate::witness::{Outcome, Recorder, Witness};
use crate::workload::{Workload, Writer, settle};
use crate::{CaseResult, Cx, Failure, random};

/// Long enough for whoever would give up; shorter than an append waits.
const SECONDS: Duration = Duration::from_millis(2_500);

pub async fn a_resuming_reader_misses_nothing_while_a_transaction_is_held_open_for_seconds(
    cx: Cx,
) -> CaseResult {
    for commits in [true, false] {
        let recorder = Recorder::new();
        let since = cx.store().head().await?;
        let over = Arc::new(AtomicBool::new(false));
        let (store, tail, seen_over) =
            (cx.store().clone(), recorder.tail("the reader", Filter::all(), since), over.clone());
        let reader = tokio::spawn(async move {
            let mut tail = tail;
            while !seen_over.load(Ordering::SeqCst) {
                tail.look(&*store, 3).await?;
                sleep(Duration::from_millis(5)).await;
            }
            tail.finish(&*store, 3).await
        });
        recorder.append(&**cx.store(), "before", Append::events(events(5))).await?;
        let append = Append::events(events(2));
        let pending = recorder.begin("the held one", append.clone());
        let held = cx.log().hold(append).await?;
        let (store, during) = (cx.store().clone(), recorder.clone());
        let writers: Vec<_> = (0..6)
            .map(|number| {
                let (store, recorder) = (store.clone(), during.clone());
                tokio::spawn(async move {
                    recorder.append(&*store, format!("during {number}"), Append::events(events(2))).await
                })
            })
            .collect();
        sleep(SECONDS).await;
        if commits {
            let appended = held.appended().clone();
            held.commit().await?;
            pending.end(Outcome::Acknowledged(appended));
        } else {
            held.roll_back().await?;
            pending.end(Outcome::NotWritten);
        }
        for writer in writers {
            writer.await??;
        }
        over.store(true, Ordering::SeqCst);
        reader.await??;
        let log = log_of(cx.store()).await?;
        let summary = Witness::of(&log).since(since).judge(&[recorder.snapshot()])?;
        assert!(summary.looks > 100, "the reader was held up: {summary:?}");
        assert_eq!(summary.acknowledged, if commits { 8 } else { 7 });
    }
    Ok(())
}

pub async fn readers_do_not_wait_for_a_transaction_that_is_held_open(cx: Cx) -> CaseResult {
    cx.store().append(Append::events([event("Before")])).await?;
    let head = cx.store().head().await?;
    let held = cx.log().hold(Append::events([event("Held")])).await?;
    let began = Instant::now();
    assert_eq!(names(&log_of(cx.store()).await?), ["Before"]);
    assert_eq!(cx.store().head().await?, head);
    assert!(began.elapsed() < Duration::from_secs(1), "reading took {:?}", began.elapsed());
    held.commit().await?;
    assert_eq!(names(&log_of(cx.store()).await?), ["Before", "Held"]);
    Ok(())
}

pub async fn what_was_rolled_back_leaves_no_trace(cx: Cx) -> CaseResult {
    cx.store().append(Append::events([event("Before")])).await?;
    let head = cx.store().head().await?;
    let append = Append::events([event("RolledBack"), event("RolledBack")]);
    cx.log().hold(append.clone()).await?.roll_back().await?;
    assert_eq!(cx.store().head().await?, head);
    assert_eq!(names(&log_of(cx.store()).await?), ["Before"]);
    // Its ids are free again.
    assert!(!cx.store().append(append).await?.replayed);
    Ok(())
}

pub async fn a_condition_sees_what_a_transaction_committed_meanwhile(cx: Cx) -> CaseResult {
    let held = cx.log().hold(Append::events([event("Claimed")])).await?;
    let claimed = types(["Claimed"]);
    let store = cx.store().clone();
    let other =
        tokio::spawn(async move { store.append(Append::events([event("Claimed")]).fail_if(claimed)).await });
    sleep(Duration::from_millis(200)).await;
    let first = held.appended().first;
    held.commit().await?;
    let conflict = conflict(other.await?)?;
    assert!(matches!(conflict, Conflict::Condition { position, .. } if position == first), "{conflict:?}");
    Ok(())
}

pub async fn transactions_beside_appends_keep_all_promises(cx: Cx) -> CaseResult {
    let recorder = Recorder::new();
    let holders: Vec<_> =
        (0..2).map(|number| tokio::spawn(hold_often(cx.clone(), recorder.clone(), number))).collect();
    let workload = Workload::new(&cx, &recorder).writers(4).appends(40).readers(2);
    workload.beside(holders).run(cx.store()).await?;
    let summary = settle(&**cx.store(), &[recorder.snapshot()]).await?;
    assert!(summary.not_written > 3, "{summary:?}");
    Ok(())
}

/// Appends in transactions of its own, and rolls every other one back.
async fn hold_often(cx: Cx, recorder: Recorder, number: u64) -> CaseResult {
    let name = format!("holder {number}");
    let mut numbers = random::numbers(&cx, 1_000 + number);
    let drawing = random::numbers(&cx, 2_000 + number);
    let mut writer = Writer::new(cx.store().clone(), recorder.clone(), name, drawing);
    for _ in 0..20 {
        let append = writer.draw().await?;
        let pending = recorder.begin(writer.next_name(), append.clone());
        let held = match cx.log().hold(append).await {
            Ok(held) => held,
            Err(error) => {
                let conflicts = error.is_conflict();
                pending.end(Outcome::of(&Err(error)));
                if conflicts {
                    continue;
                }
                return Err(Failure::new("a transaction could not be begun"));
            }
        };
        sleep(Duration::from_micros(numbers.random_range(0..4_000))).await;
        if numbers.random_ratio(1, 2) {
            held.roll_back().await?;
            pending.end(Outcome::NotWritten);
        } else {
            let appended = held.appended().clone();
            held.commit().await?;
            pending.end(Outcome::Acknowledged(appended));
        }
    }
    Ok(())
}
