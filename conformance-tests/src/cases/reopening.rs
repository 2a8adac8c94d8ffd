//! What is still there, and still true, when a log is opened again or by several stores at once.

use std::time::Duration;

use eventsource_core::{Append, EventStoreExt, ExpectedVersion, Filter, Version};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::given::{conflict, event, events, log_of, names, race, stream, tag, tagged, with_json};
use crate::{CaseResult, Cx};

use ExpectedVersion::{Any, Exact, NoStream};

pub async fn a_reopened_log_is_the_same(cx: Cx) -> CaseResult {
    let stream = stream();
    cx.store()
        .append(Append::to_stream(stream.clone(), NoStream, [tagged("A", "s", "1"), event("B")]))
        .await?;
    cx.store()
        .append(Append::events([with_json("C", r#"{"degrees":1.50,"text":"Grüße"}"#).actor("ann")?]))
        .await?;
    let (before, head) = (log_of(cx.store()).await?, cx.store().head().await?);
    cx.store().close().await?;

    let reopened = cx.open().await?;
    assert_eq!(log_of(&reopened).await?, before);
    assert_eq!(reopened.head().await?, head);
    assert_eq!(reopened.stream_version(&stream).await?, Some(Version::new(2)?));
    assert_eq!(crate::given::found(&reopened, tag("s", "1")).await?.len(), 1);
    reopened.close().await?;
    Ok(())
}

pub async fn an_empty_log_opens_again_empty(cx: Cx) -> CaseResult {
    cx.store().close().await?;
    for _ in 0..3 {
        let reopened = cx.open().await?;
        assert!(log_of(&reopened).await?.is_empty());
        reopened.close().await?;
    }
    Ok(())
}

pub async fn positions_and_versions_go_on_after_reopening(cx: Cx) -> CaseResult {
    let stream = stream();
    let before = cx.store().append(Append::to_stream(stream.clone(), Any, events(3))).await?;
    cx.store().close().await?;
    let reopened = cx.open().await?;
    let after =
        reopened.append(Append::to_stream(stream.clone(), Exact(Version::new(3)?), events(1))).await?;
    assert!(after.first > before.last);
    assert_eq!(after.version_of(&stream), Some(Version::new(4)?));
    reopened.close().await?;
    Ok(())
}

pub async fn conditions_and_versions_hold_over_reopening(cx: Cx) -> CaseResult {
    let stream = stream();
    cx.store()
        .append(Append::to_stream(stream.clone(), NoStream, [tagged("Claimed", "username", "ann")]))
        .await?;
    let seen = cx.store().query(&tag("username", "bob")).await?;
    cx.store().close().await?;
    let reopened = cx.open().await?;
    conflict(reopened.append(Append::to_stream(stream, NoStream, events(1))).await)?;
    conflict(reopened.append(Append::events(events(1)).fail_if(tag("username", "ann"))).await)?;
    reopened.append(Append::events(events(1)).fail_if(tag("username", "bob")).after(seen.head)).await?;
    reopened.close().await?;
    Ok(())
}

pub async fn a_repeat_is_known_after_reopening(cx: Cx) -> CaseResult {
    let append = Append::to_stream(stream(), NoStream, events(3));
    let first = cx.store().append(append.clone()).await?;
    cx.store().close().await?;
    let reopened = cx.open().await?;
    let again = reopened.append(append).await?;
    assert!(again.replayed);
    assert_eq!((again.first, again.last, again.versions), (first.first, first.last, first.versions));
    reopened.close().await?;
    Ok(())
}

pub async fn what_was_accepted_before_closing_is_there_afterwards(cx: Cx) -> CaseResult {
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let store = cx.store().clone();
        writers.spawn(async move {
            let mut accepted = 0_usize;
            while store
                .append(Append::events([tagged("Written", "writer", &writer.to_string())]))
                .await
                .is_ok()
            {
                accepted += 1;
                tokio::task::yield_now().await;
            }
            accepted
        });
    }
    crate::given::a_while().await;
    cx.store().close().await?;
    let accepted: usize = writers.join_all().await.into_iter().sum();
    let reopened = cx.open().await?;
    assert_eq!(log_of(&reopened).await?.len(), accepted);
    reopened.close().await?;
    Ok(())
}

pub async fn several_stores_open_one_log_at_once(cx: Cx) -> CaseResult {
    cx.store().append(Append::events([event("A")])).await?;
    let mut opening = JoinSet::new();
    for _ in 0..8 {
        let log = cx.log().clone();
        opening.spawn(async move { log.open().await.map(|stores| stores.events) });
    }
    let stores = opening.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
    for store in &stores {
        store.append(Append::events([event("B")])).await?;
    }
    for store in &stores {
        assert_eq!(log_of(store).await?.len(), 9);
        store.close().await?;
    }
    Ok(())
}

pub async fn what_one_store_acknowledged_the_other_reads_at_once(cx: Cx) -> CaseResult {
    let (stream, other) = (stream(), cx.open().await?);
    for number in 1..=20 {
        let (writer, reader) = if number % 2 == 0 { (cx.store(), &other) } else { (&other, cx.store()) };
        let appended = writer.append(Append::to_stream(stream.clone(), Any, events(1))).await?;
        assert_eq!(reader.head().await?, appended.last);
        assert_eq!(reader.stream_version(&stream).await?, Some(Version::new(number)?));
    }
    other.close().await?;
    Ok(())
}

pub async fn of_racers_through_two_stores_one_wins(cx: Cx) -> CaseResult {
    let other = cx.open().await?;
    for round in 0..10 {
        let name = format!("user{round}");
        let claim = || Append::events([tagged("Claimed", "username", &name)]).fail_if(tag("username", &name));
        let (here, there) =
            tokio::join!(race(cx.store(), (0..4).map(|_| claim())), race(&other, (0..4).map(|_| claim())));
        assert_eq!(here.iter().chain(&there).filter(|result| result.is_ok()).count(), 1);
        for lost in here.into_iter().chain(there).filter(Result::is_err) {
            conflict(lost)?;
        }
    }
    other.close().await?;
    Ok(())
}

pub async fn an_append_through_another_store_wakes_in_the_end(cx: Cx) -> CaseResult {
    let other = cx.open().await?;
    let mut changes = cx.store().changes();
    let waiter = tokio::spawn(async move { timeout(Duration::from_secs(20), changes.changed()).await });
    crate::given::a_while().await;
    other.append(Append::events(events(1))).await?;
    waiter.await???;
    other.close().await?;
    Ok(())
}

pub async fn closing_one_store_leaves_the_others_open(cx: Cx) -> CaseResult {
    let other = cx.open().await?;
    cx.store().append(Append::events([event("A")])).await?;
    cx.store().close().await?;
    other.append(Append::events([event("B")])).await?;
    assert_eq!(names(&log_of(&other).await?), ["A", "B"]);
    assert!(other.last(&Filter::all()).await?.is_some());
    other.close().await?;
    Ok(())
}
