use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use eventsource_core::{
    Claim, ClaimId, ClaimRequest, Error, EventId, NewEvent, Outbox, OutboxEntry, OutboxFilter,
    OutboxStatistics, Outcome, RecordedEvent, Result, Settlement, TenantId,
};
use rusqlite::{CachedStatement, Connection, Row, params};
use uuid::Uuid;

use crate::error::failed;
use crate::row::Place;
use crate::store::SqliteStore;
use crate::write::Ending;

/// Puts events into the outbox as they are written.
pub(crate) struct OutboxWriter<'c> {
    filter: OutboxFilter,
    insert: CachedStatement<'c>,
}

impl<'c> OutboxWriter<'c> {
    pub(crate) fn new(connection: &'c Connection, filter: &OutboxFilter) -> rusqlite::Result<Self> {
        let insert = connection.prepare_cached(include_str!("sql/insert_outbox.sql"))?;
        Ok(Self { filter: filter.clone(), insert })
    }

    /// Puts in an event that was just written at `place`, if it is to be published.
    pub(crate) fn put(&mut self, event: &NewEvent, place: &Place<'_>) -> rusqlite::Result<()> {
        let stream = place.stream.map(|(stream, _)| stream);
        if !self.filter.admits(event, stream) {
            return Ok(());
        }
        let unfit = |error: Error| rusqlite::Error::ToSqlConversionFailure(error.into());
        let position = place.position.try_into().map_err(unfit)?;
        let in_stream = place.stream.map(|(stream, version)| (stream.clone(), version));
        let recorded = RecordedEvent::new(event.clone(), position, in_stream, place.recorded_at);
        self.insert.execute(params![
            place.position,
            event.event_id().as_uuid().as_bytes(),
            event.event_type().as_str(),
            stream.map(|stream| stream.aggregate_id().into_bytes()),
            stream.map(|stream| stream.aggregate_type().as_str()),
            event.all_metadata().tenant_id().map(TenantId::as_uuid).map(Uuid::into_bytes),
            recorded.to_json().map_err(unfit)?,
            place.recorded_at.timestamp_micros(),
        ])?;
        Ok(())
    }
}

#[async_trait]
impl Outbox for SqliteStore {
    async fn claim(&self, request: &ClaimRequest) -> Result<Claim> {
        let request = request.clone();
        self.change("claiming from the outbox", move |connection, now| claim(connection, &request, now)).await
    }

    async fn settle(&self, claim: ClaimId, settlements: &[Settlement]) -> Result<Vec<EventId>> {
        let settlements = settlements.to_vec();
        let work = move |connection: &Connection, now| settle(connection, claim, &settlements, now);
        self.change("settling with the outbox", work).await
    }

    async fn extend(&self, claim: ClaimId, lease: Duration) -> Result<u64> {
        let sql = "UPDATE main.event_outbox SET held_until = ?2 WHERE claim_id = ?1 AND held_until > ?3";
        self.change("extending a claim", move |connection, now| {
            let parameters = (claim.as_uuid().into_bytes(), after(now, lease), now.timestamp_micros());
            Ok(connection.prepare_cached(sql)?.execute(parameters)? as u64)
        })
        .await
    }

    async fn failed(&self, limit: usize) -> Result<Vec<OutboxEntry>> {
        let sql = "SELECT position, event_data, retry_count, last_error FROM main.event_outbox \
                   WHERE status = 'failed' ORDER BY position LIMIT ?1";
        self.read(move |connection| {
            let read = || -> std::result::Result<_, Trouble> {
                let mut statement = connection.prepare_cached(sql)?;
                let mut rows = statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
                let mut entries = Vec::new();
                while let Some(row) = rows.next()? {
                    entries.push(entry(row)?);
                }
                Ok(entries)
            };
            read().map_err(|trouble| trouble.of("reading the outbox"))
        })
        .await
    }

    async fn retry_failed(&self, events: Option<&[EventId]>) -> Result<u64> {
        let events = events.map(<[EventId]>::to_vec);
        self.change("retrying failed events", move |connection, _| {
            let all =
                "UPDATE main.event_outbox SET status = 'pending', retry_count = 0 WHERE status = 'failed'";
            let Some(events) = events else { return Ok(connection.prepare_cached(all)?.execute([])? as u64) };
            let mut one = connection.prepare_cached(&format!("{all} AND event_id = ?1"))?;
            let mut count = 0;
            for event in events {
                count += one.execute([event.as_uuid().as_bytes()])? as u64;
            }
            Ok(count)
        })
        .await
    }

    async fn delete_published(&self, older_than: Duration) -> Result<u64> {
        let sql = "DELETE FROM main.event_outbox WHERE status = 'published' AND published_at <= ?1";
        self.change("deleting published events", move |connection, now| {
            let until = now.timestamp_micros().saturating_sub(microseconds(older_than));
            Ok(connection.prepare_cached(sql)?.execute([until])? as u64)
        })
        .await
    }

