//! The repository over a store: what the types of the core do together.

use std::sync::Arc;

use eventsource_core::{
    Aggregate, Conflict, DomainEvent, ErrorKind, EventStore, EventStoreExt, ExecuteError, ExpectedVersion,
    NewEvent, Repository, StreamId, Version,
};
use eventsource_memory::MemoryStore;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum CounterEvent {
    Counted { by: u64 },
}

impl DomainEvent for CounterEvent {}

#[derive(Debug, PartialEq)]
struct TooMuch;

impl std::fmt::Display for TooMuch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("too much")
    }
}

impl std::error::Error for TooMuch {}

#[derive(Debug, Default, PartialEq)]
struct Counter {
    count: u64,
}

impl Aggregate for Counter {
    const TYPE: &'static str = "Counter";
    type Command = u64;
    type Event = CounterEvent;
    type Rejection = TooMuch;

    fn decide(&self, by: &u64) -> Result<Vec<CounterEvent>, TooMuch> {
        match by {
            0 => Ok(Vec::new()),
            by if self.count + by > 1_000 => Err(TooMuch),
            by => Ok(vec![CounterEvent::Counted { by: *by }]),
        }
    }

    fn apply(&mut self, event: &CounterEvent) {
        let CounterEvent::Counted { by } = event;
        self.count += by;
    }
}

fn repository() -> (Repository<Counter, Arc<dyn EventStore>>, Uuid) {
    (Repository::new(Arc::new(MemoryStore::new())), Uuid::now_v7())
}

#[tokio::test]
async fn what_was_saved_is_loaded() {
    let (counters, id) = repository();
    assert!(counters.load(id).await.unwrap().is_none());
    let mut counter = counters.create(id).unwrap();
    counter.execute(&3).unwrap();
    counter.execute(&4).unwrap();
    assert_eq!((counter.version(), counter.pending().len()), (None, 2));
    counters.save(&mut counter).await.unwrap();
    assert_eq!((counter.version(), counter.pending().len()), (Some(Version::new(2).unwrap()), 0));
    let loaded = counters.load(id).await.unwrap().unwrap();
    assert_eq!((loaded.state(), loaded.version()), (&Counter { count: 7 }, counter.version()));
    assert!(counters.exists(id).await.unwrap());
}

#[tokio::test]
async fn a_rejection_changes_nothing() {
    let (counters, id) = repository();
    let mut counter = counters.create(id).unwrap();
    assert_eq!(counter.execute(&1_001), Err(TooMuch));
    assert_eq!(counter.pending().len(), 0);
    let rejected = counters.execute(id, &1_001).await.unwrap_err();
    assert!(matches!(rejected, ExecuteError::Rejected(TooMuch)));
    assert!(!counters.exists(id).await.unwrap());
}

#[tokio::test]
async fn nothing_to_do_stores_nothing() {
    let (counters, id) = repository();
    assert_eq!(counters.execute(id, &0).await.unwrap().version(), None);
    assert!(!counters.exists(id).await.unwrap());
}

#[tokio::test]
async fn who_saves_second_is_told_by_whom() {
    let (counters, id) = repository();
    let (mut one, mut other) = (counters.create(id).unwrap(), counters.create(id).unwrap());
    one.execute(&1).unwrap();
    other.execute(&2).unwrap();
    counters.save(&mut one).await.unwrap();
    let error = counters.save(&mut other).await.unwrap_err();
    let Some(Conflict::StreamVersion { expected, actual, .. }) = error.conflict() else {
        panic!("{error:?}")
    };
    assert_eq!((*expected, *actual), (ExpectedVersion::NoStream, Some(Version::FIRST)));
    assert_eq!(other.pending().len(), 1);
}

#[tokio::test]
async fn contending_commands_are_all_carried_out() {
    let (counters, id) = repository();
    let commands = (0..8).map(|_| counters.execute(id, &5));
    for outcome in futures_util::future::join_all(commands).await {
        outcome.unwrap();
    }
    assert_eq!(counters.load(id).await.unwrap().unwrap().state().count, 40);
}

#[tokio::test]
async fn an_event_that_is_not_the_aggregates_is_an_error() {
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let id = Uuid::now_v7();
    let stream = StreamId::new("Counter", id).unwrap();
    let stranger = NewEvent::new("Exploded", &()).unwrap();
    store.append_to_stream(stream, ExpectedVersion::NoStream, vec![stranger]).await.unwrap();
    let error = Repository::<Counter, _>::new(store).load(id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}
