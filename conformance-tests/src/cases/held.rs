//! What holds while callers' own transactions are open beside everything else, to be committed or rolled back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eventsource_core::{Append, EventStore, Filter};
use proptest::prelude::RngExt;
use tokio::time::sleep;

use crate::given::{events, log_of};
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
