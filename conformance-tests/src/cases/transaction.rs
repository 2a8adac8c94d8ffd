//! An append within the caller's own transaction, beside the caller's own tables.

use std::time::Duration;

use eventsource_core::{Append, ErrorKind, ExpectedVersion, Filter, Position, Version};
use tokio::time::timeout;

use crate::given::{a_while, conflict, event, events, log_of, names, refused, stream, tag, tagged};
use crate::{CaseResult, Cx};

use ExpectedVersion::{NoStream, StreamExists};

pub async fn events_and_own_rows_commit_together(cx: Cx) -> CaseResult {
    let stream = stream();
    let held = cx.log().hold(Append::to_stream(stream.clone(), NoStream, events(2))).await?;
    let appended = held.appended().clone();
    assert_eq!((log_of(cx.store()).await?.len(), cx.log().own_rows().await?), (0, 0));
    held.commit().await?;
    assert_eq!((log_of(cx.store()).await?.len(), cx.log().own_rows().await?), (2, 1));
    assert_eq!(cx.store().head().await?, appended.last);
    assert_eq!(appended.version_of(&stream), Some(Version::new(2)?));
    assert_eq!(cx.store().stream_version(&stream).await?, Some(Version::new(2)?));
    Ok(())
}

pub async fn a_rolled_back_transaction_leaves_nothing(cx: Cx) -> CaseResult {
    let before = cx.store().append(Append::events(events(1))).await?.last;
    let stream = stream();
    cx.log().hold(Append::to_stream(stream.clone(), NoStream, events(2))).await?.roll_back().await?;
    assert_eq!((log_of(cx.store()).await?.len(), cx.log().own_rows().await?), (1, 0));
    assert_eq!(cx.store().head().await?, before);
    assert_eq!(cx.store().stream_version(&stream).await?, None);
    assert!(cx.store().append(Append::events(events(1))).await?.first > before);
    Ok(())
}

pub async fn a_dropped_transaction_leaves_nothing(cx: Cx) -> CaseResult {
    drop(cx.log().hold(Append::events(events(2))).await?);
    cx.store().append(Append::events([event("Next")])).await?;
    assert_eq!(names(&log_of(cx.store()).await?), ["Next"]);
    assert_eq!(cx.log().own_rows().await?, 0);
    Ok(())
}

pub async fn a_refused_append_takes_the_callers_row_along(cx: Cx) -> CaseResult {
    cx.store().append(Append::events([tagged("Claimed", "username", "ann")])).await?;
    conflict(cx.log().hold(Append::to_stream(stream(), StreamExists, events(1))).await)?;
    conflict(cx.log().hold(Append::events(events(1)).fail_if(tag("username", "ann"))).await)?;
    refused(ErrorKind::InvalidInput, cx.log().hold(Append::events([])).await)?;
    assert_eq!((log_of(cx.store()).await?.len(), cx.log().own_rows().await?), (1, 0));
    cx.store().append(Append::events(events(1))).await?;
    Ok(())
}

pub async fn a_repeat_within_a_transaction_is_known(cx: Cx) -> CaseResult {
    let append = Append::events(events(2));
    let first = cx.store().append(append.clone()).await?;
    let held = cx.log().hold(append).await?;
    assert!(held.appended().replayed);
    assert_eq!(held.appended().last, first.last);
    held.commit().await?;
    assert_eq!((log_of(cx.store()).await?.len(), cx.log().own_rows().await?), (2, 1));
    Ok(())
}

pub async fn what_a_transaction_appended_is_known_as_a_repeat(cx: Cx) -> CaseResult {
    let append = Append::to_stream(stream(), NoStream, events(2));
    let held = cx.log().hold(append.clone()).await?;
    let again = tokio::spawn({
        let (store, append) = (cx.store().clone(), append.clone());
        async move { store.append(append).await }
    });
    a_while().await;
    let appended = held.appended().clone();
    held.commit().await?;
    let again = again.await??;
    assert!(again.replayed);
    assert_eq!((again.first, again.last, again.versions), (appended.first, appended.last, appended.versions));
    Ok(())
}

pub async fn readers_do_not_wait_for_an_open_transaction(cx: Cx) -> CaseResult {
    cx.store().append(Append::events([event("Before")])).await?;
    let head = cx.store().head().await?;
    let held = cx.log().hold(Append::events([event("Open")])).await?;
    let look = async {
        assert_eq!(names(&log_of(cx.store()).await?), ["Before"]);
        assert_eq!(cx.store().head().await?, head);
        assert_eq!(cx.store().read_page(&Filter::all(), &Default::default()).await?.head, head);
        CaseResult::Ok(())
    };
    timeout(Duration::from_secs(2), look).await??;
    held.roll_back().await?;
    Ok(())
}

pub async fn appends_wait_for_an_open_transaction_and_lie_behind_it(cx: Cx) -> CaseResult {
    let held = cx.log().hold(Append::events([event("Open")])).await?;
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            let store = cx.store().clone();
            tokio::spawn(async move { store.append(Append::events([event("Waiting")])).await })
        })
        .collect();
    a_while().await;
    assert!(waiting.iter().all(|append| !append.is_finished()), "an append overtook an open transaction");
    let open = held.appended().last;
    held.commit().await?;
    for append in waiting {
        assert!(append.await??.first > open);
    }
    assert_eq!(names(&log_of(cx.store()).await?)[0], "Open");
    Ok(())
}

pub async fn an_append_that_waits_too_long_is_unavailable_and_unwritten(cx: Cx) -> CaseResult {
    let cx = cx.fresh(crate::Setup::impatient()).await?;
    let held = cx.log().hold(Append::events([event("Open")])).await?;
    let append = Append::events([event("Late")]);
    let waited = timeout(crate::Setup::PATIENCE * 2, cx.store().append(append.clone())).await?;
    refused(ErrorKind::Unavailable, waited)?;
    held.commit().await?;
    assert_eq!(names(&log_of(cx.store()).await?), ["Open"]);
    assert!(!cx.store().append(append).await?.replayed);
    Ok(())
}

pub async fn a_commit_elsewhere_wakes_in_the_end(cx: Cx) -> CaseResult {
    let mut changes = cx.store().changes();
    let waiter = tokio::spawn(async move { timeout(Duration::from_secs(20), changes.changed()).await });
    a_while().await;
    cx.log().hold(Append::events(events(1))).await?.commit().await?;
    waiter.await???;
    assert!(cx.store().head().await? > Position::START);
    Ok(())
}
