use std::collections::HashMap;

use eventsource_core::{EventId, Filter, Position, RecordedEvent, StreamId, Version};

use super::{Property, Verdict};

/// The final log, for looking things up.
pub(super) struct Log<'a> {
    pub(super) events: &'a [RecordedEvent],
    by_id: HashMap<EventId, usize>,
    streams: HashMap<&'a StreamId, Vec<usize>>,
}

impl<'a> Log<'a> {
    pub(super) fn new(events: &'a [RecordedEvent]) -> Self {
        let mut streams: HashMap<_, Vec<usize>> = HashMap::new();
        for (index, event) in events.iter().enumerate() {
            if let Some(stream) = event.stream() {
                streams.entry(stream).or_default().push(index);
            }
        }
        let by_id = events.iter().enumerate().map(|(index, event)| (event.id(), index)).collect();
        Self { events, by_id, streams }
    }

    /// What the log says about itself.
    pub(super) fn judge(&self, verdict: &mut Verdict) {
        for pair in self.events.windows(2) {
            if pair[0].position() >= pair[1].position() {
                let (before, behind) = (pair[0].position(), pair[1].position());
                verdict.add(
                    Property::PositionsRise,
                    format!("the event at position {behind} lies behind the one at {before}"),
                );
            }
        }
        for (index, event) in self.events.iter().enumerate() {
            if self.by_id[&event.id()] != index {
                let (id, position) = (event.id(), event.position());
                verdict.add(
                    Property::EventsAreUnique,
                    format!("event {id} at position {position} lies in the log again"),
                );
            }
            if event.stream().is_some() != event.version().is_some() {
                let position = event.position();
                verdict.add(
                    Property::VersionsCount,
                    format!("the event at position {position} has a stream or a version, but not both"),
                );
            }
        }
        for (stream, indexes) in &self.streams {
            for (count, index) in (1..).zip(indexes) {
                let event = &self.events[*index];
                if event.version() != Some(Version::after(None, count)) {
                    verdict.add(
                        Property::VersionsCount,
                        format!(
                            "the event at position {} is number {count} of stream {stream}, and has version {}",
                            event.position(),
                            shown(event.version())
                        ),
                    );
                }
            }
        }
    }

    /// Where the event with this id lies.
    pub(super) fn find(&self, id: EventId) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    /// Where the event at this position lies.
    pub(super) fn index_of(&self, position: Position) -> Option<usize> {
        let index = self.events.partition_point(|event| event.position() < position);
        self.events.get(index).is_some_and(|event| event.position() == position).then_some(index)
    }

    /// The events behind `after`, up to and including `until`.
    pub(super) fn range(&self, after: Position, until: Position) -> &'a [RecordedEvent] {
        let from = self.events.partition_point(|event| event.position() <= after);
        let to = self.events.partition_point(|event| event.position() <= until);
        &self.events[from..to.max(from)]
    }

    /// The first event behind `after` that matches.
    pub(super) fn first_match(&self, filter: &Filter, after: Position) -> Option<&'a RecordedEvent> {
        self.range(after, Position::MAX).iter().find(|event| filter.matches(event))
    }

    /// The stream's events that lie before `index`, counted.
    pub(super) fn stream_before(&self, stream: &StreamId, index: usize) -> Option<Version> {
        let indexes = self.streams.get(stream)?;
        let count = indexes.partition_point(|each| *each < index);
        (count > 0).then(|| Version::after(None, count as u64))
    }

    /// Where the stream's event of this version lies.
    pub(super) fn version(&self, stream: &StreamId, version: Version) -> Option<usize> {
        let nth = usize::try_from(version.get()).ok()?.checked_sub(1)?;
        self.streams.get(stream)?.get(nth).copied()
    }
}

pub(super) fn shown(version: Option<Version>) -> String {
    version.map_or_else(|| "none".to_owned(), |version| version.to_string())
}
