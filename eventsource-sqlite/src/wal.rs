use std::time::Duration;

use rusqlite::Connection;

/// Keeps the WAL from growing without end.
///
/// SQLite writes the WAL back by itself, and begins it anew when all of it is written back and nobody reads it. If
/// reads overlap all the time, somebody always does. So once the WAL is large, the writer pauses until those who read
/// now are done; who comes then reads the database alone (<https://sqlite.org/wal.html#avoiding_excessively_large_wal_files>).
#[derive(Debug)]
pub(crate) struct WalGuard {
    /// The size at which to do something, in bytes.
    limit: u64,
    /// The size at which to try it again.
    next: u64,
}

impl WalGuard {
    /// How long appends wait at most for those who read, each time.
    const PATIENCE: Duration = Duration::from_millis(250);

    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, next: limit }
    }

    /// Sees to the WAL, which has `size` bytes now.
    pub(crate) fn see_to(&mut self, connection: &Connection, size: u64) -> rusqlite::Result<()> {
        if size < self.next {
            return Ok(());
        }
        connection.busy_timeout(Self::PATIENCE)?;
        let restarted =
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        connection.busy_timeout(Duration::ZERO)?;
        // Whoever reads for long is waited for again, but not at each append.
        self.next = if matches!(restarted, Ok(0)) { self.limit } else { size + self.limit / 4 };
        restarted.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Barrier};
    use std::thread;

    use super::*;
    use crate::config::SqliteConfig;
    use crate::connection::{open_reader, open_writer, set_up_writer};

    /// Reads that overlap: one has always begun before the other ends.
    fn read_until(stop: &AtomicBool, config: &SqliteConfig, begun: &Barrier) {
        let connections = [open_reader(config).unwrap(), open_reader(config).unwrap()];
        let begin = |index: usize| {
            let snapshot = connections[index].unchecked_transaction().unwrap();
            snapshot.query_row("SELECT count(*) FROM events", [], |row| row.get::<_, i64>(0)).unwrap();
            snapshot
        };
        let mut reading = begin(0);
        begun.wait();
        for index in (0..2).cycle().skip(1) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            reading = begin(index);
            thread::sleep(Duration::from_millis(1));
        }
        drop(reading);
    }

    #[test]
    fn reads_that_overlap_without_end_do_not_keep_the_wal_growing() {
        const LIMIT: u64 = 1 << 20;
        let directory = tempfile::tempdir().unwrap();
        let config = SqliteConfig::file(directory.path().join("events.db"));
        let writer = open_writer(&config).unwrap();
        crate::schema::migrate(&writer, &config).unwrap();
        set_up_writer(&writer, &config).unwrap();
        writer.pragma_update(None, "synchronous", "OFF").unwrap();
        writer.execute_batch("PRAGMA wal_autocheckpoint = 16; CREATE TABLE mine (a)").unwrap();
        let files = crate::files::Files::of(&writer).unwrap();
        let (stop, begun) = (Arc::new(AtomicBool::new(false)), Arc::new(Barrier::new(2)));
        let reader = thread::spawn({
            let (stop, config, begun) = (stop.clone(), config.clone(), begun.clone());
            move || read_until(&stop, &config, &begun)
        });
        begun.wait();
        let mut guard = WalGuard::new(LIMIT);
        let mut restarts = 0;
        let mut before = 0;
        for _ in 0..100_000 {
            writer.execute("INSERT INTO mine VALUES (zeroblob(16384))", []).unwrap();
            let size = files.check().unwrap();
            restarts += usize::from(size < before);
            before = size;
            if restarts == 5 {
                break;
            }
            guard.see_to(&writer, size).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        reader.join().unwrap();
        assert_eq!(restarts, 5, "the WAL has {before} bytes");
    }
}
