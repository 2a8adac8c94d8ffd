use std::collections::HashSet;
use std::fmt;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::StreamId;

/// Streams that are known to be the tenant's own: that never changes, so it need not be asked twice. Those that were
/// used lately are remembered, the others forgotten: what is not known is looked up.
pub(super) struct OwnStreams {
    generations: Mutex<Generations>,
    /// How many a generation has at most.
    capacity: usize,
}

#[derive(Default)]
struct Generations {
    young: HashSet<StreamId>,
    old: HashSet<StreamId>,
}

impl OwnStreams {
    pub(super) fn new(capacity: usize) -> Self {
        Self { generations: Mutex::default(), capacity }
    }

    pub(super) fn insert(&self, stream: &StreamId) {
        self.lock().insert(stream, self.capacity);
    }

    pub(super) fn contains(&self, stream: &StreamId) -> bool {
        let mut generations = self.lock();
        if generations.young.contains(stream) {
            return true;
        }
        let is_old = generations.old.contains(stream);
        if is_old {
            generations.insert(stream, self.capacity);
        }
        is_old
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn insert(&mut self, stream: &StreamId, capacity: usize) {
        if self.young.contains(stream) {
            return;
        }
        if self.young.len() >= capacity {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(stream.clone());
    }
}

impl fmt::Debug for OwnStreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnStreams").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_was_used_lately_is_remembered_and_the_number_is_bounded() {
        let own = OwnStreams::new(4);
        let streams: Vec<_> =
            (1..=100).map(|number| StreamId::new("Order", Uuid::from_u128(number)).unwrap()).collect();
        for stream in &streams {
            own.insert(stream);
            assert!(own.contains(stream) && own.contains(&streams[0]), "the first is used all the time");
        }
        let remembered = streams.iter().filter(|stream| own.contains(stream)).count();
        assert!((4..=8).contains(&remembered), "{remembered}");
    }
}
