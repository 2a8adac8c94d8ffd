use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::{Failure, View, broken};
use eventsource_consumers::Consumer;
use eventsource_core::{Filter, HandlerError, RecordedEvent, Result};
use eventsource_sqlite::{SqliteConfig, SqliteStore};
use rusqlite::{Connection, Transaction};

use crate::log::Backend;

/// As it is: `synchronous=FULL`.
pub(crate) struct Sqlite;

impl Backend for Sqlite {
    type Store = SqliteStore;

    async fn open(place: &str) -> Result<SqliteStore> {
        SqliteStore::open(config(place)).await
    }

    async fn catch_up(
        store: &SqliteStore,
        place: &str,
        consumer: Consumer,
        view: View,
    ) -> Result<u64, Failure> {
        catch_up(store, place, consumer, view).await
    }
}

/// With an outbox for all events.
pub(crate) struct SqliteWithOutbox;

impl Backend for SqliteWithOutbox {
    type Store = SqliteStore;

    async fn open(place: &str) -> Result<SqliteStore> {
        SqliteStore::open(config(place).outbox(Filter::all())).await
    }

    async fn catch_up(
        store: &SqliteStore,
        place: &str,
        consumer: Consumer,
        view: View,
    ) -> Result<u64, Failure> {
        catch_up(store, place, consumer, view).await
    }
}

/// A view that counts the events of each type.
pub(crate) const COUNTS: &str =
    "CREATE TABLE IF NOT EXISTS counts (event_type TEXT PRIMARY KEY, count INTEGER NOT NULL)";
pub(crate) const COUNT: &str = "INSERT INTO counts (event_type, count) VALUES (?1, 1) \
    ON CONFLICT (event_type) DO UPDATE SET count = count + 1";

async fn catch_up(store: &SqliteStore, place: &str, consumer: Consumer, view: View) -> Result<u64, Failure> {
    Connection::open(file(place)).and_then(|own| own.execute_batch(COUNTS)).map_err(broken)?;
    let seen = Arc::new(AtomicU64::new(0));
    let handled = seen.clone();
    let projection = store.project(
        move |transaction: &Transaction<'_>, event: &RecordedEvent| -> Result<(), HandlerError> {
            if view == View::Counts {
                transaction.prepare_cached(COUNT)?.execute([event.event_type().as_str()])?;
            }
            handled.fetch_add(1, Ordering::Relaxed);
            Ok(())
        },
    );
    consumer.run_until_caught_up(projection).await.map_err(broken)?;
    Ok(seen.load(Ordering::Relaxed))
}

fn config(place: &str) -> SqliteConfig {
    SqliteConfig::file(file(place))
}

fn file(place: &str) -> PathBuf {
    Path::new(place).join("events.db")
}
