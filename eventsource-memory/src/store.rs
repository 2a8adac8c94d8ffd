use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use eventsource_core::{
    Append, Appended, Capabilities, Capability, ChangeSignal, Changes, Clock, Error, EventStore, Filter,
    LogId, LogIdentity, OutboxFilter, Page, Position, ReadOptions, Result, StreamId, SystemClock, Version,
    to_microseconds,
};
use uuid::Uuid;

use crate::checkpoints::Checkpoints;
use crate::dead_letters::Parked;
use crate::leases::LeaseTable;

use crate::log::Log;
use crate::outbox::PendingEvents;
use crate::read::Scan;
use crate::snapshots::Snapshots;

/// An event store in memory. Cloning it gives another handle on the same log.
///
/// Its answers are ready at once: no call ever waits, and none yields to the runtime, on which this crate does not depend. A
/// task that calls it in a long loop keeps a current-thread runtime to itself, unless it yields (`tokio::task::yield_now`).
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<RwLock<State>>,
    clock: Arc<dyn Clock>,
    log_id: LogId,
}

#[derive(Default)]
pub(crate) struct State {
    log: Log,
    pub(crate) snapshots: Snapshots,
    pub(crate) outbox: PendingEvents,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) dead_letters: Parked,
    pub(crate) leases: LeaseTable,
    changes: ChangeSignal,
    closed: bool,
}

impl MemoryStore {
    /// An empty log, by the machine's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(SystemClock)
    }

    /// An empty log that takes the time from `clock`.
    #[must_use]
    pub fn with_clock(clock: impl Clock) -> Self {
        Self { state: Arc::default(), clock: Arc::new(clock), log_id: LogId::new(Uuid::now_v7()) }
    }

    /// Puts the events that match into the outbox, from now on; those that are in the log already stay out of it.
    ///
    /// # Errors
    /// `InvalidInput` if the filter has bounds on time: see [`OutboxFilter::new`].
    pub fn outbox(self, filter: Filter) -> Result<Self> {
        self.write_state().outbox = PendingEvents::of(OutboxFilter::new(filter)?);
        Ok(self)
    }

    // A panic under the lock can only come from a bug here or from running out of memory; the log is changed by one
    // infallible step at the end of an append, so what a poisoned lock guards is whole.
    fn read_state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_state(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is kept beside the log, at the store's time. It is told under the lock: changes come in the order of
    /// their times, as far as the clock does.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State, DateTime<Utc>) -> Result<T>) -> Result<T> {
        let mut state = self.write_state();
        let now = to_microseconds(self.clock.now())?;
        if state.closed { Err(closed()) } else { change(&mut state, now) }
    }

    /// Looks at what is kept beside the log.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> Result<T> {
        let state = self.read_state();
        if state.closed { Err(closed()) } else { Ok(look(&state)) }
    }

    fn with_log<T>(&self, look: impl FnOnce(&Log) -> T) -> Result<T> {
        self.look(|state| look(&state.log))
    }
}

fn closed() -> Error {
    Error::closed("the store is closed")
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn append(&self, append: Append) -> Result<Appended> {
        append.validate()?;
        let mut state = self.write_state();
        if state.closed {
            return Err(closed());
        }
        let appended = state.log.append(append, &*self.clock)?;
        if !appended.replayed {
            let State { log, outbox, changes, .. } = &mut *state;
            log.events_from(appended.first).for_each(|event| outbox.put(event));
            // Whoever subscribes later, behind this lock, finds the events when it looks.
            if !changes.is_unused() {
                changes.notify();
            }
        }
        Ok(appended)
    }

    async fn read_page(&self, filter: &Filter, options: &ReadOptions) -> Result<Page> {
        options.validate(filter)?;
        let mut scan = self.with_log(|log| Scan::new(log, filter, options))?;
        // In steps, so that a long scan lets writers in between; the scan ends at the head that it began with.
        while !self.with_log(|log| scan.step(log))? {}
        Ok(scan.into_page())
    }

    async fn head(&self) -> Result<Position> {
        self.with_log(Log::head)
    }

    async fn stream_version(&self, stream: &StreamId) -> Result<Option<Version>> {
        self.with_log(|log| log.stream_version(stream))
    }

    fn changes(&self) -> Changes {
        let state = self.read_state();
        // Nobody holds the other end of a fresh signal, which is how a closed store says so.
        if state.closed { ChangeSignal::new().subscribe() } else { state.changes.subscribe() }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
            .with(Capability::Checkpoints)
            .with(Capability::DeadLetters)
            .with(Capability::Leases)
            .with(Capability::Snapshots)
            .with(Capability::Outbox)
    }

    async fn close(&self) -> Result<()> {
        *self.write_state() = State { closed: true, ..State::default() };
        Ok(())
    }
}

#[async_trait]
impl LogIdentity for MemoryStore {
    async fn log_id(&self) -> Result<LogId> {
        self.look(|_| self.log_id)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("head", &self.read_state().log.head()).finish_non_exhaustive()
    }
}
