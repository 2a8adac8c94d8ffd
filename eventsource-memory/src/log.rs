use chrono::{DateTime, Utc};
use eventsource_core::{AppendPart, EventId, EventType, Position, RecordedEvent, StreamId, Tag, Version};
use foldhash::HashMap;
use smallvec::SmallVec;

/// All events, with their indexes. An event at index `i` has position `i + 1`; indexes list places in log order.
#[derive(Default)]
pub(crate) struct Log {
    events: Vec<RecordedEvent>,
    /// Whether an append begins with this event, to tell where each begins and ends.
    append_begins: Vec<bool>,
    ids: HashMap<EventId, usize>,
    streams: HashMap<StreamId, Vec<usize>>,
    /// Most tags have few events. The first two lie in place.
    tags: HashMap<Tag, SmallVec<[usize; 2]>>,
    types: HashMap<EventType, Vec<usize>>,
}

impl Log {
    pub(crate) fn head(&self) -> Position {
        position_of(self.events.len())
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn event(&self, index: usize) -> &RecordedEvent {
        &self.events[index]
    }

    /// The event at a position, and all behind it.
    pub(crate) fn events_from(&self, position: Position) -> impl Iterator<Item = &RecordedEvent> {
        let index = usize::try_from(position.to_raw()).unwrap_or(usize::MAX).saturating_sub(1);
        self.events.iter().skip(index)
    }

    pub(crate) fn index_of(&self, id: EventId) -> Option<usize> {
        self.ids.get(&id).copied()
    }

    /// Whether an append begins at this index, or the log ends there.
    pub(crate) fn append_begins_at(&self, index: usize) -> bool {
        self.append_begins.get(index).is_none_or(|begins| *begins)
    }

    pub(crate) fn stream_version(&self, stream: &StreamId) -> Option<Version> {
        version_of(self.of_stream(stream))
    }

    pub(crate) fn of_stream(&self, stream: &StreamId) -> &[usize] {
        self.streams.get(stream).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn of_tag(&self, tag: &Tag) -> &[usize] {
        self.tags.get(tag).map_or(&[], SmallVec::as_slice)
    }

    pub(crate) fn of_type(&self, event_type: &EventType) -> &[usize] {
        self.types.get(event_type).map_or(&[], Vec::as_slice)
    }

    /// Writes what was judged; says which versions the streams have since.
    pub(crate) fn write(
        &mut self,
        parts: Vec<AppendPart>,
        recorded_at: DateTime<Utc>,
    ) -> Vec<(StreamId, Version)> {
        let mut versions = Vec::new();
        for part in parts {
            let (stream, events) = part.into_stream_and_events();
            let mut version = stream.as_ref().and_then(|stream| self.list(stream, events.len()));
            for event in events {
                version = stream.as_ref().map(|_| Version::after(version, 1));
                let position = position_of(self.events.len() + 1);
                self.push(RecordedEvent::new(event, position, stream.clone().zip(version), recorded_at));
            }
            versions.extend(stream.zip(version));
        }
        self.append_begins.push(true);
        self.append_begins.resize(self.events.len(), false);
        versions
    }

    /// Lists so many events, which are to come next, as the stream's; says which version it had before.
    fn list(&mut self, stream: &StreamId, count: usize) -> Option<Version> {
        let begin = self.events.len();
        let indexes = self.streams.entry(stream.clone()).or_default();
        let version = version_of(indexes);
        indexes.extend(begin..begin + count);
        version
    }

    fn push(&mut self, event: RecordedEvent) {
        let index = self.events.len();
        self.ids.insert(event.id(), index);
        for tag in event.tags() {
            self.tags.entry(tag.clone()).or_default().push(index);
        }
        self.types.entry(event.event_type().clone()).or_default().push(index);
        self.events.push(event);
    }
}

/// The position of the event that is the `count`-th of the log.
pub(crate) fn position_of(count: usize) -> Position {
    Position::from_raw(count as u64)
}

/// The version of a stream whose events have these indexes: it counts them.
fn version_of(indexes: &[usize]) -> Option<Version> {
    (!indexes.is_empty()).then(|| Version::after(None, indexes.len() as u64))
}
