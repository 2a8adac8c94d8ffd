use chrono::{DateTime, Utc};
use eventsource_core::{
    AggregateType, EventId, EventType, Filter, FilterItem, Metadata, NewEvent, Payload, PayloadPath, Scalar,
    StreamId, Tag, TenantId,
};
use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

/// Types that differ where a careless comparison sees none.
const EVENT_TYPES: [&str; 5] = ["Opened", "opened", "Closed", "Open%", "Öffnung"];
const TAGS: [&str; 7] =
    ["room:1", "room:2", "room:10", "Room:1", "user:ann", "user:o'neil \"%_\\{}", "a:b:c"];
const AGGREGATE_TYPES: [&str; 3] = ["Order", "order", "Invoice"];
const PAYLOADS: [&str; 20] = [
    "null",
    "7",
    r#""n""#,
    "[]",
    "{}",
    r#"{"n":1}"#,
    r#"{"n":1.0,"s":"x"}"#,
    r#"{"n":"1"}"#,
    r#"{"n":100}"#,
    r#"{"n":1e2}"#,
    r#"{"n":0.1}"#,
    r#"{"n":9007199254740993}"#,
    r#"{"n":-0}"#,
    r#"{"n":[1]}"#,
    r#"{"n":null}"#,
    r#"{"a":{"b":true},"s":"X"}"#,
    r#"{"a":{"b":false,"n":1}}"#,
    r#"{"a":[{"b":true}]}"#,
    r#"{"a.b":true,"s":"ü\u2028\"\\"}"#,
    r#"{"s":""}"#,
];
const PATHS: [&[&str]; 5] = [&["n"], &["s"], &["a", "b"], &["a.b"], &["a"]];
const SCALARS: [&str; 12] = [
    "null",
    "true",
    "false",
    "1",
    "1.0",
    "100",
    "0.1",
    "9007199254740993",
    "0",
    r#""1""#,
    r#""x""#,
    r#""ü\u2028\"\\""#,
];
/// In microseconds since 1970: before it, at it, within one second, far ahead.
const TIMES: [i64; 6] = [
    -62_000_000_000_000_000,
    0,
    1_700_000_000_000_000,
    1_700_000_000_000_001,
    1_700_000_000_999_999,
    4_102_444_800_000_000,
];
const IDS: u128 = 24;

/// The streams that operations use: two types may share an id.
pub(crate) fn streams() -> Vec<StreamId> {
    let ids = (1..=2).map(Uuid::from_u128);
    ids.flat_map(|id| AGGREGATE_TYPES.map(|name| StreamId::new(name, id).expect("it is valid"))).collect()
}

pub(super) fn stream() -> impl Strategy<Value = StreamId> + Clone {
    select(streams())
}

pub(super) fn event() -> impl Strategy<Value = NewEvent> + Clone {
    let details =
        (weighted(0.3, tenant()), weighted(0.5, time()), 1..3_u32, weighted(0.2, select(vec!["ann", "bob"])));
    (event_id(), event_type(), select(PAYLOADS.to_vec()), vec(tag(), 0..4), details).prop_map(
        |(id, event_type, json, tags, (tenant, occurred_at, schema_version, actor))| {
            let payload = Payload::from_json(json).expect("it is valid");
            let mut metadata = Metadata::new();
            if let Some(tenant) = tenant {
                metadata = metadata.tenant(tenant);
            }
            if let Some(actor) = actor {
                metadata =
                    metadata.actor(actor).expect("it is valid").entry("client", "").expect("it is valid");
            }
            let event = NewEvent::from_payload(event_type, payload)
                .id(id)
                .tags(tags)
                .schema_version(schema_version)
                .metadata(metadata);
            match occurred_at {
                None => event,
                Some(time) => event.occurred_at(time).expect("it is valid"),
            }
        },
    )
}

