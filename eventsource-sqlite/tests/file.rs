//! The file: what is opened, what is refused, what is left behind.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use std::fs;
use std::time::Duration;

use common::{fresh, one, open};
use eventsource_core::{Append, ErrorKind, EventStore, EventStoreExt, Filter, NewEvent, ReadOptions};
use eventsource_sqlite::{SqliteConfig, SqliteStore};
use futures_util::FutureExt as _;
use rusqlite::Connection;

async fn refusal(path: impl AsRef<std::path::Path>) -> eventsource_core::Error {
    SqliteStore::open(SqliteConfig::file(path)).await.unwrap_err()
}

#[tokio::test]
async fn the_file_is_marked_and_in_wal_mode() {
    let (_directory, path) = fresh();
    let store = open(&path).await;
    let own = Connection::open(&path).unwrap();
    let pragma =
        |name| own.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
    assert_eq!(pragma("journal_mode"), "wal".to_owned().into());
    assert_eq!(pragma("application_id"), 0x4576_5374_i64.into());
    assert_eq!(pragma("user_version"), 3_i64.into());
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_foreign_database_is_refused_and_left_as_it_is() {
    let (_directory, path) = fresh();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE mine (a)").unwrap();
    let before = fs::read(&path).unwrap();
    let error = refusal(&path).await;
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("not an event store's"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn an_older_schema_is_brought_up_to_date() {
    let (_directory, path) = fresh();
    let own = Connection::open(&path).unwrap();
    own.execute_batch(include_str!("../src/sql/migration_1.sql")).unwrap();
    own.execute_batch(
        r#"PRAGMA application_id = 1165382516; PRAGMA user_version = 1;
         INSERT INTO log (id, log_id, head, created_at) VALUES (1, x'00000000000000000000000000000007', 5, 0);
         INSERT INTO events (global_position, event_id, event_type, schema_version, tags, timestamp, created_at,
             append_index, payload)
         VALUES (1, x'00000000000000000000000000000001', 'A', 1, '["k:1"]', 0, 0, 0, '1'),
             (3, x'00000000000000000000000000000003', 'B', 1, '["k:1","l:2"]', 0, 0, 0, '3');
         INSERT INTO event_tags VALUES ('k:1', 1), ('k:1', 3), ('l:2', 3);
         INSERT INTO snapshots (aggregate_id, aggregate_type, version, position, schema_version, state, created_at)
             VALUES (x'01', 'Known', 1, 1, 1, '{}', 0), (x'02', 'Unknown', 1, 7, 1, '{}', 0);
         INSERT INTO view_snapshots (name, filter, tenant_id, position, schema_version, state, created_at)
             VALUES ('a view', zeroblob(32), zeroblob(16), 1, 1, '{}', 0);
         CREATE VIEW mine AS SELECT count(*) AS n FROM event_tags;"#,
    )
    .unwrap();
    drop(own);
    for round in 0..2 {
        let store = open(&path).await;
        let tagged = store.query(&Filter::tagged("k", 1).unwrap()).await.unwrap().events;
        let positions: Vec<_> = tagged.iter().map(|event| event.position().to_raw()).collect();
        assert_eq!(positions, [vec![1, 3], vec![6; round]].concat());
        assert_eq!(store.query(&Filter::tagged("l", 2).unwrap()).await.unwrap().events.len(), 1);
        if round == 0 {
            let tagged = common::event("C").tag("k", 1).unwrap();
            let refused =
                eventsource_core::Append::events([tagged.clone()]).fail_if(Filter::tagged("l", 2).unwrap());
            assert!(store.append(refused).await.unwrap_err().is_conflict());
            let appended = store.append(eventsource_core::Append::events([tagged])).await.unwrap();
            assert_eq!(appended.first.to_raw(), 6);
        }
        store.close().await.unwrap();
    }
    let own = Connection::open(&path).unwrap();
    let version: i64 = own.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 3);
    let mine: i64 = own.query_row("SELECT n FROM mine", [], |row| row.get(0)).unwrap();
    assert_eq!(mine, 4, "a view of somebody else's counts the recent tags as well");
    let text = |sql: &str| own.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    let kept = "SELECT group_concat(snapshots.aggregate_type) FROM snapshots JOIN events USING (event_id)";
    assert_eq!(text(kept), "Known");
    assert_eq!(text("SELECT count(*) || ' ' || (SELECT count(*) FROM view_snapshots) FROM snapshots"), "1 0");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (_directory, path) = fresh();
    open(&path).await.close().await.unwrap();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let error = refusal(&path).await;
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("newer version"), "{error}");
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_left_as_it_is() {
    let (_directory, path) = fresh();
    let text = "Dear diary, ".repeat(100);
    fs::write(&path, &text).unwrap();
    let error = refusal(&path).await;
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("not a SQLite database"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn paths_that_lead_nowhere_are_named() {
    let (directory, path) = fresh();
    let missing = refusal(directory.path().join("no").join("events.db")).await;
    assert!(missing.to_string().contains("does not exist"), "{missing}");
    let is_directory = refusal(directory.path()).await;
    assert!(is_directory.to_string().contains("is a directory"), "{is_directory}");
    fs::write(&path, "").unwrap();
    let below_file = refusal(path.join("events.db")).await;
    assert!(below_file.to_string().contains("no directory"), "{below_file}");
    for error in [missing, is_directory, below_file, refusal("").await] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
}

#[tokio::test]
async fn a_path_is_never_a_uri() {
    let (directory, _) = fresh();
    let path = directory.path().join("file:a?mode=memory");
    open(&path).await.close().await.unwrap();
    assert!(path.is_file());
}

#[tokio::test]
async fn numbers_that_make_no_sense_are_refused() {
    for config in [
        SqliteConfig::in_memory().readers(0),
        SqliteConfig::in_memory().batch_limit(0),
        SqliteConfig::in_memory().queue_capacity(0),
        SqliteConfig::in_memory().poll_interval(Duration::ZERO),
    ] {
        assert_eq!(SqliteStore::open(config).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn close_leaves_one_file_and_no_thread() {
    let (directory, path) = fresh();
    let store = open(&path).await;
    store.append(one("A")).await.unwrap();
    store.head().await.unwrap();
    assert_eq!(store.pool_statistics().size, 1);
    assert_eq!(store.pool_statistics().to_string(), "1 of 4 connections open, 0 in use, 1 idle");
    store.close().await.unwrap();
    store.close().await.unwrap();
    assert_eq!(store.pool_statistics().size, 0);
    let left: Vec<_> =
        fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["events.db"]);
    assert_eq!(store.append(one("B")).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.head().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.changes().changed().await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn dropping_the_store_ends_its_threads_as_well() {
    let (directory, path) = fresh();
    let store = open(&path).await;
    store.append(one("A")).await.unwrap();
    store.head().await.unwrap();
    let mut changes = store.changes();
    drop(store);
    let ended = async { while changes.changed().await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(5), ended).await.unwrap();
    for _ in 0..500 {
        // The WAL goes when the last connection does.
        if fs::read_dir(directory.path()).unwrap().count() == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("connections are still open");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_open_a_new_file_at_once() {
    for _ in 0..10 {
        let (_directory, path) = fresh();
        let openings: Vec<_> = (0..8)
            .map(|_| {
                let path = path.clone();
                tokio::spawn(async move {
                    let store = SqliteStore::open(SqliteConfig::file(path)).await.unwrap();
                    store.append(one("Opened")).await.unwrap();
                    store
                })
            })
            .collect();
        let mut stores = Vec::new();
        for opening in openings {
            stores.push(opening.await.unwrap());
        }
        for store in &stores {
            let page = store.read_page(&Filter::all(), &ReadOptions::new()).await.unwrap();
            assert_eq!(page.events.len(), 8);
        }
    }
}

#[tokio::test]
async fn positions_of_a_deleted_tail_are_never_given_out_again() {
    let (_directory, path) = fresh();
    let store = open(&path).await;
    store.append(one("A")).await.unwrap();
    let last = store.append(one("B")).await.unwrap().last;
    store.close().await.unwrap();
    let own = Connection::open(&path).unwrap();
    own.execute("DELETE FROM events WHERE global_position = ?1", [last.to_i64()]).unwrap();
    drop(own);
    let store = open(&path).await;
    assert_eq!(store.head().await.unwrap(), last);
    assert!(store.append(one("C")).await.unwrap().first > last);
}

#[tokio::test]
async fn a_row_that_cannot_be_decoded_is_corrupt_and_never_left_out() {
    for damage in [
        "payload = '{'",
        "event_id = x'00'",
        "tags = '{}'",
        "timestamp = 9223372036854775807",
        "schema_version = -1",
        "metadata = '[]'",
        "event_type = ''",
        "event_type = CAST(x'ff' AS TEXT)",
        "aggregate_id = x'01020304050607080102030405060708', aggregate_type = CAST(x'ff' AS TEXT), version = 1",
        "actor_id = CAST(x'ff' AS TEXT)",
        "metadata = CAST(x'ff' AS TEXT)",
        "tags = CAST(x'ff' AS TEXT)",
        "payload = CAST(x'22ff22' AS TEXT)",
    ] {
        let (_directory, path) = fresh();
        let store = open(&path).await;
        for event_type in ["A", "B", "C"] {
            store.append(one(event_type)).await.unwrap();
        }
        let own = Connection::open(&path).unwrap();
        own.execute(&format!("UPDATE events SET {damage} WHERE global_position = 2"), []).unwrap();
        let error = store.query(&Filter::all()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{damage}");
        assert!(error.to_string().contains("position 2"), "{damage}: {error}");
    }
}

/// What is wrong with an event shows when its row is read, or when it is decoded, which is later, and elsewhere.
#[tokio::test]
async fn of_two_rows_that_cannot_be_decoded_the_first_is_named() {
    let (when_read, when_decoded) = ("event_id = x'00'", "payload = '{'");
    for (first, second) in
        [(when_read, when_decoded), (when_decoded, when_read), (when_decoded, when_decoded)]
    {
        for (near, far) in [(1, 2), (5, 40), (5, 400), (31, 32), (33, 34), (390, 400)] {
            let (_directory, path) = fresh();
            let store = open(&path).await;
            let event = || NewEvent::new("A", &"x").unwrap();
            store.append(Append::events((0..400).map(|_| event()))).await.unwrap();
            let own = Connection::open(&path).unwrap();
            for (damage, position) in [(first, near), (second, far)] {
                let damage = format!("UPDATE events SET {damage} WHERE global_position = {position}");
                own.execute(&damage, []).unwrap();
            }
            let error = store.read_page(&Filter::all(), &ReadOptions::new()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains(&format!("position {near} ")), "{near} and {far}: {error}");
            let before = ReadOptions::new().limit(near - 1);
            let page = store.read_page(&Filter::all(), &before).await.unwrap();
            assert_eq!(page.events.len() as u64, near - 1, "a reader comes as far as the damage");
        }
    }
}

#[tokio::test]
async fn a_read_that_is_given_up_keeps_no_other_waiting() {
    let (_directory, path) = fresh();
    let store = open(&path).await;
    let event = || NewEvent::new("A", &"x").unwrap();
    store.append(Append::events((0..1_000).map(|_| event()))).await.unwrap();
    for looks in 0..100 {
        let all = Filter::all();
        let options = ReadOptions::new();
        let mut read = store.read_page(&all, &options);
        for _ in 0..looks % 10 {
            if let Some(page) = (&mut read).now_or_never() {
                assert_eq!(page.unwrap().events.len(), 1_000);
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(read);
        let page = store.read_page(&all, &options).await.unwrap();
        let positions: Vec<_> = page.events.iter().map(|event| event.position().to_raw()).collect();
        assert_eq!(positions, (1..=1_000).collect::<Vec<_>>());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_is_deleted_moved_or_replaced_is_noticed_before_anything_is_acknowledged() {
    type Harm = fn(&std::path::Path);
    let elsewhere = |path: &std::path::Path| path.with_extension("elsewhere");
    let harms: [(&str, Harm); 4] = [
        ("deleted", |path| fs::remove_file(path).unwrap()),
        ("moved", |path| fs::rename(path, path.with_extension("elsewhere")).unwrap()),
        ("replaced", |path| {
            fs::copy(path, path.with_extension("backup")).unwrap();
            fs::rename(path.with_extension("backup"), path).unwrap();
        }),
        ("without its WAL", |path| fs::remove_file(path.with_extension("db-wal")).unwrap()),
    ];
    for (name, harm) in harms {
        let (_directory, path) = fresh();
        let store = open(&path).await;
        store.append(one("A")).await.unwrap();
        harm(&path);
        let error = store.append(one("B")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{name}");
        assert!(error.to_string().contains("was deleted, moved or replaced"), "{name}: {error}");
        let error = store.append(one("C")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{name}: nothing more is written");
        if name != "without its WAL" {
            // No connection has read yet: the one that is opened now finds another file, or none.
            assert_eq!(store.head().await.unwrap_err().kind(), ErrorKind::Unavailable, "{name}");
        }
        if name == "moved" {
            fs::rename(elsewhere(&path), &path).unwrap();
            store.append(one("D")).await.unwrap();
            let events = store.query(&Filter::all()).await.unwrap().events;
            let types: Vec<_> = events.iter().map(|event| event.event_type().as_str()).collect();
            assert_eq!(types, ["A", "B", "D"], "it was the same file all the time");
        }
    }
}
