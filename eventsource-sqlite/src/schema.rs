use std::time::Duration;

use chrono::{DateTime, Utc};
use eventsource_core::{Error, Result};
use rusqlite::Connection;
use uuid::Uuid;

use crate::config::{Location, SqliteConfig};
use crate::connection::{begin_immediate, patiently};
use crate::error::failed;

/// "EvSt", in the file's header (<https://sqlite.org/pragma.html#pragma_application_id>): this database is a store's.
const APPLICATION_ID: i32 = 0x4576_5374;

/// What makes version n of version n - 1. Never edit one that was released: add another.
///
/// A library runs each migration in a transaction of its own and reads the version outside of it; two processes that
/// open a new file at once would both begin at 0. Here all of it happens under the write lock.
const MIGRATIONS: &[&str] = &[
    include_str!("sql/migration_1.sql"),
    include_str!("sql/snapshot_events.sql"),
    include_str!("sql/recent_tags.sql"),
];

/// Brings the database to this version's schema, and returns the log's identity. Of a database that is not a store's
/// nothing is changed.
pub(crate) fn migrate(connection: &Connection, config: &SqliteConfig) -> Result<Uuid> {
    let timeout = config.busy_timeout;
    let found = patiently(timeout, || {
        // Somebody else may be creating it: this sees all of that, or nothing.
        let snapshot = connection.unchecked_transaction()?;
        Found::inspect(&snapshot)
    })
    .map_err(unreadable)?;
    found.version(&config.location)?;
    if config.location != Location::Memory {
        enter_wal(connection, timeout)?;
    }
    let broken = |error| failed("creating the schema", error);
    let transaction = begin_immediate(connection, timeout).map_err(broken)?;
    // Somebody else may have been here since.
    let version = Found::inspect(&transaction).map_err(broken)?.version(&config.location)?;
    for (_, migration) in migrations().filter(|(number, _)| *number > version) {
        transaction.execute_batch(migration).map_err(broken)?;
    }
    if version == 0 {
        create_log(&transaction, config.now()?).map_err(broken)?;
    }
    if version < newest() {
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(broken)?;
        transaction.pragma_update(None, "user_version", newest()).map_err(broken)?;
    }
    let log_id = log_id(&transaction).map_err(broken)?;
    transaction.commit().map_err(broken)?;
    Ok(log_id)
}

/// The identity of the log that the database holds.
pub(crate) fn log_id(connection: &Connection) -> rusqlite::Result<Uuid> {
    connection
        .prepare_cached("SELECT log_id FROM main.log WHERE id = 1")?
        .query_row([], |row| row.get(0))
        .map(Uuid::from_bytes)
}

/// The migrations, each with the version that it leads to.
fn migrations() -> impl Iterator<Item = (i64, &'static str)> {
    (1..).zip(MIGRATIONS.iter().copied())
}

fn newest() -> i64 {
    migrations().last().map_or(0, |(number, _)| number)
}

struct Found {
    application_id: i32,
    user_version: i64,
    tables: i64,
}

impl Found {
    fn inspect(connection: &Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            application_id: connection.pragma_query_value(None, "application_id", |row| row.get(0))?,
            user_version: connection.pragma_query_value(None, "user_version", |row| row.get(0))?,
            tables: connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?,
        })
    }

    /// The version of the schema; 0 if there is none.
    fn version(&self, location: &Location) -> Result<i64> {
        let newest = newest();
        match (self.application_id, self.user_version) {
            (0, 0) if self.tables == 0 => Ok(0),
            (APPLICATION_ID, version) if (1..=newest).contains(&version) => Ok(version),
            (APPLICATION_ID, version) if version > newest => Err(Error::invalid_input(format!(
                "{location} was written by a newer version of this store: its schema is {version}, and this \
                 version knows {newest}"
            ))),
            (APPLICATION_ID, version) => {
                Err(Error::corrupt(format!("{location} has the schema version {version}")))
            }
            _ => Err(Error::invalid_input(format!("{location} is a database, but not an event store's"))),
        }
    }
}

fn enter_wal(connection: &Connection, timeout: Duration) -> Result<()> {
    let mode: String = patiently(timeout, || {
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
    })
    .map_err(|error| failed("switching the database to WAL", error))?;
    if mode != "wal" {
        return Err(Error::backend(format!("the file system allows no WAL; the journal mode is {mode:?}")));
    }
    Ok(())
}

fn create_log(connection: &Connection, now: DateTime<Utc>) -> rusqlite::Result<usize> {
    connection.execute(
        "INSERT INTO log (id, log_id, head, created_at) VALUES (1, ?1, 0, ?2)",
        (Uuid::now_v7().as_bytes(), now.timestamp_micros()),
    )
}

fn unreadable(error: rusqlite::Error) -> Error {
    if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) {
        return Error::invalid_input("the file is not a SQLite database").with_source(error);
    }
    failed("reading the database", error)
}
