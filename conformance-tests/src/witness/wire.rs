//! How a history's parts that serde does not know travel from a child process.

use std::collections::BTreeSet;

use eventsource_core::{
    AppendCondition, AppendPart, EventId, EventType, ExpectedVersion, FilterItem, NewEvent, Payload,
    Position, StreamId, Tag, Version,
};
use serde::{Deserialize, Serialize};

/// Only what the [workload](crate::workload) draws: types and tags, no payload predicates, no scope.
#[derive(Serialize, Deserialize)]
struct Item {
    event_types: BTreeSet<EventType>,
    tags: BTreeSet<Tag>,
}

#[derive(Serialize, Deserialize)]
struct Event {
    id: EventId,
    event_type: EventType,
    payload: String,
    tags: Vec<Tag>,
}

#[derive(Serialize, Deserialize)]
enum Expected {
    Any,
    NoStream,
    StreamExists,
    Exact(Version),
}

impl From<ExpectedVersion> for Expected {
    fn from(expected: ExpectedVersion) -> Self {
        match expected {
            ExpectedVersion::Any => Self::Any,
            ExpectedVersion::NoStream => Self::NoStream,
            ExpectedVersion::StreamExists => Self::StreamExists,
            ExpectedVersion::Exact(version) => Self::Exact(version),
        }
    }
}

impl From<Expected> for ExpectedVersion {
    fn from(expected: Expected) -> Self {
        match expected {
            Expected::Any => Self::Any,
            Expected::NoStream => Self::NoStream,
            Expected::StreamExists => Self::StreamExists,
            Expected::Exact(version) => Self::Exact(version),
        }
    }
}

type Items = Option<Vec<Item>>;

fn items(filter: &eventsource_core::Filter) -> Items {
    let item =
        |item: &FilterItem| Item { event_types: item.event_type_set().clone(), tags: item.tag_set().clone() };
    filter.items().map(|items| items.iter().map(item).collect())
}

fn filter_of(items: Items) -> eventsource_core::Result<eventsource_core::Filter> {
    let Some(items) = items else { return Ok(eventsource_core::Filter::all()) };
    let items = items.into_iter().map(|item| {
        let tagged = item.tags.into_iter().fold(FilterItem::new(), FilterItem::tagged);
        item.event_types.into_iter().try_fold(tagged, FilterItem::event_type)
    });
    eventsource_core::Filter::any_of(items.collect::<eventsource_core::Result<Vec<_>>>()?)
}

pub(super) mod filter {
    use eventsource_core::Filter;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Items, filter_of, items};

    pub(in super::super) fn serialize<S: Serializer>(filter: &Filter, to: S) -> Result<S::Ok, S::Error> {
        items(filter).serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Filter, D::Error> {
        filter_of(Items::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
struct Part {
    stream: Option<StreamId>,
    expected: Expected,
    events: Vec<Event>,
}

impl From<&AppendPart> for Part {
    fn from(part: &AppendPart) -> Self {
        let event = |event: &NewEvent| Event {
            id: event.event_id(),
            event_type: event.event_type().clone(),
            payload: event.payload().as_json().to_owned(),
            tags: event.all_tags().to_vec(),
        };
        Self {
            stream: part.stream().cloned(),
            expected: part.expected().into(),
            events: part.events().iter().map(event).collect(),
        }
    }
}

impl Part {
    fn into_events(self) -> eventsource_core::Result<Vec<NewEvent>> {
        let event = |event: Event| {
            let payload = Payload::from_json(event.payload)?;
            Ok(NewEvent::from_payload(event.event_type, payload).id(event.id).tags(event.tags))
        };
        self.events.into_iter().map(event).collect()
    }
}

#[derive(Serialize, Deserialize)]
struct Condition {
    items: Items,
    after: Position,
}

pub(super) mod append {
    use eventsource_core::Append;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{AppendCondition, Condition, Part, filter_of, items};

    #[derive(Serialize, Deserialize)]
    struct Wire {
        parts: Vec<Part>,
        conditions: Vec<Condition>,
    }

    pub(in super::super) fn serialize<S: Serializer>(append: &Append, to: S) -> Result<S::Ok, S::Error> {
        let condition = |condition: &AppendCondition| Condition {
            items: items(condition.filter()),
            after: condition.after_position(),
        };
        let parts = append.parts().iter().map(Part::from).collect();
        Wire { parts, conditions: append.conditions().iter().map(condition).collect() }.serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Append, D::Error> {
        append_of(Wire::deserialize(from)?).map_err(D::Error::custom)
    }

    fn append_of(wire: Wire) -> eventsource_core::Result<Append> {
        let mut append: Option<Append> = None;
        for mut part in wire.parts {
            let target = part.stream.take();
            let expected = std::mem::replace(&mut part.expected, super::Expected::Any).into();
            let events = part.into_events()?;
            append = Some(match (append, target) {
                (None, None) => Append::events(events),
                (None, Some(stream)) => Append::to_stream(stream, expected, events),
                (Some(append), None) => append.and_events(events),
                (Some(append), Some(stream)) => append.and_stream(stream, expected, events),
            });
        }
        let mut append = append.unwrap_or_else(|| Append::events([]));
        for condition in wire.conditions {
            let filter = filter_of(condition.items)?;
            append = append.condition(AppendCondition::new(filter).after(condition.after));
        }
        Ok(append)
    }
}

pub(super) mod outcome {
    use eventsource_core::{Appended, Conflict, EventId, EventType, Position, StreamId, Version};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::super::Outcome;
    use super::Expected;

    #[derive(Serialize, Deserialize)]
    enum Wire {
        Acknowledged { first: Position, last: Position, versions: Vec<(StreamId, Version)>, replayed: bool },
        Version { stream: StreamId, expected: Expected, actual: Option<Version> },
        Condition { position: Position, event_type: EventType },
        Duplicate { event_id: EventId, position: Position },
        NotWritten,
        Unknown,
    }

    pub(in super::super) fn serialize<S: Serializer>(outcome: &Outcome, to: S) -> Result<S::Ok, S::Error> {
        match outcome.clone() {
            Outcome::Acknowledged(Appended { first, last, versions, replayed }) => {
                Wire::Acknowledged { first, last, versions, replayed }
            }
            Outcome::Refused(Conflict::StreamVersion { stream, expected, actual }) => {
                Wire::Version { stream, expected: expected.into(), actual }
            }
            Outcome::Refused(Conflict::Condition { position, event_type }) => {
                Wire::Condition { position, event_type }
            }
            Outcome::Refused(Conflict::DuplicateEvent { event_id, position }) => {
                Wire::Duplicate { event_id, position }
            }
            Outcome::Refused(other) => {
                return Err(serde::ser::Error::custom(format!("{other:?} has no form for the journal")));
            }
            Outcome::NotWritten => Wire::NotWritten,
            Outcome::Unknown => Wire::Unknown,
        }
        .serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Outcome, D::Error> {
        Ok(match Wire::deserialize(from)? {
            Wire::Acknowledged { first, last, versions, replayed } => {
                Outcome::Acknowledged(Appended { first, last, versions, replayed })
            }
            Wire::Version { stream, expected, actual } => {
                let expected = expected.into();
                Outcome::Refused(Conflict::StreamVersion { stream, expected, actual })
            }
            Wire::Condition { position, event_type } => {
                Outcome::Refused(Conflict::Condition { position, event_type })
            }
            Wire::Duplicate { event_id, position } => {
                Outcome::Refused(Conflict::DuplicateEvent { event_id, position })
            }
            Wire::NotWritten => Outcome::NotWritten,
            Wire::Unknown => Outcome::Unknown,
        })
    }
}
