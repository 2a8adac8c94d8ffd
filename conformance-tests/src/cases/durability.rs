//! What holds after a store was closed and opened again.

use eventsource_core::{Append, EventStore, ExpectedVersion, Version};

use crate::explore::explore;
use crate::given::{events, log_of, stream, tag, tagged};
use crate::witness::Recorder;
use crate::workload::{Workload, settle};
use crate::{CaseResult, Cx, operations};

pub async fn acknowledged_appends_survive_reopening(cx: Cx) -> CaseResult {
    let recorder = Recorder::new();
    Workload::new(&cx, &recorder).writers(4).appends(25).readers(1).run(cx.store()).await?;
    let before = log_of(cx.store()).await?;
    cx.store().close().await?;
    let store = cx.log().open().await?;
    assert_eq!(log_of(&*store).await?, before);
    settle(&*store, &[recorder.snapshot()]).await?;
    store.close().await?;
    Ok(())
}

pub async fn random_histories_survive_reopening(cx: Cx) -> CaseResult {
    explore(&cx, 6, operations::reopening(15..40), super::model::perform).await
}

pub async fn positions_and_versions_go_on_after_reopening(cx: Cx) -> CaseResult {
    let order = stream();
    let first =
        cx.store().append(Append::to_stream(order.clone(), ExpectedVersion::NoStream, events(3))).await?;
    cx.store().close().await?;
    let store = cx.log().open().await?;
    assert_eq!(store.head().await?, first.last);
    let expected = ExpectedVersion::Exact(Version::new(3)?);
    let second = store.append(Append::to_stream(order.clone(), expected, events(1))).await?;
    assert!(second.first > first.last);
    assert_eq!(second.version_of(&order).map(Version::get), Some(4));
    store.close().await?;
    Ok(())
}

pub async fn a_retry_after_reopening_is_answered_with_the_first_result(cx: Cx) -> CaseResult {
    let append = Append::to_stream(stream(), ExpectedVersion::NoStream, events(3))
        .and_stream(stream(), ExpectedVersion::NoStream, events(2))
        .fail_if(tag("any", "thing"));
    let first = cx.store().append(append.clone()).await?;
    cx.store().close().await?;
    let store = cx.log().open().await?;
    let retried = store.append(append).await?;
    assert!(retried.replayed);
    assert_eq!((retried.first, retried.last, retried.versions), (first.first, first.last, first.versions));
    store.close().await?;
    Ok(())
}

pub async fn conditions_hold_across_reopening(cx: Cx) -> CaseResult {
    let seat = tag("seat", "1");
    let taken = cx.store().append(Append::events([tagged("Taken", "seat", "1")])).await?;
    cx.store().close().await?;
    let store = cx.log().open().await?;
    let again = Append::events([tagged("Taken", "seat", "1")]).fail_if(seat.clone());
    crate::given::conflict(store.append(again).await)?;
    store.append(Append::events([tagged("Left", "seat", "1")]).fail_if(seat).after(taken.last)).await?;
    store.close().await?;
    Ok(())
}
