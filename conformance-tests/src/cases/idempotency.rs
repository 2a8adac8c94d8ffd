//! What happens when an append is sent again.

use eventsource_core::{
    Append, Conflict, ErrorKind, EventId, EventStoreExt, ExpectedVersion, NewEvent, Position, Tag, Version,
};

use crate::given::{
    conflict, event, events, log_of, race, refused, stream, tag, tagged, tenant, time, with_json,
};
use crate::{CaseResult, Cx};

use ExpectedVersion::{Any, NoStream};

/// The conflict that says that this event's id is taken.
fn taken(event: &NewEvent, position: Position) -> Conflict {
    Conflict::DuplicateEvent { event_id: event.event_id(), position }
}

pub async fn a_repeated_append_returns_the_first_result(cx: Cx) -> CaseResult {
    let (one, other) = (stream(), stream());
    let append =
        Append::to_stream(one, NoStream, events(2)).and_events(events(1)).and_stream(other, Any, events(3));
    let first = cx.store().append(append.clone()).await?;
    let again = cx.store().append(append).await?;
    assert!(!first.replayed && again.replayed);
    assert_eq!((again.first, again.last, again.versions), (first.first, first.last, first.versions));
    Ok(())
}

pub async fn a_repeated_append_writes_nothing(cx: Cx) -> CaseResult {
    let append = Append::to_stream(stream(), Any, events(3));
    cx.store().append(append.clone()).await?;
    let before = log_of(cx.store()).await?;
    for _ in 0..3 {
        cx.store().append(append.clone()).await?;
    }
    assert_eq!(log_of(cx.store()).await?, before);
    Ok(())
}

pub async fn a_repeat_succeeds_whatever_the_log_says_now(cx: Cx) -> CaseResult {
    let stream = stream();
    let append = Append::to_stream(stream.clone(), NoStream, [tagged("Claimed", "username", "ann")])
        .fail_if(tag("username", "ann"));
    let first = cx.store().append(append.clone()).await?;
    cx.store().append(Append::to_stream(stream, Any, [tagged("Claimed", "username", "ann")])).await?;
    let again = cx.store().append(append).await?;
    assert_eq!((again.replayed, again.last, again.versions), (true, first.last, first.versions));
    Ok(())
}

pub async fn a_repeat_may_expect_and_demand_something_else(cx: Cx) -> CaseResult {
    // What identifies an append is its events, not the verdict that its caller hopes for.
    let (stream, happened) = (stream(), event("Happened"));
    cx.store().append(Append::to_stream(stream.clone(), NoStream, [happened.clone()])).await?;
    let again = Append::to_stream(stream, ExpectedVersion::Exact(Version::FIRST), [happened])
        .fail_if(eventsource_core::Filter::all());
    assert!(cx.store().append(again).await?.replayed);
    Ok(())
}

