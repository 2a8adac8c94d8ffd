use std::collections::HashMap;

use eventsource_core::{Append, Appended, Conflict, Error, EventId, Result};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _, ValueRef as _};
use uuid::Uuid;

use crate::error::reading;
use crate::log::Log;
use crate::log_state::LogState;
use crate::row::{COLUMNS, Rows, StoredEvent};

/// What an append came to of which some event id is stored.
pub(crate) struct Judgement {
    pub(crate) result: Result<Appended>,
    /// What it tells of the log.
    pub(crate) snapshot: LogState,
}

impl Log {
    /// Judges an append of which some event id is stored: its first result if it is stored as exactly this append, else
    /// the conflict.
    ///
    /// What is stored never changes, so it may be looked at after the log's lock was let go.
    pub(crate) async fn judge_repeated(
        &self,
        connection: &mut PgConnection,
        append: &Append,
    ) -> Result<Judgement> {
        let (stored, snapshot) = self.stored_events(connection, append).await?;
        let result = match self.as_replay(connection, append, &stored).await? {
            Some(appended) => Ok(appended),
            None => Err(not_a_replay(append, &stored)),
        };
        Ok(Judgement { result, snapshot })
    }

    async fn stored_events(
        &self,
        connection: &mut PgConnection,
        append: &Append,
    ) -> Result<(HashMap<EventId, StoredEvent>, LogState)> {
        let ids: Vec<Uuid> = append.each_event().map(|(_, event)| event.event_id().as_uuid()).collect();
        let sql = format!(
            "SELECT snapshot.*, {COLUMNS} FROM ({}) AS snapshot \
             LEFT JOIN {}.events e ON e.event_id = ANY($1)",
            self.schema.fill_in(LogState::STATEMENT),
            self.schema
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .persistent(self.is_preparing())
            .bind(ids)
            .fetch_all(connection)
            .await
            .map_err(reading)?;
        let first =
            rows.first().ok_or_else(|| Error::backend("the log's schema lacks the row that names it"))?;
        let snapshot = LogState::decode(first, 0)?;
        let mut decoder = Rows::default();
        let mut stored = HashMap::new();
        for row in &rows {
            if !row.try_get_raw(LogState::COLUMNS).map_err(reading)?.is_null() {
                let found = decoder.decode(row, LogState::COLUMNS)?;
                stored.insert(found.event.id(), found);
            }
        }
        Ok((stored, snapshot))
    }

    async fn as_replay(
        &self,
        connection: &mut PgConnection,
        append: &Append,
        stored: &HashMap<EventId, StoredEvent>,
    ) -> Result<Option<Appended>> {
        let mut first = None;
        let mut last = None;
        let mut versions = Vec::new();
        for (index, (stream, event)) in (0_i32..).zip(append.each_event()) {
            let Some(StoredEvent { event: found, append_index }) = stored.get(&event.event_id()) else {
                return Ok(None);
            };
            let first = *first.get_or_insert(found.position());
            if *append_index != index
                || found.position().to_i64() != first.to_i64() + i64::from(index)
                || !found.records(event, stream)
            {
                return Ok(None);
            }
            last = Some(found.position());
            if let (Some(stream), Some(version)) = (found.stream(), found.version()) {
                match versions.last_mut() {
                    Some((known, newest)) if known == stream => *newest = version,
                    _ => versions.push((stream.clone(), version)),
                }
            }
        }
        let (Some(first), Some(last)) = (first, last) else { return Ok(None) };
        // Was the stored append longer? Then the next event is one of its.
        let sql = format!(
            "SELECT append_index FROM {}.events WHERE global_position > $1 ORDER BY global_position LIMIT 1",
            self.schema
        );
        let next: Option<i32> = sqlx::query(AssertSqlSafe(sql))
            .persistent(self.is_preparing())
            .bind(last.to_i64())
            .fetch_optional(connection)
            .await
            .and_then(|row| row.map(|row| row.try_get(0)).transpose())
            .map_err(reading)?;
        Ok(matches!(next, None | Some(0)).then_some(Appended { first, last, versions, replayed: true }))
    }
}

fn not_a_replay(append: &Append, stored: &HashMap<EventId, StoredEvent>) -> Error {
    let taken = append.each_event().find_map(|(_, event)| stored.get(&event.event_id()));
    match taken {
        Some(StoredEvent { event, .. }) => {
            Conflict::DuplicateEvent { event_id: event.id(), position: event.position() }.into()
        }
        None => Error::unavailable("events were archived while they were looked at"),
    }
}
