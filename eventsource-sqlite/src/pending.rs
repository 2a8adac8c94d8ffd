use eventsource_core::{Filter, FilterItem, NewEvent};

use crate::row::Place;

/// What a transaction has decided on: events that have their places in the log, and are inserted together later.
pub(crate) struct Pending<'a> {
    head: i64,
    events: Vec<PendingEvent<'a>>,
}

/// An event and its place.
pub(crate) type PendingEvent<'a> = (&'a NewEvent, Place<'a>);

impl<'a> Pending<'a> {
    /// Beyond so many, it is time to insert them.
    const MANY: usize = 64;

    /// Nothing yet, behind `head`.
    pub(crate) fn behind(head: i64) -> Self {
        Self { head, events: Vec::new() }
    }

    /// The newest position that is taken.
    pub(crate) fn head(&self) -> i64 {
        self.head
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

    /// Whether one of the events that wait, up to this position, could match: a quick look at types and tags. If not,
    /// the database knows all that do.
    pub(crate) fn could_match(&self, filter: &Filter, until: i64) -> bool {
        let mut events =
            self.events.iter().take_while(|(_, place)| place.position <= until).map(|(event, _)| event);
        match filter.items() {
            Some(items) => events.any(|event| items.iter().any(|item| could_match(item, event))),
            None => events.next().is_some(),
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