    async fn statistics(&self) -> Result<OutboxStatistics> {
        let now = self.shared.config.now()?.timestamp_micros();
        self.read(move |connection| {
            connection
                .prepare_cached(include_str!("sql/outbox_statistics.sql"))
                .and_then(|mut statement| statement.query_row([now], |row| statistics(row, now)))
                .map_err(|error| failed("counting the outbox", error))
        })
        .await
    }
}

impl SqliteStore {
    /// Runs `work` in a transaction of its own, and tells it the time.
    async fn change<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection, DateTime<Utc>) -> std::result::Result<T, Trouble> + Send + 'static,
    ) -> Result<T> {
        let config = self.shared.config.clone();
        self.write(doing, move |transaction| {
            work(transaction, config.now()?).map(Ending::Commit).map_err(|trouble| trouble.of(doing))
        })
        .await
    }
}

/// What stands in the way of looking at the outbox: SQLite, or what is stored.
enum Trouble {
    Sqlite(rusqlite::Error),
    Stored(Error),
}

impl Trouble {
    fn of(self, doing: &'static str) -> Error {
        match self {
            Self::Sqlite(error) => failed(doing, error),
            Self::Stored(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Stored(error)
    }
}

fn claim(
    connection: &Connection,
    request: &ClaimRequest,
    now: DateTime<Utc>,
) -> std::result::Result<Claim, Trouble> {
    let id = ClaimId::random();
    let until = after(now, request.lease());
    let mut claimable = connection.prepare_cached(include_str!("sql/claimable.sql"))?;
    let limit = i64::try_from(request.limit()).unwrap_or(i64::MAX);
    let mut rows = claimable.query((now.timestamp_micros(), limit))?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(entry(row)?);
    }
    let mut claim = connection.prepare_cached(include_str!("sql/claim.sql"))?;
    for entry in &entries {
        claim.execute((entry.event.position().to_i64(), id.as_uuid().as_bytes(), request.worker(), until))?;
    }
    Ok(Claim { id, entries })
}

fn entry(row: &Row<'_>) -> std::result::Result<OutboxEntry, Trouble> {
    let position: i64 = row.get(0)?;
    let event = RecordedEvent::from_json(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?);
    let event = event.map_err(|error| {
        Error::corrupt(format!("the outbox's entry for position {position} can't be decoded"))
            .with_source(error)
    })?;
    if event.position().to_i64() != position {
        return Err(
            Error::corrupt(format!("the outbox's entry for position {position} names another")).into()
        );
    }
    Ok(OutboxEntry { event, failed_attempts: row.get(2)?, last_error: row.get(3)? })
}

fn settle(
    connection: &Connection,
    claim: ClaimId,
    settlements: &[Settlement],
    now: DateTime<Utc>,
) -> std::result::Result<Vec<EventId>, Trouble> {
    let mut settle = connection.prepare_cached(include_str!("sql/settle.sql"))?;
    let mut lost = Vec::new();
    for settlement in settlements {
        let microseconds = now.timestamp_micros();
        let (status, published_at, failures, error, held_until) = match settlement.outcome() {
            Outcome::Published => ("published", Some(microseconds), 0, None, None),
            Outcome::Retry { after: wait, error } => {
                ("pending", None, 1, Some(error), Some(after(now, *wait)))
            }
            Outcome::GivenUp { error } => ("failed", None, 1, Some(error), None),
            // Nobody tried.
            _ => ("pending", None, 0, None, None),
        };
        let settled = settle.execute(params![
            claim.as_uuid().as_bytes(),
            settlement.event_id().as_uuid().as_bytes(),
            microseconds,
            status,
            published_at,
            failures,
            error,
            held_until,
        ])?;
        if settled == 0 {
            lost.push(settlement.event_id());
        }
    }
    Ok(lost)
}

fn statistics(row: &Row<'_>, now: i64) -> rusqlite::Result<OutboxStatistics> {
    let count = |index| row.get::<_, i64>(index).map(i64::cast_unsigned);
    let [pending, in_flight, published, failed] = [count(0)?, count(1)?, count(2)?, count(3)?];
    let oldest: Option<i64> = row.get(4)?;
    // A clock that was set back makes nothing older than now.
    let age =
        |since: i64| Duration::from_micros(u64::try_from(now.saturating_sub(since)).unwrap_or_default());
    let pending = pending.saturating_sub(in_flight);
    Ok(OutboxStatistics { pending, in_flight, published, failed, oldest_pending: oldest.map(age) })
}

fn after(now: DateTime<Utc>, duration: Duration) -> i64 {
    now.timestamp_micros().saturating_add(microseconds(duration))
}

fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
