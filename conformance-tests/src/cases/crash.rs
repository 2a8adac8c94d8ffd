//! What holds after a process was killed where it stood.

use std::time::Duration;

use eventsource_core::{EventStore, Position};
use proptest::prelude::RngExt;
use tokio::time::sleep;

use crate::crash::WritingChild;
use crate::given::log_of;
use crate::witness::{History, Outcome, Recorder, Witness};
use crate::workload::{Workload, settle};
use crate::{CaseResult, Cx, random};

pub async fn acknowledged_appends_survive_a_kill(cx: Cx) -> CaseResult {
    cx.store().close().await?;
    let mut histories = Vec::new();
    for generation in 0..4 {
        histories.push(kill_a_writer(&cx, generation).await?);
        let store = cx.open().await?;
        let summary = settle(&*store, &histories).await?;
        assert!(summary.acknowledged > 0, "{summary:?}");
        store.close().await?;
    }
    Ok(())
}

pub async fn a_retry_after_a_kill_stores_nothing_twice(cx: Cx) -> CaseResult {
    cx.store().close().await?;
    for generation in 10..12 {
        let since = { opened_head(&cx).await? };
        let history = kill_a_writer(&cx, generation).await?;
        let store = cx.open().await?;
        let recorder = Recorder::new();
        for attempt in history.attempts.iter().filter(|attempt| attempt.outcome == Outcome::Unknown) {
            let retried = recorder.append(&*store, format!("{} again", attempt.name), attempt.append.clone());
            let _refused_or_not = retried.await;
        }
        let log = log_of(&*store).await?;
        Witness::of(&log).since(since).judge(&[history, recorder.snapshot()])?;
        store.close().await?;
    }
    Ok(())
}

pub async fn a_log_goes_on_after_a_kill(cx: Cx) -> CaseResult {
    cx.store().close().await?;
    let killed = kill_a_writer(&cx, 20).await?;
    let store = cx.open().await?;
    let recorder = Recorder::new();
    Workload::new(&cx, &recorder).writers(3).appends(20).readers(2).run(&store).await?;
    settle(&*store, &[killed, recorder.snapshot()]).await?;
    store.close().await?;
    Ok(())
}

async fn opened_head(cx: &Cx) -> CaseResult<Position> {
    let store = cx.open().await?;
    let head = store.head().await?;
    store.close().await?;
    Ok(head)
}

/// Starts a writing process, and kills it at a random moment.
async fn kill_a_writer(cx: &Cx, generation: u64) -> CaseResult<History> {
    let mut child = WritingChild::start(cx, &format!("generation {generation} writer"), 4, 1_000_000)?;
    child.is_writing().await?;
    let moment = random::numbers(cx, 3_000 + generation).random_range(0..60_000);
    sleep(Duration::from_micros(moment)).await;
    child.kill().await
}
