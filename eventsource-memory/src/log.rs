use eventsource_core::{EventId, EventType, Position, RecordedEvent, StreamId, Tag, Version};
use foldhash::HashMap;

/// All events, with their indexes. An event at index `i` has position `i + 1`; indexes list places in log order.
#[derive(Default)]
pub(crate) struct Log {
    events: Vec<RecordedEvent>,
    /// For each event its place in its append, to tell where an append begins and ends.
    append_indexes: Vec<u32>,
    ids: HashMap<EventId, usize>,
    streams: HashMap<StreamId, Vec<usize>>,
    tags: HashMap<Tag, Vec<usize>>,
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
        self.append_indexes.get(index).is_none_or(|place| *place == 0)
    }

    pub(crate) fn stream_version(&self, stream: &StreamId) -> Option<Version> {
        self.of_stream(stream).last().and_then(|index| self.events[*index].version())
    }

    pub(crate) fn of_stream(&self, stream: &StreamId) -> &[usize] {
        self.streams.get(stream).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn of_tag(&self, tag: &Tag) -> &[usize] {
        self.tags.get(tag).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn of_type(&self, event_type: &EventType) -> &[usize] {
        self.types.get(event_type).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn push(&mut self, event: RecordedEvent, append_index: u32) {
        let index = self.events.len();
        self.ids.insert(event.id(), index);
        if let Some(stream) = event.stream() {
            push_at(&mut self.streams, stream, index);
        }
        for tag in event.tags() {
            push_at(&mut self.tags, tag, index);
        }
        push_at(&mut self.types, event.event_type(), index);
        self.events.push(event);
        self.append_indexes.push(append_index);
    }
}

/// The position of the event that is the `count`-th of the log.
pub(crate) fn position_of(count: usize) -> Position {
    Position::from_raw(count as u64)
}

fn push_at<K: Clone + Eq + std::hash::Hash>(map: &mut HashMap<K, Vec<usize>>, key: &K, index: usize) {
    match map.get_mut(key) {
        Some(indexes) => indexes.push(index),
        None => {
            map.insert(key.clone(), vec![index]);
        }
    }
}
