//! What the derived implementation does.

use std::collections::BTreeSet;

use eventsource_core::{
    Decoder, DomainEvent, ErrorKind, EventSchema, NewEvent, Payload, PlainDecoder, Position, RecordedEvent,
    Tag,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Paid {
    #[event(tag = "invoice")]
    invoice: Uuid,
    cents: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[serde(rename_all_fields = "camelCase", deny_unknown_fields)]
enum OrderEvent {
    #[event(name = "order-placed", version = 3)]
    Placed {
        #[event(tag)]
        customer: String,
        #[event(tag = "product")]
        products: Vec<String>,
        #[event(tag = "coupon")]
        coupon: Option<u32>,
        #[event(tag = "label")]
        labels: Option<BTreeSet<String>>,
        #[serde(rename = "total")]
        total_cents: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gift_note: Option<String>,
    },
    Paid(#[event(tags)] Paid),
    Moved(#[event(tag = "shelf")] [u8; 2], String),
    #[serde(with = "as_text")]
    Weighed(u64),
    Cancelled,
    r#Empty {},
}

mod as_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The same as the derived one, in the way that needs no macro.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum TaggedEvent {
    Moved([u8; 2], String),
    Cancelled,
    Paid(Paid),
}

impl DomainEvent for TaggedEvent {}

fn placed() -> OrderEvent {
    OrderEvent::Placed {
        customer: "c1".into(),
        products: vec!["p2".into(), "p1".into()],
        coupon: Some(7),
        labels: Some(BTreeSet::from(["urgent".to_owned()])),
        total_cents: 29_999,
        gift_note: None,
    }
}

fn every_event() -> Vec<OrderEvent> {
    vec![
        placed(),
        OrderEvent::Paid(Paid { invoice: Uuid::from_u128(1), cents: 5 }),
        OrderEvent::Moved([3, 4], "north".into()),
        OrderEvent::Weighed(u64::MAX),
        OrderEvent::Cancelled,
        OrderEvent::Empty {},
    ]
}

fn recorded(event: NewEvent) -> RecordedEvent {
    RecordedEvent::new(event, Position::from_raw(1), None, "2026-11-22T00:00:00Z".parse().expect("a time"))
}

fn json(event: &OrderEvent) -> String {
    event.encode().expect("it is valid").payload().as_json().to_owned()
}

fn tags(event: &OrderEvent) -> Vec<String> {
    event.encode().expect("it is valid").all_tags().iter().map(ToString::to_string).collect()
}

#[test]
fn every_kind_of_variant_comes_back() {
    for event in every_event() {
        let encoded = event.encode().expect("it is valid");
        assert_eq!(OrderEvent::decode(&recorded(encoded)).expect("it is valid"), event);
    }
}

#[test]
fn the_payload_is_what_the_variant_holds_as_serde_has_it() {
    let expected = [
        r#"{"customer":"c1","products":["p2","p1"],"coupon":7,"labels":["urgent"],"total":29999}"#,
        r#"{"invoice":"00000000-0000-0000-0000-000000000001","cents":5}"#,
        r#"[[3,4],"north"]"#,
        r#""18446744073709551615""#,
        "null",
        "{}",
    ];
    assert_eq!(every_event().iter().map(json).collect::<Vec<_>>(), expected);
}

#[test]
fn names_and_versions_are_those_that_were_given() {
    let schemas =
        [("order-placed", 3), ("Paid", 1), ("Moved", 1), ("Weighed", 1), ("Cancelled", 1), ("Empty", 1)];
    assert_eq!(OrderEvent::SCHEMAS, schemas.map(EventSchema::from));
    for (event, (name, version)) in every_event().iter().zip(schemas) {
        let encoded = event.encode().expect("it is valid");
        assert_eq!((encoded.event_type().as_str(), encoded.payload_schema_version()), (name, version));
    }
    let types = Decoder::<OrderEvent>::event_types(&PlainDecoder).expect("they are known");
    assert_eq!(types, schemas.map(|(name, _)| name));
}

#[test]
fn every_tag_is_carried() {
    assert_eq!(tags(&placed()), ["coupon:7", "customer:c1", "label:urgent", "product:p1", "product:p2"]);
    assert_eq!(tags(&every_event()[1]), ["invoice:00000000-0000-0000-0000-000000000001"]);
    assert_eq!(tags(&every_event()[2]), ["shelf:3", "shelf:4"]);
    assert!(tags(&OrderEvent::Cancelled).is_empty());
}

#[test]
fn a_tag_that_means_nothing_is_refused() {
    let OrderEvent::Placed { products, coupon, labels, total_cents, gift_note, .. } = placed() else {
        unreachable!()
    };
    for customer in ["", "a\0b"] {
        let customer = customer.to_owned();
        let (products, labels, gift_note) = (products.clone(), labels.clone(), gift_note.clone());
        let event = OrderEvent::Placed { customer, products, coupon, labels, total_cents, gift_note };
        assert_eq!(event.encode().expect_err("it is no tag").kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn both_ways_store_the_same() {
    let pairs = [
        (OrderEvent::Moved([1, 2], "x".into()), TaggedEvent::Moved([1, 2], "x".into())),
        (OrderEvent::Cancelled, TaggedEvent::Cancelled),
        (
            OrderEvent::Paid(Paid { invoice: Uuid::nil(), cents: 1 }),
            TaggedEvent::Paid(Paid { invoice: Uuid::nil(), cents: 1 }),
        ),
    ];
    for (derived, tagged) in pairs {
        let (from_derived, from_tagged) = (derived.encode().expect("valid"), tagged.encode().expect("valid"));
        assert_eq!(from_derived.event_type(), from_tagged.event_type());
        assert_eq!(from_derived.payload().as_json(), from_tagged.payload().as_json());
        assert_eq!(TaggedEvent::decode(&recorded(from_derived)).expect("it is the same"), tagged);
        assert_eq!(OrderEvent::decode(&recorded(from_tagged)).expect("it is the same"), derived);
    }
}

#[test]
fn what_is_not_known_is_an_error() {
    let unknown = NewEvent::new("Burnt", &()).expect("it is valid");
    let older = NewEvent::new("order-placed", &()).expect("it is valid").schema_version(2);
    let misshapen = NewEvent::new("Paid", &[1]).expect("it is valid");
    let surplus = NewEvent::new("Cancelled", &[1]).expect("it is valid");
    for (event, says) in [
        (unknown, "knows no event Burnt"),
        (older, "has schema version 2"),
        (misshapen, "can't be decoded"),
        (surplus, "can't be decoded"),
    ] {
        let error = OrderEvent::decode(&recorded(event)).expect_err("it is not known");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn no_error_quotes_the_payload() {
    let secret = NewEvent::new("Weighed", "hunter2").expect("it is valid");
    let mut text = format!("{:?}", OrderEvent::decode(&recorded(secret)).expect_err("it is no number"));
    text.push_str(&format!("{:?}", Payload::from_json("\"hunter2\"").expect("it is JSON")));
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_float_that_json_can_not_spell_is_refused() {
    #[derive(Serialize, Deserialize, DomainEvent)]
    enum Measured {
        Temperature { celsius: f64 },
    }
    let error = Measured::Temperature { celsius: f64::NAN }.encode().expect_err("JSON has no such number");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_struct_is_an_event_of_its_own() {
    let paid = Paid { invoice: Uuid::from_u128(2), cents: 9 };
    let encoded = paid.encode().expect("it is valid");
    assert_eq!(encoded.event_type().as_str(), "Paid");
    assert_eq!(encoded.all_tags(), [Tag::new("invoice", paid.invoice).expect("it is a tag")]);
    assert_eq!(Paid::decode(&recorded(encoded)).expect("it is valid"), paid);
}

#[test]
fn the_core_may_have_another_name() {
    mod renamed {
        pub(super) use eventsource_core as core_of_ours;
    }
    #[derive(Serialize, Deserialize, DomainEvent)]
    #[event(crate = "renamed::core_of_ours", name = "unit")]
    struct Unit;
    assert_eq!(Unit.encode().expect("it is valid").payload().as_json(), "null");
}
