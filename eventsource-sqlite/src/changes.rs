use std::time::{Duration, Instant};

use rusqlite::Connection;

/// Tells whether others have committed since it last looked. SQLite keeps a number for that per connection
/// (<https://sqlite.org/pragma.html#pragma_data_version>), which this connection's own commits leave alone.
#[derive(Debug)]
pub(crate) struct OthersChanges {
    data_version: Option<i64>,
    interval: Duration,
    next_look: Instant,
}

impl OthersChanges {
    pub(crate) fn new(interval: Duration) -> Self {
        Self { data_version: None, interval, next_look: Instant::now() }
    }

    /// How long until it is time to look again.
    pub(crate) fn due_in(&self) -> Duration {
        self.next_look.saturating_duration_since(Instant::now())
    }

    /// Looks, and says whether others have committed since the last look.
    pub(crate) fn look(&mut self, connection: &Connection) -> rusqlite::Result<bool> {
        self.next_look = Instant::now() + self.interval;
        let current = connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        Ok(self.data_version.replace(current).is_none_or(|last| last != current))
    }
}
