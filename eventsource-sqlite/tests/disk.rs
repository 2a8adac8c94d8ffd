//! A disk that takes no more.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use std::process::{Command, Stdio};

use common::{event, fresh, open};
use eventsource_core::{Append, ErrorKind, EventId, EventStore, EventStoreExt, Filter};
use eventsource_sqlite::{SqliteConfig, SqliteStore};
use uuid::Uuid;

/// A child appends under a limit of the size of files (`ulimit -f`), so that writing fails in the middle of a commit.
/// What it was told is held against what lies in the log afterwards.
#[tokio::test]
async fn what_was_acknowledged_is_there_and_nothing_in_part() {
    const CHILD: &str = "EVENTSOURCE_SQLITE_DISK";
    if let Ok(path) = std::env::var(CHILD) {
        return fill(path).await;
    }
    let (_directory, path) = fresh();
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1000; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "what_was_acknowledged_is_there_and_nothing_in_part", "--nocapture"])
        .env(CHILD, &path)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let told = String::from_utf8(child.stdout).unwrap();
    assert!(child.status.success(), "{told}");
    let acknowledged: u128 =
        told.lines().find_map(|line| line.strip_prefix("acknowledged ")).unwrap().parse().unwrap();
    assert!(acknowledged > 10, "{told}");

    let store = open(&path).await;
    let events = store.query(&Filter::all()).await.unwrap().events;
    let acknowledged = usize::try_from(acknowledged).unwrap();
    assert!(events.len() == 2 * acknowledged || events.len() == 2 * (acknowledged + 1), "{}", events.len());
    for (number, event) in (2..).zip(&events) {
        assert_eq!(event.id().as_uuid(), Uuid::from_u128(number));
    }
    // The disk has room again, and the same append is safe.
    let again = store.append(append(u128::try_from(acknowledged).unwrap())).await.unwrap();
    assert_eq!(again.replayed, events.len() == 2 * (acknowledged + 1));
    store.append(append(u128::MAX / 4)).await.unwrap();
}

fn append(number: u128) -> Append {
    let event =
        |id| event("Large").id(EventId::new(Uuid::from_u128(id)).unwrap()).actor("x".repeat(250)).unwrap();
    Append::events([event(2 * number + 2), event(2 * number + 3)])
}

async fn fill(path: String) {
    let store = SqliteStore::open(SqliteConfig::file(path)).await.unwrap();
    for number in 0_u128.. {
        let Err(error) = store.append(append(number)).await else { continue };
        assert!(matches!(error.kind(), ErrorKind::OutcomeUnknown | ErrorKind::Unavailable), "{error:?}");
        println!("\nacknowledged {number}");
        println!("{error:?}");
        // No transaction is left open, and readers see what was acknowledged.
        assert!(store.append(append(number)).await.is_err());
        assert!(store.query(&Filter::all()).await.unwrap().events.len() as u128 >= 2 * number);
        return;
    }
}
