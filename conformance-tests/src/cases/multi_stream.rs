//! One append to several streams.

use eventsource_core::{Append, Conflict, ErrorKind, ExpectedVersion, Position, Version};

use crate::given::{conflict, event, events, log_of, race, refused, stream, tag, tagged};
use crate::{CaseResult, Cx};

use ExpectedVersion::{Any, NoStream, StreamExists};

pub async fn each_stream_gets_its_own_versions(cx: Cx) -> CaseResult {
    let (order, invoice) = (stream(), stream());
    cx.store().append(Append::to_stream(order.clone(), NoStream, events(2))).await?;
    let append = Append::to_stream(invoice.clone(), NoStream, events(1)).and_stream(
        order.clone(),
        StreamExists,
        events(3),
    );
    let appended = cx.store().append(append).await?;
    let versions = [(invoice.clone(), Version::FIRST), (order.clone(), Version::new(5)?)];
    assert_eq!(appended.versions, versions, "in the order of the append");
    assert_eq!(cx.store().stream_version(&order).await?, Some(Version::new(5)?));
    assert_eq!(cx.store().stream_version(&invoice).await?, Some(Version::FIRST));
    Ok(())
}

pub async fn one_stale_stream_refuses_all(cx: Cx) -> CaseResult {
    let (fresh, stale) = (stream(), stream());
    cx.store().append(Append::to_stream(stale.clone(), NoStream, events(1))).await?;
    let before = log_of(cx.store()).await?;
    let append = Append::to_stream(fresh.clone(), NoStream, events(2)).and_stream(stale, NoStream, events(1));
    conflict(cx.store().append(append).await)?;
    assert_eq!(log_of(cx.store()).await?, before);
    assert_eq!(cx.store().stream_version(&fresh).await?, None);
    Ok(())
}

pub async fn the_first_stale_stream_is_named(cx: Cx) -> CaseResult {
    let (good, first, second) = (stream(), stream(), stream());
    let append = Append::to_stream(good, Any, events(1))
        .and_stream(first.clone(), StreamExists, events(1))
        .and_stream(second, StreamExists, events(1));
    let named = Conflict::StreamVersion { stream: first, expected: StreamExists, actual: None };
    assert_eq!(conflict(cx.store().append(append).await)?, named);
    Ok(())
}

pub async fn a_stream_stands_in_an_append_once(cx: Cx) -> CaseResult {
    let stream = stream();
    let twice = Append::to_stream(stream.clone(), Any, events(1)).and_stream(stream, Any, events(1));
    refused(ErrorKind::InvalidInput, cx.store().append(twice).await)?;
    assert_eq!(cx.store().head().await?, Position::START);
    Ok(())
}

pub async fn a_condition_guards_streams_as_well(cx: Cx) -> CaseResult {
    let stream = stream();
    let taken = tagged("UsernameClaimed", "username", "ann");
    let claim = || {
        Append::to_stream(stream.clone(), Any, [event("AccountOpened")])
            .and_events([taken.clone().id(eventsource_core::EventId::random())])
            .fail_if(tag("username", "ann"))
    };
    cx.store().append(claim()).await?;
    conflict(cx.store().append(claim()).await)?;
    assert_eq!(cx.store().stream_version(&stream).await?, Some(Version::FIRST));
    Ok(())
}

pub async fn streams_taken_in_opposite_orders_never_deadlock(cx: Cx) -> CaseResult {
    let (one, other) = (stream(), stream());
    let transfer = |racer: usize| {
        let (from, to) = if racer.is_multiple_of(2) { (&one, &other) } else { (&other, &one) };
        Append::to_stream(from.clone(), Any, events(1)).and_stream(to.clone(), Any, events(1))
    };
    for result in race(cx.store(), (0..32).map(transfer)).await {
        result?;
    }
    assert_eq!(cx.store().stream_version(&one).await?, Some(Version::new(32)?));
    assert_eq!(cx.store().stream_version(&other).await?, Some(Version::new(32)?));
    Ok(())
}

pub async fn a_thousand_streams_fit_in_one_append(cx: Cx) -> CaseResult {
    let streams: Vec<_> = (0..1_000).map(|_| stream()).collect();
    let append = || {
        streams.iter().fold(Append::events(events(1)), |append, stream| {
            append.and_stream(stream.clone(), NoStream, events(1))
        })
    };
    let appended = cx.store().append(append()).await?;
    assert_eq!(appended.versions.len(), 1_000);
    conflict(cx.store().append(append()).await)?;
    assert_eq!(log_of(cx.store()).await?.len(), 1_001);
    Ok(())
}
