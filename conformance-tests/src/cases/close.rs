//! What a store does when it is closed.

use std::time::Duration;

use eventsource_core::{Append, ErrorKind, Filter, ReadOptions, StreamId};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::given::{a_while, closed, events, stream};
use crate::{CaseResult, Cx};

pub async fn a_closed_store_is_unavailable(cx: Cx) -> CaseResult {
    let (store, known): (_, StreamId) = (cx.store(), stream());
    store.append(Append::to_stream(known.clone(), eventsource_core::ExpectedVersion::Any, events(1))).await?;
    store.close().await?;
    closed(store.append(Append::events(events(1))).await)?;
    closed(store.read_page(&Filter::all(), &ReadOptions::new()).await)?;
    closed(store.head().await)?;
    closed(store.stream_version(&known).await)?;
    let mut changes = store.changes();
    closed(timeout(Duration::from_secs(10), changes.changed()).await?)?;
    Ok(())
}

pub async fn closing_again_is_fine(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(1))).await?;
    cx.store().close().await?;
    cx.store().close().await?;
    Ok(())
}

pub async fn a_store_that_was_never_used_closes(cx: Cx) -> CaseResult {
    cx.store().close().await?;
    Ok(())
}

pub async fn closing_leaves_no_append_without_an_answer(cx: Cx) -> CaseResult {
    let mut writers = JoinSet::new();
    for _ in 0..32 {
        let store = cx.store().clone();
        writers.spawn(async move {
            loop {
                if let Err(error) = store.append(Append::events(events(2))).await {
                    return error.kind();
                }
                tokio::task::yield_now().await;
            }
        });
    }
    a_while().await;
    let closing = [cx.store().clone(), cx.store().clone()]
        .map(|store| tokio::spawn(async move { store.close().await }));
    for closed in closing {
        timeout(Duration::from_secs(30), closed).await???;
    }
    while let Some(kind) = timeout(Duration::from_secs(30), writers.join_next()).await? {
        assert_eq!(kind?, ErrorKind::Unavailable);
    }
    Ok(())
}
