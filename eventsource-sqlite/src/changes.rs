use std::mem;
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// Tells whether others have committed since it last looked. SQLite keeps a number for that per connection
/// (<https://sqlite.org/pragma.html#pragma_data_version>), which this connection's own commits leave alone.
#[derive(Debug)]
pub(crate) struct OthersChanges {
    data_version: i64,
    interval: Duration,
    next_look: Instant,
}

impl OthersChanges {
    /// From now on.
    pub(crate) fn new(connection: &Connection, interval: Duration) -> rusqlite::Result<Self> {
        let mut changes = Self { data_version: 0, interval, next_look: Instant::now() };
        changes.look(connection)?;
        Ok(changes)
    }

    /// How long until it is time to look again.
    pub(crate) fn due_in(&self) -> Duration {
        self.next_look.saturating_duration_since(Instant::now())
    }

    /// Looks, and says whether others have committed since the last look.
    pub(crate) fn look(&mut self, connection: &Connection) -> rusqlite::Result<bool> {
        self.next_look = Instant::now() + self.interval;
        let now = connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        Ok(mem::replace(&mut self.data_version, now) != now)
    }
}
