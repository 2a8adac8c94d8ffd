//! Tags: where they lie, how they are moved on, and that nobody who searches can tell.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use std::fs;
use std::path::Path;

use common::{event, fresh, open, open_at};
use eventsource_core::{Append, Conflict, ErrorKind, EventStore, Filter, NewEvent, Position, ReadOptions};
use eventsource_sqlite::SqliteStore;
use futures_util::future::join_all;
use rusqlite::{Connection, TransactionBehavior};

fn tagged(key: &str, value: i64) -> NewEvent {
    event("A").tag("all", 1).unwrap().tag(key, value).unwrap()
}

fn with(key: &str, value: i64) -> Filter {
    Filter::tagged(key, value).unwrap()
}

/// How many tags are old, how many recent, and up to where they are moved.
fn places(path: &Path) -> (i64, i64, i64) {
    let own = Connection::open(path).unwrap();
    let counts =
        "SELECT (SELECT count(*) FROM older_tags), (SELECT count(*) FROM recent_tags), tags_moved FROM log";
    own.query_row(counts, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap()
}

async fn positions(store: &SqliteStore, filter: &Filter, options: ReadOptions) -> Vec<i64> {
    let page = store.read_page(filter, &options).await.unwrap();
    page.events.iter().map(|event| event.position().to_i64()).collect()
}

fn position(number: i64) -> Position {
    Position::try_from(number).unwrap()
}

/// One event an append, one after the other.
async fn fill(store: &SqliteStore, numbers: std::ops::RangeInclusive<i64>) {
    for number in numbers {
        let appended = store.append(Append::events([tagged("n", number)])).await.unwrap();
        assert_eq!(appended.last.to_i64(), number);
    }
}

#[tokio::test]
async fn a_read_crosses_from_older_to_recent_tags_and_back() {
    let (_directory, path) = fresh();
    let store = open_at(&path, 4_085).await;
    fill(&store, 4_086..=4_110).await;
    assert_eq!(places(&path), (22, 28, 4_096), "the tags of 11 events are moved, those of 14 are not");
    let own = Connection::open(&path).unwrap();
    let both: i64 = own.query_row("SELECT count(*) FROM event_tags", [], |row| row.get(0)).unwrap();
    assert_eq!(both, 50, "whoever asks by SQL finds them all under one name");

    let all = with("all", 1);
    let numbers = |from: i64, to: i64| (from..=to).collect::<Vec<_>>();
    let backward = |from: i64, to: i64| (from..=to).rev().collect::<Vec<_>>();
    let new = ReadOptions::new;
    assert_eq!(positions(&store, &all, new()).await, numbers(4_086, 4_110));
    assert_eq!(positions(&store, &all, new().backward()).await, backward(4_086, 4_110));
    for limit in 1..=25 {
        let limited = i64::try_from(limit).unwrap();
        assert_eq!(positions(&store, &all, new().limit(limit)).await, numbers(4_086, 4_085 + limited));
        let newest = positions(&store, &all, new().limit(limit).backward()).await;
        assert_eq!(newest, backward(4_111 - limited, 4_110));
    }
    for after in 4_085..4_110 {
        let options = new().after(position(after)).limit(9);
        assert_eq!(positions(&store, &all, options).await, numbers(after + 1, (after + 9).min(4_110)));
        let options = new().until(position(after + 1)).limit(9).backward();
        assert_eq!(positions(&store, &all, options).await, backward((after - 7).max(4_086), after + 1));
    }
    for number in 4_086..=4_110 {
        assert_eq!(positions(&store, &with("n", number), new()).await, [number]);
        let condition = Append::events([event("B")]).fail_if(with("n", number));
        let error = store.append(condition).await.unwrap_err();
        assert!(matches!(
            error.conflict(),
            Some(Conflict::Condition { position, .. }) if position.to_i64() == number
        ));
    }
}

#[tokio::test]
async fn a_batch_that_fills_the_recent_ones_moves_them_all() {
    let (_directory, path) = fresh();
    let store = open_at(&path, 4_000).await;
    // In one batch or in several: each sees what those before it wrote.
    let append = |number| store.append(Append::events([tagged("n", number)]).fail_if(with("n", number)));
    let accepted = join_all((0..400).map(|number| append(number % 200))).await;
    for number in 0..200 {
        assert!(accepted[number].is_ok() != accepted[number + 200].is_ok(), "one of two: {number}");
    }
    let (older, recent, moved) = places(&path);
    assert!((4_096..=4_200).contains(&moved), "{moved}");
    assert_eq!((older, recent), (2 * (moved - 4_000), 2 * (4_200 - moved)));
    assert_eq!(
        positions(&store, &with("all", 1), ReadOptions::new()).await,
        (4_001..=4_200).collect::<Vec<_>>()
    );
    for number in 0..200 {
        assert!(append(number).await.unwrap_err().is_conflict());
    }
    // More than the small table takes, at once.
    let many = (1_000..11_000).map(|number| tagged("n", number));
    store.append(Append::events(many)).await.unwrap();
    assert_eq!(places(&path), (2 * 10_200, 0, 14_200));
    assert_eq!(positions(&store, &with("n", 10_999), ReadOptions::new()).await, [14_200]);
}

#[tokio::test]
async fn a_move_is_a_part_of_the_callers_transaction() {
    let (_directory, path) = fresh();
    let store = open_at(&path, 4_090).await;
    fill(&store, 4_091..=4_095).await;
    let mut own = Connection::open(&path).unwrap();
    for commit in [false, true] {
        let transaction = own.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        store.append_in(&transaction, Append::events([tagged("n", 4_096)])).unwrap();
        assert_eq!(places(&path), (0, 10, 0), "nobody sees it before it is committed");
        assert_eq!(
            positions(&store, &with("all", 1), ReadOptions::new()).await,
            [4_091, 4_092, 4_093, 4_094, 4_095]
        );
        // The same connection does.
        let again = Append::events([event("B")]).fail_if(with("n", 4_091));
        assert!(store.append_in(&transaction, again).unwrap_err().is_conflict());
        if commit {
            transaction.commit().unwrap();
        } else {
            transaction.rollback().unwrap();
            assert_eq!(places(&path), (0, 10, 0));
        }
    }
    assert_eq!(places(&path), (12, 0, 4_096));
    assert_eq!(positions(&store, &with("n", 4_096), ReadOptions::new()).await, [4_096]);
}

/// A killed process leaves what its transaction has written to the WAL until then, which is a part of the move.
#[tokio::test]
async fn what_a_kill_leaves_in_the_middle_of_a_move_is_what_was_committed() {
    let (directory, path) = fresh();
    let store = open_at(&path, 4_000).await;
    fill(&store, 4_001..=4_090).await;
    let mut own = Connection::open(&path).unwrap();
    // Pages that the transaction has changed leave its cache for the WAL before it is committed.
    own.execute_batch("PRAGMA cache_size = 1; PRAGMA cache_spill = 1").unwrap();
    let wal = |path: &Path| path.with_file_name(format!("{}-wal", path.file_name().unwrap().display()));
    let before = fs::metadata(wal(&path)).unwrap().len();
    let transaction = own.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let many = (4_091..=4_600).map(|number| tagged("n", number));
    store.append_in(&transaction, Append::events(many)).unwrap();
    let older: i64 = transaction.query_row("SELECT count(*) FROM older_tags", [], |row| row.get(0)).unwrap();
    assert_eq!(older, 1_200, "it is being moved");
    assert!(fs::metadata(wal(&path)).unwrap().len() > before, "and some of it is in the WAL");
    let left = directory.path().join("left.db");
    fs::copy(&path, &left).unwrap();
    fs::copy(wal(&path), wal(&left)).unwrap();
    transaction.rollback().unwrap();

    let left_store = open(&left).await;
    assert_eq!(places(&left), (0, 180, 0));
    let committed: Vec<_> = (4_001..=4_090).collect();
    assert_eq!(positions(&left_store, &with("all", 1), ReadOptions::new()).await, committed);
    left_store.append(Append::events((4_091..=4_100).map(|number| tagged("n", number)))).await.unwrap();
    assert_eq!(places(&left), (200, 0, 4_100));
    assert_eq!(
        positions(&left_store, &with("all", 1), ReadOptions::new()).await,
        (4_001..=4_100).collect::<Vec<_>>()
    );
    let integrity: String =
        Connection::open(&left).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(integrity, "ok");
}

/// The writer remembers the tags that it wrote.
#[tokio::test]
async fn no_tag_is_remembered_past_what_others_write() {
    let (_directory, path) = fresh();
    let (store, other) = (open_at(&path, 4_090).await, open(&path).await);
    let mut own = Connection::open(&path).unwrap();
    for round in 0..8 {
        let head = store.append(Append::events([tagged("mine", round)])).await.unwrap().last;
        let unless = |key| Append::events([event("B")]).fail_if(with(key, round)).after(head);
        assert!(store.append(unless("mine")).await.is_ok(), "it lies before the window");
        let transaction = own.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        store.append_in(&transaction, Append::events([tagged("own", round)])).unwrap();
        transaction.commit().unwrap();
        assert!(store.append(unless("own")).await.unwrap_err().is_conflict());
        other.append(Append::events([tagged("theirs", round)])).await.unwrap();
        assert!(store.append(unless("theirs")).await.unwrap_err().is_conflict());
        assert!(other.append(unless("own")).await.unwrap_err().is_conflict());
    }
    let (older, recent, moved) = places(&path);
    assert_eq!((older + recent, moved), (2 * 3 * 8, 4_096), "it was moved in between");
}

/// More tags than the writer remembers.
#[tokio::test]
async fn a_condition_sees_tags_that_the_writer_has_forgotten() {
    let (_directory, path) = fresh();
    let store = open(&path).await;
    for thousand in 0..20 {
        let events = (0..1_000).map(|n| event("A").tag("n", thousand * 1_000 + n).unwrap());
        store.append(Append::events(events)).await.unwrap();
    }
    for number in (0..20_000).step_by(199) {
        // Its event lies at the position behind its number.
        let unless = |after| {
            let append = Append::events([event("B")]).fail_if(with("n", number)).after(position(after));
            store.append(append.fail_if(Filter::all()).after(Position::START))
        };
        let error = unless(number).await.unwrap_err();
        assert!(matches!(
            error.conflict(),
            Some(Conflict::Condition { position, .. }) if position.to_i64() == number + 1
        ));
        let error = unless(number + 1).await.unwrap_err();
        assert!(
            matches!(error.conflict(), Some(Conflict::Condition { position, .. }) if position.to_i64() == 1)
        );
    }
}

/// As a program sees it that is older than the split and has had the store open since.
#[tokio::test]
async fn an_older_program_finds_all_tags_and_cannot_hide_any() {
    let (_directory, path) = fresh();
    let store = open_at(&path, 4_090).await;
    fill(&store, 4_091..=4_100).await;
    let own = Connection::open(&path).unwrap();
    let find = "SELECT t.position FROM main.event_tags AS t CROSS JOIN main.events AS e ON e.global_position = t.position
        WHERE t.tag = 'all:1' AND t.position > 0 AND t.position <= 9999 ORDER BY t.position DESC LIMIT 100";
    let mut statement = own.prepare(find).unwrap();
    let found = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap);
    assert_eq!(found.collect::<Vec<i64>>(), (4_091..=4_100).rev().collect::<Vec<_>>());
    let written = own.execute("INSERT OR FAIL INTO main.event_tags (tag, position) VALUES ('a:1', 4101)", []);
    assert!(written.unwrap_err().to_string().contains("it is a view"));
}

#[tokio::test]
async fn a_move_that_fails_fails_the_append() {
    let (_directory, path) = fresh();
    let store = open_at(&path, 4_090).await;
    let own = Connection::open(&path).unwrap();
    own.execute_batch(
        "CREATE TRIGGER poison BEFORE INSERT ON older_tags BEGIN SELECT RAISE(ABORT, 'poison'); END",
    )
    .unwrap();
    fill(&store, 4_091..=4_095).await;
    let error = store.append(Append::events([tagged("n", 4_096)])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend);
    assert_eq!(places(&path), (0, 10, 0));
    own.execute_batch("DROP TRIGGER poison").unwrap();
    fill(&store, 4_096..=4_097).await;
    assert_eq!(places(&path), (12, 2, 4_096));
}
