use chrono::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{EventRegistry, EventRegistryBuilder, Kept, RegistryProblem as Problem};
use crate::{
    Decoded, Decoder, DomainEvent, Error, ErrorKind, EventSchema, NewEvent, Payload, Position, RecordedEvent,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum OrderEvent {
    OrderPlaced { total_cents: u64, currency: String },
    ItemAdded { sku: String },
}

impl DomainEvent for OrderEvent {
    const SCHEMAS: &'static [EventSchema] =
        &[EventSchema::new("OrderPlaced", 3), EventSchema::new("ItemAdded", 1)];
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum InvoiceEvent {
    InvoiceDrawn { cents: u64 },
}

impl DomainEvent for InvoiceEvent {}

/// What a projection wants to know of orders.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Turnover {
    OrderPlaced { total_cents: u64 },
}

impl DomainEvent for Turnover {
    const SCHEMAS: &'static [EventSchema] = &[EventSchema::new("OrderPlaced", 3)];
}

#[derive(Debug, Serialize, Deserialize)]
struct Untagged {
    cents: u64,
}

impl DomainEvent for Untagged {}

fn builder() -> EventRegistryBuilder {
    EventRegistry::builder()
        .event::<OrderEvent>()
        .event::<InvoiceEvent>()
        .view::<Turnover>()
        .rename(("OrderCreated", 1), ("OrderPlaced", 1))
        .upcast(("OrderPlaced", 1), ("OrderPlaced", 2), |mut order, _| {
            order["total_cents"] = order["total"].take();
            Ok(order)
        })
        .upcast(("OrderPlaced", 2), ("OrderPlaced", 3), |mut order, _| {
            order["currency"] = json!("EUR");
            Ok(order)
        })
        .split(
            ("OrderBilled", 1),
            [EventSchema::new("OrderPlaced", 2), ("InvoiceDrawn", 1).into(), ("ItemAdded", 1).into()],
            |order, _| {
                let mut parts = vec![("OrderPlaced", json!({"total_cents": order["cents"]}))];
                let skus = order["skus"].as_array().cloned().unwrap_or_default();
                parts.extend(skus.into_iter().map(|sku| ("ItemAdded", json!({ "sku": sku }))));
                parts.push(("InvoiceDrawn", json!({"cents": order["cents"]})));
                Ok(parts)
            },
        )
        .drop_event(("CartLookedAt", 1))
}

fn registry() -> EventRegistry {
    builder().build().unwrap()
}

pub(super) fn stored(name: &str, version: u32, payload: impl Serialize) -> RecordedEvent {
    let event = NewEvent::new(name, &payload).unwrap().schema_version(version).tag("order", 7).unwrap();
    RecordedEvent::new(event, Position::from_raw(5), None, DateTime::UNIX_EPOCH)
}

fn orders(event: &RecordedEvent) -> Result<Vec<OrderEvent>, Error> {
    Ok(registry().decoder::<OrderEvent>()?.decode(event)?.into_iter().collect())
}

fn placed(total_cents: u64) -> OrderEvent {
    OrderEvent::OrderPlaced { total_cents, currency: "EUR".into() }
}

fn problems(builder: EventRegistryBuilder) -> Vec<Problem> {
    builder.build().expect_err("something is wrong").problems().to_vec()
}

fn schema(name: &'static str, version: u32) -> EventSchema {
    EventSchema::new(name, version)
}

#[test]
fn every_older_schema_becomes_todays() {
    for event in [
        stored("OrderCreated", 1, json!({"total": 7})),
        stored("OrderPlaced", 1, json!({"total": 7})),
        stored("OrderPlaced", 2, json!({"total_cents": 7})),
        stored("OrderPlaced", 3, json!({"total_cents": 7, "currency": "EUR"})),
        placed(7)
            .encode()
            .map(|event| stored("OrderPlaced", 3, event.payload().deserialize::<Value>().unwrap()))
            .unwrap(),
    ] {
        assert_eq!(orders(&event).unwrap(), [placed(7)]);
    }
}

#[test]
fn everything_but_what_is_upcast_stays() {
    let event = stored("OrderCreated", 1, json!({"total": 7}));
    let upcast = registry().upcast(&event).unwrap();
    let [today] = upcast.as_slice() else { panic!("one of one") };
    assert_eq!((today.event_type().as_str(), today.schema_version()), ("OrderPlaced", 3));
    assert_eq!((today.id(), today.position(), today.tags()), (event.id(), event.position(), event.tags()));
    assert_eq!(today.metadata(), event.metadata());
}

#[test]
fn a_split_keeps_its_order_and_each_reader_its_own() {
    let event = stored("OrderBilled", 1, json!({"cents": 9, "skus": ["b", "a"]}));
    let added = |sku: &str| OrderEvent::ItemAdded { sku: sku.into() };
    assert_eq!(orders(&event).unwrap(), [placed(9), added("b"), added("a")]);
    let invoices = registry().decoder::<InvoiceEvent>().unwrap().decode(&event).unwrap();
    assert_eq!(invoices, Decoded::One(InvoiceEvent::InvoiceDrawn { cents: 9 }));
    let names: Vec<String> =
        registry().upcast(&event).unwrap().iter().map(|event| event.event_type().to_string()).collect();
    assert_eq!(names, ["OrderPlaced", "ItemAdded", "ItemAdded", "InvoiceDrawn"]);
}

#[test]
fn a_split_that_has_nothing_for_a_reader_this_time_says_nothing() {
    let registry = EventRegistry::builder()
        .event::<OrderEvent>()
        .begins_at(("OrderPlaced", 3))
        .event::<InvoiceEvent>()
        .split(("ItemsBilled", 1), [("ItemAdded", 1), ("InvoiceDrawn", 1)], |_, _| {
            Ok(vec![("InvoiceDrawn", json!({"cents": 1}))])
        })
        .build()
        .unwrap();
    let event = stored("ItemsBilled", 1, json!({}));
    let decoder = registry.decoder::<OrderEvent>().unwrap();
    assert_eq!(decoder.decode(&event).unwrap(), Decoded::None);
    assert_eq!(decoder.skip_unknown().decode(&event).unwrap(), Decoded::None);
}

#[test]
fn a_dropped_event_says_nothing() {
    assert_eq!(orders(&stored("CartLookedAt", 1, ())).unwrap(), []);
}

#[test]
fn several_kinds_merge_into_one() {
    let registry = EventRegistry::builder()
        .event::<InvoiceEvent>()
        .merge([("PaperInvoiceDrawn", 1), ("MailInvoiceDrawn", 1)], ("InvoiceDrawn", 1), |sum, event| {
            assert!(event.event_type().as_str().ends_with("InvoiceDrawn"));
            Ok(json!({ "cents": sum }))
        })
        .build()
        .unwrap();
    let decoder = registry.decoder::<InvoiceEvent>().unwrap();
    for name in ["PaperInvoiceDrawn", "MailInvoiceDrawn"] {
        let decoded = decoder.decode(&stored(name, 1, 3)).unwrap();
        assert_eq!(decoded, Decoded::One(InvoiceEvent::InvoiceDrawn { cents: 3 }));
    }
    assert_eq!(decoder.event_types().unwrap(), ["InvoiceDrawn", "MailInvoiceDrawn", "PaperInvoiceDrawn"]);
}

#[test]
fn a_reader_asks_for_the_old_names_too() {
    let types = |decoder: &dyn Decoder<OrderEvent>| decoder.event_types().unwrap();
    let decoder = registry().decoder::<OrderEvent>().unwrap();
    assert_eq!(types(&decoder), ["ItemAdded", "OrderBilled", "OrderCreated", "OrderPlaced"]);
    let view = registry().decoder::<Turnover>().unwrap();
    assert_eq!(view.event_types().unwrap(), ["OrderBilled", "OrderCreated", "OrderPlaced"]);
}

#[test]
fn a_view_reads_what_another_type_owns() {
    let view = registry().decoder::<Turnover>().unwrap();
    let decoded = view.decode(&stored("OrderCreated", 1, json!({"total": 7}))).unwrap();
    assert_eq!(decoded, Decoded::One(Turnover::OrderPlaced { total_cents: 7 }));
}

#[test]
fn what_is_unknown_is_an_error_skipped_or_kept_as_the_reader_chose() {
    let strict = registry().decoder::<OrderEvent>().unwrap();
    let (skipping, keeping) = (strict.clone().skip_unknown(), strict.clone().keep_unknown());
    for (event, is_skipped) in [
        (stored("Burnt", 1, ()), true),
        (stored("InvoiceDrawn", 1, json!({"cents": 1})), true),
        // A newer program wrote it: to leave it out would be to misread the log.
        (stored("OrderPlaced", 4, ()), false),
    ] {
        assert_eq!(strict.decode(&event).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(skipping.decode(&event).ok(), is_skipped.then_some(Decoded::None));
        assert_eq!(keeping.decode(&event).unwrap(), Decoded::One(Kept::Unknown(event)));
    }
    let known = stored("CartLookedAt", 1, ());
    assert_eq!(keeping.decode(&known).unwrap(), Decoded::None);
    let misshapen = stored("ItemAdded", 1, 7);
    assert!(strict.decode(&misshapen).is_err());
    assert!(skipping.decode(&misshapen).is_err());
    assert!(keeping.decode(&misshapen).is_err());
}

#[test]
fn a_type_that_was_not_registered_has_no_decoder() {
    let registry = EventRegistry::builder().event::<InvoiceEvent>().build().unwrap();
    assert_eq!(registry.decoder::<OrderEvent>().unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn an_upcaster_may_refuse_and_errors_quote_nothing() {
    let registry = builder()
        .upcast(("InvoiceSent", 1), ("InvoiceDrawn", 1), |_, _| Err(Error::corrupt("no sum")))
        .upcast(("InvoiceLost", 1), ("InvoiceDrawn", 1), |_, _| Ok(json!({"cents": "hunter2\0"})))
        .upcast(("InvoiceFound", 1), ("InvoiceDrawn", 1), |_, _| Ok(json!({"cents": "hunter2"})))
        .split(("InvoicesSent", 1), [("InvoiceDrawn", 1)], |_, _| Ok(vec![("InvoiceLost", json!(1))]))
        .build()
        .unwrap();
    let decoder = registry.decoder::<InvoiceEvent>().unwrap();
    for name in ["InvoiceSent", "InvoiceLost", "InvoiceFound", "InvoicesSent"] {
        let error = decoder.decode(&stored(name, 1, "hunter2")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn numbers_that_json_values_can_not_hold_are_never_rounded() {
    #[derive(Serialize, Deserialize)]
    #[serde(tag = "type", content = "data")]
    enum Measured {
        Length(u64),
    }
    impl DomainEvent for Measured {}
    let registry = EventRegistry::builder()
        .event::<Measured>()
        .upcast(("Breadth", 1), ("Length", 1), |breadth, _| Ok(breadth))
        .rename(("Width", 1), ("Length", 1))
        .build()
        .unwrap();
    let precise = |name: &str| {
        let json = Payload::from_json("1.00000000000000000000001").unwrap();
        let event = NewEvent::from_payload(name.try_into().unwrap(), json);
        RecordedEvent::new(event, Position::from_raw(1), None, DateTime::UNIX_EPOCH)
    };
    let refused = registry.upcast(&precise("Breadth")).unwrap_err();
    assert!(refused.to_string().contains("exactly"), "{refused}");
    let kept = registry.upcast(&precise("Width")).unwrap();
    assert_eq!(kept[0].payload().as_json(), "1.00000000000000000000001");
    assert_eq!(
        registry.upcast(&stored("Breadth", 1, u64::MAX)).unwrap()[0].payload().as_json(),
        u64::MAX.to_string()
    );
}

#[test]
fn a_gap_is_found() {
    let one = EventRegistry::builder().event::<OrderEvent>();
    let gap = Problem::Gap { first: schema("OrderPlaced", 1), last: schema("OrderPlaced", 2) };
    assert_eq!(problems(one.clone()), [gap]);
    let two = one.clone().rename(("OrderPlaced", 2), ("OrderPlaced", 3));
    let gap = Problem::Gap { first: schema("OrderPlaced", 1), last: schema("OrderPlaced", 1) };
    assert_eq!(problems(two.clone()), [gap]);
    two.begins_at(("OrderPlaced", 2)).build().unwrap();
    one.begins_at(("OrderPlaced", 3)).build().unwrap();
    let in_between = builder().rename(("OrderCreated", 3), ("OrderPlaced", 1));
    let gap = Problem::Gap { first: schema("OrderCreated", 2), last: schema("OrderCreated", 2) };
    assert_eq!(problems(in_between), [gap]);
}

#[test]
fn a_version_that_is_ahead_of_todays_can_be_taken_back() {
    let registry = builder().rename(("OrderPlaced", 4), ("OrderPlaced", 3)).build().unwrap();
    let newer = stored("OrderPlaced", 4, json!({"total_cents": 7, "currency": "EUR"}));
    let decoded = registry.decoder::<OrderEvent>().unwrap().decode(&newer).unwrap();
    assert_eq!(decoded, Decoded::One(placed(7)));
}

#[test]
fn a_cycle_is_found() {
    let around = builder().rename(("A", 1), ("B", 1)).rename(("B", 1), ("C", 1)).rename(("C", 1), ("A", 1));
    let expected = Problem::Cycle { around: vec![schema("A", 1), schema("B", 1), schema("C", 1)] };
    assert_eq!(problems(around), [expected]);
    let alone = builder().rename(("A", 1), ("A", 1));
    assert_eq!(problems(alone), [Problem::Cycle { around: vec![schema("A", 1)] }]);
    let through_a_split = builder()
        .split(("A", 1), [("ItemAdded", 1), ("B", 1)], |_, _| Ok(Vec::new()))
        .rename(("B", 1), ("A", 1));
    assert!(matches!(problems(through_a_split)[..], [Problem::Cycle { .. }]));
    // Two ways to one place are no circle.
    builder()
        .split(("A", 1), [("ItemAdded", 1), ("B", 1)], |_, _| Ok(Vec::new()))
        .rename(("B", 1), ("ItemAdded", 1))
        .build()
        .unwrap();
}

#[test]
fn an_unknown_target_is_found() {
    let unknown = builder().rename(("A", 1), ("B", 1)).rename(("C", 1), ("OrderPlaced", 9));
    let expected = [
        Problem::UnknownTarget { from: schema("A", 1), to: schema("B", 1) },
        Problem::UnknownTarget { from: schema("C", 1), to: schema("OrderPlaced", 9) },
    ];
    assert_eq!(problems(unknown), expected);
}

#[test]
fn two_claims_are_found() {
    #[derive(Serialize, Deserialize)]
    #[serde(tag = "type", content = "data")]
    enum Other {
        InvoiceDrawn,
    }
    impl DomainEvent for Other {}
    let found = problems(builder().event::<Other>());
    assert!(
        matches!(&found[..], [Problem::ClaimedTwice { name, .. }] if name == "InvoiceDrawn"),
        "{found:?}"
    );
    let found = problems(builder().rename(("OrderCreated", 1), ("ItemAdded", 1)));
    assert_eq!(found, [Problem::TwoUpcasters { from: schema("OrderCreated", 1) }]);
    let found = problems(builder().rename(("ItemAdded", 1), ("OrderPlaced", 3)));
    assert!(matches!(&found[..], [Problem::UpcastsCurrent { .. }]), "{found:?}");
    let found = problems(EventRegistry::builder().event::<InvoiceEvent>().view::<Turnover>());
    assert!(matches!(&found[..], [Problem::NotOwned { .. }]), "{found:?}");
}

#[test]
fn what_is_never_asked_is_found() {
    let found = problems(builder().begins_at(("OrderPlaced", 2)).begins_at(("InvoiceDrawn", 7)));
    let expected = [
        Problem::NeverStored { from: schema("OrderPlaced", 1) },
        Problem::UnknownBeginning { first: schema("InvoiceDrawn", 7) },
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_means_nothing_is_found() {
    let found = problems(builder().event::<Untagged>());
    assert!(matches!(&found[..], [Problem::SaysNothing { .. }]), "{found:?}");
    let found = problems(builder().drop_event(("", 1)).drop_event(("A\0", 1)).drop_event(("B", 0)));
    assert!(
        found.len() >= 3 && found.iter().any(|found| matches!(found, Problem::InvalidSchema { .. })),
        "{found:?}"
    );
    let nothing: [EventSchema; 0] = [];
    let found = problems(builder().split(("A", 1), nothing, |_, _| Ok(Vec::new())));
    assert_eq!(found, [Problem::AmbiguousSplit { from: schema("A", 1) }]);
}

#[test]
fn an_error_says_everything_at_once_and_what_to_do() {
    let error: Error = builder().rename(("A", 1), ("B", 1)).event::<Untagged>().build().unwrap_err().into();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let text = error.to_string();
    assert!(text.contains("add the upcaster from B v1") && text.contains("derive DomainEvent"), "{text}");
}

#[test]
fn a_long_chain_is_followed() {
    let last = 20_000;
    let mut long =
        EventRegistry::builder().event::<InvoiceEvent>().rename((format!("A{last}"), 1), ("InvoiceDrawn", 1));
    for number in 0..last {
        long = long.rename((format!("A{number}"), 1), (format!("A{}", number + 1), 1));
    }
    let registry = long.build().unwrap();
    let decoder = registry.decoder::<InvoiceEvent>().unwrap();
    assert_eq!(decoder.event_types().unwrap().len(), last + 2);
    let decoded = decoder.decode(&stored("A0", 1, json!({"cents": 1}))).unwrap();
    assert_eq!(decoded, Decoded::One(InvoiceEvent::InvoiceDrawn { cents: 1 }));
}
