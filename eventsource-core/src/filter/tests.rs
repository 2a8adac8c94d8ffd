use chrono::TimeDelta;
use uuid::Uuid;

use super::*;
use crate::{ErrorKind, NewEvent, Position, Version};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn event(json: &str) -> RecordedEvent {
    let payload = crate::Payload::from_json(json).unwrap();
    let event = NewEvent::from_payload("Happened".try_into().unwrap(), payload)
        .tags(["a:1".try_into().unwrap(), "b:2".try_into().unwrap()]);
    RecordedEvent::new(event, Position::from_raw(7), None, at(100))
}

fn item() -> FilterItem {
    FilterItem::new()
}

fn matches(item: FilterItem, json: &str) -> bool {
    Filter::any_of([item]).unwrap().matches(&event(json))
}

#[test]
fn nothing_empty_means_everything() {
    let refused = |result: Result<Filter>| assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
    refused(Filter::any_of([]));
    refused(Filter::any_of([item()]));
    refused(Filter::any_of([item().event_type("A").unwrap(), item()]));
    refused(Filter::event_types(Vec::<String>::new()));
    refused(Filter::event_types([""]));
    refused(Filter::tagged("", "x"));
    refused(Filter::tagged("x", ""));
    assert!(item().all_payload("", 1).is_err());
    assert!(item().all_payload(Vec::<&str>::new().try_into_path(), 1).is_err());
    assert!(item().any_payload(["a", ""], 1).is_err());
}

trait TryIntoPath {
    fn try_into_path(self) -> PathResult;
}

/// A path that may not be one, as a caller would hand it over.
struct PathResult(Result<PayloadPath>);

impl TryIntoPath for Vec<&str> {
    fn try_into_path(self) -> PathResult {
        PathResult(PayloadPath::new(self))
    }
}

impl TryFrom<PathResult> for PayloadPath {
    type Error = Error;

    fn try_from(path: PathResult) -> Result<Self> {
        path.0
    }
}

#[test]
fn types_are_ored_and_tags_are_anded() {
    assert!(matches(item().event_types(["Other", "Happened"]).unwrap(), "1"));
    assert!(matches(item().tag("a", 1).unwrap().tag("b", 2).unwrap(), "1"));
    assert!(!matches(item().tag("a", 1).unwrap().tag("b", 3).unwrap(), "1"));
    assert!(!matches(item().event_type("Other").unwrap().tag("a", 1).unwrap(), "1"));
}

#[test]
fn predicates_compare_scalars_exactly() {
    let json =
        r#"{"n":1.0,"big":9007199254740993,"s":"O'Brien \"x\"","t":true,"z":null,"o":{"k":"v"},"l":["v"]}"#;
    let holds = |predicate: Result<FilterItem>| matches(predicate.unwrap(), json);
    assert!(holds(item().all_payload("n", 1)));
    assert!(holds(item().all_payload("n", 1.0)));
    assert!(holds(item().all_payload("big", 9_007_199_254_740_993_u64)));
    assert!(!holds(item().all_payload("big", 9_007_199_254_740_992_u64)));
    assert!(holds(item().all_payload("s", "O'Brien \"x\"")));
    assert!(holds(item().all_payload("t", true)));
    assert!(!holds(item().all_payload("t", "true")));
    assert!(holds(item().all_payload("z", Scalar::NULL)));
    assert!(!holds(item().all_payload("missing", Scalar::NULL)));
    assert!(holds(item().all_payload(["o", "k"], "v")));
    assert!(!holds(item().all_payload("o.k", "v")));
    assert!(!holds(item().all_payload("l", "v")));
    assert!(!holds(item().all_payload("n", 1).unwrap().all_payload("t", false)));
    assert!(holds(item().any_payload("n", 2).unwrap().any_payload("t", true)));
    assert!(!holds(item().any_payload("n", 2).unwrap().any_payload("t", false)));
}

#[test]
fn the_scope_is_anded_and_its_bounds_are_inclusive() {
    assert!(
        Filter::all().occurred_from(at(100)).unwrap().occurred_until(at(100)).unwrap().matches(&event("1"))
    );
    assert!(!Filter::all().occurred_from(at(101)).unwrap().matches(&event("1")));
    assert!(Filter::all().occurred_from(at(100) + TimeDelta::nanoseconds(999)).unwrap().matches(&event("1")));
    assert!(Filter::all().occurred_from(at(2)).unwrap().occurred_until(at(1)).is_err());
    let stream = StreamId::new("Order", Uuid::from_u128(1)).unwrap();
    assert!(!Filter::all().in_stream(stream.clone()).matches(&event("1")));
    let new = NewEvent::new("Happened", &1).unwrap();
    let recorded =
        RecordedEvent::new(new, Position::from_raw(1), Some((stream.clone(), Version::FIRST)), at(1));
    assert!(
        Filter::all().in_stream(stream).of_aggregate_type("Order".try_into().unwrap()).matches(&recorded)
    );
}

#[test]
fn a_fingerprint_knows_no_order() {
    let one = item().event_types(["A", "B"]).unwrap().tag("x", 1).unwrap().tag("y", 2).unwrap();
    let other = item().tag("y", 2).unwrap().tag("x", 1).unwrap().event_types(["B", "A", "A"]).unwrap();
    let last = item().all_payload("k", 1).unwrap().all_payload("j", 2).unwrap();
    let tsal = item().all_payload("j", 2.0).unwrap().all_payload("k", 1).unwrap();
    let fingerprint = Filter::any_of([one, last]).unwrap().fingerprint();
    assert_eq!(fingerprint, Filter::any_of([tsal, other.clone(), other]).unwrap().fingerprint());
    assert_eq!(fingerprint.to_string().len(), 64);
}

#[test]
fn a_fingerprint_has_no_separator_to_forge() {
    let fingerprint = |item: Result<FilterItem>| Filter::any_of([item.unwrap()]).unwrap().fingerprint();
    assert_ne!(fingerprint(item().event_type("A,B")), fingerprint(item().event_types(["A", "B"])));
    assert_ne!(fingerprint(item().all_payload("a", "1")), fingerprint(item().all_payload("a", 1)));
    assert_ne!(fingerprint(item().all_payload("a", 1)), fingerprint(item().any_payload("a", 1)));
    assert_ne!(fingerprint(item().all_payload(["a", "b"], 1)), fingerprint(item().all_payload("a.b", 1)));
    assert_ne!(Filter::all().fingerprint(), fingerprint(item().event_type("all")));
    let a = Filter::all().of_aggregate_type("A".try_into().unwrap());
    assert_ne!(Filter::all().fingerprint(), a.fingerprint());
}

#[test]
fn values_are_taken_as_callers_have_them() {
    let (name, key) = ("Happened".to_owned(), "n".to_owned());
    assert!(Filter::event_types(&[name]).unwrap().matches(&event("1")));
    assert!(matches(item().all_payload(&key, 1_isize).unwrap(), r#"{"n":1}"#));
    assert!(matches(item().all_payload(key, 0.1_f32).unwrap(), r#"{"n":0.1}"#));
    assert!(item().all_payload("n", f32::NAN).is_err());
    assert_eq!("a:b".parse::<crate::Tag>().unwrap().value(), "b");
    assert!("".parse::<EventType>().is_err());
    assert!(event("1").event_type() == "Happened");
}
