use async_trait::async_trait;
use chrono::{DateTime, Utc};
use eventsource_core::{
    Checkpoint, CheckpointSave, CheckpointStore, ConsumerName, Error, EventId, EventType, LastEvent, LogId,
    Position, Result, SaveJudgement,
};
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::reading;
use crate::log::Log;
use crate::writing::{TransactionId, commit};

const SELECT: &str = include_str!("sql/checkpoints.sql");

#[async_trait]
impl CheckpointStore for PostgresStore {
    async fn load_checkpoint(&self, consumer: &ConsumerName) -> Result<Option<Checkpoint>> {
        let log = self.log()?;
        let mut connection = log.reader().await?;
        let row = log
            .query(&format!("{SELECT} WHERE c.projection_name = $1"))
            .bind(consumer.as_str())
            .fetch_optional(&mut *connection)
            .await
            .map_err(reading)?;
        connection.release().await?;
        row.as_ref().map(decode).transpose()
    }

    async fn save_checkpoint(&self, save: &CheckpointSave) -> Result<()> {
        let log = self.log()?;
        let mut transaction = log.begin().await?;
        match log.save_checkpoint(&mut transaction, save).await? {
            SaveJudgement::Write => commit(transaction).await,
            SaveJudgement::Stored => transaction.rollback().await.map_err(reading),
        }
    }

    async fn reset_checkpoint(
        &self,
        consumer: &ConsumerName,
        log_id: LogId,
        position: Position,
    ) -> Result<()> {
        let log = self.log()?;
        let mut transaction = log.begin().await?;
        log.reset_checkpoint(&mut transaction, consumer, log_id, position).await?;
        commit(transaction).await
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>> {
        let log = self.log()?;
        let mut connection = log.reader().await?;
        let rows = log
            .query(&format!("{SELECT} ORDER BY c.projection_name"))
            .fetch_all(&mut *connection)
            .await
            .map_err(reading)?;
        connection.release().await?;
        rows.iter().map(decode).collect()
    }

    async fn delete_checkpoint(&self, consumer: &ConsumerName) -> Result<bool> {
        let log = self.log()?;
        let mut transaction = log.begin().await?;
        let deleted = log.delete_checkpoint(&mut transaction, consumer).await?;
        commit(transaction).await?;
        Ok(deleted)
    }
}

impl Log {
    /// Saves within a transaction, if its fence holds and the core says so.
    pub(crate) async fn save_checkpoint(
        &self,
        connection: &mut PgConnection,
        save: &CheckpointSave,
    ) -> Result<SaveJudgement> {
        let stored = self.lock_checkpoint(connection, save.consumer()).await?;
        self.save_over(connection, save, stored, None).await
    }

    /// As [`save_checkpoint`](Self::save_checkpoint), where `stored` is what this transaction has
    /// [locked](Self::lock_checkpoint). Where it is said `within` which one that was, it is saved in no other.
    pub(crate) async fn save_over(
        &self,
        connection: &mut PgConnection,
        save: &CheckpointSave,
        mut stored: Option<Checkpoint>,
        within: Option<TransactionId>,
    ) -> Result<SaveJudgement> {
        if let Some(fence) = save.fence() {
            self.check_fence(connection, fence).await?;
        }
        loop {
            let judgement = save.judge(stored.as_ref())?;
            if judgement == SaveJudgement::Stored {
                return Ok(judgement);
            }
            let checkpoint = save.to_checkpoint(DateTime::<Utc>::MIN_UTC);
            let last = checkpoint.last_event.as_ref();
            let sql = match &stored {
                Some(_) => include_str!("sql/update_checkpoint.sql"),
                None => include_str!("sql/insert_checkpoint.sql"),
            };
            let written = self
                .query(sql)
                .bind(checkpoint.consumer.as_str())
                .bind(checkpoint.log_id.as_uuid())
                .bind(checkpoint.position.to_i64())
                .bind(last.map(|last| last.position.to_i64()))
                .bind(last.map(|last| last.id.as_uuid()))
                .bind(last.map(|last| last.event_type.as_str().to_owned()))
                .bind(checkpoint.events_processed.cast_signed())
                .bind(checkpoint.resets.cast_signed())
                .bind(self.now()?)
                .bind(within.map(TransactionId::as_i64))
                .execute(&mut *connection)
                .await
                .map_err(reading)?;
            if written.rows_affected() == 1 {
                return Ok(judgement);
            }
            if let Some(id) = within {
                self.check_within(connection, id).await?;
            }
            // Somebody else has inserted one since; now there is a row to lock and to judge by.
            stored = self.lock_checkpoint(connection, save.consumer()).await?;
        }
    }

