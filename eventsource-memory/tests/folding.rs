//! However a state is folded, it is the same: from the start, page by page, or on from any snapshot.

use std::sync::Arc;

use async_trait::async_trait;
use eventsource_core::{
    Aggregate, Append, Appended, Boundary, Capabilities, Changes, DecisionMaker, DomainEvent, EventStore,
    ExpectedVersion, Filter, NewEvent, Page, Payload, Position, ReadOptions, RecordedEvent, Repository,
    Result, Snapshot, SnapshotKey, SnapshotPolicy, SnapshotStore, Snapshots, StreamId, Tag, Version,
};
use eventsource_memory::MemoryStore;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A store whose pages are as short as it likes.
#[derive(Clone, Debug)]
struct Paged {
    store: MemoryStore,
    longest: u64,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventStore for Paged {
    async fn append(&self, append: Append) -> Result<Appended> {
        self.store.append(append).await
    }

    async fn read_page(&self, filter: &Filter, options: &ReadOptions) -> Result<Page> {
        let limit = options.max_events().map_or(self.longest, |limit| limit.min(self.longest));
        self.store.read_page(filter, &options.clone().limit(limit)).await
    }

    async fn head(&self) -> Result<Position> {
        self.store.head().await
    }

    async fn stream_version(&self, stream: &StreamId) -> Result<Option<Version>> {
        self.store.stream_version(stream).await
    }

    fn changes(&self) -> Changes {
        self.store.changes()
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn close(&self) -> Result<()> {
        self.store.close().await
    }
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Step {
    Stepped { by: u64 },
}

impl DomainEvent for Step {
    fn tags(&self) -> Result<Vec<Tag>> {
        let Self::Stepped { by } = self;
        Ok(vec![Tag::new("parity", by % 2)?])
    }
}

/// Depends on every event and on their order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Walk(u64);

impl Walk {
    fn step(&mut self, by: u64) {
        self.0 = self.0.wrapping_mul(31).wrapping_add(by + 1);
    }
}

impl Aggregate for Walk {
    const TYPE: &'static str = "Walk";
    type Command = u64;
    type Event = Step;
    type Rejection = std::convert::Infallible;

    fn decide(&self, by: &u64) -> Result<Vec<Step>, Self::Rejection> {
        Ok(vec![Step::Stepped { by: *by }])
    }

    fn apply(&mut self, event: &Step) {
        let Step::Stepped { by } = event;
        self.step(*by);
    }
}

/// A log of appends: some of the walk's steps, some of another's in between.
async fn log(id: Uuid, appends: &[Vec<u64>]) -> Result<(MemoryStore, Vec<RecordedEvent>)> {
    let (store, other) = (MemoryStore::new(), Uuid::now_v7());
    for (number, steps) in appends.iter().enumerate() {
        for id in if number % 3 == 0 { vec![id, other] } else { vec![id] } {
            let events = steps.iter().map(|by| Step::Stepped { by: *by }.encode());
            let events: Vec<NewEvent> = events.collect::<Result<_>>()?;
            let stream = StreamId::new("Walk", id)?;
            store.append(Append::to_stream(stream, ExpectedVersion::Any, events)).await?;
        }
    }
    let own = Filter::all().in_stream(StreamId::new("Walk", id)?);
    let events = store.read_page(&own, &ReadOptions::new().limit(u64::MAX)).await?.events;
    Ok((store, events))
}

fn walked(events: &[RecordedEvent]) -> Walk {
    let mut walk = Walk::default();
    for event in events {
        walk.apply(&Step::decode(event).expect("a step"));
    }
    walk
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn an_aggregate_is_the_same_however_it_is_folded(
        appends in prop::collection::vec(prop::collection::vec(any::<u8>().prop_map(u64::from), 1..9), 1..24),
        longest in 1..12_u64,
        cut in any::<prop::sample::Index>(),
    ) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let id = Uuid::now_v7();
            let (store, events) = log(id, &appends).await.unwrap();
            let whole = walked(&events);
            let paged = Paged { store: store.clone(), longest };
            let loaded = Repository::<Walk, _>::new(paged.clone()).load(id).await.unwrap().unwrap();
            assert_eq!(loaded.state(), &whole);

            // From a snapshot at any event.
            let at = cut.index(events.len());
            let kept = Arc::new(MemoryStore::new());
            let snapshots = Snapshots::new(kept.clone(), SnapshotPolicy::never());
            kept.save_snapshot(Snapshot {
                key: SnapshotKey::stream(loaded.stream().clone()),
                version: events[at].version(),
                position: events[at].position(),
                event_id: events[at].id(),
                schema_version: 1,
                state: Payload::from_serialize(&walked(&events[..=at])).unwrap(),
                taken_at: events[at].recorded_at(),
            })
            .await
            .unwrap();
            let walks = Repository::<Walk, _>::new(paged).snapshots(snapshots.clone(), 1);
            let restored = walks.load(id).await.unwrap().unwrap();
            assert_eq!((restored.state(), restored.version()), (&whole, loaded.version()));
            assert_eq!(snapshots.statistics().used, 1);
            let past = walks.load_at(id, events[at].version().unwrap()).await.unwrap().unwrap();
            assert_eq!(past.state(), &walked(&events[..=at]));
        });
    }

    #[test]
    fn views_know_the_same_however_they_are_folded(
        appends in prop::collection::vec(prop::collection::vec(any::<u8>().prop_map(u64::from), 1..9), 1..24),
        longest in 1..12_u64,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let (store, _) = log(Uuid::now_v7(), &appends).await.unwrap();
            let all = store.read_page(&Filter::all(), &ReadOptions::new().limit(u64::MAX)).await.unwrap().events;
            let walk = |parity: u64| {
                Boundary::of_tag("parity", parity)
                    .fold(Walk::default(), |mut walk: Walk, Step::Stepped { by }| {
                        walk.step(by);
                        walk
                    })
                    .snapshot("walk", 1)
            };
            let expected = |parity: u64, events: &[RecordedEvent]| {
                let parity = Tag::new("parity", parity).unwrap();
                let own = events.iter().filter(|event| event.tags().contains(&parity)).cloned();
                walked(&own.collect::<Vec<_>>())
            };
            // A log that grows, looked at now and then by a decision maker that keeps snapshots.
            let growing = Paged { store: MemoryStore::new(), longest };
            let kept = Arc::new(MemoryStore::new());
            let snapshots = Snapshots::new(kept, SnapshotPolicy::never().events(1));
            let decisions = DecisionMaker::new(growing.clone()).snapshots(snapshots);
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(all.len())).collect();
            ends.push(all.len());
            ends.sort_unstable();
            let mut grown = 0;
            for (turn, end) in ends.into_iter().enumerate() {
                let more = all[grown..end].iter().map(|event| Step::decode(event).unwrap().encode().unwrap());
                let more: Vec<_> = more.collect();
                if !more.is_empty() {
                    growing.append(Append::events(more)).await.unwrap();
                }
                grown = end;
                // The one view is looked at each time, the other not, so that their snapshots lie apart.
                if turn % 2 == 0 {
                    assert_eq!(decisions.known(&walk(0)).await.unwrap().state, expected(0, &all[..end]));
                }
                let known = decisions.known(&(walk(1), walk(0))).await.unwrap();
                assert_eq!(known.state, (expected(1, &all[..end]), expected(0, &all[..end])));
            }
        });
    }
}