pub async fn a_repeat_may_spell_its_payload_differently(cx: Cx) -> CaseResult {
    let stored = with_json("Priced", r#"{"price":100,"items":[1.0,"A"]}"#);
    cx.store().append(Append::events([stored.clone()])).await?;
    let respelt = with_json("Priced", r#" {"items": [1, "\u0041"], "price": 1e2}"#).id(stored.event_id());
    assert!(cx.store().append(Append::events([respelt])).await?.replayed);
    Ok(())
}

pub async fn a_taken_id_with_other_content_conflicts(cx: Cx) -> CaseResult {
    let original = with_json("Priced", r#"{"price":100}"#)
        .tag("product", "p1")?
        .occurred_at(time("2024-01-01T00:00:00Z"))?;
    let position = cx.store().append(Append::events([original.clone()])).await?.first;
    let id = original.event_id();
    let others = [
        with_json("Repriced", r#"{"price":100}"#).tag("product", "p1")?,
        with_json("Priced", r#"{"price":101}"#).tag("product", "p1")?,
        with_json("Priced", r#"{"price":"100"}"#).tag("product", "p1")?,
        with_json("Priced", r#"{"price":100}"#),
        original.clone().tag("product", "p2")?,
        original.clone().schema_version(2),
        original.clone().actor("eve")?,
        original.clone().tenant(tenant()),
        original.clone().occurred_at(time("2024-01-01T00:00:00.000001Z"))?,
    ];
    for other in others {
        let other = other.id(id);
        assert_eq!(
            conflict(cx.store().append(Append::events([other.clone()])).await)?,
            taken(&original, position),
            "{other:?}"
        );
    }
    let in_a_stream = Append::to_stream(stream(), Any, [original.clone()]);
    assert_eq!(conflict(cx.store().append(in_a_stream).await)?, taken(&original, position));
    assert_eq!(log_of(cx.store()).await?.len(), 1);
    Ok(())
}

pub async fn a_taken_id_in_another_stream_conflicts(cx: Cx) -> CaseResult {
    let happened = event("Happened");
    let position = cx.store().append(Append::to_stream(stream(), Any, [happened.clone()])).await?.first;
    let elsewhere = Append::to_stream(stream(), Any, [happened.clone()]);
    assert_eq!(conflict(cx.store().append(elsewhere).await)?, taken(&happened, position));
    let nowhere = Append::events([happened.clone()]);
    assert_eq!(conflict(cx.store().append(nowhere).await)?, taken(&happened, position));
    Ok(())
}

pub async fn a_part_of_a_stored_append_conflicts(cx: Cx) -> CaseResult {
    let stored = events(4);
    cx.store().append(Append::events(stored.clone())).await?;
    let at = crate::given::positions(&log_of(cx.store()).await?);
    for part in [0..1, 0..3, 1..3, 1..4, 3..4] {
        let first = part.start;
        let again = cx.store().append(Append::events(stored[part].to_vec())).await;
        assert_eq!(conflict(again)?, taken(&stored[first], at[first]));
    }
    Ok(())
}

pub async fn more_than_a_stored_append_conflicts(cx: Cx) -> CaseResult {
    let stored = events(2);
    let position = cx.store().append(Append::events(stored.clone())).await?.first;
    let mut longer = stored.clone();
    longer.push(event("More"));
    assert_eq!(conflict(cx.store().append(Append::events(longer)).await)?, taken(&stored[0], position));
    let mut shifted = vec![event("More")];
    shifted.extend(stored.clone());
    assert_eq!(conflict(cx.store().append(Append::events(shifted)).await)?, taken(&stored[0], position));
    assert_eq!(log_of(cx.store()).await?.len(), 2);
    Ok(())
}

pub async fn two_stored_appends_are_not_one(cx: Cx) -> CaseResult {
    let (one, other) = (event("One"), event("Other"));
    let position = cx.store().append(Append::events([one.clone()])).await?.first;
    cx.store().append(Append::events([other.clone()])).await?;
    let joined = cx.store().append(Append::events([one.clone(), other])).await;
    assert_eq!(conflict(joined)?, taken(&one, position));
    Ok(())
}

pub async fn stored_events_in_another_order_conflict(cx: Cx) -> CaseResult {
    let stored = events(2);
    let last = cx.store().append(Append::events(stored.clone())).await?.last;
    let swapped = Append::events([stored[1].clone(), stored[0].clone()]);
    assert_eq!(conflict(cx.store().append(swapped).await)?, taken(&stored[1], last));
    Ok(())
}

pub async fn the_first_taken_id_in_the_appends_order_is_named(cx: Cx) -> CaseResult {
    let (early, late) = (event("Early"), event("Late"));
    cx.store().append(Append::events([early.clone()])).await?;
    let late_at = cx.store().append(Append::events([late.clone()])).await?.first;
    let append = Append::events([event("New"), late.clone(), early]);
    assert_eq!(conflict(cx.store().append(append).await)?, taken(&late, late_at));
    Ok(())
}

pub async fn taken_ids_are_judged_before_versions_and_conditions(cx: Cx) -> CaseResult {
    let stored = events(2);
    let position = cx.store().append(Append::events(stored.clone())).await?.first;
    let all_wrong = Append::to_stream(stream(), ExpectedVersion::StreamExists, [stored[0].clone()])
        .fail_if(eventsource_core::Filter::all());
    assert_eq!(conflict(cx.store().append(all_wrong).await)?, taken(&stored[0], position));
    Ok(())
}

pub async fn a_refused_append_takes_no_ids(cx: Cx) -> CaseResult {
    let (stream, happened) = (stream(), event("Happened"));
    let append = |expected| Append::to_stream(stream.clone(), expected, [happened.clone()]);
    conflict(cx.store().append(append(ExpectedVersion::StreamExists)).await)?;
    assert!(!cx.store().append(append(NoStream)).await?.replayed);
    Ok(())
}

pub async fn one_id_stands_in_an_append_once(cx: Cx) -> CaseResult {
    let happened = event("Happened");
    let twice = Append::events([happened.clone()]).and_stream(stream(), Any, [happened]);
    refused(ErrorKind::InvalidInput, cx.store().append(twice).await)?;
    assert!(log_of(cx.store()).await?.is_empty());
    Ok(())
}

pub async fn concurrent_repeats_are_stored_once(cx: Cx) -> CaseResult {
    for _ in 0..5 {
        let stream = stream();
        let append = Append::to_stream(stream.clone(), NoStream, events(2)).fail_if(tag("none", "such"));
        let mut results = Vec::new();
        for result in race(cx.store(), vec![append; 8]).await {
            results.push(result?);
        }
        assert_eq!(results.iter().filter(|result| !result.replayed).count(), 1);
        assert!(
            results.iter().all(|result| result.first == results[0].first && result.last == results[0].last)
        );
        assert_eq!(cx.store().stream_version(&stream).await?, Some(Version::new(2)?));
    }
    Ok(())
}

pub async fn a_repeat_after_a_dropped_append_is_stored_once(cx: Cx) -> CaseResult {
    for delay in 0..20 {
        let append = Append::events([tagged("Paid", "round", &delay.to_string()), event("Booked")]);
        let attempt = cx.store().append(append.clone());
        let _ = tokio::time::timeout(std::time::Duration::from_micros(delay * 100), attempt).await;
        cx.store().append(append).await?;
        assert!(cx.store().last(&tag("round", &delay.to_string())).await?.is_some());
    }
    assert_eq!(log_of(cx.store()).await?.len(), 40);
    Ok(())
}

pub async fn any_uuid_is_an_event_id(cx: Cx) -> CaseResult {
    let tags = [Tag::parse("a:b")?];
    for id in ["ffffffff-ffff-ffff-ffff-ffffffffffff", "00000000-0000-0000-0000-000000000001"] {
        let happened = event("Happened").id(EventId::new(id.parse()?)?).tags(tags.clone());
        cx.store().append(Append::events([happened.clone()])).await?;
        let last = log_of(cx.store()).await?.pop().expect("an event");
        assert_eq!(last.id().to_string(), id);
        assert!(cx.store().append(Append::events([happened])).await?.replayed);
    }
    Ok(())
}
