use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use eventsource_core::{
    ConsumerName, DeadLetter, DeadLetterKey, DeadLetterQuery, DeadLetterState, DeadLetters, Error, EventId,
    EventType, NewDeadLetter, Position, Resolution, Result, check_resolver,
};
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};

use crate::PostgresStore;
use crate::array::JsonText;
use crate::error::reading;
use crate::log::Log;
use crate::writing::commit;

/// What [`decode`] reads, in its order.
const COLUMNS: &str = "d.projection_name::text, d.event_id, d.global_position, d.event_type::text, d.ordering_key, \
     d.error_message, d.retry_count, d.first_failed_at, d.last_failed_at, d.status::text, d.resolved_at, \
     d.resolved_by::text";

#[async_trait]
impl DeadLetters for PostgresStore {
    async fn park(&self, letter: &NewDeadLetter) -> Result<()> {
        let log = self.log()?;
        let mut transaction = log.begin().await?;
        log.park(&mut transaction, letter).await?;
        commit(transaction).await
    }

    async fn park_behind(&self, letter: &NewDeadLetter) -> Result<bool> {
        let Some(key) = letter.ordering_key() else {
            return Err(Error::invalid_input("an event without a key is held back by nothing"));
        };
        let log = self.log()?;
        let mut transaction = log.begin().await?;
        // What holds it can't be resolved until this commits.
        let holding = log
            .query(include_str!("sql/lock_holding_letter.sql"))
            .bind(letter.consumer().as_str())
            .bind(key.to_owned())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(reading)?;
        if holding.is_none() {
            transaction.rollback().await.map_err(reading)?;
            return Ok(false);
        }
        log.park(&mut transaction, letter).await?;
        commit(transaction).await?;
        Ok(true)
    }

    async fn held_keys(&self, consumer: &ConsumerName) -> Result<BTreeSet<String>> {
        let log = self.log()?;
        let mut connection = log.reader().await?;
        let rows = log
            .query(include_str!("sql/held_keys.sql"))
            .bind(consumer.as_str())
            .fetch_all(&mut *connection)
            .await
            .map_err(reading)?;
        connection.release().await?;
        rows.iter().map(|row| row.try_get(0).map_err(reading)).collect()
    }

    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetter>> {
        let log = self.log()?;
        let mut connection = log.reader().await?;
        let sql = include_str!("sql/dead_letters.sql");
        let rows = log
            .query(&sql.replace("{columns}", COLUMNS))
            .bind(query.consumer().map(|consumer| consumer.as_str().to_owned()))
            .bind(query.state().map(DeadLetterState::as_str))
            .bind(query.after_position().to_i64())
            .bind(query.max_letters().map(i64::from))
            .fetch_all(&mut *connection)
            .await
            .map_err(reading)?;
        connection.release().await?;
        rows.iter().map(decode).collect()
    }

    async fn count_dead_letters(&self, query: &DeadLetterQuery) -> Result<u64> {
        let log = self.log()?;
        let mut connection = log.reader().await?;
        let row = log
            .query(include_str!("sql/count_dead_letters.sql"))
            .bind(query.consumer().map(|consumer| consumer.as_str().to_owned()))
            .bind(query.state().map(DeadLetterState::as_str))
            .bind(query.after_position().to_i64())
            .fetch_one(&mut *connection)
            .await
            .map_err(reading)?;
        connection.release().await?;
        Ok(row.try_get::<i64, _>(0).map_err(reading)?.cast_unsigned())
    }

    async fn begin_retry(
        &self,
        key: &DeadLetterKey,
        abandoned_after: Duration,
    ) -> Result<Option<DeadLetter>> {
        let log = self.log()?;
        let mut transaction = log.begin().await?;
        let sql = include_str!("sql/begin_retry.sql");
        let row = log
            .query(&sql.replace("{columns}", COLUMNS))
            .bind(key.consumer.as_str())
            .bind(key.event_id.as_uuid())
            .bind(log.now()?)
            .bind(seconds(abandoned_after))
            .fetch_optional(&mut *transaction)
            .await
            .map_err(reading)?;
        commit(transaction).await?;
        row.as_ref().map(decode).transpose()
    }

    async fn resolve(&self, key: &DeadLetterKey, by: &str) -> Result<bool> {
        let log = self.log()?;
        let mut transaction = log.begin().await?;
        let resolved = log.resolve(&mut transaction, key, by).await?;
        commit(transaction).await?;
        Ok(resolved)
    }

    async fn hand_over_dead_letters(&self, from: &ConsumerName, to: &ConsumerName) -> Result<()> {
        let log = self.log()?;
        let mut transaction = log.begin().await?;
        log.hand_over_letters(&mut transaction, from, to).await?;
        commit(transaction).await
    }

