//! Repositories and decisions over a log that an older program wrote.

use std::convert::Infallible;

use eventsource_core::{
    Aggregate, Append, Boundary, DecisionMaker, Decoder, DomainEvent, EventRegistry, EventStore,
    ExpectedVersion, NewEvent, Repository, StreamId,
};
use eventsource_memory::MemoryStore;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

#[derive(Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
enum CounterEvent {
    #[event(version = 2)]
    Counted {
        #[event(tag = "counter")]
        counter: Uuid,
        by: u64,
    },
}

#[derive(Default)]
struct Counter(u64);

impl Aggregate for Counter {
    const TYPE: &'static str = "Counter";
    type Command = (Uuid, u64);
    type Event = CounterEvent;
    type Rejection = Infallible;

    fn decide(&self, (counter, by): &(Uuid, u64)) -> Result<Vec<CounterEvent>, Infallible> {
        Ok(vec![CounterEvent::Counted { counter: *counter, by: *by }])
    }

    fn apply(&mut self, CounterEvent::Counted { by, .. }: &CounterEvent) {
        self.0 += by;
    }
}

fn registry() -> EventRegistry {
    EventRegistry::builder()
        .event::<CounterEvent>()
        .upcast(("Counted", 1), ("Counted", 2), |mut counted, event| {
            counted["counter"] = json!(event.stream().map(StreamId::aggregate_id));
            Ok(counted)
        })
        .split(("CountedTwice", 1), [("Counted", 1)], |by, _| {
            Ok(vec![("Counted", json!({ "by": by })), ("Counted", json!({ "by": by }))])
        })
        .drop_event(("LookedAt", 1))
        .build()
        .expect("it works")
}

/// A counter that stands at 10, as an older program wrote it.
async fn old_counter(store: &MemoryStore) -> Uuid {
    let id = Uuid::now_v7();
    let events = [
        NewEvent::new("Counted", &json!({"by": 4})).expect("it works"),
        NewEvent::new("LookedAt", &()).expect("it works"),
        NewEvent::new("CountedTwice", &3).expect("it works"),
    ];
    let events = events.map(|event| event.tag("counter", id).expect("it works"));
    let stream = StreamId::new("Counter", id).expect("it works");
    store.append(Append::to_stream(stream, ExpectedVersion::NoStream, events)).await.expect("it works");
    id
}

#[tokio::test]
async fn a_repository_goes_on_with_an_aggregate_that_an_older_program_wrote() {
    let store = MemoryStore::new();
    let id = old_counter(&store).await;
    assert!(Repository::<Counter, _>::new(&store).load(id).await.is_err());
    let counters = Repository::<Counter, _>::new(&store).decoder(registry().decoder().expect("it works"));
    assert_eq!(counters.load(id).await.expect("it works").expect("it works").state().0, 10);
    let root = counters.execute(id, &(id, 5)).await.expect("it works");
    assert_eq!((root.state().0, root.version().expect("it works").get()), (15, 4));
}

#[tokio::test]
async fn a_decision_knows_what_an_older_program_wrote() {
    let store = MemoryStore::new();
    let id = old_counter(&store).await;
    let decoder = registry().decoder::<CounterEvent>().expect("it works");
    let sum = Boundary::of_types(decoder.event_types().expect("it works")).tagged("counter", id).fold_with(
        decoder,
        0,
        |sum, CounterEvent::Counted { by, .. }| sum + by,
    );
    assert_eq!(DecisionMaker::new(&store).known(&sum).await.expect("it works").state, 10);
}
