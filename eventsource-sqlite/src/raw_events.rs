use crate::raw_event::RawEvent;

/// Events copied out of SQLite, to be decoded by another thread than the one that reads.
pub(crate) struct RawEvents {
    /// With how long each text is.
    events: Vec<RawEvent<usize>>,
    texts: Vec<u8>,
    /// How many make it full.
    room: usize,
}

impl RawEvents {
    /// How many are worth another thread's waking, at the beginning of a page; then twice as many, up to what it decodes
    /// in a tenth of a millisecond.
    const FEWEST: usize = 32;
    const MOST: usize = 256;
    /// Where texts are that long, fewer events make it full.
    const MOST_BYTES: usize = 96 << 10;

    /// None yet, of at most so many.
    pub(crate) fn of_at_most(limit: u64) -> Self {
        let expected = usize::try_from(limit).map_or(Self::FEWEST, |limit| limit.min(Self::FEWEST));
        Self {
            events: Vec::with_capacity(expected),
            texts: Vec::with_capacity(expected * 256),
            room: Self::FEWEST,
        }
    }

    pub(crate) fn push(&mut self, event: RawEvent<&[u8]>) {
        self.events.push(event.with_texts(|text| {
            self.texts.extend_from_slice(text);
            text.len()
        }));
    }

    /// Takes all that are there, if they are as many as should be decoded in one go.
    pub(crate) fn take_full(&mut self) -> Option<Self> {
        let is_full = self.events.len() >= self.room || self.texts.len() >= Self::MOST_BYTES;
        is_full.then(|| {
            let next = self.next();
            std::mem::replace(self, next)
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = RawEvent<&[u8]>> {
        let mut rest = &*self.texts;
        self.events.iter().map(move |event| {
            event.with_texts(|length| {
                let (text, behind) = rest.split_at(length);
                rest = behind;
                text
            })
        })
    }

    /// None yet, of those that follow: their texts are expected to be as long.
    fn next(&self) -> Self {
        let count = self.events.len().max(1);
        let room = if count < self.room { self.room } else { (2 * self.room).min(Self::MOST) };
        let expected = room.min(2 * count);
        let bytes = (self.texts.len() / count + 32) * expected;
        Self {
            events: Vec::with_capacity(expected),
            texts: Vec::with_capacity(bytes.min(Self::MOST_BYTES)),
            room,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::raw_event::RawPlace;

    /// Texts of all lengths, none among them, and absent ones in every combination.
    fn events(count: usize, text: &[u8]) -> Vec<RawEvent<&[u8]>> {
        let part = |from: usize, length: usize| &text[from..from + length];
        let event = |index: usize| {
            let id = Uuid::from_u128(index as u128);
            let optional = |bit: usize| (index >> bit & 1 == 1).then_some(id);
            RawEvent {
                position: index.cast_signed() as i64,
                event_id: id,
                stream: optional(0).map(|aggregate_id| RawPlace {
                    aggregate_id,
                    aggregate_type: part(1, index % 7),
                    version: -1,
                }),
                event_type: part(2, index % 5),
                schema_version: 3,
                tenant: optional(1),
                actor: optional(2).map(|_| part(3, index % 4)),
                correlation_id: optional(3),
                causation_id: optional(4),
                metadata: optional(5).map(|_| part(4, index % 3)),
                tags: part(5, index % 6),
                occurred_at: 4,
                recorded_at: 5,
                append_index: 6,
                payload: part(6, text.len() - 6 - index % 2),
            }
        };
        (0..count).map(event).collect()
    }

    fn parts_of(events: &[RawEvent<&[u8]>]) -> Vec<RawEvents> {
        let (mut part, mut parts) = (RawEvents::of_at_most(u64::MAX), Vec::new());
        for event in events {
            parts.extend(part.take_full());
            part.push(*event);
        }
        parts.push(part);
        parts
    }

    #[test]
    fn all_comes_back_in_order_however_it_is_divided() {
        for (count, bytes) in
            [(0, 100), (1, 100), (32, 100), (33, 100), (97, 100), (1_000, 100), (40, 50_000)]
        {
            let text: Vec<u8> = (0..=250).cycle().take(bytes).collect();
            let events = events(count, &text);
            let parts = parts_of(&events);
            let back: Vec<_> = parts.iter().flat_map(RawEvents::iter).collect();
            assert_eq!(back, events);
        }
    }

    #[test]
    fn parts_grow_to_what_is_decoded_in_one_go() {
        let lengths = |count, bytes| -> Vec<usize> {
            parts_of(&events(count, &vec![7; bytes])).iter().map(RawEvents::len).collect()
        };
        assert_eq!(lengths(32, 100), [32]);
        assert_eq!(lengths(33, 100), [32, 1]);
        assert_eq!(lengths(1_000, 100), [32, 64, 128, 256, 256, 256, 8]);
        assert_eq!(lengths(7, 50_000), [2, 2, 2, 1], "long texts make it full, and the next no larger");
    }
}
