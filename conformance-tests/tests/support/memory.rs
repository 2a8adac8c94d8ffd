//! What the memory store brings to be tested.

use std::sync::Arc;

use async_trait::async_trait;
use conformance_tests::{Fixture, Harness, Setup, Stores};
use eventsource_core::{Capability, Result};
use eventsource_memory::MemoryStore;

/// A memory store.
pub(crate) struct Memory;

#[async_trait]
impl Harness for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn lacks(&self) -> &'static [(Capability, &'static str)] {
        &[
            (Capability::Durable, "the log is gone with the process"),
            (Capability::Shared, "another process has no way to it"),
            (Capability::Transactional, "a caller has no transaction to bring"),
            (Capability::Inline, "there is no database to keep a view in"),
        ]
    }

    async fn fresh(&self, setup: Setup) -> Result<Fixture> {
        let mut store = setup.clock.map_or_else(MemoryStore::new, MemoryStore::with_clock);
        if let Some(publish) = setup.outbox {
            store = store.outbox(publish)?;
        }
        let store = Arc::new(store);
        Ok(Fixture::new(
            Stores::from(store.clone())
                .with_snapshots(store.clone())
                .with_outbox(store.clone())
                .with_consumers(store),
        ))
    }
}
