//! What a store does about an event that it can't decode any more: it says so, and leaves nothing out.

use eventsource_core::{
    Append, ErrorKind, EventStoreExt, ExpectedVersion, Filter, FilterItem, NewEvent, Position, ReadOptions,
    StreamId,
};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::json;

use crate::given::{event, log_of, names, positions, read, refused, stream, types};
use crate::{CaseResult, Cx};

/// A stream with the events A, B, C, D, of which C is damaged; and their positions.
async fn damaged(cx: &Cx) -> CaseResult<(StreamId, Vec<Position>)> {
    let stream = stream();
    let append =
        Append::to_stream(stream.clone(), ExpectedVersion::NoStream, ["A", "B", "C", "D"].map(event));
    cx.store().append(append).await?;
    let at = positions(&log_of(cx.store()).await?);
    cx.log().damage(at[2]).await?;
    Ok((stream, at))
}

pub async fn a_damaged_event_is_an_error_never_left_out(cx: Cx) -> CaseResult {
    let (stream, at) = damaged(&cx).await?;
    let store = cx.store();
    refused(ErrorKind::Corrupt, store.read_page(&Filter::all(), &ReadOptions::new()).await)?;
    refused(ErrorKind::Corrupt, read(store, Filter::all(), ReadOptions::new().backward()).await)?;
    refused(ErrorKind::Corrupt, store.query(&types(["C"])).await)?;
    refused(ErrorKind::Corrupt, store.read_stream(&stream).try_collect::<Vec<_>>().await)?;
    refused(ErrorKind::Corrupt, read(store, Filter::all(), ReadOptions::new().after(at[1]).limit(1)).await)?;
    Ok(())
}

pub async fn a_payload_predicate_does_not_pass_over_damage(cx: Cx) -> CaseResult {
    let item = |name: &str| NewEvent::new(name, &json!({ "customer": { "id": name } }));
    cx.store().append(Append::events([item("A")?, item("B")?, item("C")?])).await?;
    let at = positions(&log_of(cx.store()).await?);
    cx.log().damage(at[1]).await?;
    let wanted = Filter::any_of([FilterItem::new().all_payload(["customer", "id"], "B")?])?;
    refused(ErrorKind::Corrupt, cx.store().query(&wanted).await)?;
    refused(ErrorKind::Corrupt, read(cx.store(), wanted, ReadOptions::new().backward()).await)?;
    Ok(())
}

pub async fn a_reader_comes_as_far_as_the_damage(cx: Cx) -> CaseResult {
    let (_, at) = damaged(&cx).await?;
    assert_eq!(names(&read(cx.store(), Filter::all(), ReadOptions::new().until(at[1])).await?), ["A", "B"]);
    assert_eq!(names(&read(cx.store(), Filter::all(), ReadOptions::new().after(at[2])).await?), ["D"]);
    assert_eq!(names(&read(cx.store(), types(["A", "D"]), ReadOptions::new()).await?), ["A", "D"]);
    let all: Vec<_> = cx.store().read(Filter::all(), ReadOptions::new()).collect().await;
    let Some(Err(error)) = all.last() else { panic!("a stream ends with the error") };
    // Whoever has to mend it must know where it is.
    let place = format!("position {}", at[2]);
    assert!(error.to_string().contains(&place), "{error} does not name {place}");
    Ok(())
}

pub async fn damage_keeps_nobody_from_writing(cx: Cx) -> CaseResult {
    let (stream, _) = damaged(&cx).await?;
    let version = cx.store().stream_version(&stream).await?;
    let appended = cx.store().append(Append::to_stream(stream, version.into(), [event("E")])).await?;
    assert_eq!(cx.store().head().await?, appended.last);
    Ok(())
}
