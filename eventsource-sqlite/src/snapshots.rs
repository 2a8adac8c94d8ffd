use async_trait::async_trait;
use eventsource_core::{
    Error, EventId, Payload, Position, Result, Snapshot, SnapshotKey, SnapshotSaved, SnapshotStore,
    SnapshotSubject, Version,
};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use uuid::Uuid;

use crate::error::failed;
use crate::row::{column, text, time, uuid};
use crate::store::SqliteStore;
use crate::write::Ending;

#[async_trait]
impl SnapshotStore for SqliteStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<SnapshotSaved> {
        let snapshot = snapshot.checked()?;
        let save = move |transaction: &rusqlite::Transaction<'_>| {
            Ok::<_, Error>(match save(transaction, &snapshot)? {
                SnapshotSaved::Saved => Ending::Commit(SnapshotSaved::Saved),
                SnapshotSaved::Stale => Ending::RollBack(SnapshotSaved::Stale),
            })
        };
        self.write("saving a snapshot", save).await
    }

    async fn load_snapshot(&self, key: &SnapshotKey) -> Result<Option<Snapshot>> {
        let key = key.clone();
        self.read(move |connection| load(connection, key)).await
    }

    async fn delete_snapshot(&self, key: &SnapshotKey) -> Result<()> {
        let key = key.clone();
        let delete = move |transaction: &rusqlite::Transaction<'_>| {
            let sql = match key.subject() {
                SnapshotSubject::Stream(_) => include_str!("sql/delete_snapshot.sql"),
                SnapshotSubject::View { .. } => include_str!("sql/delete_view_snapshot.sql"),
            };
            let deleted = transaction
                .execute(sql, params_from_iter(parameters(&key)))
                .map_err(|error| failed("deleting a snapshot", error))?;
            Ok::<_, Error>(if deleted > 0 { Ending::Commit(()) } else { Ending::RollBack(()) })
        };
        self.write("deleting a snapshot", delete).await
    }
}

fn save(connection: &Connection, snapshot: &Snapshot) -> Result<SnapshotSaved> {
    let saving = |error| failed("saving a snapshot", error);
    let tenant = snapshot.key.tenant().map(|tenant| tenant.as_uuid().into_bytes());
    let (position, taken_at) = (snapshot.position.to_i64(), snapshot.taken_at.timestamp_micros());
    let (state, event_id) = (snapshot.state.as_json(), snapshot.event_id.as_uuid().into_bytes());
    let rows = match snapshot.key.subject() {
        SnapshotSubject::Stream(stream) => connection
            .prepare_cached(include_str!("sql/save_snapshot.sql"))
            .map_err(saving)?
            .execute(params![
                stream.aggregate_id().into_bytes(),
                stream.aggregate_type().as_str(),
                snapshot.version.map(Version::to_i64),
                position,
                snapshot.schema_version,
                tenant,
                state,
                taken_at,
                event_id,
            ]),
        SnapshotSubject::View { name, filter } => connection
            .prepare_cached(include_str!("sql/save_view_snapshot.sql"))
            .map_err(saving)?
            .execute(params![
                name,
                filter.as_bytes(),
                tenant.unwrap_or_else(|| Uuid::nil().into_bytes()),
                position,
                snapshot.schema_version,
                state,
                taken_at,
                event_id,
            ]),
    }
    .map_err(saving)?;
    Ok(if rows > 0 { SnapshotSaved::Saved } else { SnapshotSaved::Stale })
}

fn load(connection: &Connection, key: SnapshotKey) -> Result<Option<Snapshot>> {
    let sql = match key.subject() {
        SnapshotSubject::Stream(_) => include_str!("sql/load_snapshot.sql"),
        SnapshotSubject::View { .. } => include_str!("sql/load_view_snapshot.sql"),
    };
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| {
            statement
                .query_row(params_from_iter(parameters(&key)), |row| Ok(decode(row, key.clone())))
                .optional()
        })
        .map_err(|error| failed("loading a snapshot", error))?
        .transpose()
        .map_err(|error| Error::corrupt("a stored snapshot can't be decoded").with_source(error))
}

fn decode(row: &Row<'_>, key: SnapshotKey) -> Result<Snapshot> {
    Ok(Snapshot {
        key,
        version: column::<Option<i64>>(row, 0)?.map(Version::try_from).transpose()?,
        position: Position::try_from(column::<i64>(row, 1)?)?,
        event_id: EventId::new(uuid(row, 5)?)?,
        schema_version: column(row, 2)?,
        state: Payload::from_stored(text(row, 3)?)?,
        taken_at: time(row, 4)?,
    })
}

/// What a snapshot is looked up by.
fn parameters(key: &SnapshotKey) -> [Value; 3] {
    let tenant = key.tenant().map(|tenant| tenant.as_uuid());
    match key.subject() {
        SnapshotSubject::Stream(stream) => [
            Value::Blob(stream.aggregate_id().as_bytes().to_vec()),
            Value::Text(stream.aggregate_type().as_str().to_owned()),
            tenant.map_or(Value::Null, |tenant| Value::Blob(tenant.as_bytes().to_vec())),
        ],
        SnapshotSubject::View { name, filter } => [
            Value::Text(name.clone()),
            Value::Blob(filter.as_bytes().to_vec()),
            Value::Blob(tenant.unwrap_or_else(Uuid::nil).as_bytes().to_vec()),
        ],
    }
}
