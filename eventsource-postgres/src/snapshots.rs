use async_trait::async_trait;
use chrono::{DateTime, Utc};
use eventsource_core::{
    Error, EventId, Payload, Position, Result, Snapshot, SnapshotKey, SnapshotSaved, SnapshotStore,
    SnapshotSubject, TenantId, Version,
};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::binary::{json, required};
use crate::connection::begin;
use crate::error::{reading, writing};
use crate::log::{Log, Statement};
use crate::store::PostgresStore;

#[async_trait]
impl SnapshotStore for PostgresStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<SnapshotSaved> {
        let snapshot = snapshot.checked()?;
        let schema_version = i32::try_from(snapshot.schema_version)
            .map_err(|_| Error::invalid_input("a schema version lies between 1 and 2147483647"))?;
        let log = self.log()?;
        let tenant = snapshot.key.tenant().map(TenantId::as_uuid);
        let save = match snapshot.key.subject() {
            SnapshotSubject::Stream(stream) => log
                .statement(include_str!("sql/save_snapshot.sql"))
                .bind(stream.aggregate_id())
                .bind(stream.aggregate_type().as_str().to_owned())
                .bind(snapshot.version.map(Version::to_i64))
                .bind(snapshot.position.to_i64())
                .bind(schema_version)
                .bind(tenant),
            SnapshotSubject::View { name, filter } => log
                .statement(include_str!("sql/save_view_snapshot.sql"))
                .bind(name.clone())
                .bind(filter.as_bytes().to_vec())
                .bind(tenant.unwrap_or_else(Uuid::nil))
                .bind(snapshot.position.to_i64())
                .bind(schema_version),
        };
        let rows = log
            .write(
                save.bind(snapshot.state.as_json().to_owned())
                    .bind(snapshot.taken_at)
                    .bind(snapshot.event_id.as_uuid()),
            )
            .await?;
        Ok(if rows > 0 { SnapshotSaved::Saved } else { SnapshotSaved::Stale })
    }

    async fn load_snapshot(&self, key: &SnapshotKey) -> Result<Option<Snapshot>> {
        let log = self.log()?;
        let load = match key.subject() {
            SnapshotSubject::Stream(_) => include_str!("sql/load_snapshot.sql"),
            SnapshotSubject::View { .. } => include_str!("sql/load_view_snapshot.sql"),
        };
        let mut connection = log.reader().await?;
        let row =
            look_up(log.statement(load), key).fetch_optional(&mut *connection).await.map_err(reading)?;
        connection.release().await?;
        row.map(|row| decode(&row, key))
            .transpose()
            .map_err(|error| Error::corrupt("a stored snapshot can't be decoded").with_source(error))
    }

    async fn delete_snapshot(&self, key: &SnapshotKey) -> Result<()> {
        let log = self.log()?;
        let delete = match key.subject() {
            SnapshotSubject::Stream(_) => include_str!("sql/delete_snapshot.sql"),
            SnapshotSubject::View { .. } => include_str!("sql/delete_view_snapshot.sql"),
        };
        log.write(look_up(log.statement(delete), key)).await.map(|_| ())
    }
}

impl Log {
    /// Runs one statement in a transaction of its own; the number of rows that it concerned.
    async fn write(&self, statement: Statement) -> Result<u64> {
        let mut transaction =
            begin(&self.pool, "BEGIN ISOLATION LEVEL READ COMMITTED").await.map_err(reading)?;
        let done = statement.execute(&mut *transaction).await.map_err(reading)?;
        transaction.commit().await.map_err(writing)?;
        Ok(done.rows_affected())
    }
}

fn look_up(statement: Statement, key: &SnapshotKey) -> Statement {
    let tenant = key.tenant().map(TenantId::as_uuid);
    match key.subject() {
        SnapshotSubject::Stream(stream) => statement
            .bind(stream.aggregate_id())
            .bind(stream.aggregate_type().as_str().to_owned())
            .bind(tenant),
        SnapshotSubject::View { name, filter } => statement
            .bind(name.clone())
            .bind(filter.as_bytes().to_vec())
            .bind(tenant.unwrap_or_else(Uuid::nil)),
    }
}

fn decode(row: &PgRow, key: &SnapshotKey) -> Result<Snapshot> {
    let broken = |error: sqlx::Error| Error::corrupt("a column can't be decoded").with_source(error);
    let version: Option<i64> = row.try_get(0).map_err(broken)?;
    let schema_version: i32 = row.try_get(2).map_err(broken)?;
    Ok(Snapshot {
        key: key.clone(),
        version: version.map(Version::try_from).transpose()?,
        position: Position::try_from(row.try_get::<i64, _>(1).map_err(broken)?)?,
        event_id: EventId::new(row.try_get(5).map_err(broken)?)?,
        schema_version: u32::try_from(schema_version)
            .map_err(|_| Error::corrupt("a stored schema version is negative"))?,
        state: Payload::from_stored(required(row, 3, json)?)?,
        taken_at: row.try_get::<DateTime<Utc>, _>(4).map_err(broken)?,
    })
}
