//! What guards a stream.

use eventsource_core::{Append, Conflict, EventStoreExt, ExpectedVersion, Version};
use uuid::Uuid;

use crate::given::{conflict, events, found, log_of, race, stream, stream_of};
use crate::{CaseResult, Cx};

use ExpectedVersion::{Any, Exact, NoStream, StreamExists};

fn version(number: u64) -> Version {
    Version::new(number).expect("a case names a valid version")
}

pub async fn an_absent_stream_has_no_version(cx: Cx) -> CaseResult {
    let stream = stream();
    assert_eq!(cx.store().stream_version(&stream).await?, None);
    assert!(!cx.store().exists(&stream).await?);
    Ok(())
}

pub async fn versions_count_from_one_without_gaps(cx: Cx) -> CaseResult {
    let stream = stream();
    for (count, newest) in [(1, 1), (3, 4), (2, 6)] {
        cx.store().append(Append::events(events(2))).await?;
        let appended = cx.store().append(Append::to_stream(stream.clone(), Any, events(count))).await?;
        assert_eq!(appended.versions, [(stream.clone(), version(newest))]);
        assert_eq!(cx.store().stream_version(&stream).await?, Some(version(newest)));
    }
    let versions: Vec<_> =
        log_of(cx.store()).await?.iter().filter_map(|event| event.version()).map(Version::get).collect();
    assert_eq!(versions, [1, 2, 3, 4, 5, 6]);
    Ok(())
}

pub async fn any_takes_every_stream(cx: Cx) -> CaseResult {
    let stream = stream();
    for _ in 0..3 {
        cx.store().append(Append::to_stream(stream.clone(), Any, events(1))).await?;
    }
    assert_eq!(cx.store().stream_version(&stream).await?, Some(version(3)));
    Ok(())
}

pub async fn no_stream_refuses_a_stream_that_exists(cx: Cx) -> CaseResult {
    let stream = stream();
    cx.store().append(Append::to_stream(stream.clone(), NoStream, events(2))).await?;
    let again = cx.store().append(Append::to_stream(stream.clone(), NoStream, events(1))).await;
    assert_eq!(
        conflict(again)?,
        Conflict::StreamVersion { stream, expected: NoStream, actual: Some(version(2)) }
    );
    Ok(())
}

pub async fn stream_exists_refuses_a_stream_that_does_not(cx: Cx) -> CaseResult {
    let stream = stream();
    let early = cx.store().append(Append::to_stream(stream.clone(), StreamExists, events(1))).await;
    let absent = Conflict::StreamVersion { stream: stream.clone(), expected: StreamExists, actual: None };
    assert_eq!(conflict(early)?, absent);
    cx.store().append(Append::to_stream(stream.clone(), Any, events(1))).await?;
    cx.store().append(Append::to_stream(stream, StreamExists, events(1))).await?;
    Ok(())
}

pub async fn exact_takes_the_newest_version_only(cx: Cx) -> CaseResult {
    let stream = stream();
    cx.store().append(Append::to_stream(stream.clone(), Any, events(3))).await?;
    for wrong in [1, 2, 4, Version::try_from(i64::MAX)?.get()] {
        let expected = Exact(version(wrong));
        let stale = cx.store().append(Append::to_stream(stream.clone(), expected, events(1))).await;
        assert_eq!(
            conflict(stale)?,
            Conflict::StreamVersion { stream: stream.clone(), expected, actual: Some(version(3)) }
        );
    }
    cx.store().append(Append::to_stream(stream.clone(), Exact(version(3)), events(1))).await?;
    assert_eq!(cx.store().stream_version(&stream).await?, Some(version(4)));
    Ok(())
}

pub async fn exact_refuses_an_absent_stream(cx: Cx) -> CaseResult {
    let (stream, expected) = (stream(), Exact(Version::FIRST));
    let refused = cx.store().append(Append::to_stream(stream.clone(), expected, events(1))).await;
    assert_eq!(conflict(refused)?, Conflict::StreamVersion { stream, expected, actual: None });
    Ok(())
}

pub async fn a_refused_version_leaves_the_stream_as_it_was(cx: Cx) -> CaseResult {
    let stream = stream();
    cx.store().append(Append::to_stream(stream.clone(), Any, events(2))).await?;
    let before = log_of(cx.store()).await?;
    conflict(cx.store().append(Append::to_stream(stream.clone(), Exact(version(1)), events(3))).await)?;
    assert_eq!(log_of(cx.store()).await?, before);
    assert_eq!(cx.store().stream_version(&stream).await?, Some(version(2)));
    Ok(())
}

pub async fn one_id_under_two_types_is_two_streams(cx: Cx) -> CaseResult {
    let id = Uuid::now_v7();
    let order = eventsource_core::StreamId::new("Order", id)?;
    let invoice = eventsource_core::StreamId::new("Invoice", id)?;
    cx.store().append(Append::to_stream(order.clone(), NoStream, events(2))).await?;
    cx.store().append(Append::to_stream(invoice.clone(), NoStream, events(1))).await?;
    assert_eq!(cx.store().stream_version(&order).await?, Some(version(2)));
    assert_eq!(cx.store().stream_version(&invoice).await?, Some(version(1)));
    assert_eq!(found(cx.store(), eventsource_core::Filter::all().in_stream(order)).await?.len(), 2);
    Ok(())
}

pub async fn types_that_differ_in_case_are_two_streams(cx: Cx) -> CaseResult {
    let id = Uuid::now_v7();
    for aggregate_type in ["order", "Order", "ORDER", "Order "] {
        let stream = eventsource_core::StreamId::new(aggregate_type, id)?;
        cx.store().append(Append::to_stream(stream, NoStream, events(1))).await?;
    }
    Ok(())
}

pub async fn of_eight_racers_on_one_version_one_wins(cx: Cx) -> CaseResult {
    for _ in 0..10 {
        let stream = stream();
        let racers = (0..8).map(|_| Append::to_stream(stream.clone(), NoStream, events(2)));
        let results = race(cx.store(), racers).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        for lost in results.into_iter().filter(Result::is_err) {
            let expected = Conflict::StreamVersion {
                stream: stream.clone(),
                expected: NoStream,
                actual: Some(version(2)),
            };
            assert_eq!(conflict(lost)?, expected);
        }
        assert_eq!(cx.store().stream_version(&stream).await?, Some(version(2)));
    }
    Ok(())
}

pub async fn any_never_conflicts_under_contention(cx: Cx) -> CaseResult {
    let stream = stream();
    let racers = (0..64).map(|_| Append::to_stream(stream.clone(), Any, events(3)));
    for result in race(cx.store(), racers).await {
        result?;
    }
    let versions: Vec<_> =
        log_of(cx.store()).await?.iter().filter_map(|event| event.version()).map(Version::get).collect();
    assert_eq!(versions, (1..=192).collect::<Vec<_>>());
    Ok(())
}

pub async fn appends_to_different_streams_never_conflict(cx: Cx) -> CaseResult {
    let racers = (0..32).map(|_| Append::to_stream(stream_of("Order"), NoStream, events(2)));
    for result in race(cx.store(), racers).await {
        result?;
    }
    assert_eq!(log_of(cx.store()).await?.len(), 64);
    Ok(())
}
