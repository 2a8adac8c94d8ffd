//! What holds when several processes append to one log.

use eventsource_core::{Filter, Position};

use crate::crash::WritingChild;
use crate::given::log_of;
use crate::witness::Recorder;
use crate::workload::{Workload, settle};
use crate::{CaseResult, Cx};

pub async fn several_processes_keep_all_promises(cx: Cx) -> CaseResult {
    let children = (0..3)
        .map(|number| WritingChild::start(&cx, &format!("child {number} writer"), 3, 40))
        .collect::<CaseResult<Vec<_>>>()?;
    let recorder = Recorder::new();
    Workload::new(&cx, &recorder).writers(3).appends(40).readers(2).among_others().run(cx.store()).await?;
    let mut histories = Vec::new();
    for child in children {
        histories.push(child.finish().await?);
    }
    histories.push(recorder.snapshot());
    let summary = settle(&**cx.store(), &histories).await?;
    assert!(histories.iter().all(|history| history.attempts.len() >= 120), "a process did not append");
    assert!(summary.refused > 10, "{summary:?}");
    Ok(())
}

pub async fn a_reader_misses_nothing_of_what_other_processes_append(cx: Cx) -> CaseResult {
    let recorder = Recorder::new();
    let mut tail = recorder.tail("the reader", Filter::all(), Position::START);
    let children = (0..2)
        .map(|number| WritingChild::start(&cx, &format!("child {number} writer"), 2, 60))
        .collect::<CaseResult<Vec<_>>>()?;
    let finished = tokio::spawn(async move {
        let mut histories = Vec::new();
        for child in children {
            histories.push(child.finish().await?);
        }
        CaseResult::Ok(histories)
    });
    while !finished.is_finished() {
        tail.look(&**cx.store(), 5).await?;
    }
    tail.finish(&**cx.store(), 5).await?;
    let mut histories = finished.await??;
    histories.push(recorder.snapshot());
    settle(&**cx.store(), &histories).await?;
    assert!(log_of(cx.store()).await?.len() > 100);
    Ok(())
}

pub async fn a_process_that_is_killed_holds_up_nobody(cx: Cx) -> CaseResult {
    let mut child = WritingChild::start(&cx, "killed writer", 4, 1_000_000)?;
    child.is_writing().await?;
    let history = child.kill().await?;
    let recorder = Recorder::new();
    Workload::new(&cx, &recorder).writers(2).appends(20).readers(1).run(cx.store()).await?;
    settle(&**cx.store(), &[history, recorder.snapshot()]).await?;
    Ok(())
}
