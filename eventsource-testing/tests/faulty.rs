//! What a faulty store does to calls: at the calls that it was told to, and to no others.

use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{
    Append, Appended, Capability, Clock, ErrorKind, EventStore, EventStoreExt, Filter, NewEvent, Payload,
    Position, Result, Snapshot, SnapshotKey, SnapshotStore, StreamId,
};
use eventsource_memory::MemoryStore;
use eventsource_testing::{Fault, Faults, Faulty, ManualClock, SequentialIds};

fn append() -> Append {
    Append::events([NewEvent::new("Happened", &()).expect("it is valid")])
}

fn kind<T>(answer: Result<T>) -> Option<ErrorKind> {
    answer.err().map(|error| error.kind())
}

async fn kinds(store: &impl EventStore, calls: usize) -> Vec<Option<ErrorKind>> {
    let mut kinds = Vec::new();
    for _ in 0..calls {
        kinds.push(kind(store.append(append()).await));
    }
    kinds
}

const LOST: Option<ErrorKind> = Some(ErrorKind::Unavailable);
const UNKNOWN: Option<ErrorKind> = Some(ErrorKind::OutcomeUnknown);

#[tokio::test]
async fn a_script_is_followed_and_then_nothing_goes_wrong() {
    let memory = MemoryStore::new();
    let script = Faults::in_order([Fault::BeforeCommit, Fault::None, Fault::AfterCommit]);
    let store = Faulty::new(memory.clone()).on_append(script);
    assert_eq!(kinds(&store, 5).await, [LOST, None, UNKNOWN, None, None]);
    assert_eq!((store.faults_met(), memory.head().await.unwrap()), (2, Position::from_raw(4)));
}

#[tokio::test]
async fn the_nth_call_is_hit() {
    let faults = Faults::none().nth(2, Fault::AfterCommit).nth(5, Fault::BeforeCommit);
    let store = Faulty::new(MemoryStore::new()).on_append(faults);
    assert_eq!(kinds(&store, 6).await, [None, UNKNOWN, None, None, LOST, None]);
}

#[tokio::test]
async fn chance_is_the_same_for_the_same_seed() {
    let faulty = |seed| {
        let faults = Faults::random(seed).percent(30, Fault::BeforeCommit).percent(30, Fault::AfterCommit);
        Faulty::new(MemoryStore::new()).on_append(faults)
    };
    let first = kinds(&faulty(7), 300).await;
    assert_eq!(first, kinds(&faulty(7), 300).await);
    assert_ne!(first, kinds(&faulty(8), 300).await);
    for hit in [LOST, UNKNOWN, None] {
        let count = first.iter().filter(|kind| **kind == hit).count();
        assert!((50..200).contains(&count), "{hit:?}: {count}");
    }
    let always =
        Faulty::new(MemoryStore::new()).on_append(Faults::random(1).percent(100, Fault::BeforeCommit));
    assert_eq!(kinds(&always, 50).await, vec![LOST; 50]);
}

#[tokio::test]
async fn reads_have_faults_of_their_own() {
    let faults =
        Faults::none().nth(1, Fault::BeforeCommit).nth(3, Fault::AfterCommit).nth(5, Fault::BeforeCommit);
    let store = Faulty::new(MemoryStore::new()).on_read(faults);
    store.append(append()).await.unwrap();
    let stream = StreamId::new("Order", SequentialIds::new().next_uuid()).unwrap();
    assert_eq!(kind(store.head().await), LOST);
    assert_eq!(kind(store.head().await), None);
    assert_eq!(kind(store.query(&Filter::all()).await), LOST);
    assert_eq!(kind(store.query(&Filter::all()).await), None);
    assert_eq!(kind(store.stream_version(&stream).await), LOST);
    assert_eq!(kind(store.stream_version(&stream).await), None);
    assert_eq!(store.faults_met(), 3);
}

#[tokio::test]
async fn snapshots_have_faults_of_their_own() {
    let faults =
        Faults::none().nth(1, Fault::BeforeCommit).nth(3, Fault::AfterCommit).nth(5, Fault::BeforeCommit);
    let store = Faulty::new(MemoryStore::new()).on_snapshots(faults);
    let key = SnapshotKey::view("count", Filter::all().fingerprint()).unwrap();
    let snapshot = Snapshot {
        key: key.clone(),
        version: None,
        position: Position::from_raw(1),
        event_id: SequentialIds::new().next_id(),
        schema_version: 1,
        state: Payload::from_json("1").unwrap(),
        taken_at: ManualClock::at("2026-01-02T09:00:00Z").now(),
    };
    assert_eq!(kind(store.save_snapshot(snapshot.clone()).await), LOST);
    assert_eq!(store.load_snapshot(&key).await.unwrap(), None, "it never came there");
    assert_eq!(kind(store.save_snapshot(snapshot.clone()).await), LOST);
    assert_eq!(store.load_snapshot(&key).await.unwrap(), Some(snapshot), "only the answer was lost");
    assert_eq!(kind(store.delete_snapshot(&key).await), LOST);
    store.delete_snapshot(&key).await.unwrap();
    assert_eq!(store.faults_met(), 3);
}

#[tokio::test(start_paused = true)]
async fn delays_come_before_or_after() {
    let memory = MemoryStore::new();
    let hour = Duration::from_secs(3_600);
    let faults = Faults::in_order([Fault::Late(hour), Fault::AnsweredLate(hour)]);
    let store = Arc::new(Faulty::new(memory.clone()).on_append(faults));
    for (head, name) in [(0, "late"), (2, "answered late")] {
        let calling = store.clone();
        let call = tokio::spawn(async move { calling.append(append()).await });
        tokio::time::sleep(hour / 2).await;
        assert_eq!(memory.head().await.unwrap(), Position::from_raw(head), "{name}");
        assert!(!call.is_finished());
        call.await.unwrap().unwrap();
    }
}

/// A store that takes its time, so that a future of it can be dropped in the middle.
#[tokio::test]
async fn a_cancelled_call_is_dropped_where_it_is() {
    let memory = MemoryStore::new();
    // Its answer comes late, so the first poll writes and the second never comes.
    let slow = Faulty::new(memory.clone())
        .on_append(Faults::in_order([Fault::AnsweredLate(Duration::from_secs(3_600))]));
    let polls = |polls| Fault::Cancelled { polls };
    let store = Faulty::new(slow).on_append(Faults::in_order([polls(0), polls(1), polls(1)]));
    assert_eq!(kind(store.append(append()).await), UNKNOWN);
    assert_eq!(memory.head().await.unwrap(), Position::START, "it was never polled");
    assert_eq!(kind(store.append(append()).await), UNKNOWN);
    assert_eq!(memory.head().await.unwrap(), Position::from_raw(1), "it was dropped behind the commit");
    let answered: Appended = store.append(append()).await.unwrap();
    assert_eq!(answered.last, Position::from_raw(2), "what answers at once is not cancelled");
}

#[tokio::test]
async fn everything_else_is_the_stores() {
    let memory = MemoryStore::new();
    let faults = || Faults::random(1).percent(100, Fault::BeforeCommit);
    let store = Faulty::new(memory.clone()).on_append(faults()).on_read(faults());
    let mut changes = store.changes();
    memory.append(append()).await.unwrap();
    changes.changed().await.unwrap();
    assert!(!store.capabilities().has(Capability::Durable));
    store.close().await.unwrap();
    assert_eq!(kind(memory.head().await), LOST);
}
