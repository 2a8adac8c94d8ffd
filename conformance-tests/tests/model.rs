//! The contract on the naive model that random histories are compared with: what judges must be right itself.

use std::sync::Arc;

use async_trait::async_trait;
use conformance_tests::model::ModelStore;
use conformance_tests::{Fixture, Harness, Setup};
use eventsource_core::{Capability, Result};

struct Model;

#[async_trait]
impl Harness for Model {
    fn name(&self) -> &'static str {
        "model"
    }

    fn lacks(&self) -> &'static [(Capability, &'static str)] {
        &[
            (Capability::Durable, "the log is gone with the process"),
            (Capability::Shared, "another process has no way to it"),
            (Capability::Transactional, "a caller has no transaction to bring"),
            (Capability::Snapshots, "it keeps events and nothing else"),
            (Capability::Outbox, "it keeps events and nothing else"),
            (Capability::Checkpoints, "it keeps events and nothing else"),
            (Capability::DeadLetters, "it keeps events and nothing else"),
            (Capability::Leases, "it keeps events and nothing else"),
            (Capability::Inline, "there is no database to keep a view in"),
        ]
    }

    async fn fresh(&self, setup: Setup) -> Result<Fixture> {
        let store = setup.clock.map_or_else(ModelStore::new, ModelStore::with_clock);
        Ok(Fixture::new(Arc::new(store)))
    }
}

conformance_tests::suite!(Model);
