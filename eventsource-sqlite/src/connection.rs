use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use eventsource_core::{Error, Result};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::config::{Location, SqliteConfig, Synchronous};
use crate::error::{failed, is_busy};
use crate::{handler, payload};

/// Older ones can corrupt a WAL database that several connections write and checkpoint
/// (<https://sqlite.org/wal.html#walresetbug>).
const OLDEST_SQLITE: (i32, &str) = (3_051_003, "3.51.3");

/// In bytes: much more than there is between two checkpoints that nobody holds up.
pub(crate) const LARGE_WAL: u64 = 64 << 20;

/// Opens the connection that writes; the file is left as it is.
pub(crate) fn open_writer(config: &SqliteConfig) -> Result<Connection> {
    check_sqlite(rusqlite::version_number())?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match &config.location {
        Location::Memory => Connection::open_in_memory_with_flags(flags | OpenFlags::SQLITE_OPEN_CREATE),
        Location::File(path) => {
            check_path(path)?;
            Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_CREATE)
        }
    }
    .map_err(|error| Error::unavailable(format!("{} can't be opened", config.location)).with_source(error))?;
    // SQLite opens a file that it may not write as one to read from.
    if connection.is_readonly("main").map_err(|error| failed("opening the database", error))? {
        return Err(Error::unavailable(format!("{} can't be written to", config.location)));
    }
    // The writer waits by itself, in shorter steps than SQLite's: see `patiently`.
    set_up(&connection, Duration::ZERO).map_err(|error| failed("setting the connection up", error))?;
    Ok(connection)
}

/// Makes the writer keep the promises of its configuration; the file is in WAL mode.
pub(crate) fn set_up_writer(connection: &Connection, config: &SqliteConfig) -> rusqlite::Result<()> {
    // A commit does not wait for the disk. Where it is to be durable, the flusher sees to that.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    handler::guard(connection)?;
    let full_fsync = config.synchronous == Synchronous::Full;
    connection.pragma_update(None, "fullfsync", full_fsync)?;
    connection.pragma_update(None, "checkpoint_fullfsync", full_fsync)?;
    // In KiB: the inner pages of all indexes, so that an append reads next to nothing from the file. More costs more:
    // after a transaction that has split a page, SQLite looks at every page of its cache (`pcache1TruncateUnsafe`).
    connection.pragma_update(None, "cache_size", -16 * 1024)?;
    // In pages: 16 MiB of WAL between two checkpoints, each of which flushes the database as well.
    connection.pragma_update(None, "wal_autocheckpoint", 4_096)?;
    connection.pragma_update(None, "journal_size_limit", LARGE_WAL.cast_signed())?;
    Ok(())
}

/// Opens a connection that can only read.
pub(crate) fn open_reader(config: &SqliteConfig) -> Result<Connection> {
    let Location::File(path) = &config.location else {
        return Err(Error::backend("a store in memory has one connection only"));
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
        .and_then(|connection| {
            set_up(&connection, config.busy_timeout)?;
            connection.pragma_update(None, "cache_size", -8 * 1024)?;
            Ok(connection)
        })
        .map_err(|error| failed("opening a connection to read with", error))
}

/// Begins a transaction that no other writer can interfere with.
pub(crate) fn begin_immediate(
    connection: &Connection,
    timeout: Duration,
) -> rusqlite::Result<Transaction<'_>> {
    let transaction =
        patiently(timeout, || Transaction::new_unchecked(connection, TransactionBehavior::Immediate))?;
    handler::begin();
    Ok(transaction)
}

/// Tries until no other process is in the way, or the time is up.
///
/// SQLite's own busy handler sleeps up to 100 milliseconds between two looks. The gap that a busy writer leaves between
/// two of its transactions is some microseconds, so whoever looks that seldom waits very long.
pub(crate) fn patiently<T>(
    timeout: Duration,
    mut attempt: impl FnMut() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    const LONGEST_PAUSE: Duration = Duration::from_millis(1);
    let begun = Instant::now();
    let mut pause = Duration::from_micros(50);
    loop {
        match attempt() {
            Err(error) if is_busy(&error) && begun.elapsed() < timeout => {
                thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            done => return done,
        }
    }
}

fn set_up(connection: &Connection, busy_timeout: Duration) -> rusqlite::Result<()> {
    // rusqlite refuses more milliseconds than an i32 holds.
    connection.busy_timeout(busy_timeout.min(Duration::from_secs(1_000_000)))?;
    connection.set_prepared_statement_cache_capacity(256);
    // Without this, SQLite plans a statement anew when other values are bound to it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    payload::register(connection)
}

fn check_sqlite(version: i32) -> Result<()> {
    let (oldest, name) = OLDEST_SQLITE;
    if version < oldest {
        return Err(Error::backend(format!(
            "SQLite {} can corrupt a database that several connections use; {name} or newer is needed",
            rusqlite::version()
        )));
    }
    Ok(())
}

/// SQLite says "unable to open database file" to all of this.
fn check_path(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Err(Error::invalid_input(format!("{path:?} is a directory, not a database file")));
    }
    let directory = path.parent().unwrap_or(path);
    match fs::metadata(directory) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(Error::invalid_input(format!("{directory:?} is no directory"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Error::invalid_input(format!("the directory {directory:?} does not exist")))
        }
        Err(error) => {
            Err(Error::unavailable(format!("the directory {directory:?} can't be used")).with_source(error))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_sqlite_is_refused() {
        assert!(check_sqlite(3_051_002).is_err());
        assert!(check_sqlite(3_051_003).is_ok());
        assert!(check_sqlite(rusqlite::version_number()).is_ok());
    }

    #[test]
    fn the_writer_waits_for_no_flush_and_full_asks_the_drive() {
        let directory = tempfile::tempdir().unwrap();
        let config = SqliteConfig::file(directory.path().join("events.db"));
        for (config, full_fsync) in
            [(config.clone(), 1), (config.clone().synchronous(Synchronous::Normal), 0)]
        {
            let connection = open_writer(&config).unwrap();
            set_up_writer(&connection, &config).unwrap();
            let pragma =
                |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
            assert_eq!(pragma("synchronous"), 1);
            assert_eq!(pragma("fullfsync"), full_fsync);
            assert_eq!(pragma("checkpoint_fullfsync"), full_fsync);
        }
    }

    #[test]
    fn a_reader_cannot_write() {
        let directory = tempfile::tempdir().unwrap();
        let config = SqliteConfig::file(directory.path().join("events.db"));
        let writer = open_writer(&config).unwrap();
        crate::schema::migrate(&writer, &config).unwrap();
        let reader = open_reader(&config).unwrap();
        assert!(reader.execute("DELETE FROM events", []).is_err());
    }
}
