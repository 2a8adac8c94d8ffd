use eventsource_core::{
    Append, AppendCondition, Direction, ExpectedVersion, Filter, NewEvent, Position, RecordedEvent, StreamId,
    Version,
};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::Index;

use super::pools;
use crate::model::Model;

/// An append before it is known what the log is like.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    parts: Vec<DraftPart>,
    conditions: Vec<(Filter, Place)>,
}

impl Draft {
    /// The append that this is on such a log. It may be one that every store refuses: empty, or with a stream twice.
    pub(crate) fn append(&self, model: &Model) -> Append {
        let mut append: Option<Append> = None;
        for (target, events) in &self.parts {
            let events = events.clone();
            append = Some(match (append, target) {
                (None, None) => Append::events(events),
                (None, Some((stream, expectation))) => {
                    Append::to_stream(stream.clone(), expectation.in_log(model, stream), events)
                }
                (Some(append), None) => append.and_events(events),
                (Some(append), Some((stream, expectation))) => {
                    append.and_stream(stream.clone(), expectation.in_log(model, stream), events)
                }
            });
        }
        let append = append.unwrap_or_else(|| Append::events([]));
        self.conditions.iter().fold(append, |append, (filter, after)| {
            append.condition(AppendCondition::new(filter.clone()).after(after.in_log(model)))
        })
    }
}

/// Some events and what they are appended to.
type DraftPart = (Option<(StreamId, Expectation)>, Vec<NewEvent>);

/// A place in a log.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// Before everything.
    Start,
    /// At one of its events.
    Event(Index),
    /// At its newest event.
    Head,
    /// Behind everything that is there.
    BehindHead,
    /// Behind everything that can ever be.
    Max,
}

impl Place {
    /// The position.
    pub(crate) fn in_log(&self, model: &Model) -> Position {
        match self {
            Self::Start => Position::START,
            Self::Event(index) if !model.log().is_empty() => RecordedEvent::position(index.get(model.log())),
            Self::Event(_) | Self::Head => model.head(),
            Self::BehindHead => Position::from_raw(model.head().to_raw() + 7),
            Self::Max => Position::MAX,
        }
    }
}

/// Which part of the matching events, and which way.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(super) direction: Direction,
    pub(super) after: Place,
    pub(super) until: Option<Place>,
    pub(super) limit: Option<u64>,
    pub(super) from_version: Option<Version>,
    pub(super) until_version: Option<Version>,
    pub(super) versions_anyway: bool,
}

#[derive(Clone, Debug)]
enum Expectation {
    Fixed(ExpectedVersion),
    Current,
    OneLess,
}

impl Expectation {
    fn in_log(&self, model: &Model, stream: &StreamId) -> ExpectedVersion {
        let current = model.stream_version(stream);
        match self {
            Self::Fixed(expected) => *expected,
            Self::Current => current.into(),
            Self::OneLess => current.and_then(|version| Version::new(version.get() - 1).ok()).into(),
        }
    }
}

pub(super) fn draft() -> impl Strategy<Value = Draft> {
    let part = (of((pools::stream(), expectation())), vec(pools::event(), 1..4));
    let parts = prop_oneof![
        12 => vec(part.clone(), 1),
        5 => vec(part.clone(), 2..4),
        1 => vec((of((pools::stream(), expectation())), vec(pools::event(), 0..2)), 0..3),
    ];
    let conditions = prop_oneof![
        5 => Just(Vec::new()),
        5 => vec((pools::filter(), place()), 1),
        2 => vec((pools::filter(), place()), 2..4),
    ];
    (parts, conditions).prop_map(|(parts, conditions)| Draft { parts, conditions })
}

pub(super) fn reading() -> impl Strategy<Value = Reading> {
    let version = || of((1..6_u64).prop_map(|number| Version::new(number).expect("it is not 0")));
    (
        prop_oneof![Just(Direction::Forward), Just(Direction::Backward)],
        prop_oneof![3 => Just(Place::Start), 2 => place()],
        of(place()),
        of(prop_oneof![0..4_u64, 0..40_u64, Just(u64::MAX)]),
        version(),
        version(),
        proptest::bool::weighted(0.05),
    )
        .prop_map(|(direction, after, until, limit, from_version, until_version, versions_anyway)| {
            Reading { direction, after, until, limit, from_version, until_version, versions_anyway }
        })
}

fn expectation() -> impl Strategy<Value = Expectation> + Clone {
    prop_oneof![
        4 => Just(Expectation::Fixed(ExpectedVersion::Any)),
        1 => Just(Expectation::Fixed(ExpectedVersion::NoStream)),
        1 => Just(Expectation::Fixed(ExpectedVersion::StreamExists)),
        4 => Just(Expectation::Current),
        1 => Just(Expectation::OneLess),
    ]
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        1 => Just(Place::Start),
        4 => any::<Index>().prop_map(Place::Event),
        4 => Just(Place::Head),
        1 => Just(Place::BehindHead),
        1 => Just(Place::Max),
    ]
}
