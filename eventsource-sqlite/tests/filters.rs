//! Filters in SQL against `Filter::matches`, over every index and every way to walk it.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use std::hash::{BuildHasher, Hasher, RandomState};

use chrono::{DateTime, TimeDelta, Utc};
use eventsource_core::{
    Append, Direction, EventStore, EventStoreExt, ExpectedVersion, Filter, FilterItem, NewEvent, Position,
    ReadOptions, RecordedEvent, StreamId, TenantId, Version,
};
use eventsource_sqlite::SqliteStore;
use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;

/// xorshift64*: the seed is printed, and `FILTER_SEED` repeats it.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let seed = match std::env::var("FILTER_SEED") {
            Ok(seed) => seed.parse().unwrap(),
            Err(_) => RandomState::new().build_hasher().finish() | 1,
        };
        println!("FILTER_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

fn stream(number: u64) -> StreamId {
    StreamId::new(
        ["Order", "Invoice"][usize::from(number.is_multiple_of(2))],
        Uuid::from_u64_pair(1, number / 2 + 1),
    )
    .unwrap()
}

fn tenant(number: u64) -> TenantId {
    TenantId::new(Uuid::from_u64_pair(2, number + 1)).unwrap()
}

fn time(minutes: u64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap() + TimeDelta::minutes(minutes.cast_signed())
}

fn event(dice: &mut Dice) -> NewEvent {
    let payload = serde_json::json!({"n": dice.below(4), "deep": {"flag": dice.one_in(2)}});
    let mut event = NewEvent::new(format!("Type{}", dice.below(5)), &payload).unwrap();
    for key in ["a", "b", "rare"] {
        if dice.one_in(if key == "rare" { 40 } else { 2 }) {
            event = event.tag(key, dice.below(3)).unwrap();
        }
    }
    if dice.one_in(2) {
        event = event.tenant(tenant(dice.below(3)));
    }
    event.occurred_at(time(dice.below(100))).unwrap()
}

/// Its first event lies behind this position, so that tags are moved when about half of the events are there.
const BEFORE: u64 = 3_700;

async fn filled(dice: &mut Dice) -> (TempDir, SqliteStore) {
    let (directory, path) = common::fresh();
    let store = common::open_at(&path, BEFORE.cast_signed()).await;
    for _ in 0..400 {
        let events: Vec<_> = (0..=dice.below(3)).map(|_| event(dice)).collect();
        let append = match dice.below(3) {
            0 => Append::events(events),
            _ => Append::to_stream(stream(dice.below(6)), ExpectedVersion::Any, events),
        };
        store.append(append).await.unwrap();
    }
    let own = Connection::open(&path).unwrap();
    for table in ["older_tags", "recent_tags"] {
        let count = format!("SELECT count(*) FROM {table}");
        assert!(own.query_row(&count, [], |row| row.get::<_, i64>(0)).unwrap() > 100, "{table}");
    }
    (directory, store)
}

fn item(dice: &mut Dice) -> FilterItem {
    let mut item = FilterItem::new();
    for _ in 0..dice.below(3) {
        item = item.event_type(format!("Type{}", dice.below(6))).unwrap();
    }
    for key in ["a", "b", "rare"] {
        if dice.one_in(3) {
            item = item.tag(key, dice.below(4)).unwrap();
        }
    }
    if dice.one_in(5) {
        item = item.all_payload("n", dice.below(5)).unwrap();
    }
    if dice.one_in(5) {
        item = item.any_payload("n", dice.below(5)).unwrap().any_payload(["deep", "flag"], true).unwrap();
    }
    if item.is_empty() { item.event_type("Type0").unwrap() } else { item }
}

fn filter(dice: &mut Dice) -> Filter {
    let items: Vec<_> = (0..dice.below(4)).map(|_| item(dice)).collect();
    let mut filter = if items.is_empty() { Filter::all() } else { Filter::any_of(items).unwrap() };
    if dice.one_in(4) {
        filter = filter.in_tenant(tenant(dice.below(4)));
    }
    if dice.one_in(4) {
        filter =
            filter.of_aggregate_type(["Order", "Invoice"][usize::from(dice.one_in(2))].try_into().unwrap());
    }
    if dice.one_in(4) {
        filter = filter.in_stream(stream(dice.below(7)));
    }
    if dice.one_in(6) {
        filter = filter.occurred_from(time(dice.below(50))).unwrap();
    }
    if dice.one_in(6) {
        filter = filter.occurred_until(time(50 + dice.below(50))).unwrap();
    }
    filter
}

fn options(dice: &mut Dice, filter: &Filter, head: u64) -> ReadOptions {
    let mut options = ReadOptions::new().limit(dice.below(120));
    if dice.one_in(2) {
        options = options.backward();
    }
    if dice.one_in(2) {
        options = options.after(Position::from_raw(BEFORE + dice.below(head - BEFORE + 5)));
    }
    if dice.one_in(8) {
        // So near the end that the log is scanned and no index looked at.
        options = options.after(Position::from_raw(head - 3));
    }
    if dice.one_in(3) {
        options = options.until(Position::from_raw(BEFORE + dice.below(head - BEFORE + 5)));
    }
    if filter.scope().stream().is_some() {
        if dice.one_in(3) {
            options = options.from_version(Version::new(dice.below(100) + 1).unwrap());
        }
        if dice.one_in(3) {
            options = options.until_version(Version::new(dice.below(100) + 1).unwrap());
        }
    }
    options
}

fn expected(all: &[RecordedEvent], filter: &Filter, options: &ReadOptions) -> Vec<RecordedEvent> {
    let matching = all.iter().filter(|event| filter.matches(event) && options.admits(event)).cloned();
    let limit = usize::try_from(options.max_events().unwrap()).unwrap();
    match options.direction() {
        Direction::Forward => matching.take(limit).collect(),
        Direction::Backward => matching.rev().take(limit).collect(),
    }
}

#[tokio::test]
async fn a_filter_finds_what_it_matches_and_nothing_else() {
    let mut dice = Dice::new();
    let (_directory, store) = filled(&mut dice).await;
    let all = store.query(&Filter::all()).await.unwrap();
    let mut found = 0;
    for _ in 0..3_000 {
        let filter = filter(&mut dice);
        let options = options(&mut dice, &filter, all.head.to_raw());
        let page = store.read_page(&filter, &options).await.unwrap();
        assert_eq!(page.events, expected(&all.events, &filter, &options), "{filter:?} {options:?}");
        assert_eq!(page.head, all.head);
        found += page.events.len();
    }
    assert!(found > 10_000, "the filters are not empty: {found}");
}

#[tokio::test]
async fn a_condition_names_the_first_event_that_matches() {
    let mut dice = Dice::new();
    let (_directory, store) = filled(&mut dice).await;
    let all = store.query(&Filter::all()).await.unwrap();
    for _ in 0..2_000 {
        let filter = filter(&mut dice);
        let after = Position::from_raw(BEFORE + dice.below(all.head.to_raw() - BEFORE + 5));
        let options = ReadOptions::new().after(after).limit(1);
        let first = expected(&all.events, &filter, &options).pop();
        // The second condition refuses what the first lets through, so nothing is ever written.
        let append = Append::events([NewEvent::new("Unwanted", &0).unwrap()])
            .fail_if(filter.clone())
            .after(after)
            .fail_if(Filter::all());
        let error = store.append(append).await.unwrap_err();
        let Some(eventsource_core::Conflict::Condition { position, .. }) = error.conflict() else {
            panic!("{error:?}");
        };
        assert_eq!(
            *position,
            first.map_or(Position::from_raw(BEFORE + 1), |event| event.position()),
            "{filter:?}"
        );
    }
}

#[tokio::test]
async fn a_filter_as_large_as_there_may_be_works() {
    let mut dice = Dice::new();
    let (_directory, store) = filled(&mut dice).await;
    let all = store.query(&Filter::all()).await.unwrap().events;
    let many_items =
        (0..Filter::MAX_ITEMS).map(|n| FilterItem::new().tag("a", n).unwrap().all_payload("n", n).unwrap());
    let unindexed = (0..Filter::MAX_ITEMS).map(|n| FilterItem::new().all_payload("n", n * 2).unwrap());
    let types = || (0..Filter::MAX_PARTS - 1).map(|n| format!("Type{}", n * 2));
    let filters = [
        Filter::any_of(many_items).unwrap(),
        Filter::any_of(unindexed).unwrap(),
        Filter::event_types(types().take(2_000)).unwrap(),
        Filter::any_of([FilterItem::new().event_types(types()).unwrap().tag("a", 1).unwrap()]).unwrap(),
        Filter::event_types(types()).unwrap().in_stream(stream(1)),
        Filter::any_of([
            (0..FilterItem::MAX_TAGS).fold(FilterItem::new(), |item, n| item.tag("t", n).unwrap())
        ])
        .unwrap(),
        Filter::any_of([(0..FilterItem::MAX_PREDICATES)
            .fold(FilterItem::new(), |item, n| item.any_payload("n", n).unwrap())])
        .unwrap(),
    ];
    for filter in filters {
        let wanted: Vec<_> = all.iter().filter(|event| filter.matches(event)).cloned().collect();
        assert_eq!(store.query(&filter).await.unwrap().events, wanted);
    }
}
