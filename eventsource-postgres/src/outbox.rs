use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use eventsource_core::{
    Claim, ClaimId, ClaimRequest, Error, EventId, Outbox, OutboxEntry, OutboxStatistics, Outcome,
    RecordedEvent, Result, Settlement, to_microseconds,
};
use sqlx::postgres::PgRow;
use sqlx::{Postgres, Row as _, Transaction};
use tokio::time::timeout;
use uuid::Uuid;

use crate::PostgresStore;
use crate::binary::{json, required};
use crate::connection::begin;
use crate::error::{Asked, Failure, reading};
use crate::log::{Log, Statement};

/// The class of the outbox's advisory lock; the key is its table's oid, unique in a database.
const LOCK_CLASS: i32 = 0x4553_4f42;

#[async_trait]
impl Outbox for PostgresStore {
    async fn claim(&self, request: &ClaimRequest) -> Result<Claim> {
        let log = self.log()?;
        let id = ClaimId::random();
        let claiming = async {
            let mut change = log.change_outbox().await?;
            let claim = log
                .statement(include_str!("sql/claim.sql"))
                .bind(change.now)
                .bind(i64::try_from(request.limit()).unwrap_or(i64::MAX))
                .bind(after(change.now, request.lease()))
                .bind(id.as_uuid())
                .bind(request.worker());
            let rows = claim.fetch_all(&mut *change.transaction).await.map_err(reading)?;
            let entries = rows.iter().map(entry).collect::<Result<_>>()?;
            // This flushes all that was committed before as well: what is published, no crash takes back.
            change.commit().await?;
            Ok(Claim { id, entries })
        };
        log.in_time(claiming).await
    }

    async fn settle(&self, claim: ClaimId, settlements: &[Settlement]) -> Result<Vec<EventId>> {
        let log = self.log()?;
        let settling = async {
            let mut change = log.change_outbox().await?;
            let columns = Columns::of(settlements, change.now);
            let settle = log
                .statement(include_str!("sql/settle.sql"))
                .bind(claim.as_uuid())
                .bind(change.now)
                .bind(columns.event_ids)
                .bind(columns.statuses)
                .bind(columns.failures)
                .bind(columns.errors)
                .bind(columns.held_until);
            let rows = settle.fetch_all(&mut *change.transaction).await.map_err(reading)?;
            change.commit().await?;
            rows.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<HashSet<Uuid>>>().map_err(reading)
        };
        let settled = log.in_time(settling).await?;
        let ids = settlements.iter().map(Settlement::event_id);
        Ok(ids.filter(|id| !settled.contains(&id.as_uuid())).collect())
    }

    async fn extend(&self, claim: ClaimId, lease: Duration) -> Result<u64> {
        let sql = "UPDATE {schema}.event_outbox SET held_until = $3 WHERE claim_id = $1 AND held_until > $2";
        let log = self.log()?;
        log.run_on_outbox(|now| log.statement(sql).bind(claim.as_uuid()).bind(now).bind(after(now, lease)))
            .await
    }

    async fn failed(&self, limit: usize) -> Result<Vec<OutboxEntry>> {
        let sql = "SELECT position, event_data, retry_count, last_error FROM {schema}.event_outbox \
                   WHERE status = 'failed' AND position IS NOT NULL ORDER BY position LIMIT $1";
        let log = self.log()?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = log.read_outbox(log.statement(sql).bind(limit)).await?;
        rows.iter().map(entry).collect()
    }

    async fn retry_failed(&self, events: Option<&[EventId]>) -> Result<u64> {
        let sql = "UPDATE {schema}.event_outbox SET status = 'pending', retry_count = 0 \
                   WHERE status = 'failed' AND position IS NOT NULL AND ($1::uuid[] IS NULL OR event_id = ANY ($1))";
        let log = self.log()?;
        let ids = events.map(|events| events.iter().map(|event| event.as_uuid()).collect::<Vec<_>>());
        log.run_on_outbox(|_| log.statement(sql).bind(ids)).await
    }

    async fn delete_published(&self, older_than: Duration) -> Result<u64> {
        let sql = "DELETE FROM {schema}.event_outbox WHERE status = 'published' AND published_at <= $1";
        let log = self.log()?;
        log.run_on_outbox(|now| log.statement(sql).bind(before(now, older_than))).await
    }

    async fn statistics(&self) -> Result<OutboxStatistics> {
        let log = self.log()?;
        let count = log.statement(include_str!("sql/outbox_statistics.sql")).bind(log.own_time()?);
        let rows = log.read_outbox(count).await?;
        let row = rows.first().ok_or_else(|| Error::backend("the database counts nothing"))?;
        statistics(row).map_err(reading)
    }
}

/// A transaction that holds the outbox's lock.
struct Change {
    transaction: Transaction<'static, Postgres>,
    now: DateTime<Utc>,
}

