use rusqlite::Connection;

use crate::wal_file::WalFile;

/// How far the WAL is committed: so many frames since it was last begun anew.
///
/// A commit becomes visible by the number of frames, which SQLite keeps in memory that all processes share; so this
/// covers whatever anybody has committed, in this process or another. Frames up to there stay as they are until the WAL is
/// begun anew, and that happens only after all of them were written back and the database was flushed (`walCheckpoint`,
/// `walRestartLog`). So a flush that begins after a look makes durable all that was visible at the look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frontier {
    salts: [u8; 8],
    frames: i64,
}

impl Frontier {
    /// Looks how far it is now; nothing of an earlier snapshot of this connection lies beyond. The connection is in no
    /// transaction. None if it can't be told.
    ///
    /// The salts are read first. If the WAL is begun anew before the number is read, they are the older ones, and never
    /// come again: what was visible before is durable, and nobody takes that number for one of the new WAL.
    pub(crate) fn look(connection: &Connection, wal: &WalFile) -> Option<Self> {
        // None yet, where the WAL is empty.
        let salts = wal.salts().ok();
        // It takes no lock and writes nothing back (https://sqlite.org/c3ref/c_checkpoint_full.html).
        let mut statement = connection.prepare_cached("PRAGMA main.wal_checkpoint(NOOP)").ok()?;
        let (busy, frames): (i64, i64) =
            statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).ok()?;
        match (busy, frames) {
            // All of it is in the database.
            (0, 0) => Some(Self { salts: [0; 8], frames }),
            (0, 1..) => Some(Self { salts: salts?, frames }),
            _ => None,
        }
    }

    /// Whether everything is durable, if all up to `durable` is.
    pub(crate) fn is_within(self, durable: Option<Self>) -> bool {
        let within = |durable: Self| self.salts == durable.salts && self.frames <= durable.frames;
        self.frames == 0 || durable.is_some_and(within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A WAL that is begun anew has fewer frames than were durable before; they are not.
    #[test]
    fn what_lies_in_a_new_wal_is_not_durable_because_the_old_one_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("some.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE mine (a)").unwrap();
        let wal = WalFile::open(&path.with_extension("db-wal")).unwrap();
        let insert = || connection.execute("INSERT INTO mine VALUES (1)", []).unwrap();
        (0..10).for_each(|_| assert_eq!(insert(), 1));
        let old = Frontier::look(&connection, &wal).unwrap();
        assert!(old.is_within(Some(old)) && !old.is_within(None));
        insert();
        assert!(!Frontier::look(&connection, &wal).unwrap().is_within(Some(old)));
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        assert!(Frontier::look(&connection, &wal).unwrap().is_within(None), "all of it is in the database");
        insert();
        let new = Frontier::look(&connection, &wal).unwrap();
        assert!(new.frames < old.frames && !new.is_within(Some(old)) && new.is_within(Some(new)));
        let snapshot = connection.unchecked_transaction().unwrap();
        snapshot.query_row("SELECT count(*) FROM mine", [], |_| Ok(())).unwrap();
        assert_eq!(Frontier::look(&connection, &wal), None, "it can't be told within a transaction");
    }
}
