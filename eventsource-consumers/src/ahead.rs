use std::collections::VecDeque;
use std::fmt;

use eventsource_core::{LastEvent, Position, RecordedEvent, Result};
use futures_util::future::BoxFuture;

use crate::subscription::Look;
use crate::{Batch, ReadAhead};

/// What a subscription has read before it was asked for, and what it is reading.
#[derive(Default)]
pub(crate) struct Ahead {
    bound: ReadAhead,
    batches: VecDeque<Batch>,
    /// What waits in the batches: events and bytes.
    waiting: (u64, usize),
    reading: Option<Reading>,
}

/// A look at the log that is under way.
pub(crate) type Reading = BoxFuture<'static, Result<Look>>;

impl Ahead {
    pub(crate) fn bounded(bound: ReadAhead) -> Self {
        Self { bound, ..Self::default() }
    }

    /// Throws everything away: it is read again when it is asked for.
    pub(crate) fn forget(&mut self) {
        *self = Self::bounded(self.bound);
    }

    pub(crate) fn push(&mut self, batch: Batch) {
        let (events, bytes) = size(&batch);
        self.waiting = (self.waiting.0 + events, self.waiting.1 + bytes);
        self.batches.push_back(batch);
    }

    pub(crate) fn pop(&mut self) -> Option<Batch> {
        let batch = self.batches.pop_front()?;
        let (events, bytes) = size(&batch);
        self.waiting = (self.waiting.0 - events, self.waiting.1 - bytes);
        Some(batch)
    }

    /// How many more events may be read.
    pub(crate) fn room(&self, page_size: u64) -> u64 {
        self.bound.room(self.waiting, page_size)
    }

    /// How far it has read.
    pub(crate) fn scanned_to(&self) -> Option<Position> {
        self.batches.back().map(|batch| batch.scanned_to)
    }

    /// The last event that waits.
    pub(crate) fn last_event(&self) -> Option<LastEvent> {
        self.batches.iter().rev().find_map(|batch| batch.events.last()).map(LastEvent::from)
    }

    /// Begins a look.
    pub(crate) fn begin(&mut self, reading: Reading) {
        self.reading = Some(reading);
    }

    pub(crate) fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    /// What the look that is under way comes to, if there is one. If this is dropped, the look only rests.
    pub(crate) async fn looked(&mut self) -> Option<Result<Look>> {
        let looked = self.reading.as_mut()?.await;
        self.reading = None;
        Some(looked)
    }

    /// The look that is under way, to be finished elsewhere.
    pub(crate) fn take_reading(&mut self) -> Option<Reading> {
        self.reading.take()
    }
}

fn size(batch: &Batch) -> (u64, usize) {
    /// What an event takes beside its texts, about.
    const EACH: usize = 256;
    let bytes = |event: &RecordedEvent| event.byte_count() + EACH;
    (batch.events.len() as u64, batch.events.iter().map(bytes).sum())
}

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ahead")
            .field("bound", &self.bound)
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}