impl Change {
    async fn commit(self) -> Result<()> {
        self.transaction.commit().await.map_err(|error| Failure::new(error, Asked::Commit).to_error())
    }
}

impl Log {
    async fn change_outbox(&self) -> Result<Change> {
        let begun = begin(&self.pool, "BEGIN ISOLATION LEVEL READ COMMITTED");
        let mut transaction = begun.await.map_err(reading)?;
        let lock = self
            .statement(&include_str!("sql/outbox_lock.sql").replace("{lock_class}", &LOCK_CLASS.to_string()));
        let lock = lock.bind(self.lock_timeout.clone()).bind(self.own_time()?);
        let locked = lock.fetch_one(&mut *transaction).await;
        let now = locked.and_then(|row| row.try_get("now")).map_err(reading)?;
        Ok(Change { transaction, now })
    }

    /// Runs one statement under the outbox's lock, and tells how many rows it has changed.
    async fn run_on_outbox(&self, query: impl FnOnce(DateTime<Utc>) -> Statement) -> Result<u64> {
        let running = async {
            let mut change = self.change_outbox().await?;
            let done = query(change.now).execute(&mut *change.transaction).await.map_err(reading)?;
            change.commit().await?;
            Ok(done.rows_affected())
        };
        self.in_time(running).await
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        timeout(self.answer_timeout, work).await.unwrap_or_else(|_| Err(Failure::timed_out().to_error()))
    }

    async fn read_outbox(&self, query: Statement) -> Result<Vec<PgRow>> {
        let mut connection = self.reader().await?;
        let rows = query.fetch_all(&mut *connection).await.map_err(reading)?;
        connection.release().await?;
        Ok(rows)
    }

    /// The configured clock's time; none where the server's counts.
    fn own_time(&self) -> Result<Option<DateTime<Utc>>> {
        self.clock.as_ref().map(|clock| to_microseconds(clock.now())).transpose()
    }
}

fn entry(row: &PgRow) -> Result<OutboxEntry> {
    let position: i64 = row.try_get(0).map_err(reading)?;
    let broken = || format!("the outbox's entry for position {position} can't be decoded");
    let event = required(row, 1, json)
        .and_then(RecordedEvent::from_json)
        .map_err(|error| Error::corrupt(broken()).with_source(error))?;
    let failed: i32 = row.try_get(2).map_err(reading)?;
    match u32::try_from(failed) {
        Ok(failed_attempts) if event.position().to_i64() == position => {
            Ok(OutboxEntry { event, failed_attempts, last_error: row.try_get(3).map_err(reading)? })
        }
        _ => Err(Error::corrupt(broken())),
    }
}

/// Settlements, column by column.
#[derive(Default)]
struct Columns {
    event_ids: Vec<Uuid>,
    statuses: Vec<&'static str>,
    failures: Vec<i32>,
    errors: Vec<Option<String>>,
    held_until: Vec<Option<DateTime<Utc>>>,
}

impl Columns {
    fn of(settlements: &[Settlement], now: DateTime<Utc>) -> Self {
        let mut columns = Self::default();
        for settlement in settlements {
            let (status, failures, error, held_until) = match settlement.outcome() {
                Outcome::Published => ("published", 0, None, None),
                Outcome::Retry { after: wait, error } => ("pending", 1, Some(error), Some(after(now, *wait))),
                Outcome::GivenUp { error } => ("failed", 1, Some(error), None),
                // Nobody tried.
                _ => ("pending", 0, None, None),
            };
            columns.event_ids.push(settlement.event_id().as_uuid());
            columns.statuses.push(status);
            columns.failures.push(failures);
            columns.errors.push(error.cloned());
            columns.held_until.push(held_until);
        }
        columns
    }
}

fn statistics(row: &PgRow) -> sqlx::Result<OutboxStatistics> {
    let count = |index| row.try_get::<i64, _>(index).map(i64::cast_unsigned);
    let [pending, in_flight, published, failed] = [count(0)?, count(1)?, count(2)?, count(3)?];
    let oldest: Option<i64> = row.try_get(4)?;
    // A clock that was set back makes nothing older than now.
    let age = |age| Duration::from_micros(u64::try_from(age).unwrap_or_default());
    let pending = pending.saturating_sub(in_flight);
    Ok(OutboxStatistics { pending, in_flight, published, failed, oldest_pending: oldest.map(age) })
}

fn after(now: DateTime<Utc>, duration: Duration) -> DateTime<Utc> {
    let end = TimeDelta::from_std(duration).ok().and_then(|duration| now.checked_add_signed(duration));
    end.unwrap_or(now)
}

/// So long ago that it is before any row, if it is before any time.
fn before(now: DateTime<Utc>, duration: Duration) -> DateTime<Utc> {
    let start = TimeDelta::from_std(duration).ok().and_then(|duration| now.checked_sub_signed(duration));
    start.filter(|start| *start > DateTime::UNIX_EPOCH).unwrap_or(DateTime::UNIX_EPOCH)
}
