//! Filters mean in SQL what they mean in `Filter::matches`: random events, random filters, both judged; for reads of
//! every kind and for conditions, against stored events and against events of the same batch.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, TimeDelta, Utc};
use eventsource_core::{
    AggregateType, Append, Conflict, Direction, EventStore, ExpectedVersion, Filter, FilterItem, NewEvent,
    Position, ReadOptions, RecordedEvent, StreamId, TenantId,
};
use eventsource_postgres::{PayloadIndex, PostgresStore};
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn without_a_payload_index() {
    agree("no_index", PayloadIndex::None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_gin_index() {
    agree("gin", PayloadIndex::Gin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_indexed_keys() {
    agree("keys", PayloadIndex::Keys(vec!["k".into(), "Other".into()])).await;
}

async fn agree(name: &str, index: PayloadIndex) {
    #[expect(clippy::disallowed_methods, reason = "a seed of its own for every run, which is printed")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let seed = u64::try_from(now & u128::from(u64::MAX)).unwrap();
    println!("seed {seed}");
    let mut random = Random(seed);
    let store =
        PostgresStore::connect(support::config(name).await.payload_index(index).unwrap()).await.unwrap();
    for _ in 0..300 {
        let count = 1 + random.below(3);
        let stream = (random.below(3) > 0).then(|| random.stream());
        let events: Vec<NewEvent> = (0..count).map(|_| random.event()).collect();
        let append = match stream {
            Some(stream) => Append::to_stream(stream, ExpectedVersion::Any, events),
            None => Append::events(events),
        };
        store.append(append).await.unwrap();
    }
    let all = store.read_page(&Filter::all(), &ReadOptions::new().limit(100_000)).await.unwrap().events;
    for round in 0..300 {
        let filter = random.filter();
        reads_agree(&store, &all, &filter, &mut random, round).await;
        conditions_agree(&store, &all, &filter, &mut random).await;
    }
    batches_agree(&store, &mut random).await;
    store.close().await.unwrap();
}

async fn reads_agree(
    store: &PostgresStore,
    all: &[RecordedEvent],
    filter: &Filter,
    random: &mut Random,
    round: usize,
) {
    let mut options = ReadOptions::new();
    if random.below(2) == 0 {
        options = options.after(random.position());
    }
    if random.below(3) == 0 {
        options = options.until(random.position());
    }
    if random.below(8) == 0 {
        options = options.until(Position::MAX);
    }
    if filter.scope().stream().is_some() && random.below(2) == 0 {
        options = options.from_version(2_u64.try_into().unwrap()).until_version(9_u64.try_into().unwrap());
    }
    if random.below(2) == 0 {
        options = options.backward();
    }
    let limit = if random.below(2) == 0 { 1 + random.below(9) } else { 10_000 };
    let options = options.limit(limit as u64);
    let mut expected: Vec<&RecordedEvent> =
        all.iter().filter(|event| filter.matches(event) && options.admits(event)).collect();
    if options.direction() == Direction::Backward {
        expected.reverse();
    }
    expected.truncate(limit);
    let page = store.read_page(filter, &options).await.unwrap();
    assert_eq!(
        page.events.iter().map(RecordedEvent::position).collect::<Vec<_>>(),
        expected.iter().map(|event| event.position()).collect::<Vec<_>>(),
        "round {round}: {filter:?} {options:?}"
    );
    assert_eq!(page.more, page.events.len() == limit);
}

async fn conditions_agree(
    store: &PostgresStore,
    all: &[RecordedEvent],
    filter: &Filter,
    random: &mut Random,
) {
    let after = [Position::START, random.position(), Position::MAX][random.below(3)];
    let expected = all.iter().find(|event| filter.matches(event) && event.position() > after);
    // An append that is refused for its stream, if the condition lets it pass: it must leave no trace.
    let taken = all.iter().find_map(RecordedEvent::stream).unwrap().clone();
    let probe = |expected| {
        Append::to_stream(taken.clone(), expected, [support::event("Probe")])
            .fail_if(filter.clone())
            .after(after)
    };
    match expected {
        None => {
            let error = store.append(probe(ExpectedVersion::NoStream)).await.unwrap_err();
            assert!(matches!(error.conflict(), Some(Conflict::StreamVersion { .. })), "{error:?}");
        }
        Some(expected) => {
            let error = store.append(probe(ExpectedVersion::Any)).await.unwrap_err();
            let Some(Conflict::Condition { position, event_type }) = error.conflict() else {
                panic!("{filter:?} after {after}: {error:?}");
            };
            assert_eq!((*position, event_type), (expected.position(), expected.event_type()), "{filter:?}");
        }
    }
}

/// Many conditional appends at once: whatever batches they form, the log must justify every verdict.
async fn batches_agree(store: &PostgresStore, random: &mut Random) {
    for _ in 0..20 {
        let before = store.head().await.unwrap();
        let mut tasks = Vec::new();
        for _ in 0..24 {
            let (filter, event, store) = (random.filter(), random.event(), store.clone());
            tasks.push(tokio::spawn(async move {
                let append = Append::events([event]).fail_if(filter.clone()).after(before);
                (filter, store.append(append).await)
            }));
        }
        let mut verdicts = Vec::new();
        for task in tasks {
            verdicts.push(task.await.unwrap());
        }
        let since = store
            .read_page(&Filter::all(), &ReadOptions::new().after(before).limit(1_000))
            .await
            .unwrap()
            .events;
        for (filter, verdict) in verdicts {
            let first_match = since.iter().find(|event| filter.matches(event));
            match verdict {
                Ok(appended) => assert!(
                    first_match.is_none_or(|event| event.position() >= appended.first),
                    "accepted at {} although {filter:?} matches at {:?}",
                    appended.first,
                    first_match.map(RecordedEvent::position)
                ),
                Err(error) => {
                    let Some(Conflict::Condition { position, event_type }) = error.conflict() else {
                        panic!("{error:?}");
                    };
                    let event = first_match.unwrap_or_else(|| panic!("{filter:?} matches nothing"));
                    assert_eq!((*position, event_type), (event.position(), event.event_type()));
                }
            }
        }
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap()
    }

    fn position(&mut self) -> Position {
        Position::from_raw(self.below(700) as u64)
    }

    fn word(&mut self) -> &'static str {
        ["A", "b\"\\{},", "NULL", "ä'$1"][self.below(4)]
    }

    fn stream(&mut self) -> StreamId {
        let id = Uuid::from_u128(1 + self.below(4) as u128);
        StreamId::new(["Order", "Bill"][self.below(2)], id).unwrap()
    }

    fn tenant(&mut self) -> TenantId {
        TenantId::new(Uuid::from_u128(1 + self.below(2) as u128)).unwrap()
    }

    fn time(&mut self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::microseconds(i64::try_from(self.below(6)).unwrap())
    }

    fn scalar(&mut self) -> serde_json::Value {
        let scalars = [
            "null",
            "true",
            "1",
            "1.0",
            "1e0",
            "0.1",
            "\"1\"",
            "\"A\\\"\"",
            "\"\"",
            "-0",
            "18446744073709551615",
        ];
        serde_json::from_str(scalars[self.below(scalars.len())]).unwrap()
    }

    fn payload(&mut self) -> serde_json::Value {
        let (one, two) = (self.scalar(), self.scalar());
        match self.below(7) {
            0 => serde_json::json!({"k": one}),
            1 => serde_json::json!({"k": [one]}),
            2 => serde_json::json!({"k": {"k": one}, "Other": two}),
            3 => serde_json::json!([{"k": one}]),
            4 => serde_json::json!({"Other": one, "k": {"Other": two}}),
            5 => one,
            _ => serde_json::json!({"k": one, "Other": two, "more": "x"}),
        }
    }

    fn event(&mut self) -> NewEvent {
        let mut event = NewEvent::new(self.word(), &self.payload()).unwrap();
        for _ in 0..self.below(4) {
            event = event.tag("unit", self.word()).unwrap();
        }
        if self.below(2) == 0 {
            event = event.tenant(self.tenant());
        }
        if self.below(2) == 0 {
            event = event.occurred_at(self.time()).unwrap();
        }
        event
    }

    fn item(&mut self) -> FilterItem {
        loop {
            let mut item = FilterItem::new();
            for _ in 0..self.below(3) {
                item = item.event_type(self.word()).unwrap();
            }
            for _ in 0..self.below(3) {
                item = item.tag("unit", self.word()).unwrap();
            }
            if self.below(3) == 0 {
                for _ in 0..=self.below(2) {
                    let (key, value) = (["k", "Other"][self.below(2)], self.scalar());
                    item = match self.below(3) {
                        0 => item.all_payload(key, &value).unwrap(),
                        1 => item.any_payload(key, &value).unwrap(),
                        _ => item.any_payload(["k", key], &value).unwrap(),
                    };
                }
            }
            if !item.is_empty() {
                return item;
            }
        }
    }

    fn filter(&mut self) -> Filter {
        let mut filter = if self.below(6) == 0 {
            Filter::all()
        } else {
            let count = 1 + self.below(3);
            Filter::any_of((0..count).map(|_| self.item())).unwrap()
        };
        if self.below(6) == 0 {
            filter = filter.in_tenant(self.tenant());
        }
        if self.below(8) == 0 {
            filter = filter.of_aggregate_type(AggregateType::new("Order").unwrap());
        }
        if self.below(6) == 0 {
            filter = filter.in_stream(self.stream());
        }
        if self.below(10) == 0 {
            filter = filter.occurred_from(self.time()).unwrap();
        } else if self.below(10) == 0 {
            filter = filter.occurred_until(self.time()).unwrap();
        }
        filter
    }
}
