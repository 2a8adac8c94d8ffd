use async_trait::async_trait;
use chrono::{DateTime, Utc};
use eventsource_core::{
    Checkpoint, CheckpointSave, CheckpointStore, ConsumerName, Error, EventId, EventType, LastEvent, LogId,
    Position, Result, SaveJudgement,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::failed;
use crate::store::SqliteStore;
use crate::write::Ending;
use crate::{leases, row};

#[async_trait]
impl CheckpointStore for SqliteStore {
    async fn load_checkpoint(&self, consumer: &ConsumerName) -> Result<Option<Checkpoint>> {
        let consumer = consumer.clone();
        self.read(move |connection| load(connection, &consumer)).await
    }

    async fn save_checkpoint(&self, given: &CheckpointSave) -> Result<()> {
        let (given, now) = (given.clone(), self.now()?);
        let work = move |transaction: &rusqlite::Transaction<'_>| {
            Ok::<_, Error>(match save(transaction, &given, now)? {
                SaveJudgement::Write => Ending::Commit(()),
                SaveJudgement::Stored => Ending::RollBack(()),
            })
        };
        self.write("saving a checkpoint", work).await
    }

    async fn reset_checkpoint(
        &self,
        consumer: &ConsumerName,
        log_id: LogId,
        position: Position,
    ) -> Result<()> {
        let (consumer, now) = (consumer.clone(), self.now()?);
        self.write("resetting a checkpoint", move |transaction| {
            reset(transaction, consumer, log_id, position, now)?;
            Ok::<_, Error>(Ending::Commit(()))
        })
        .await
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>> {
        self.read(|connection| {
            let listing = |error| failed("listing checkpoints", error);
            let sql = include_str!("sql/checkpoints.sql");
            let mut statement = connection.prepare_cached(sql).map_err(listing)?;
            let mut rows = statement.query([]).map_err(listing)?;
            let mut checkpoints = Vec::new();
            while let Some(row) = rows.next().map_err(listing)? {
                checkpoints.push(decode(row)?);
            }
            Ok(checkpoints)
        })
        .await
    }

    async fn delete_checkpoint(&self, consumer: &ConsumerName) -> Result<bool> {
        let consumer = consumer.clone();
        self.write("deleting a checkpoint", move |transaction| {
            Ok::<_, Error>(Ending::Commit(delete(transaction, &consumer)?))
        })
        .await
    }
}

/// Saves in a transaction that holds the write lock, if its fence holds and the core says so.
pub(crate) fn save(
    connection: &Connection,
    save: &CheckpointSave,
    now: DateTime<Utc>,
) -> Result<SaveJudgement> {
    if let Some(fence) = save.fence() {
        leases::check(connection, fence)?;
    }
    let judgement = save.judge(load(connection, save.consumer())?.as_ref())?;
    if judgement == SaveJudgement::Write {
        put(connection, &save.to_checkpoint(now)).map_err(|error| failed("saving a checkpoint", error))?;
    }
    Ok(judgement)
}

/// Sets the checkpoint of `to` to where `from` stands, and deletes that one.
pub(crate) fn hand_over(
    connection: &Connection,
    from: &CheckpointSave,
    to: &ConsumerName,
    now: DateTime<Utc>,
) -> Result<()> {
    // It is as the rebuilding consumer left it.
    from.judge(load(connection, from.consumer())?.as_ref())?;
    reset(connection, to.clone(), from.log_id(), from.position(), now)?;
    delete(connection, from.consumer())?;
    Ok(())
}

fn reset(
    connection: &Connection,
    consumer: ConsumerName,
    log_id: LogId,
    position: Position,
    now: DateTime<Utc>,
) -> Result<()> {
    let resets = load(connection, &consumer)?.map_or(1, |before| before.resets + 1);
    let checkpoint = Checkpoint {
        consumer,
        log_id,
        position,
        last_event: None,
        events_processed: 0,
        resets,
        updated_at: now,
    };
    put(connection, &checkpoint).map_err(|error| failed("resetting a checkpoint", error))
}

fn delete(connection: &Connection, consumer: &ConsumerName) -> Result<bool> {
    let sql = "DELETE FROM main.projection_checkpoints WHERE projection_name = ?1";
    let deleted = connection
        .execute(sql, [consumer.as_str()])
        .map_err(|error| failed("deleting a checkpoint", error))?;
    Ok(deleted > 0)
}

pub(crate) fn load(connection: &Connection, consumer: &ConsumerName) -> Result<Option<Checkpoint>> {
    let loading = |error| failed("loading a checkpoint", error);
    let sql = include_str!("sql/checkpoint.sql");
    let mut statement = connection.prepare_cached(sql).map_err(loading)?;
    statement.query_row([consumer.as_str()], |row| Ok(decode(row))).optional().map_err(loading)?.transpose()
}

/// Writes a checkpoint, whatever is there.
pub(crate) fn put(connection: &Connection, checkpoint: &Checkpoint) -> rusqlite::Result<()> {
    let last = checkpoint.last_event.as_ref();
    connection
        .prepare_cached(include_str!("sql/put_checkpoint.sql"))?
        .execute(params![
            checkpoint.consumer.as_str(),
            checkpoint.log_id.as_uuid().into_bytes(),
            checkpoint.position.to_i64(),
            last.map(|last| last.position.to_i64()),
            last.map(|last| last.id.as_uuid().into_bytes()),
            last.map(|last| last.event_type.as_str()),
            checkpoint.events_processed.cast_signed(),
            checkpoint.resets.cast_signed(),
            checkpoint.updated_at.timestamp_micros(),
        ])
        .map(drop)
}

fn decode(row: &Row<'_>) -> Result<Checkpoint> {
    let broken = |error: Error| Error::corrupt("a stored checkpoint can't be decoded").with_source(error);
    let decode = || {
        let last_event = match row::column::<Option<i64>>(row, 3)? {
            None => None,
            Some(position) => Some(LastEvent {
                position: Position::try_from(position)?,
                id: EventId::new(row::uuid(row, 4)?)?,
                event_type: EventType::new(row::text(row, 5)?)?,
            }),
        };
        Ok(Checkpoint {
            consumer: ConsumerName::new(row::text(row, 0)?)?,
            log_id: LogId::new(row::uuid(row, 1)?),
            position: Position::try_from(row::column::<i64>(row, 2)?)?,
            last_event,
            events_processed: row::column::<i64>(row, 6)?.cast_unsigned(),
            resets: row::column::<i64>(row, 7)?.cast_unsigned(),
            updated_at: row::time(row, 8)?,
        })
    };
    decode().map_err(broken)
}
