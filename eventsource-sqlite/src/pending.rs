use std::collections::HashMap;

use eventsource_core::{Filter, FilterItem, NewEvent, StreamId, Version};

use crate::row::Place;

/// What a transaction has decided on: events that have their places in the log, and are inserted together later.
#[derive(Default)]
pub(crate) struct Pending<'a> {
    head: i64,
    events: Vec<PendingEvent<'a>>,
    versions: HashMap<&'a StreamId, Option<Version>>,
}

/// An event and its place.
pub(crate) type PendingEvent<'a> = (&'a NewEvent, Place<'a>);

impl<'a> Pending<'a> {
    /// Beyond so many, it is time to insert them.
    const MANY: usize = 64;

    /// Nothing yet, behind `head`.
    pub(crate) fn behind(head: i64) -> Self {
        Self { head, ..Self::default() }
    }

    /// The newest position that is taken.
    pub(crate) fn head(&self) -> i64 {
        self.head
    }

    /// The version that a stream has, if this transaction knows it: none, if the stream has no event.
    pub(crate) fn version(&self, stream: &StreamId) -> Option<Option<Version>> {
        self.versions.get(stream).copied()
    }

    /// Notes the version that a stream has.
    pub(crate) fn set_version(&mut self, stream: &'a StreamId, version: Option<Version>) {
        self.versions.insert(stream, version);
    }

    /// Takes the next position for an event.
    pub(crate) fn push(&mut self, event: &'a NewEvent, place: Place<'a>) {
        self.head = place.position;
        self.events.push((event, place));
    }

    /// The events that wait for being inserted.
    pub(crate) fn events(&self) -> &[PendingEvent<'a>] {
        &self.events
    }

    pub(crate) fn are_many(&self) -> bool {
        self.events.len() >= Self::MANY
    }

    /// Whether one of the events that wait could match: a quick look at types and tags. If not, the database knows all
    /// that do.
    pub(crate) fn could_match(&self, filter: &Filter) -> bool {
        let any = |item: &FilterItem| self.events.iter().any(|(event, _)| could_match(item, event));
        match filter.items() {
            Some(items) => items.iter().any(any),
            None => !self.events.is_empty(),
        }
    }

    /// They are inserted.
    pub(crate) fn clear(&mut self) {
        self.events.clear();
    }
}

fn could_match(item: &FilterItem, event: &NewEvent) -> bool {
    let types = item.event_type_set();
    (types.is_empty() || types.contains(event.event_type()))
        && item.tag_set().iter().all(|tag| event.all_tags().contains(tag))
}