    /// Sets the checkpoint of `to` to where `from` stands, and deletes that one, within a transaction.
    pub(crate) async fn hand_over(
        &self,
        connection: &mut PgConnection,
        from: &CheckpointSave,
        to: &ConsumerName,
    ) -> Result<()> {
        // It is as the rebuilding consumer left it.
        from.judge(self.lock_checkpoint(connection, from.consumer()).await?.as_ref())?;
        self.reset_checkpoint(connection, to, from.log_id(), from.position()).await?;
        self.delete_checkpoint(connection, from.consumer()).await?;
        Ok(())
    }

    async fn reset_checkpoint(
        &self,
        connection: &mut PgConnection,
        consumer: &ConsumerName,
        log_id: LogId,
        position: Position,
    ) -> Result<()> {
        self.query(include_str!("sql/reset_checkpoint.sql"))
            .bind(consumer.as_str().to_owned())
            .bind(log_id.as_uuid())
            .bind(position.to_i64())
            .bind(self.now()?)
            .execute(connection)
            .await
            .map_err(reading)?;
        Ok(())
    }

    async fn delete_checkpoint(
        &self,
        connection: &mut PgConnection,
        consumer: &ConsumerName,
    ) -> Result<bool> {
        let deleted = self
            .query("DELETE FROM {schema}.projection_checkpoints WHERE projection_name = $1")
            .bind(consumer.as_str().to_owned())
            .execute(connection)
            .await
            .map_err(reading)?;
        Ok(deleted.rows_affected() > 0)
    }

    /// The consumer's checkpoint, which nobody else can change until the transaction ends.
    pub(crate) async fn lock_checkpoint(
        &self,
        connection: &mut PgConnection,
        consumer: &ConsumerName,
    ) -> Result<Option<Checkpoint>> {
        let row = self
            .query(&format!("{SELECT} WHERE c.projection_name = $1 FOR UPDATE OF c"))
            .bind(consumer.as_str())
            .fetch_optional(connection)
            .await
            .map_err(reading)?;
        row.as_ref().map(decode).transpose()
    }
}

fn decode(row: &PgRow) -> Result<Checkpoint> {
    let broken = |error: Error| Error::corrupt("a stored checkpoint can't be decoded").with_source(error);
    let position = |at: usize| -> Result<Option<Position>> {
        row.try_get::<Option<i64>, _>(at).map_err(reading)?.map(Position::try_from).transpose()
    };
    let decode = || {
        let id: Option<Uuid> = row.try_get(4).map_err(reading)?;
        let event_type: Option<&str> = row.try_get(5).map_err(reading)?;
        let last_event = match (position(3)?, id, event_type) {
            (Some(position), Some(id), Some(event_type)) => {
                Some(LastEvent { position, id: EventId::new(id)?, event_type: EventType::new(event_type)? })
            }
            // Whoever wrote it by hand knew no position.
            _ => None,
        };
        Ok(Checkpoint {
            consumer: ConsumerName::new(row.try_get::<&str, _>(0).map_err(reading)?)?,
            log_id: LogId::new(row.try_get(1).map_err(reading)?),
            position: position(2)?.unwrap_or_default(),
            last_event,
            events_processed: row.try_get::<i64, _>(6).map_err(reading)?.cast_unsigned(),
            resets: row.try_get::<i64, _>(7).map_err(reading)?.cast_unsigned(),
            updated_at: row.try_get(8).map_err(reading)?,
        })
    };
    decode().map_err(broken)
}
