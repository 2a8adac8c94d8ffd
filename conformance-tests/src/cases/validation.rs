//! What every store refuses, with the same kind of error, and leaves nothing of.

use eventsource_core::{
    AggregateType, Append, ErrorKind, EventId, EventType, ExpectedVersion, Filter, FilterItem, Metadata,
    NewEvent, Payload, PayloadPath, Position, Result, Scalar, StreamId, Tag, TenantId, Version,
};
use uuid::Uuid;

use crate::given::{event, events, log_of, refused, stream, time, types};
use crate::{CaseResult, Cx};

/// Appends what must be refused as invalid, and looks that nothing was written.
async fn invalid(cx: &Cx, append: Append) -> CaseResult {
    refused(ErrorKind::InvalidInput, cx.store().append(append).await)?;
    assert_eq!(cx.store().head().await?, Position::START);
    assert!(log_of(cx.store()).await?.is_empty());
    Ok(())
}

/// What must be refused as invalid when it is made.
#[track_caller]
fn never<T>(what: &str, made: Result<T>) {
    let kind = made.err().map(|error| error.kind());
    assert_eq!(kind, Some(ErrorKind::InvalidInput), "{what}");
}

pub async fn one_event_too_many_is_refused(cx: Cx) -> CaseResult {
    invalid(&cx, Append::events(events(Append::MAX_EVENTS + 1))).await
}

pub async fn too_much_payload_is_refused(cx: Cx) -> CaseResult {
    let payload = Payload::from_json(format!("\"{}\"", "x".repeat(33 << 20)))?;
    let events = (0..4).map(|_| NewEvent::from_payload("Large".try_into().expect("a type"), payload.clone()));
    invalid(&cx, Append::events(events)).await
}

pub async fn too_much_beside_the_payload_is_refused(cx: Cx) -> CaseResult {
    let value = "x".repeat(Metadata::MAX_VALUE_BYTES);
    let full = (0..Metadata::MAX_ENTRIES)
        .try_fold(Metadata::new(), |metadata, number| metadata.entry(format!("{number}"), value.clone()))?;
    never("an entry too many", full.clone().entry("one more", ""));
    full.clone().entry("0", "an entry that is replaced is not one more")?;
    // Some 6 MiB each.
    invalid(&cx, Append::events((0..21).map(|_| event("A").metadata(full.clone())))).await?;
    cx.store().append(Append::events([event("A").metadata(full.clone())])).await?;
    assert_eq!(log_of(cx.store()).await?[0].metadata(), &full);
    Ok(())
}

pub async fn one_condition_too_many_is_refused(cx: Cx) -> CaseResult {
    let append = (0..=Append::MAX_CONDITIONS)
        .fold(Append::events(events(1)), |append, _| append.fail_if(types(["X"])));
    invalid(&cx, append).await
}

pub async fn one_tag_too_many_is_refused(cx: Cx) -> CaseResult {
    let tags = (0..=NewEvent::MAX_TAGS).map(|n| Tag::new("n", n)).collect::<Result<Vec<_>>>()?;
    invalid(&cx, Append::events([event("A").tags(tags)])).await
}

pub async fn a_schema_version_out_of_range_is_refused(cx: Cx) -> CaseResult {
    invalid(&cx, Append::events([event("A").schema_version(0)])).await?;
    invalid(&cx, Append::events([event("A").schema_version(2_147_483_648)])).await
}

pub async fn a_position_without_a_condition_is_refused(cx: Cx) -> CaseResult {
    invalid(&cx, Append::events(events(1)).after(Position::START)).await
}

pub async fn invalid_input_is_refused_before_conflicts_are_looked_for(cx: Cx) -> CaseResult {
    let both = Append::to_stream(stream(), ExpectedVersion::StreamExists, [event("A").schema_version(0)]);
    invalid(&cx, both).await
}

pub async fn names_that_mean_nothing_are_refused(_cx: Cx) -> CaseResult {
    let long = "x".repeat(256);
    for name in ["", "\0", "a\0b", &long] {
        never(name, EventType::new(name));
        never(name, AggregateType::new(name));
        never(name, StreamId::new(name, Uuid::now_v7()));
        never(name, NewEvent::new(name, &()));
        never(name, Metadata::new().actor(name));
        never(name, Metadata::new().entry(name, ""));
        never(name, Filter::event_types([name]));
    }
    never("a NUL character in an entry", Metadata::new().entry("key", "a\0"));
    never("an entry too long", Metadata::new().entry("key", "x".repeat(65_537)));
    Ok(())
}

pub async fn empty_ids_are_refused(_cx: Cx) -> CaseResult {
    never("an event id", EventId::new(Uuid::nil()));
    never("a tenant", TenantId::new(Uuid::nil()));
    never("an aggregate", StreamId::new("Order", Uuid::nil()));
    never("a version", Version::new(0));
    never("a version", Version::new(u64::MAX));
    Ok(())
}