pub(super) fn filter() -> impl Strategy<Value = Filter> + Clone {
    let scope = (
        weighted(0.2, stream()),
        weighted(0.2, tenant()),
        weighted(0.15, select(AGGREGATE_TYPES.to_vec())),
        weighted(0.15, (of(time()), of(time()))),
    );
    (weighted(0.75, vec(item(), 1..4)), scope).prop_map(|(items, (stream, tenant, aggregate_type, times))| {
        let mut filter =
            items.map_or_else(Filter::all, |items| Filter::any_of(items).expect("none is empty"));
        if let Some(stream) = stream {
            filter = filter.in_stream(stream);
        }
        if let Some(tenant) = tenant {
            filter = filter.in_tenant(tenant);
        }
        if let Some(aggregate_type) = aggregate_type {
            filter = filter.of_aggregate_type(AggregateType::new(aggregate_type).expect("it is valid"));
        }
        match times {
            None => filter,
            Some((from, until)) => within(filter, from, until),
        }
    })
}

fn within(mut filter: Filter, from: Option<DateTime<Utc>>, until: Option<DateTime<Utc>>) -> Filter {
    let (from, until) = match (from, until) {
        (Some(from), Some(until)) if from > until => (Some(until), Some(from)),
        given => given,
    };
    if let Some(from) = from {
        filter = filter.occurred_from(from).expect("it is valid");
    }
    if let Some(until) = until {
        filter = filter.occurred_until(until).expect("it is valid");
    }
    filter
}

fn item() -> impl Strategy<Value = FilterItem> + Clone {
    let all = weighted(0.25, vec(predicate(), 1..3)).prop_map(Option::unwrap_or_default);
    let any = weighted(0.25, vec(predicate(), 1..4)).prop_map(Option::unwrap_or_default);
    let types = weighted(0.5, vec(event_type(), 1..3)).prop_map(Option::unwrap_or_default);
    let tags = weighted(0.5, vec(tag(), 1..3)).prop_map(Option::unwrap_or_default);
    (types, tags, all, any, event_type()).prop_map(|(types, tags, all, any, otherwise)| {
        let mut item = tags.into_iter().fold(FilterItem::new(), FilterItem::tagged);
        for event_type in types {
            item = item.event_type(event_type).expect("it is valid");
        }
        for (path, value) in all {
            item = item.all_payload(path, value).expect("it is valid");
        }
        for (path, value) in any {
            item = item.any_payload(path, value).expect("it is valid");
        }
        if item.is_empty() { item.event_type(otherwise).expect("it is valid") } else { item }
    })
}

fn predicate() -> impl Strategy<Value = (PayloadPath, Scalar)> + Clone {
    (select(PATHS.to_vec()), select(SCALARS.to_vec())).prop_map(|(path, json)| {
        let value: serde_json::Value = serde_json::from_str(json).expect("it is JSON");
        let path = PayloadPath::new(path.iter().copied()).expect("it is valid");
        (path, Scalar::try_from(&value).expect("it is a scalar"))
    })
}

/// Mostly a fresh id; sometimes one that another event may have.
fn event_id() -> impl Strategy<Value = EventId> + Clone {
    prop_oneof![9 => (IDS + 1)..u128::MAX, 1 => 1..=IDS]
        .prop_map(|id| EventId::new(Uuid::from_u128(id)).expect("it is not 0"))
}

fn event_type() -> impl Strategy<Value = EventType> + Clone {
    select(EVENT_TYPES.to_vec()).prop_map(|name| EventType::new(name).expect("it is valid"))
}

fn tag() -> impl Strategy<Value = Tag> + Clone {
    select(TAGS.to_vec()).prop_map(|text| Tag::parse(text).expect("it is valid"))
}

fn tenant() -> impl Strategy<Value = TenantId> + Clone {
    (1..=2_u128).prop_map(|id| TenantId::new(Uuid::from_u128(id)).expect("it is not 0"))
}

fn time() -> impl Strategy<Value = DateTime<Utc>> + Clone {
    select(TIMES.to_vec())
        .prop_map(|micros| DateTime::from_timestamp_micros(micros).expect("it is between 1 and 9999"))
}
