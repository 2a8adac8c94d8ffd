use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::{Filter, RecordedEvent};

/// What becomes of an event that finds its subscriber's buffer full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Whoever publishes waits for room, and with it everything that is published after. Nothing is lost.
    Wait,
    /// The oldest event in the buffer makes room.
    DropOldest,
    /// It is not delivered to this subscriber.
    DropNewest,
}

/// Between the bus and one subscriber.
#[derive(Debug)]
pub(super) struct Buffer {
    filter: Filter,
    capacity: usize,
    when_full: WhenFull,
    state: Mutex<State>,
    filled: Notify,
    drained: Notify,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<RecordedEvent>,
    missed: u64,
    /// No event comes any more, or nobody takes one any more.
    ended: bool,
}

impl Buffer {
    pub(super) fn new(filter: Filter, capacity: usize, when_full: WhenFull) -> Self {
        Self {
            filter,
            capacity: capacity.max(1),
            when_full,
            state: Mutex::default(),
            filled: Notify::new(),
            drained: Notify::new(),
        }
    }

    pub(super) fn wants(&self, event: &RecordedEvent) -> bool {
        self.filter.matches(event)
    }

    pub(super) async fn push(&self, event: &RecordedEvent) {
        loop {
            let mut room = pin!(self.drained.notified());
            // From here on no sign is missed.
            room.as_mut().enable();
            if self.try_push(event) {
                self.filled.notify_one();
                return;
            }
            room.await;
        }
    }

    /// Whether the event is dealt with.
    fn try_push(&self, event: &RecordedEvent) -> bool {
        let mut state = self.lock();
        if state.ended {
            return true;
        }
        if state.events.len() >= self.capacity {
            match self.when_full {
                WhenFull::Wait => return false,
                WhenFull::DropNewest => {
                    state.missed += 1;
                    return true;
                }
                WhenFull::DropOldest => {
                    state.missed += 1;
                    state.events.pop_front();
                }
            }
        }
        state.events.push_back(event.clone());
        true
    }

    /// The next event; none when there will be none.
    pub(super) async fn next(&self) -> Option<RecordedEvent> {
        loop {
            let mut sign = pin!(self.filled.notified());
            sign.as_mut().enable();
            {
                let mut state = self.lock();
                if let Some(event) = state.events.pop_front() {
                    drop(state);
                    self.drained.notify_waiters();
                    return Some(event);
                }
                if state.ended {
                    return None;
                }
            }
            sign.await;
        }
    }

    pub(super) fn missed(&self) -> u64 {
        self.lock().missed
    }

    /// Lets go of everybody who waits at either end.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.filled.notify_one();
        self.drained.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
