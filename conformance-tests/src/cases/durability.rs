//! What holds after a store was closed and opened again.

use eventsource_core::EventStore;

use crate::explore::explore;
use crate::given::log_of;
use crate::witness::Recorder;
use crate::workload::{Workload, settle};
use crate::{CaseResult, Cx, operations};

pub async fn acknowledged_appends_survive_reopening(cx: Cx) -> CaseResult {
    let recorder = Recorder::new();
    Workload::new(&cx, &recorder).writers(4).appends(25).readers(1).run(cx.store()).await?;
    let before = log_of(cx.store()).await?;
    cx.store().close().await?;
    let store = cx.open().await?;
    assert_eq!(log_of(&*store).await?, before);
    settle(&*store, &[recorder.snapshot()]).await?;
    store.close().await?;
    Ok(())
}

pub async fn random_histories_survive_reopening(cx: Cx) -> CaseResult {
    explore(&cx, 6, operations::reopening(15..40), super::model::perform).await
}
