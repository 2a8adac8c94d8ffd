//! How a broken store changes what it is given, and what it gives back.

use eventsource_core::{
    Append, AppendCondition, ExpectedVersion, Filter, Metadata, NewEvent, Payload, Position, RecordedEvent,
    Result, StreamId, Version,
};
use serde_json::{Number, Value};

use crate::defect::Defect;

/// The same append with other expectations, events and conditions.
pub(crate) fn append(
    append: &Append,
    expected: impl Fn(&StreamId, ExpectedVersion) -> ExpectedVersion,
    events: impl Fn(&[NewEvent]) -> Vec<NewEvent>,
    conditions: &[AppendCondition],
) -> Append {
    let mut parts = Vec::new();
    for part in append.parts() {
        let events = events(part.events());
        if events.is_empty() {
            continue;
        }
        let target = part.stream().map(|stream| (stream.clone(), expected(stream, part.expected())));
        parts.push((target, events));
    }
    let mut parts = parts.into_iter();
    let rewritten = match parts.next() {
        None => Append::events([]),
        Some((None, events)) => Append::events(events),
        Some((Some((stream, expected)), events)) => Append::to_stream(stream, expected, events),
    };
    let rewritten = parts.fold(rewritten, |append, (target, events)| match target {
        None => append.and_events(events),
        Some((stream, expected)) => append.and_stream(stream, expected, events),
    });
    conditions.iter().cloned().fold(rewritten, Append::condition)
}

/// The same append with other events.
pub(crate) fn events(given: &Append, events: impl Fn(&[NewEvent]) -> Vec<NewEvent>) -> Append {
    append(given, |_, expected| expected, events, given.conditions())
}

/// Each of an append's parts as an append of its own; the conditions stay with the first.
pub(crate) fn parts(given: &Append) -> Vec<Append> {
    given
        .parts()
        .iter()
        .enumerate()
        .map(|(index, part)| {
            let alone = match part.stream() {
                Some(stream) => Append::to_stream(stream.clone(), part.expected(), part.events().to_vec()),
                None => Append::events(part.events().to_vec()),
            };
            let conditions = if index == 0 { given.conditions() } else { &[] };
            conditions.iter().cloned().fold(alone, Append::condition)
        })
        .collect()
}

/// An event without all tags but the first.
pub(crate) fn with_one_tag(event: &NewEvent) -> NewEvent {
    let bare = NewEvent::from_payload(event.event_type().clone(), event.payload().clone())
        .id(event.event_id())
        .schema_version(event.payload_schema_version())
        .metadata(event.all_metadata().clone())
        .tags(event.all_tags().first().cloned());
    match event.occurred() {
        None => bare,
        Some(time) => bare.occurred_at(time).expect("it is valid"),
    }
}

/// An event whose type is in small letters.
pub(crate) fn lowered(event: &NewEvent) -> Result<NewEvent> {
    let event_type = event.event_type().as_str().to_lowercase();
    let lowered = NewEvent::from_payload(event_type.try_into()?, event.payload().clone())
        .id(event.event_id())
        .schema_version(event.payload_schema_version())
        .metadata(event.all_metadata().clone())
        .tags(event.all_tags().to_vec());
    match event.occurred() {
        None => Ok(lowered),
        Some(time) => lowered.occurred_at(time),
    }
}

/// Metadata without what the defect makes a store forget.
pub(crate) fn forgetful_metadata(known: &Metadata, defect: Defect) -> Result<Metadata> {
    let mut kept = Metadata::new();
    if let Some(cause) = known.causation_id().filter(|_| defect != Defect::ForgetsTheCause) {
        kept = kept.caused_by(cause);
    }
    if let Some(correlation) = known.correlation_id().filter(|_| defect != Defect::ForgetsTheCorrelation) {
        kept = kept.correlated(correlation);
    }
    if let Some(actor) = known.actor_id().filter(|_| defect != Defect::ForgetsTheActor) {
        kept = kept.actor(actor)?;
    }
    if let Some(tenant) = known.tenant_id() {
        kept = kept.tenant(tenant);
    }
    known.entries().iter().try_fold(kept, |kept, (key, value)| kept.entry(key, value))
}

/// An event whose numbers have gone through `f64`.
pub(crate) fn with_rounded_numbers(event: &NewEvent) -> NewEvent {
    let value: Value = event.payload().deserialize().expect("a payload is JSON");
    let rounded = Payload::from_json(rounded(value).to_string()).expect("it is JSON still");
    let other = NewEvent::from_payload(event.event_type().clone(), rounded)
        .id(event.event_id())
        .schema_version(event.payload_schema_version())
        .metadata(event.all_metadata().clone())
        .tags(event.all_tags().to_vec());
    match event.occurred() {
        None => other,
        Some(time) => other.occurred_at(time).expect("it is valid"),
    }
}

fn rounded(value: Value) -> Value {
    match value {
        Value::Number(number) => {
            let float = number.as_f64().and_then(Number::from_f64);
            float.map_or(Value::Number(number), Value::Number)
        }
        Value::Array(values) => values.into_iter().map(rounded).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, rounded(value))).collect(),
        other => other,
    }
}

/// An event at another position, with another version.
pub(crate) fn recorded(event: &RecordedEvent, position: Position, version: Option<Version>) -> RecordedEvent {
    let content = NewEvent::from_payload(event.event_type().clone(), event.payload().clone())
        .id(event.id())
        .schema_version(event.schema_version())
        .metadata(event.metadata().clone())
        .tags(event.tags().to_vec())
        .occurred_at(event.occurred_at())
        .expect("it is valid");
    let stream = event.stream().cloned().zip(version);
    RecordedEvent::new(content, position, stream, event.recorded_at())
}

/// A filter that says nothing of tenants.
pub(crate) fn without_tenant(filter: &Filter) -> Filter {
    let scope = filter.scope();
    let mut wider = match filter.items() {
        None => Filter::all(),
        Some(items) => Filter::any_of(items.iter().cloned()).expect("they are valid"),
    };
    if let Some(stream) = scope.stream() {
        wider = wider.in_stream(stream.clone());
    }
    if let Some(aggregate_type) = scope.aggregate_type() {
        wider = wider.of_aggregate_type(aggregate_type.clone());
    }
    if let Some(time) = scope.occurred_from() {
        wider = wider.occurred_from(time).expect("it is valid");
    }
    if let Some(time) = scope.occurred_until() {
        wider = wider.occurred_until(time).expect("it is valid");
    }
    wider
}
