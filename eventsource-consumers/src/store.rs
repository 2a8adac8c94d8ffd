use std::sync::Arc;

use eventsource_core::{CheckpointStore, DeadLetters, EventStore, Leases, LogIdentity, Result};

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
    /// Whether trying again makes sense: a store that is closed says so here, and not by its errors.
    pub(crate) fn check_open(&self) -> Result<()> {
        futures_util::FutureExt::now_or_never(self.events.changes().changed()).unwrap_or(Ok(()))
    }
}

/// Where a group's members read events, keep their records, and share their work.
#[derive(Clone, Debug)]
pub struct GroupStore {
    /// Events and records. Fences are checked where these are kept.
    pub consumer: ConsumerStore,
    /// The leases: in the same database as the checkpoints.
    pub leases: Arc<dyn Leases>,
}

impl<S> From<S> for GroupStore
where
    S: EventStore + LogIdentity + CheckpointStore + DeadLetters + Leases + 'static,
{
    fn from(store: S) -> Self {
        let store = Arc::new(store);
        Self { consumer: store.clone().into(), leases: store }
    }
}
