use std::collections::HashSet;
use std::hash::Hash;

use crate::{Error, ExpectedVersion, Filter, NewEvent, Position, Result, StreamId, Version};

/// An atomic write: events for streams, events for none, and the conditions that must hold for all of it.
///
/// ```
/// use eventsource_core::{Append, ExpectedVersion, Filter, NewEvent, Position, StreamId};
/// # use uuid::Uuid;
/// # let (order, invoice) = (StreamId::new("Order", Uuid::now_v7())?, StreamId::new("Invoice", Uuid::now_v7())?);
/// # let head = Position::START;
/// // An aggregate:
/// Append::to_stream(order.clone(), ExpectedVersion::NoStream, [NewEvent::new("OrderPlaced", "…")?]);
/// // A boundary: refused if anything matching was appended after `head`.
/// Append::events([NewEvent::new("UsernameClaimed", "…")?.tag("username", "ann")?])
///     .fail_if(Filter::tagged("username", "ann")?)
///     .after(head);
/// // Several streams, all or nothing:
/// Append::to_stream(order, ExpectedVersion::Any, [NewEvent::new("OrderShipped", "…")?])
///     .and_stream(invoice, ExpectedVersion::NoStream, [NewEvent::new("InvoiceDrawn", "…")?]);
/// # Ok::<(), eventsource_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "an append does nothing until a store is given it"]
pub struct Append {
    parts: Vec<AppendPart>,
    conditions: Vec<AppendCondition>,
    /// `after` was called with no condition to apply it to.
    stray_after: bool,
}

impl Append {
    /// The most events of one append.
    pub const MAX_EVENTS: usize = 10_000;
    /// The most payload, tags and metadata of one append, in bytes: 128 MiB.
    pub const MAX_BYTES: usize = 128 << 20;
    /// The most conditions of one append.
    pub const MAX_CONDITIONS: usize = 100;

