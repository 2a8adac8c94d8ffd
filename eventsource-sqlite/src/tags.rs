use rusqlite::{Connection, Result};

use crate::inserts::Inserts;
use crate::pending::PendingEvent;

/// Writes the tags of events to where they are searched: first to a small table, and from there to the large one, many
/// at a time and in its order (docs/adr/0016).
pub(crate) struct Tags<'c> {
    connection: &'c Connection,
    recent: Inserts<'c>,
    /// Those of events up to this position lie in the large table.
    moved: i64,
}

impl<'c> Tags<'c> {
    /// How many events' tags the small table takes.
    pub(crate) const RECENT_EVENTS: i64 = 4_096;

    pub(crate) fn new(connection: &'c Connection) -> Self {
        Self { connection, recent: Inserts::new(connection, include_str!("sql/insert_tag.sql")), moved: 0 }
    }

    /// Begins a transaction, which finds them moved up to here.
    pub(crate) fn begin(&mut self, moved: i64) {
        self.moved = moved;
    }

    pub(crate) fn moved(&self) -> i64 {
        self.moved
    }

    pub(crate) fn insert(&mut self, events: &[PendingEvent<'_>]) -> Result<()> {
        let tags = events
            .iter()
            .flat_map(|(event, place)| event.all_tags().iter().map(|tag| (tag.as_str(), place.position)));
        self.recent.insert(&tags.collect::<Vec<_>>(), |statement, index, (tag, position)| {
            statement.raw_bind_parameter(index, tag)?;
            statement.raw_bind_parameter(index + 1, position)?;
            Ok(tag.len())
        })
    }

    /// Moves them on if they are many; those of all events up to `head` are inserted.
    pub(crate) fn settle(&mut self, head: i64) -> Result<()> {
        if head - self.moved >= Self::RECENT_EVENTS {
            self.connection.prepare_cached(include_str!("sql/move_tags.sql"))?.execute([])?;
            self.connection.prepare_cached(include_str!("sql/clear_recent_tags.sql"))?.execute([])?;
            self.moved = head;
        }
        Ok(())
    }
}
