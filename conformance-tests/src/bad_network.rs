//! A case's stores on a bad network: calls and answers are lost, and futures dropped in the middle.

use std::sync::Arc;

use eventsource_consumers::ConsumerStore;
use eventsource_core::{CheckpointStore, DeadLetters, EventStore, Leases, LogIdentity, Outbox};
use eventsource_testing::{Fault, Faults, Faulty};

use crate::{CaseResult, Cx, Failure};

/// What a consumer, a group or a relay calls. The same calls are lost for the same seed.
pub(crate) struct BadNetwork {
    events: Faulty<Arc<dyn EventStore>>,
    identity: Faulty<Arc<dyn LogIdentity>>,
    checkpoints: Faulty<Arc<dyn CheckpointStore>>,
    dead_letters: Faulty<Arc<dyn DeadLetters>>,
    leases: Faulty<Arc<dyn Leases>>,
}

impl BadNetwork {
    pub(crate) fn before(cx: &Cx) -> Self {
        let lossy = |which| lossy(cx, which);
        Self {
            events: Faulty::new(cx.store().clone()).on_read(lossy(1)),
            identity: Faulty::new(cx.identity().clone()).on_read(lossy(2)),
            checkpoints: Faulty::new(cx.checkpoints().clone()).on_checkpoints(lossy(3)),
            dead_letters: Faulty::new(cx.dead_letters().clone()).on_dead_letters(lossy(4)),
            leases: Faulty::new(cx.leases().clone()).on_leases(lossy(5)),
        }
    }

    pub(crate) fn consumer_store(&self) -> ConsumerStore {
        ConsumerStore {
            events: Arc::new(self.events.clone()),
            identity: Arc::new(self.identity.clone()),
            checkpoints: Arc::new(self.checkpoints.clone()),
            dead_letters: Arc::new(self.dead_letters.clone()),
        }
    }

    pub(crate) fn leases(&self) -> Faulty<Arc<dyn Leases>> {
        self.leases.clone()
    }

    /// That calls of every kind were lost that a consumer makes.
    pub(crate) fn was_bad_for_a_consumer(&self) -> CaseResult {
        was_bad([self.events.faults_met(), self.checkpoints.faults_met(), self.dead_letters.faults_met()])
    }

    /// That calls of every kind were lost that a group makes.
    pub(crate) fn was_bad_for_a_group(&self) -> CaseResult {
        was_bad([self.events.faults_met(), self.checkpoints.faults_met(), self.leases.faults_met()])
    }
}

fn was_bad(met: [u64; 3]) -> CaseResult {
    if met.contains(&0) { Err(Failure::new(format!("the network was not bad: {met:?}"))) } else { Ok(()) }
}

/// An outbox behind it.
pub(crate) fn outbox(cx: &Cx, outbox: Arc<dyn Outbox>) -> Faulty<Arc<dyn Outbox>> {
    Faulty::new(outbox).on_outbox(lossy(cx, 6))
}

/// The first call, whatever chance says: a case with few calls meets a fault as well. Of the others about every fourth.
fn lossy(cx: &Cx, which: u64) -> Faults {
    Faults::random(cx.seed().wrapping_mul(31).wrapping_add(which))
        .nth(1, Fault::AfterCommit)
        .percent(8, Fault::BeforeCommit)
        .percent(8, Fault::AfterCommit)
        .percent(8, Fault::Cancelled { polls: 1 })
}
