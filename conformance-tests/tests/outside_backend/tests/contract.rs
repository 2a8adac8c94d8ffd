//! The contract on a store outside the workspace.

use std::sync::Arc;

use async_trait::async_trait;
use conformance_tests::{Fixture, Harness, Setup};
use eventsource_core::{Capability, Result, SystemClock};
use outside_backend::VecStore;

struct Outside;

#[async_trait]
impl Harness for Outside {
    fn name(&self) -> &'static str {
        "outside"
    }

    fn lacks(&self) -> &'static [(Capability, &'static str)] {
        &[
            (Capability::Durable, "the log is gone with the process"),
            (Capability::Shared, "another process has no way to it"),
            (Capability::Transactional, "a caller has no transaction to bring"),
            (Capability::Outbox, "nothing is published from it"),
            (Capability::Snapshots, "it keeps events only"),
            (Capability::Checkpoints, "it keeps events and nothing else"),
            (Capability::DeadLetters, "it keeps events and nothing else"),
            (Capability::Leases, "it keeps events and nothing else"),
            (Capability::Inline, "there is no database to keep a view in"),
        ]
    }

    async fn fresh(&self, setup: Setup) -> Result<Fixture> {
        let clock = setup.clock.unwrap_or_else(|| Arc::new(SystemClock));
        Ok(Fixture::new(Arc::new(VecStore::new(clock))))
    }
}

conformance_tests::suite!(Outside);
