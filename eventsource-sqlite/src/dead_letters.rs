use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use eventsource_core::{
    ConsumerName, DeadLetter, DeadLetterKey, DeadLetterQuery, DeadLetterState, DeadLetters, Error, EventId,
    EventType, NewDeadLetter, Position, Resolution, Result, check_resolver,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::failed;
use crate::store::SqliteStore;
use crate::write::Ending;
use crate::{leases, row};

#[async_trait]
impl DeadLetters for SqliteStore {
    async fn park(&self, letter: &NewDeadLetter) -> Result<()> {
        let (letter, now) = (letter.clone(), self.now()?);
        self.write("parking an event", move |transaction| {
            put(transaction, &letter, now)?;
            Ok::<_, Error>(Ending::Commit(()))
        })
        .await
    }

    async fn park_behind(&self, letter: &NewDeadLetter) -> Result<bool> {
        let (letter, now) = (letter.clone(), self.now()?);
        let Some(key) = letter.ordering_key().map(str::to_owned) else {
            return Err(Error::invalid_input("an event without a key is held back by nothing"));
        };
        self.write("parking an event", move |transaction| {
            let held: bool = transaction
                .prepare_cached(include_str!("sql/is_key_held.sql"))
                .and_then(|mut statement| {
                    statement.query_row(params![letter.consumer().as_str(), key], |row| row.get(0))
                })
                .map_err(|error| failed("parking an event", error))?;
            if !held {
                return Ok::<_, Error>(Ending::RollBack(false));
            }
            put(transaction, &letter, now)?;
            Ok(Ending::Commit(true))
        })
        .await
    }

    async fn held_keys(&self, consumer: &ConsumerName) -> Result<BTreeSet<String>> {
        let consumer = consumer.clone();
        self.read(move |connection| {
            connection
                .prepare_cached(include_str!("sql/held_keys.sql"))
                .and_then(|mut statement| {
                    statement.query_map([consumer.as_str()], |row| row.get(0))?.collect()
                })
                .map_err(|error| failed("listing held keys", error))
        })
        .await
    }

    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetter>> {
        let query = query.clone();
        self.read(move |connection| {
            let listing = |error| failed("listing dead letters", error);
            let sql = include_str!("sql/dead_letters.sql");
            let mut statement = connection.prepare_cached(sql).map_err(listing)?;
            let limit = query.max_letters().map_or(-1, i64::from);
            let mut rows = statement
                .query(params![
                    query.consumer().map(ConsumerName::as_str),
                    query.state().map(DeadLetterState::as_str),
                    query.after_position().to_i64(),
                    limit
                ])
                .map_err(listing)?;
            let mut letters = Vec::new();
            while let Some(row) = rows.next().map_err(listing)? {
                letters.push(decode(row)?);
            }
            Ok(letters)
        })
        .await
    }

    async fn count_dead_letters(&self, query: &DeadLetterQuery) -> Result<u64> {
        let query = query.clone();
        self.read(move |connection| {
            let count: i64 = connection
                .prepare_cached(include_str!("sql/count_dead_letters.sql"))
                .and_then(|mut statement| {
                    let consumer = query.consumer().map(ConsumerName::as_str);
                    let state = query.state().map(DeadLetterState::as_str);
                    let after = query.after_position().to_i64();
                    statement.query_row(params![consumer, state, after], |row| row.get(0))
                })
                .map_err(|error| failed("counting dead letters", error))?;
            Ok(count.cast_unsigned())
        })
        .await
    }

    async fn begin_retry(
        &self,
        key: &DeadLetterKey,
        abandoned_after: Duration,
    ) -> Result<Option<DeadLetter>> {
        let (key, now) = (key.clone(), self.now()?);
        self.write("retrying a dead letter", move |transaction| {
            let retrying = |error| failed("retrying a dead letter", error);
            let mut statement =
                transaction.prepare_cached(include_str!("sql/begin_retry.sql")).map_err(retrying)?;
            let letter = statement
                .query_row(
                    params![
                        key.consumer.as_str(),
                        key.event_id.as_uuid().into_bytes(),
                        now.timestamp_micros(),
                        before(now, abandoned_after)
                    ],
                    |row| Ok(decode(row)),
                )
                .optional()
                .map_err(retrying)?
                .transpose()?;
            Ok::<_, Error>(Ending::Commit(letter))
        })
        .await
    }

    async fn resolve(&self, key: &DeadLetterKey, by: &str) -> Result<bool> {
        check_resolver(by)?;
        let (key, by, now) = (key.clone(), by.to_owned(), self.now()?);
        self.write("resolving a dead letter", move |transaction| {
            Ok::<_, Error>(Ending::Commit(resolve(transaction, &key, &by, now)?))
        })
        .await
    }

    async fn hand_over_dead_letters(&self, from: &ConsumerName, to: &ConsumerName) -> Result<()> {
        let (from, to, now) = (from.clone(), to.clone(), self.now()?);
        self.write("handing over dead letters", move |transaction| {
            hand_over(transaction, &from, &to, now)?;
            Ok::<_, Error>(Ending::Commit(()))
        })
        .await
    }

    async fn delete_resolved(&self, older_than: Duration) -> Result<u64> {
        let limit = before(self.now()?, older_than);
        self.write("deleting resolved dead letters", move |transaction| {
            let sql = "DELETE FROM main.dead_letter_queue WHERE status = 'resolved' AND resolved_at < ?1";
            let deleted = transaction
                .execute(sql, [limit])
                .map_err(|error| failed("deleting resolved dead letters", error))?;
            Ok::<_, Error>(Ending::Commit(deleted as u64))
        })
        .await
    }
}

/// Resolves in a transaction that holds the write lock; false if there is no such letter.
pub(crate) fn resolve(
    connection: &Connection,
    key: &DeadLetterKey,
    by: &str,
    now: DateTime<Utc>,
) -> Result<bool> {
    let resolved = connection
        .prepare_cached(include_str!("sql/resolve_dead_letter.sql"))
        .and_then(|mut statement| {
            let id = key.event_id.as_uuid().into_bytes();
            statement.execute(params![key.consumer.as_str(), id, by, now.timestamp_micros()])
        })
        .map_err(|error| failed("resolving a dead letter", error))?;
    Ok(resolved > 0)
}

/// Whether there is such a letter and it is not resolved, in a transaction that holds the write lock.
pub(crate) fn is_open(connection: &Connection, key: &DeadLetterKey) -> Result<bool> {
    connection
        .prepare_cached(include_str!("sql/is_letter_open.sql"))
        .and_then(|mut statement| {
            let id = key.event_id.as_uuid().into_bytes();
            statement.query_row(params![key.consumer.as_str(), id], |row| row.get(0))
        })
        .map_err(|error| failed("resolving a dead letter", error))
}

/// Makes one consumer's letters another's, whose own are resolved, in a transaction that holds the write lock.
pub(crate) fn hand_over(
    connection: &Connection,
    from: &ConsumerName,
    to: &ConsumerName,
    now: DateTime<Utc>,
) -> Result<()> {
    let hand_over = || {
        connection.execute(
            include_str!("sql/resolve_dead_letters.sql"),
            params![to.as_str(), from.as_str(), now.timestamp_micros()],
        )?;
        connection.execute(include_str!("sql/hand_over_letters.sql"), params![from.as_str(), to.as_str()])?;
        let sql = "DELETE FROM main.dead_letter_queue WHERE projection_name = ?1";
        connection.execute(sql, [from.as_str()]).map(drop)
    };
    hand_over().map_err(|error| failed("handing over dead letters", error))
}

fn put(connection: &Connection, letter: &NewDeadLetter, now: DateTime<Utc>) -> Result<()> {
    if let Some(fence) = letter.fence() {
        leases::check(connection, fence)?;
    }
    let (key, event) = (letter.key(), letter.event());
    connection
        .prepare_cached(include_str!("sql/park.sql"))
        .and_then(|mut statement| {
            statement.execute(params![
                key.consumer.as_str(),
                key.event_id.as_uuid().into_bytes(),
                event.position().to_i64(),
                event.event_type().as_str(),
                letter.ordering_key(),
                letter.error(),
                letter.attempts(),
                now.timestamp_micros(),
            ])
        })
        .map(drop)
        .map_err(|error| failed("parking an event", error))
}

fn decode(row: &Row<'_>) -> Result<DeadLetter> {
    let broken = |error: Error| Error::corrupt("a stored dead letter can't be decoded").with_source(error);
    let decode = || {
        let resolution = match row::optional_text(row, 11)? {
            None => None,
            Some(by) => Some(Resolution { at: row::time(row, 10)?, by: by.to_owned() }),
        };
        Ok(DeadLetter {
            key: DeadLetterKey {
                consumer: ConsumerName::new(row::text(row, 0)?)?,
                event_id: EventId::new(row::uuid(row, 1)?)?,
            },
            position: Position::try_from(row::column::<i64>(row, 2)?)?,
            event_type: EventType::new(row::text(row, 3)?)?,
            ordering_key: row::optional_text(row, 4)?.map(str::to_owned),
            error: row::text(row, 5)?.to_owned(),
            attempts: row::column(row, 6)?,
            first_failed_at: row::time(row, 7)?,
            last_failed_at: row::time(row, 8)?,
            state: row::text(row, 9)?.parse()?,
            resolution,
        })
    };
    decode().map_err(broken)
}

/// So long before `now`, in microseconds.
fn before(now: DateTime<Utc>, duration: Duration) -> i64 {
    let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    now.timestamp_micros().saturating_sub(micros)
}
