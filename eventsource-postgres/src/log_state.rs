use eventsource_core::{Position, Result};
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};
use uuid::Uuid;

use crate::durable::Seen;
use crate::error::reading;
use crate::log::Log;

/// What a statement's snapshot shows of the log as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogState {
    pub(crate) head: Position,
    /// The newest event that is there, told where it may not be durable yet; the head may be that of one that was archived.
    newest: Option<Seen>,
    /// Whether the newest events may be visible before they are durable.
    is_pipelined: bool,
}

impl LogState {
    /// The statement for it: its columns are what [`decode`](Self::decode) expects. A standby shows nothing that is not
    /// durable where it comes from.
    ///
    /// What is told for the flusher only is NULL where nobody waits for it: the columns stand beside each event of a page.
    ///
    /// `LIMIT 1` tells the planner what it can't know of a table that is never analysed: with more rows to come it would keep
    /// a copy of all that is joined to them, a page of events.
    pub(crate) const STATEMENT: &str = "\
        SELECT greatest(n.global_position, l.floor) AS head, \
            CASE WHEN l.pipelined THEN n.global_position END AS newest, \
            CASE WHEN l.pipelined THEN n.event_id END AS newest_id, l.pipelined \
        FROM (\
            SELECT floor, pipelined AND NOT pg_catalog.pg_is_in_recovery() AS pipelined FROM {schema}.log LIMIT 1\
        ) AS l LEFT JOIN LATERAL (\
            SELECT global_position, event_id FROM {schema}.events ORDER BY global_position DESC LIMIT 1\
        ) AS n ON true";
    /// How many columns it has.
    pub(crate) const COLUMNS: usize = 4;

    /// The snapshot whose columns begin at `at`.
    pub(crate) fn decode(row: &PgRow, at: usize) -> Result<Self> {
        let head = Position::try_from(row.try_get::<i64, _>(at).map_err(reading)?)?;
        let newest: Option<i64> = row.try_get(at + 1).map_err(reading)?;
        let id: Option<Uuid> = row.try_get(at + 2).map_err(reading)?;
        let is_pipelined = row.try_get(at + 3).map_err(reading)?;
        let newest = match (newest, id) {
            // What lies below the log's beginning was put there by hand; the head is not its.
            (Some(position), Some(id)) if position > 0 => {
                Some(Seen { position: Position::try_from(position)?, id })
            }
            _ => None,
        };
        Ok(Self { head, newest, is_pipelined })
    }
}

impl Log {
    /// The newest event of a snapshot, if it may not be durable yet. `known` was durable before the snapshot was taken.
    pub(crate) fn unsettled(&self, snapshot: &LogState, known: Option<Seen>) -> Option<Seen> {
        let newest = snapshot.newest.filter(|_| snapshot.is_pipelined)?;
        if known == Some(newest) {
            return None;
        }
        if known.is_some_and(|known| known.position > newest.position) {
            self.flusher.durable.forget();
        }
        Some(newest)
    }

    /// Waits until what a snapshot shows is durable.
    pub(crate) async fn settle(&self, snapshot: &LogState, known: Option<Seen>) -> Result<()> {
        match self.unsettled(snapshot, known) {
            None => Ok(()),
            seen => self.flusher.flush(seen).await.map_err(|failure| failure.to_error()),
        }
    }

    /// The same for what a transaction sees that goes on: it may have appended the newest event itself, which nobody
    /// else sees.
    pub(crate) async fn settle_within(
        &self,
        transaction: &mut PgConnection,
        snapshot: &LogState,
        known: Option<Seen>,
    ) -> Result<()> {
        if self.unsettled(snapshot, known).is_none() {
            return Ok(());
        }
        self.flusher.flush(None).await.map_err(|failure| failure.to_error())?;
        // It would not be alive if the server had crashed before the flush.
        sqlx::raw_sql("SELECT").execute(transaction).await.map_err(reading)?;
        Ok(())
    }
}
