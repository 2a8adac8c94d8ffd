//! Events as they are stored and as they come, in one loop.

use std::time::Duration;

use eventsource_consumers::{Start, Subscription};
use eventsource_core::{Append, ErrorKind, EventStore, Filter, Position};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::time::timeout;

use crate::given::{event, events, log_of, positions, refused, types};
use crate::{CaseResult, Cx};

const PATIENCE: Duration = Duration::from_secs(40);

fn subscription(cx: &Cx) -> Subscription {
    Subscription::new(cx.store().clone()).poll_interval(Duration::from_millis(50))
}

pub async fn what_is_stored_and_what_comes_is_one_stream(cx: Cx) -> CaseResult {
    const WRITERS: usize = 4;
    const APPENDS: usize = 30;
    cx.store().append(Append::events(events(50))).await?;
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let store = cx.store().clone();
            tokio::spawn(async move {
                for _ in 0..APPENDS {
                    store.append(Append::events(events(2))).await?;
                }
                Ok::<_, eventsource_core::Error>(())
            })
        })
        .collect();
    let wanted = 50 + WRITERS * APPENDS * 2;
    let read = subscription(&cx).page_size(7).into_stream().take(wanted).try_collect::<Vec<_>>();
    let read = timeout(PATIENCE, read).await??;
    for writer in writers {
        writer.await??;
    }
    assert_eq!(positions(&read), positions(&log_of(cx.store()).await?));
    Ok(())
}

pub async fn it_begins_where_it_is_told(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(3))).await?;
    let log = positions(&log_of(cx.store()).await?);
    for (start, expected) in [
        (Start::Beginning, &log[..]),
        (Start::After(log[0]), &log[1..]),
        (Start::After(Position::START), &log[..]),
    ] {
        let batch = timeout(PATIENCE, subscription(&cx).start(start).next()).await??;
        assert_eq!((positions(&batch.events), batch.scanned_to), (expected.to_vec(), log[2]), "{start:?}");
    }
    let mut at_end = subscription(&cx).start(Start::End);
    assert!(timeout(Duration::from_millis(200), at_end.next()).await.is_err(), "there is nothing new yet");
    let next = cx.store().append(Append::events(events(1))).await?.last;
    assert_eq!(positions(&timeout(PATIENCE, at_end.next()).await??.events), [next]);
    Ok(())
}

pub async fn the_cursor_moves_where_nothing_matches(cx: Cx) -> CaseResult {
    let mut wanted = subscription(&cx).filter(types(["Wanted"])).page_size(2);
    let last = cx.store().append(Append::events(events(9))).await?.last;
    let batch = timeout(PATIENCE, wanted.next()).await??;
    assert_eq!((batch.events.len(), batch.scanned_to, wanted.position()), (0, last, Some(last)));
    let found = cx.store().append(Append::events([event("Wanted")])).await?.last;
    assert_eq!(positions(&timeout(PATIENCE, wanted.next()).await??.events), [found]);
    Ok(())
}

pub async fn giving_up_waiting_loses_nothing(cx: Cx) -> CaseResult {
    let mut all = subscription(&cx).page_size(3);
    let store = cx.store().clone();
    let writer = tokio::spawn(async move {
        for _ in 0..40 {
            store.append(Append::events(events(1))).await?;
            tokio::task::yield_now().await;
        }
        Ok::<_, eventsource_core::Error>(())
    });
    let mut seen = Vec::new();
    let mut patience = 1;
    while seen.len() < 40 {
        if let Ok(batch) = timeout(Duration::from_micros(patience), all.next()).await {
            seen.extend(positions(&batch?.events));
        }
        // So that a slow store is given the time that one look takes, in the end.
        patience = (patience * 3 / 2 + 1).min(2_000_000);
    }
    writer.await??;
    assert_eq!(seen, positions(&log_of(cx.store()).await?));
    Ok(())
}

pub async fn it_ends_with_the_store(cx: Cx) -> CaseResult {
    let store = cx.store().clone();
    let waiting = tokio::spawn({
        let mut all = subscription(&cx).poll_interval(Duration::from_secs(30));
        async move { all.next().await }
    });
    crate::given::a_while().await;
    store.close().await?;
    refused(ErrorKind::Unavailable, timeout(PATIENCE, waiting).await??)?;
    let after = timeout(PATIENCE, Subscription::new(store).filter(Filter::all()).next()).await?;
    refused(ErrorKind::Unavailable, after)?;
    Ok(())
}
