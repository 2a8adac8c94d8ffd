//! What holds after a store was closed and opened again.

use eventsource_core::{Append, ErrorKind, EventStore, ExpectedVersion, Filter, ReadOptions, Version};

use crate::explore::explore;
use crate::given::{conflict, events, log_of, refused, stream, tag, tagged};
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
    conflict(store.append(again).await)?;
    store.append(Append::events([tagged("Left", "seat", "1")]).fail_if(seat).after(taken.last)).await?;
    store.close().await?;
    Ok(())
}

pub async fn a_damaged_event_is_an_error_and_is_never_left_out(cx: Cx) -> CaseResult {
    let appended = cx.store().append(Append::events(events(3))).await?;
    let all = log_of(cx.store()).await?;
    cx.log().damage(all[1].position()).await?;
    refused(ErrorKind::Corrupt, log_of(cx.store()).await)?;
    cx.store().close().await?;
    let store = cx.log().open().await?;
    refused(ErrorKind::Corrupt, log_of(&*store).await)?;
    let backward = ReadOptions::new().backward();
    refused(ErrorKind::Corrupt, store.read_page(&Filter::all(), &backward).await)?;
    // What lies beside it is there.
    let behind = ReadOptions::new().after(all[1].position());
    assert_eq!(store.read_page(&Filter::all(), &behind).await?.events, all[2..]);
    assert_eq!(store.head().await?, appended.last);
    store.close().await?;
    Ok(())
}
