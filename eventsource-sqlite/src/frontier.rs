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
