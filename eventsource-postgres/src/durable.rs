use std::sync::{Mutex, MutexGuard, PoisonError};

use eventsource_core::Position;
use uuid::Uuid;

/// An event that somebody was shown. Its id tells it from another one that came to lie there after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) position: Position,
    pub(crate) id: Uuid,
}

/// What is known to be durable: an event, and all that lies before it in its log.
///
/// Another server's log may have another event there, or end before it. Whoever compares a snapshot with what is known here
/// looks for this very event, so it does no harm if a server that was replaced answers late.
#[derive(Debug, Default)]
pub(crate) struct Durable(Mutex<Option<Seen>>);

impl Durable {
    /// The last event that is known to be durable. A snapshot can be compared with it only if it was asked for before: a
    /// crash in between takes back what is not durable, and gives its positions to others.
    pub(crate) fn last(&self) -> Option<Seen> {
        *self.lock()
    }

    /// This event is durable: its commit was flushed, or one behind it.
    pub(crate) fn raise(&self, seen: Seen) {
        let mut last = self.lock();
        if last.is_none_or(|last| last.position <= seen.position) {
            *last = Some(seen);
        }
    }

    /// A log's newest event lies before what was known: another server has taken over, or a backup. That was about another
    /// log.
    pub(crate) fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
