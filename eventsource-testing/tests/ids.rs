//! With ids and time from outside, two runs leave the same log, to the letter.

use std::sync::Arc;

use eventsource_core::{
    Aggregate, Boundary, DecisionMaker, DomainEvent, EventStore, EventStoreExt, Filter, Repository,
    RetryPolicy, UnitOfWork,
};
use eventsource_memory::MemoryStore;
use eventsource_testing::{Fault, Faults, Faulty, ManualClock, SequentialIds};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, DomainEvent)]
enum CounterEvent {
    Counted { to: u64 },
}

#[derive(Default)]
struct Counter(u64);

impl Aggregate for Counter {
    const TYPE: &'static str = "Counter";
    type Command = u64;
    type Event = CounterEvent;
    type Rejection = std::convert::Infallible;

    fn decide(&self, by: &u64) -> Result<Vec<CounterEvent>, Self::Rejection> {
        Ok((1..=*by).map(|more| CounterEvent::Counted { to: self.0 + more }).collect())
    }

    fn apply(&mut self, CounterEvent::Counted { to }: &CounterEvent) {
        self.0 = *to;
    }
}

/// What each of the three ways to decide leaves in a log; the first answer to an append is lost.
async fn log_of_a_run() -> Vec<String> {
    let (clock, ids) = (ManualClock::at("2026-01-02T09:00:00Z"), SequentialIds::new());
    let faults = Faults::in_order([Fault::AfterCommit]);
    let store = Faulty::new(MemoryStore::with_clock(Arc::new(clock))).on_append(faults);
    let patient = RetryPolicy::default().seeded(1);

    let counters = Repository::<Counter, _>::new(store.clone()).ids(ids.clone()).retry(patient);
    let (one, other) = (ids.next_uuid(), ids.next_uuid());
    counters.execute(one, &2).await.expect("it counts");

    let decisions = DecisionMaker::new(store.clone()).ids(ids.clone());
    let all = Boundary::of_types(["Counted"]).count();
    let count_once_more = |count| Ok::<_, ()>(vec![CounterEvent::Counted { to: count + 1 }]);
    decisions.decide(all, count_once_more).await.expect("it counts");

    let both = (counters.participant(one), counters.participant(other));
    let work = UnitOfWork::new(store.clone()).ids(ids.clone());
    work.execute(both, |(one, other)| one.execute(&1).and_then(|()| other.execute(&1)))
        .await
        .expect("both count");

    assert_eq!(store.faults_met(), 1);
    let log = store.query(&Filter::all()).await.expect("the log can be read").events;
    log.iter().map(|event| event.to_json().expect("an event is JSON")).collect()
}

#[tokio::test(start_paused = true)]
async fn two_runs_leave_the_same_log() {
    let log = log_of_a_run().await;
    assert_eq!(log, log_of_a_run().await);
    for (number, event) in (3..).zip(&log) {
        assert!(event.contains(&format!("00000000-0000-0000-0000-{number:012}")), "{event}");
    }
    assert_eq!(log.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_is_made_anew_has_new_ids() {
    let (memory, ids) = (MemoryStore::new(), SequentialIds::new());
    let others = memory.clone();
    let decisions = DecisionMaker::new(memory.clone()).ids(ids.clone());
    let decide = |count: u64| {
        if count == 0 {
            // Somebody else is faster, once.
            let event = CounterEvent::Counted { to: 1 }.encode().unwrap();
            let append = others.append(eventsource_core::Append::events([event]));
            futures_util::FutureExt::now_or_never(append).unwrap().unwrap();
        }
        Ok::<_, ()>(vec![CounterEvent::Counted { to: count + 1 }])
    };
    decisions.decide(Boundary::of_types(["Counted"]).count(), decide).await.unwrap();
    let last = memory.last(&Filter::all()).await.unwrap().unwrap();
    assert_eq!(last.id().as_uuid().as_u128(), 2, "the first id went to the decision that came too late");
}
