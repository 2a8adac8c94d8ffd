//! Random things to do to a log, for the [model](crate::model) to compare.
//!
//! Names, tags, ids and payloads come from small pools, so that they meet again; what depends on the log (a position,
//! a version, an earlier append) is drawn as a place in it and looked up when it is done.

mod drafts;
mod pools;

use eventsource_core::{Append, Direction, Filter, ReadOptions, StreamId};
use proptest::prelude::*;
use proptest::sample::Index;

pub(crate) use drafts::{Draft, Reading};
pub(crate) use pools::streams;

use crate::model::Model;

/// One thing to do.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// Something new.
    Append(Draft),
    /// An earlier append once more, whether or not it was accepted.
    Again(Index),
    /// Some of an earlier append's events: those from this one on.
    TailOf(Index, Index),
    /// An earlier append with something new behind it.
    MoreThan(Index, Draft),
    /// Reading with filter and options.
    Read(Filter, Reading),
    /// Asking for the head.
    Head,
    /// Asking for a stream's version.
    StreamVersion(StreamId),
    /// Closing the store and opening it again, where it can be.
    Reopen,
}

/// A history: mostly appends and reads.
pub(crate) fn operations(
    length: impl Into<proptest::collection::SizeRange>,
) -> impl Strategy<Value = Vec<Operation>> {
    proptest::collection::vec(operation(), length)
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        10 => drafts::draft().prop_map(Operation::Append),
        3 => any::<Index>().prop_map(Operation::Again),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(which, from)| Operation::TailOf(which, from)),
        1 => (any::<Index>(), drafts::draft()).prop_map(|(which, more)| Operation::MoreThan(which, more)),
        8 => (pools::filter(), drafts::reading()).prop_map(|(filter, reading)| Operation::Read(filter, reading)),
        1 => Just(Operation::Head),
        1 => pools::stream().prop_map(Operation::StreamVersion),
        1 => Just(Operation::Reopen),
    ]
}

/// A history in which the store is closed and opened again and again.
pub(crate) fn reopening(
    length: impl Into<proptest::collection::SizeRange>,
) -> impl Strategy<Value = Vec<Operation>> {
    proptest::collection::vec(prop_oneof![4 => operation(), 1 => Just(Operation::Reopen)], length)
}

/// Appends and nothing else.
pub(crate) fn appends(
    length: impl Into<proptest::collection::SizeRange>,
) -> impl Strategy<Value = Vec<Draft>> {
    proptest::collection::vec(drafts::draft(), length)
}

/// Filters that name something of everything.
pub(crate) fn filters(count: usize) -> impl Strategy<Value = Vec<Filter>> {
    proptest::collection::vec(pools::filter(), count)
}

/// Some of an append's events, without conditions: those from the `from`-th on.
pub(crate) fn tail_of(append: &Append, from: &Index) -> Append {
    let from = from.index(append.event_count());
    let mut left = from;
    let mut tail = Append::events([]);
    let mut parts = 0;
    for part in append.parts() {
        let events: Vec<_> = part.events().iter().skip(left).cloned().collect();
        left = left.saturating_sub(part.events().len());
        if events.is_empty() {
            continue;
        }
        parts += 1;
        tail = match (parts, part.stream()) {
            (1, Some(stream)) => Append::to_stream(stream.clone(), part.expected(), events),
            (1, None) => Append::events(events),
            (_, Some(stream)) => tail.and_stream(stream.clone(), part.expected(), events),
            (_, None) => tail.and_events(events),
        };
    }
    tail
}

/// An append with another's parts behind its own.
pub(crate) fn more_than(append: &Append, more: &Append) -> Append {
    more.parts().iter().fold(append.clone(), |longer, part| match part.stream() {
        Some(stream) => longer.and_stream(stream.clone(), part.expected(), part.events().to_vec()),
        None => longer.and_events(part.events().to_vec()),
    })
}

impl Reading {
    /// The options that this draws on such a log.
    pub(crate) fn options(&self, model: &Model, filter: &Filter) -> ReadOptions {
        let mut options = ReadOptions::new().after(self.after.in_log(model));
        if self.direction == Direction::Backward {
            options = options.backward();
        }
        if let Some(until) = &self.until {
            options = options.until(until.in_log(model));
        }
        if let Some(limit) = self.limit {
            options = options.limit(limit);
        }
        // One in some asks for versions without a stream, which must be refused.
        if filter.scope().stream().is_some() || self.versions_anyway {
            if let Some(version) = self.from_version {
                options = options.from_version(version);
            }
            if let Some(version) = self.until_version {
                options = options.until_version(version);
            }
        }
        options
    }
}
