//! Which events a filter finds: what `Filter::matches` says, on every store.

use eventsource_core::{
    Append, EventStoreExt, ExpectedVersion, Filter, FilterItem, Fingerprint, NewEvent, ReadOptions, StreamId,
    Tag,
};

use crate::given::{
    event, events, found, log_of, names, read, stream_of, tag, tagged, tenant, time, types, with_json,
};
use crate::{CaseResult, Cx};

/// Appends one event for each name, with these tags.
async fn tagged_log(cx: &Cx, events: &[(&str, &[(&str, &str)])]) -> CaseResult {
    for (name, tags) in events {
        let mut happened = event(name);
        for (key, value) in *tags {
            happened = happened.tag(key, value)?;
        }
        cx.store().append(Append::events([happened])).await?;
    }
    Ok(())
}

/// Holds what the store finds, both ways, against the one definition, and against these names.
async fn finds(cx: &Cx, filter: &Filter, expected: &str) -> CaseResult {
    let log = log_of(cx.store()).await?;
    let matching: Vec<_> = log.iter().filter(|event| filter.matches(event)).cloned().collect();
    let found = found(cx.store(), filter.clone()).await?;
    assert_eq!(names(&found), names(&matching), "{filter:?}");
    assert_eq!(names(&found).concat(), expected, "{filter:?}");
    let mut backward = read(cx.store(), filter.clone(), ReadOptions::new().backward()).await?;
    backward.reverse();
    assert_eq!(backward, found, "{filter:?}");
    Ok(())
}

pub async fn event_types_are_alternatives(cx: Cx) -> CaseResult {
    tagged_log(&cx, &[("A", &[]), ("B", &[]), ("C", &[]), ("A", &[]), ("a", &[])]).await?;
    finds(&cx, &types(["A"]), "AA").await?;
    finds(&cx, &types(["C", "A"]), "ACA").await?;
    finds(&cx, &types(["D"]), "").await
}

pub async fn names_are_compared_character_by_character(cx: Cx) -> CaseResult {
    let names = ["Paid", "paid", "Paid ", " Paid", "PAID", "Päid", "Pa\u{308}id", "Paid\t"];
    for name in names {
        cx.store().append(Append::events([event(name).tag(name, name)?])).await?;
    }
    for name in names {
        finds(&cx, &types([name]), name).await?;
        finds(&cx, &tag(name, name), name).await?;
    }
    Ok(())
}

pub async fn tags_must_all_be_carried(cx: Cx) -> CaseResult {
    let log: [(&str, &[(&str, &str)]); 5] = [
        ("A", &[("s", "1"), ("c", "1")]),
        ("B", &[("s", "1"), ("c", "2")]),
        ("C", &[("s", "1")]),
        ("D", &[("s", "1"), ("c", "1"), ("x", "9")]),
        ("E", &[]),
    ];
    tagged_log(&cx, &log).await?;
    finds(&cx, &tag("s", "1"), "ABCD").await?;
    finds(&cx, &Filter::any_of([FilterItem::new().tag("s", "1")?.tag("c", "1")?])?, "AD").await?;
    finds(&cx, &Filter::any_of([FilterItem::new().tag("s", "1")?.tag("c", "1")?.tag("x", "8")?])?, "").await
}

pub async fn items_are_alternatives_and_a_match_comes_once(cx: Cx) -> CaseResult {
    let log: [(&str, &[(&str, &str)]); 4] =
        [("A", &[("s", "1"), ("c", "1")]), ("B", &[("s", "1")]), ("C", &[("c", "1")]), ("D", &[])];
    tagged_log(&cx, &log).await?;
    let either = Filter::any_of([FilterItem::new().tag("s", "1")?, FilterItem::new().tag("c", "1")?])?;
    finds(&cx, &either, "ABC").await?;
    let overlapping = [
        FilterItem::new().event_types(["A", "D"])?,
        FilterItem::new().tag("s", "1")?,
        FilterItem::new().event_type("A")?.tag("c", "1")?,
    ];
    finds(&cx, &Filter::any_of(overlapping)?, "ABD").await
}

