//! What wakes those who wait for events.

use std::time::Duration;

use eventsource_core::{Append, ErrorKind, Position, RecordedEvent};
use tokio::time::timeout;

use crate::given::{a_while, events, log_of, page_after};
use crate::{CaseResult, Cx, Failure};

/// Long enough for any wake-up by the same store object.
const SOON: Duration = Duration::from_secs(10);

pub async fn an_append_wakes_who_waits(cx: Cx) -> CaseResult {
    let mut changes = cx.store().changes();
    let waiter = tokio::spawn(async move { timeout(SOON, changes.changed()).await });
    a_while().await;
    cx.store().append(Append::events(events(1))).await?;
    waiter.await?.map_err(|_| Failure::new("who waited was not woken"))??;
    Ok(())
}

pub async fn an_append_before_the_wait_is_not_missed(cx: Cx) -> CaseResult {
    let mut changes = cx.store().changes();
    cx.store().append(Append::events(events(1))).await?;
    a_while().await;
    timeout(SOON, changes.changed()).await??;
    Ok(())
}

pub async fn everybody_who_waits_is_woken(cx: Cx) -> CaseResult {
    let waiters: Vec<_> = (0..20)
        .map(|_| {
            let mut changes = cx.store().changes();
            tokio::spawn(async move { timeout(SOON, changes.changed()).await })
        })
        .collect();
    let mut copied = cx.store().changes().clone();
    a_while().await;
    cx.store().append(Append::events(events(1))).await?;
    for waiter in waiters {
        waiter.await???;
    }
    timeout(SOON, copied.changed()).await??;
    Ok(())
}

pub async fn what_woke_is_visible(cx: Cx) -> CaseResult {
    for round in 1..=30 {
        let before = cx.store().head().await?;
        let mut changes = cx.store().changes();
        let waiter = tokio::spawn({
            let store = cx.store().clone();
            async move {
                // It may wake for nothing; but if it wakes only before the event is visible, this never ends.
                while store.head().await? == before {
                    changes.changed().await?;
                }
                store.head().await
            }
        });
        let appended = cx.store().append(Append::events(events(1))).await?;
        assert_eq!(timeout(SOON, waiter).await???, appended.last, "round {round}");
    }
    Ok(())
}

pub async fn a_dropped_wait_loses_nothing(cx: Cx) -> CaseResult {
    let mut changes = cx.store().changes();
    let _ = timeout(Duration::from_millis(10), changes.changed()).await;
    cx.store().append(Append::events(events(1))).await?;
    timeout(SOON, changes.changed()).await??;
    Ok(())
}

pub async fn a_follower_who_waits_between_reads_sees_everything(cx: Cx) -> CaseResult {
    let follower = tokio::spawn({
        let store = cx.store().clone();
        let mut changes = store.changes();
        async move {
            let (mut seen, mut cursor) = (Vec::new(), Position::START);
            while seen.len() < 200 {
                let page = page_after(&*store, cursor, 16).await?;
                cursor = page.events.last().map_or(cursor, RecordedEvent::position);
                let caught_up = page.events.is_empty();
                seen.extend(page.events);
                if caught_up {
                    changes.changed().await?;
                }
            }
            Ok::<_, eventsource_core::Error>(seen)
        }
    });
    for number in 0..100 {
        cx.store().append(Append::events(events(2))).await?;
        if number % 10 == 0 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
    let seen = timeout(SOON, follower).await???;
    assert_eq!(seen, log_of(cx.store()).await?);
    Ok(())
}

pub async fn closing_ends_the_wait(cx: Cx) -> CaseResult {
    let mut changes = cx.store().changes();
    let waiter = tokio::spawn(async move {
        loop {
            if let Err(error) = changes.changed().await {
                return error.kind();
            }
        }
    });
    a_while().await;
    cx.store().close().await?;
    assert_eq!(timeout(SOON, waiter).await??, ErrorKind::Unavailable);
    Ok(())
}