pub async fn tags_that_mean_nothing_are_refused(_cx: Cx) -> CaseResult {
    let long = "x".repeat(Tag::MAX_BYTES);
    for text in ["", ":", "a:", ":b", "no colon", "a:\0", "\0:b", &format!("k:{long}")] {
        never(text, Tag::parse(text));
    }
    never("a colon in a key", Tag::new("a:b", "c"));
    never("an empty value", Filter::tagged("course", ""));
    never("an empty key", event("A").tag("", "c1"));
    Ok(())
}

pub async fn payloads_that_no_store_could_give_back_are_refused(_cx: Cx) -> CaseResult {
    let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
    let digits = "1".repeat(1_001);
    for json in [
        "",
        "{",
        "nul",
        "1 2",
        "NaN",
        "Infinity",
        "-",
        "01",
        "'a'",
        "{a:1}",
        "[1,]",
        r#"{"a":1,"a":2}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#""\u0000""#,
        r#"{"\u0000":1}"#,
        r#"["a\u0000b"]"#,
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        "1e999",
        "-1e999",
        "1e-999",
        &deep,
        &digits,
    ] {
        never(json, Payload::from_json(json));
    }
    never("not a number", NewEvent::new("A", &f64::NAN));
    never("infinity", NewEvent::new("A", &[Some(1.0), Some(f64::INFINITY)]));
    never("a NUL character", NewEvent::new("A", "a\0b"));
    Ok(())
}

pub async fn an_empty_filter_never_means_everything(_cx: Cx) -> CaseResult {
    never("no items", Filter::any_of([]));
    never("an empty item", Filter::any_of([FilterItem::new()]));
    never(
        "an empty item among others",
        Filter::any_of([FilterItem::new().tag("a", "b")?, FilterItem::new()]),
    );
    never("no types", Filter::event_types(Vec::<EventType>::new()));
    never("no types in an item", FilterItem::new().tag("a", "b")?.event_types(Vec::<EventType>::new()));
    Ok(())
}

pub async fn a_filter_beyond_its_bounds_is_refused(_cx: Cx) -> CaseResult {
    let tags =
        |count: usize| (0..count).try_fold(FilterItem::new(), |item, number| item.tag("number", number));
    let items = (0..=Filter::MAX_ITEMS).map(|number| FilterItem::new().tag("number", number));
    never("an item too many", Filter::any_of(items.collect::<Result<Vec<_>>>()?));
    never("a tag too many", Filter::any_of([tags(FilterItem::MAX_TAGS + 1)?]));
    let predicates = (0..=FilterItem::MAX_PREDICATES)
        .try_fold(FilterItem::new(), |item, number| item.any_payload("number", number))?;
    never("a predicate too many", Filter::any_of([predicates]));
    let names = |count: usize| (0..count).map(|number| format!("Type{number}"));
    never("a type too many", Filter::event_types(names(Filter::MAX_PARTS + 1)));
    let each_of_101_parts = (0..100).map(|number| tags(100)?.event_type(format!("Type{number}")));
    never("a part too many", Filter::any_of(each_of_101_parts.collect::<Result<Vec<_>>>()?));
    Ok(())
}

pub async fn predicates_that_mean_nothing_are_refused(_cx: Cx) -> CaseResult {
    let item = FilterItem::new;
    never("an empty key", item().all_payload("", "b1"));
    never("an empty key within", item().any_payload(["a", "", "c"], "b1"));
    never("no key", PayloadPath::new(Vec::<String>::new()));
    never("too many keys", PayloadPath::new(vec!["a"; PayloadPath::MAX_KEYS + 1]));
    never("a NUL character in a key", item().all_payload("a\0", "b1"));
    never("a NUL character in a value", item().all_payload("a", "b\0"));
    never("a list", item().all_payload("a", &serde_json::json!([1])));
    never("an object", item().all_payload("a", &serde_json::json!({})));
    never("not a number", item().all_payload("a", f64::NAN));
    never("no number", Scalar::number("1 OR 1=1"));
    Ok(())
}

pub async fn times_that_mean_nothing_are_refused(_cx: Cx) -> CaseResult {
    let (year_zero, far) =
        (chrono::DateTime::<chrono::Utc>::MIN_UTC, chrono::DateTime::<chrono::Utc>::MAX_UTC);
    for out_of_range in [year_zero, far] {
        never("an event's time", event("A").occurred_at(out_of_range));
        never("from", Filter::all().occurred_from(out_of_range));
        never("until", Filter::all().occurred_until(out_of_range));
    }
    let (early, late) = (time("2024-01-01T00:00:00Z"), time("2024-01-02T00:00:00Z"));
    never("an inverted range", Filter::all().occurred_from(late)?.occurred_until(early));
    Ok(())
}