    /// Appends `events` to a stream, if it is as expected.
    pub fn to_stream(
        stream: StreamId,
        expected: ExpectedVersion,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> Self {
        Self::none().and_stream(stream, expected, events)
    }

    /// Appends `events` that belong to no stream.
    pub fn events(events: impl IntoIterator<Item = NewEvent>) -> Self {
        Self::none().and_events(events)
    }

    /// Appends `events` to one more stream, behind the events named before.
    pub fn and_stream(
        mut self,
        stream: StreamId,
        expected: ExpectedVersion,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> Self {
        self.parts
            .push(AppendPart { target: Some((stream, expected)), events: events.into_iter().collect() });
        self
    }

    /// Appends `events` that belong to no stream, behind the events named before.
    pub fn and_events(mut self, events: impl IntoIterator<Item = NewEvent>) -> Self {
        self.parts.push(AppendPart { target: None, events: events.into_iter().collect() });
        self
    }

    /// Refuses the append if an event matches `filter`: any event at all, unless [`after`](Self::after) follows.
    /// Called again, it adds another condition; all must hold.
    pub fn fail_if(self, filter: Filter) -> Self {
        self.condition(AppendCondition::new(filter))
    }

    /// Lets the last condition overlook everything up to and including `position`: the head when its events were
    /// read.
    pub fn after(mut self, position: Position) -> Self {
        match self.conditions.last_mut() {
            Some(condition) => condition.after = position,
            None => self.stray_after = true,
        }
        self
    }

    /// Adds a condition.
    pub fn condition(mut self, condition: AppendCondition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// The events with what they are appended to, in log order.
    #[must_use]
    pub fn parts(&self) -> &[AppendPart] {
        &self.parts
    }

    /// For backends: what is written, in order, taken apart.
    #[must_use]
    pub fn into_parts(self) -> Vec<AppendPart> {
        self.parts
    }

    /// What must hold.
    #[must_use]
    pub fn conditions(&self) -> &[AppendCondition] {
        &self.conditions
    }

    /// Every event with the stream that it goes to, in log order.
    pub fn each_event(&self) -> impl Iterator<Item = (Option<&StreamId>, &NewEvent)> + Clone {
        self.parts.iter().flat_map(|part| part.events.iter().map(|event| (part.stream(), event)))
    }

    /// The same append with each event as `change` makes it: for wrappers that stamp what is written.
    ///
    /// # Errors
    /// Whatever `change` refuses with.
    pub fn map_events(mut self, mut change: impl FnMut(NewEvent) -> Result<NewEvent>) -> Result<Self> {
        for part in &mut self.parts {
            part.events =
                std::mem::take(&mut part.events).into_iter().map(&mut change).collect::<Result<_>>()?;
        }
        Ok(self)
    }

    /// How many events it has.
    #[must_use]
    pub fn event_count(&self) -> usize {
        self.parts.iter().map(|part| part.events.len()).sum()
    }

    /// What every store MUST call before it looks at anything else.
    ///
    /// # Errors
    /// `InvalidInput` if there is no event or a part without one, if a stream or an event id is named twice, if
    /// [`after`](Self::after) has no condition to apply to, or if a limit is passed: [`MAX_EVENTS`](Self::MAX_EVENTS),
    /// [`MAX_BYTES`](Self::MAX_BYTES), [`MAX_CONDITIONS`](Self::MAX_CONDITIONS),
    /// [`NewEvent::MAX_TAGS`], a schema version of 0.
    pub fn validate(&self) -> Result<()> {
        if self.parts.is_empty() || self.parts.iter().any(|part| part.events.is_empty()) {
            return Err(Error::invalid_input("an append is never empty, nor is any part of it"));
        }
        if self.stray_after {
            return Err(Error::invalid_input("`after` says from where a condition looks, and there is none"));
        }
        let too_many =
            |what, max: usize| Err(Error::invalid_input(format!("an append has at most {max} {what}")));
        if self.event_count() > Self::MAX_EVENTS {
            return too_many("events", Self::MAX_EVENTS);
        }
        if self.conditions.len() > Self::MAX_CONDITIONS {
            return too_many("conditions", Self::MAX_CONDITIONS);
        }
        if self.each_event().map(|(_, event)| event.byte_count()).sum::<usize>() > Self::MAX_BYTES {
            return too_many("bytes of payload, tags and metadata", Self::MAX_BYTES);
        }
        self.each_event().try_for_each(|(_, event)| event.validate())?;
        if let Some(twice) = named_twice(self.each_event().map(|(_, event)| event.event_id())) {
            return Err(Error::invalid_input(format!("event {twice} stands twice in one append")));
        }
        if let Some(twice) = named_twice(self.parts.iter().filter_map(AppendPart::stream)) {
            return Err(Error::invalid_input(format!("stream {twice} stands twice in one append")));
        }
        Ok(())
    }

    /// For wrappers: its events, to be changed in place.
    pub(crate) fn each_event_mut(&mut self) -> impl Iterator<Item = &mut NewEvent> {
        self.parts.iter_mut().flat_map(|part| part.events.iter_mut())
    }

    /// For wrappers: its conditions, to be changed in place.
    pub(crate) fn conditions_mut(&mut self) -> &mut Vec<AppendCondition> {
        &mut self.conditions
    }

    /// For wrappers: what it expects of `stream`, if it goes there.
    pub(crate) fn expected_mut(&mut self, stream: &StreamId) -> Option<&mut ExpectedVersion> {
        self.parts
            .iter_mut()
            .filter_map(|part| part.target.as_mut())
            .find_map(|(each, expected)| (each == stream).then_some(expected))
    }

    pub(crate) fn none() -> Self {
        Self { parts: Vec::new(), conditions: Vec::new(), stray_after: false }
    }
}

/// The first that was named before.
fn named_twice<T: Copy + Ord + Hash>(mut names: impl Iterator<Item = T> + Clone) -> Option<T> {
    // Fresh ids rise, and what rises needs no look at all that came before.
    if names.clone().is_sorted_by(|before, next| before < next) {
        return None;
    }
    let mut known = HashSet::new();
    names.find(|name| !known.insert(*name))
}

/// Some events of an append and what they are appended to.
#[derive(Clone, Debug, PartialEq)]
pub struct AppendPart {
    target: Option<(StreamId, ExpectedVersion)>,
    events: Vec<NewEvent>,
}

impl AppendPart {
    /// The stream, if they go to one.
    #[must_use]
    pub fn stream(&self) -> Option<&StreamId> {
        self.target.as_ref().map(|(stream, _)| stream)
    }

    /// What the stream must be like; `Any` where there is no stream.
    #[must_use]
    pub fn expected(&self) -> ExpectedVersion {
        self.target.as_ref().map_or(ExpectedVersion::Any, |(_, expected)| *expected)
    }

    /// The events, in log order.
    #[must_use]
    pub fn events(&self) -> &[NewEvent] {
        &self.events
    }

    /// For backends: its stream and its events.
    #[must_use]
    pub fn into_stream_and_events(self) -> (Option<StreamId>, Vec<NewEvent>) {
        (self.target.map(|(stream, _)| stream), self.events)
    }
}

/// "No event that matches the filter lies after this position": the
/// [DCB specification](https://dcb.events/specification/)'s append condition.
///
/// An accepted condition holds in log order: no matching event lies between `after` and the append's first event.
/// The append's own events are not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendCondition {
    filter: Filter,
    after: Position,
}

impl AppendCondition {
    /// No event at all may match.
    #[must_use]
    pub fn new(filter: Filter) -> Self {
        Self { filter, after: Position::START }
    }

    /// Overlooks everything up to and including `position`.
    #[must_use]
    pub fn after(mut self, position: Position) -> Self {
        self.after = position;
        self
    }

    /// What must not have happened.
    #[must_use]
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// For wrappers: what must not have happened, to be changed in place.
    pub(crate) fn filter_mut(&mut self) -> &mut Filter {
        &mut self.filter
    }

    /// Since when.
    #[must_use]
    pub fn after_position(&self) -> Position {
        self.after
    }
}

/// What an append came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Where the append's first event lies.
    pub first: Position,
    /// Where its last event lies. Its events lie between the two, and nothing else does.
    pub last: Position,
    /// The streams that it appended to, in its order, with the version that each has since.
    pub versions: Vec<(StreamId, Version)>,
    /// True if this very append had been stored before, and nothing was written this time.
    pub replayed: bool,
}

impl Appended {
    /// The version that `stream` has since, if this append went to it.
    #[must_use]
    pub fn version_of(&self, stream: &StreamId) -> Option<Version> {
        self.versions.iter().find(|(each, _)| each == stream).map(|(_, version)| *version)
    }
}
