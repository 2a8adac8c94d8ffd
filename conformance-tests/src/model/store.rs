use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use eventsource_core::{
    Append, Appended, Capabilities, ChangeSignal, Changes, Clock, Error, EventStore, Filter, Page, Position,
    ReadOptions, RecordedEvent, Result, StreamId, SystemClock, Version, to_microseconds,
};

use super::{Decision, Model};

/// The [`Model`] as a store: slow and plain, for tests of the tests.
#[derive(Clone, Debug)]
pub struct ModelStore {
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct State {
    model: Model,
    changes: ChangeSignal,
    closed: bool,
}

impl ModelStore {
    /// The longest page, in events.
    const PAGE: u64 = 1_000;

    /// An empty log, by the machine's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(SystemClock)
    }

    /// An empty log that takes the time from `clock`.
    #[must_use]
    pub fn with_clock(clock: impl Clock) -> Self {
        Self { state: Arc::default(), clock: Arc::new(clock) }
    }

    fn open_state(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed { Err(Error::closed("the store is closed")) } else { Ok(state) }
    }
}

impl Default for ModelStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl EventStore for ModelStore {
    async fn append(&self, append: Append) -> Result<Appended> {
        append.validate()?;
        let now = to_microseconds(self.clock.now())?;
        let mut state = self.open_state()?;
        match state.model.decide(&append)? {
            Decision::Replay(appended) => Ok(appended),
            Decision::Write(written) => {
                let head = state.model.head().to_raw();
                let recorded = (head + 1..).map(Position::from_raw).zip(written);
                let recorded: Vec<_> = recorded
                    .map(|(position, (event, stream))| RecordedEvent::new(event, position, stream, now))
                    .collect();
                let index = state.model.log().len();
                state.model.adopt(recorded);
                state.changes.notify();
                Ok(state.model.result_at(index))
            }
        }
    }

    async fn read_page(&self, filter: &Filter, options: &ReadOptions) -> Result<Page> {
        options.validate(filter)?;
        let limit = options.max_events().map_or(Self::PAGE, |limit| limit.min(Self::PAGE));
        self.open_state()?.model.read(filter, &options.clone().limit(limit))
    }

    async fn head(&self) -> Result<Position> {
        Ok(self.open_state()?.model.head())
    }

    async fn stream_version(&self, stream: &StreamId) -> Result<Option<Version>> {
        Ok(self.open_state()?.model.stream_version(stream))
    }

    fn changes(&self) -> Changes {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody holds the other end of a fresh signal, which is how a closed store says so.
        if state.closed { ChangeSignal::new().subscribe() } else { state.changes.subscribe() }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
    }

    async fn close(&self) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed = true;
        state.changes = ChangeSignal::new();
        Ok(())
    }
}
