use std::sync::Arc;

use eventsource_core::{CheckpointStore, DeadLetters, EventStore, LogIdentity, Result};

/// Where a consumer reads events and keeps its records. One store that does all of it becomes this by itself; the parts
/// may also be several.
#[derive(Clone, Debug)]
pub struct ConsumerStore {
    /// Where events are read.
    pub events: Arc<dyn EventStore>,
    /// Which log that is.
    pub identity: Arc<dyn LogIdentity>,
    /// Where checkpoints are kept.
    pub checkpoints: Arc<dyn CheckpointStore>,
    /// Where events are parked.
    pub dead_letters: Arc<dyn DeadLetters>,
}

impl<S> From<S> for ConsumerStore
where
    S: EventStore + LogIdentity + CheckpointStore + DeadLetters + 'static,
{
    fn from(store: S) -> Self {
        let store = Arc::new(store);
        Self {
            events: store.clone(),
            identity: store.clone(),
            checkpoints: store.clone(),
            dead_letters: store,
        }
    }
}

impl ConsumerStore {
    /// Whether trying again makes sense, where a call's error does not say that the store is closed.
    pub(crate) fn check_open(&self) -> Result<()> {
        futures_util::FutureExt::now_or_never(self.events.changes().changed()).unwrap_or(Ok(()))
    }
}