    async fn delete_resolved(&self, older_than: Duration) -> Result<u64> {
        let log = self.log()?;
        let mut transaction = log.begin().await?;
        let deleted = log
            .query(include_str!("sql/delete_resolved.sql"))
            .bind(log.now()?)
            .bind(seconds(older_than))
            .execute(&mut *transaction)
            .await
            .map_err(reading)?;
        commit(transaction).await?;
        Ok(deleted.rows_affected())
    }
}

impl Log {
    /// Resolves within a transaction; false if there is no such letter.
    pub(crate) async fn resolve(
        &self,
        connection: &mut PgConnection,
        key: &DeadLetterKey,
        by: &str,
    ) -> Result<bool> {
        check_resolver(by)?;
        let resolved = self
            .query(include_str!("sql/resolve_dead_letter.sql"))
            .bind(key.consumer.as_str().to_owned())
            .bind(key.event_id.as_uuid())
            .bind(by.to_owned())
            .bind(self.now()?)
            .execute(connection)
            .await
            .map_err(reading)?;
        Ok(resolved.rows_affected() > 0)
    }

    /// Locks a letter that is not resolved until the transaction ends; false if there is none.
    pub(crate) async fn lock_letter(
        &self,
        connection: &mut PgConnection,
        key: &DeadLetterKey,
    ) -> Result<bool> {
        let found = self
            .query(include_str!("sql/lock_dead_letter.sql"))
            .bind(key.consumer.as_str().to_owned())
            .bind(key.event_id.as_uuid())
            .fetch_optional(connection)
            .await
            .map_err(reading)?;
        Ok(found.is_some())
    }

    /// Makes one consumer's letters another's, whose own are resolved, within a transaction.
    pub(crate) async fn hand_over_letters(
        &self,
        connection: &mut PgConnection,
        from: &ConsumerName,
        to: &ConsumerName,
    ) -> Result<()> {
        self.query(include_str!("sql/resolve_dead_letters.sql"))
            .bind(to.as_str().to_owned())
            .bind(from.as_str().to_owned())
            .bind(self.now()?)
            .execute(&mut *connection)
            .await
            .map_err(reading)?;
        self.query(include_str!("sql/hand_over_letters.sql"))
            .bind(from.as_str().to_owned())
            .bind(to.as_str().to_owned())
            .execute(&mut *connection)
            .await
            .map_err(reading)?;
        self.query("DELETE FROM {schema}.dead_letter_queue WHERE projection_name = $1")
            .bind(from.as_str().to_owned())
            .execute(connection)
            .await
            .map_err(reading)?;
        Ok(())
    }

    async fn park(&self, connection: &mut PgConnection, letter: &NewDeadLetter) -> Result<()> {
        if let Some(fence) = letter.fence() {
            self.check_fence(connection, fence).await?;
        }
        let (key, event) = (letter.key(), letter.event());
        self.query(include_str!("sql/park.sql"))
            .bind(key.consumer.as_str().to_owned())
            .bind(key.event_id.as_uuid())
            .bind(event.position().to_i64())
            .bind(event.event_type().as_str().to_owned())
            .bind(JsonText::Owned(event.payload().as_json().to_owned()))
            .bind(letter.ordering_key().map(str::to_owned))
            .bind(letter.error().to_owned())
            .bind(i32::try_from(letter.attempts()).unwrap_or(i32::MAX))
            .bind(self.now()?)
            .execute(connection)
            .await
            .map_err(reading)?;
        Ok(())
    }
}

fn decode(row: &PgRow) -> Result<DeadLetter> {
    let broken = |error: Error| Error::corrupt("a stored dead letter can't be decoded").with_source(error);
    let decode = || {
        let at = row.try_get(10).map_err(reading)?;
        let by: Option<String> = row.try_get(11).map_err(reading)?;
        let resolution: Option<chrono::DateTime<chrono::Utc>> = at;
        Ok(DeadLetter {
            key: DeadLetterKey {
                consumer: ConsumerName::new(row.try_get::<&str, _>(0).map_err(reading)?)?,
                event_id: EventId::new(row.try_get(1).map_err(reading)?)?,
            },
            position: Position::try_from(row.try_get::<i64, _>(2).map_err(reading)?)?,
            event_type: EventType::new(row.try_get::<&str, _>(3).map_err(reading)?)?,
            ordering_key: row.try_get(4).map_err(reading)?,
            error: row.try_get(5).map_err(reading)?,
            attempts: row.try_get::<i32, _>(6).map_err(reading)?.cast_unsigned(),
            first_failed_at: row.try_get(7).map_err(reading)?,
            last_failed_at: row.try_get(8).map_err(reading)?,
            state: row.try_get::<&str, _>(9).map_err(reading)?.parse()?,
            resolution: resolution.zip(by).map(|(at, by)| Resolution { at, by }),
        })
    };
    decode().map_err(broken)
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64().min(3.2e9)
}