pub async fn types_and_tags_narrow_each_other(cx: Cx) -> CaseResult {
    tagged_log(&cx, &[("A", &[("s", "1")]), ("A", &[("s", "2")]), ("B", &[("s", "1")]), ("B", &[])]).await?;
    finds(&cx, &Filter::any_of([FilterItem::new().event_type("A")?.tag("s", "1")?])?, "A").await?;
    finds(&cx, &Filter::any_of([FilterItem::new().event_types(["A", "B"])?.tag("s", "1")?])?, "AB").await
}

pub async fn a_mixed_filter_takes_each_item_on_its_own(cx: Cx) -> CaseResult {
    tagged_log(&cx, &[("A", &[("s", "1")]), ("B", &[("s", "2")]), ("C", &[("s", "2")]), ("D", &[])]).await?;
    cx.store().append(Append::events([with_json("E", r#"{"n":7}"#)])).await?;
    let items = [
        FilterItem::new().event_type("B")?.tag("s", "2")?,
        FilterItem::new().tag("s", "1")?,
        FilterItem::new().all_payload("n", 7)?,
    ];
    finds(&cx, &Filter::any_of(items)?, "ABE").await
}

pub async fn scope_narrows_every_item(cx: Cx) -> CaseResult {
    let (order, invoice) = (stream_of("Order"), stream_of("Invoice"));
    for (stream, name) in [(&order, "A"), (&invoice, "B"), (&order, "C")] {
        cx.store()
            .append(Append::to_stream(stream.clone(), ExpectedVersion::Any, [tagged(name, "s", "1")]))
            .await?;
    }
    cx.store().append(Append::events([tagged("D", "s", "1")])).await?;
    let items = || Filter::any_of([FilterItem::new().tag("s", "1")?, FilterItem::new().event_type("B")?]);
    finds(&cx, &items()?, "ABCD").await?;
    finds(&cx, &items()?.in_stream(order.clone()), "AC").await?;
    finds(&cx, &items()?.of_aggregate_type("Invoice".try_into()?), "B").await?;
    finds(&cx, &items()?.of_aggregate_type("Invoice".try_into()?).in_stream(order.clone()), "").await?;
    finds(&cx, &types(["C", "D"]).in_stream(order), "C").await?;
    finds(&cx, &Filter::all().of_aggregate_type("Order".try_into()?), "AC").await?;
    let other_type = StreamId::new("Order", invoice.aggregate_id())?;
    finds(&cx, &Filter::all().in_stream(other_type), "").await
}

pub async fn time_bounds_are_inclusive_and_compare_instants(cx: Cx) -> CaseResult {
    for (name, at) in
        [("A", "10:00:00"), ("B", "10:00:00.000001"), ("C", "11:00:00"), ("D", "09:59:59.999999")]
    {
        let happened = event(name).occurred_at(time(&format!("2024-05-01T{at}Z")))?;
        cx.store().append(Append::events([happened])).await?;
    }
    cx.store().append(Append::events([event("E").occurred_at(time("1960-01-01T00:00:00Z"))?])).await?;
    let (ten, eleven) = (time("2024-05-01T10:00:00Z"), time("2024-05-01T11:00:00Z"));
    finds(&cx, &Filter::all().occurred_from(ten)?, "ABC").await?;
    finds(&cx, &Filter::all().occurred_until(ten)?, "ADE").await?;
    finds(&cx, &Filter::all().occurred_from(ten)?.occurred_until(eleven)?, "ABC").await?;
    finds(&cx, &Filter::all().occurred_from(ten)?.occurred_until(ten)?, "A").await?;
    finds(&cx, &types(["C", "D"]).occurred_from(time("2024-05-01T13:00:00+02:00"))?, "C").await?;
    finds(&cx, &Filter::all().occurred_until(time("1960-01-01T00:00:00Z"))?, "E").await
}

pub async fn a_time_bound_looks_at_when_events_occurred(cx: Cx) -> CaseResult {
    // `A` leaves it to the store and occurs now; `B` occurred long before it was recorded.
    let events = [event("A"), event("B").occurred_at(time("2001-01-01T00:00:00Z"))?];
    cx.store().append(Append::events(events)).await?;
    finds(&cx, &Filter::all().occurred_from(time("2020-01-01T00:00:00Z"))?, "A").await?;
    finds(&cx, &Filter::all().occurred_until(time("2020-01-01T00:00:00Z"))?, "B").await
}

pub async fn a_filter_is_a_set(cx: Cx) -> CaseResult {
    tagged_log(&cx, &[("A", &[("s", "1"), ("c", "1")]), ("B", &[("s", "1")]), ("C", &[])]).await?;
    let one = Filter::any_of([
        FilterItem::new().event_types(["A", "B"])?.tag("s", "1")?.tag("c", "1")?,
        FilterItem::new().event_type("C")?,
    ])?;
    let other = Filter::any_of([
        FilterItem::new().event_type("C")?,
        FilterItem::new().event_type("C")?,
        FilterItem::new().tag("c", "1")?.tag("s", "1")?.event_types(["B", "A", "B"])?,
    ])?;
    assert_eq!(one, other);
    assert_eq!(one.fingerprint(), other.fingerprint());
    finds(&cx, &one, "AC").await?;
    finds(&cx, &other, "AC").await
}

pub async fn filters_that_differ_have_different_fingerprints(_cx: Cx) -> CaseResult {
    let filters = [
        Filter::all(),
        Filter::all().of_aggregate_type("A".try_into()?),
        types(["A"]),
        types(["A,B"]),
        types(["A", "B"]),
        Filter::any_of([FilterItem::new().event_type("A")?, FilterItem::new().event_type("B")?])?,
        tag("a", "b"),
        tag("a", "b:c"),
        Filter::any_of([FilterItem::new().all_payload("a", "b")?])?,
        Filter::any_of([FilterItem::new().any_payload("a", "b")?])?,
        Filter::any_of([FilterItem::new().all_payload(["a", "b"], "b")?])?,
        Filter::any_of([FilterItem::new().all_payload("a", true)?])?,
        Filter::any_of([FilterItem::new().all_payload("a", "true")?])?,
    ];
    let mut fingerprints: Vec<Fingerprint> = filters.iter().map(Filter::fingerprint).collect();
    fingerprints.sort_unstable();
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), filters.len());
    Ok(())
}

pub async fn a_filter_of_a_thousand_items_works(cx: Cx) -> CaseResult {
    for number in [0, 499, 999, 1_000] {
        let happened = tagged("A", "n", &number.to_string()).tag("parity", number % 2)?;
        cx.store().append(Append::events([happened])).await?;
    }
    let items = (0..1_000)
        .map(|number| FilterItem::new().event_types(["A", "B"])?.tag("n", number)?.tag("parity", number % 2));
    let filter = Filter::any_of(items.collect::<Result<Vec<_>, _>>()?)?;
    assert_eq!(found(cx.store(), filter.clone()).await?.len(), 3);
    let refused = cx.store().append(Append::events(events(1)).fail_if(filter)).await;
    crate::given::conflict(refused)?;
    Ok(())
}

pub async fn an_item_of_a_thousand_types_works(cx: Cx) -> CaseResult {
    let stream = stream_of("Order");
    let happened = ["Type7", "Type999", "Type1000"]
        .map(|name| NewEvent::new(name, &serde_json::json!({ "n": 7 }))?.tag("s", "1"));
    let happened = happened.into_iter().collect::<eventsource_core::Result<Vec<_>>>()?;
    cx.store().append(Append::to_stream(stream.clone(), ExpectedVersion::NoStream, happened)).await?;
    cx.store().append(Append::events([event("Type7")])).await?;
    let item = FilterItem::new().event_types((0..1_000).map(|number| format!("Type{number}")))?;
    let all = Filter::any_of([item.clone()])?;
    finds(&cx, &all, "Type7Type999Type7").await?;
    let recorded = log_of(cx.store()).await?;
    for narrowed in [
        all.clone().in_stream(stream.clone()),
        all.clone().of_aggregate_type(stream.aggregate_type().clone()),
        Filter::any_of([item.clone().tag("s", "1")?])?,
        Filter::any_of([item.clone().tag("s", "1")?])?.occurred_from(recorded[0].occurred_at())?,
        Filter::any_of([item.all_payload("n", 7)?])?,
    ] {
        finds(&cx, &narrowed, "Type7Type999").await?;
        let refused = cx.store().append(Append::events(events(1)).fail_if(narrowed)).await;
        crate::given::conflict(refused)?;
    }
    Ok(())
}

pub async fn an_item_of_as_much_as_there_may_be_works(cx: Cx) -> CaseResult {
    let tags = (0..NewEvent::MAX_TAGS).map(|number| Tag::new("n", number)).collect::<Result<Vec<_>, _>>()?;
    let numbers: serde_json::Map<_, _> =
        (0..FilterItem::MAX_PREDICATES).map(|number| (format!("k{number}"), number.into())).collect();
    let full = NewEvent::new("A", &numbers)?.tags(tags.clone());
    cx.store().append(Append::events([full, event("A").tags(tags.iter().skip(1).cloned())])).await?;
    let tagged = tags.into_iter().fold(FilterItem::new(), FilterItem::tagged);
    let all = (0..FilterItem::MAX_PREDICATES)
        .try_fold(tagged.clone(), |item, number| item.all_payload(format!("k{number}").as_str(), number))?;
    let any = (0..FilterItem::MAX_PREDICATES)
        .try_fold(tagged.clone(), |item, number| item.any_payload(format!("k{number}").as_str(), number))?;
    for item in [tagged, all, any] {
        assert_eq!(found(cx.store(), Filter::any_of([item])?).await?.len(), 1);
    }
    Ok(())
}

pub async fn values_never_become_syntax(cx: Cx) -> CaseResult {
    let hostile = [
        "x' OR '1'='1",
        "x\"}' OR '1'='1' OR payload @> '{\"a\": \"b",
        "'; DROP TABLE events; --",
        "\\'; DELETE FROM events; --",
        "%",
        "_",
        "*",
        "?",
        "$1",
        ":1",
        "{}",
        "{a,b}",
        "[\"a\"]",
        "NULL",
        "\\",
        "\"",
        "$.a",
        "x\ny",
        "O'Brien",
    ];
    let append = |value: &str| -> eventsource_core::Result<NewEvent> {
        NewEvent::new(value, &serde_json::json!({ "key": value, value: 1 }))?.tag("key", value)
    };
    let mut events = vec![append("harmless")?];
    for value in hostile {
        events.push(append(value)?);
    }
    cx.store().append(Append::events(events)).await?;
    for value in hostile {
        for filter in [
            types([value]),
            tag("key", value),
            Filter::any_of([FilterItem::new().all_payload("key", value)?])?,
            Filter::any_of([FilterItem::new().all_payload(value, 1)?])?,
            Filter::any_of([FilterItem::new().any_payload("key", value)?.any_payload([value, "key"], 1)?])?,
        ] {
            assert_eq!(names(&found(cx.store(), filter.clone()).await?), [value], "{filter:?}");
        }
        assert!(found(cx.store(), Filter::all().of_aggregate_type(value.try_into()?)).await?.is_empty());
    }
    assert_eq!(log_of(cx.store()).await?.len(), hostile.len() + 1);
    Ok(())
}

pub async fn tenants_narrow_like_any_scope(cx: Cx) -> CaseResult {
    let (mine, other) = (tenant(), tenant());
    cx.store()
        .append(Append::events([tagged("A", "s", "1").tenant(mine), tagged("B", "s", "1").tenant(other)]))
        .await?;
    cx.store().append(Append::events([tagged("C", "s", "1"), event("D").tenant(mine)])).await?;
    finds(&cx, &Filter::all().in_tenant(mine), "AD").await?;
    finds(&cx, &tag("s", "1").in_tenant(mine), "A").await?;
    let types =
        FilterItem::new().event_types(["A", "B", "C"])?.event_types((0..9).map(|n| format!("T{n}")))?;
    finds(&cx, &Filter::any_of([types.clone()])?.in_tenant(mine), "A").await?;
    finds(&cx, &Filter::any_of([types.tag("s", "1")?])?.in_tenant(other), "B").await?;
    let last = cx.store().last(&Filter::all().in_tenant(other)).await?;
    assert_eq!(last.map(|event| event.event_type().to_string()).as_deref(), Some("B"));
    Ok(())
}
