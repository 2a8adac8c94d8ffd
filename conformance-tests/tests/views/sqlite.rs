//! The list that the contract's cases keep as a view in a SQLite log's own file.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use conformance_tests::View;
use eventsource_core::{
    Delivery, DeliveryError, Error, HandlerError, Position, Purpose, RecordedEvent, Result, Sink,
};
use eventsource_sqlite::{SqliteProjection, SqliteStore, SqliteView};
use rusqlite::{Connection, Transaction};

const TABLES: &str = "CREATE TABLE IF NOT EXISTS applied (n INTEGER PRIMARY KEY, position INTEGER NOT NULL);
     CREATE TABLE IF NOT EXISTS applied_next (n INTEGER PRIMARY KEY, position INTEGER NOT NULL);";

#[derive(Debug)]
pub(crate) struct Applied {
    projection: SqliteProjection,
    path: PathBuf,
}

impl Applied {
    pub(crate) fn of(store: &SqliteStore, path: &Path) -> Self {
        Self { projection: store.project(List), path: path.to_owned() }
    }
}

#[async_trait]
impl Sink for Applied {
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        self.projection.deliver(delivery).await
    }
}

#[async_trait]
impl View for Applied {
    async fn applied(&self) -> Result<Vec<Position>> {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || {
            let own = Connection::open(path)?;
            own.busy_timeout(std::time::Duration::from_secs(30))?;
            own.execute_batch(TABLES)?;
            let mut statement = own.prepare("SELECT position FROM applied ORDER BY n")?;
            let positions = statement.query_map([], |row| row.get::<_, i64>(0))?;
            positions.collect::<rusqlite::Result<Vec<_>>>()
        });
        let positions = read.await.map_err(failed)?.map_err(failed)?;
        positions.into_iter().map(Position::try_from).collect()
    }
}

/// How an event changes the list.
pub(crate) struct List;

impl SqliteView for List {
    fn apply(
        &self,
        transaction: &Transaction<'_>,
        event: &RecordedEvent,
        purpose: Purpose,
    ) -> Result<(), HandlerError> {
        transaction.execute_batch(TABLES)?;
        let sql = match purpose {
            Purpose::Live => "INSERT INTO applied (position) VALUES (?1)",
            Purpose::Rebuild => "INSERT INTO applied_next (position) VALUES (?1)",
        };
        transaction.prepare_cached(sql)?.execute([event.position().to_i64()])?;
        match event.event_type().as_str() {
            "Poison" => Err("poison".into()),
            "Panic" => panic!("as the event says"),
            // Another one than the log's.
            "Closed" => Err(Error::closed("the handler's own store is closed").into()),
            "Commit" => {
                // It goes on as if that had been right.
                drop(transaction.execute_batch("COMMIT"));
                Ok(())
            }
            "CommitAndFail" => {
                drop(transaction.execute_batch("COMMIT"));
                Err("it has committed".into())
            }
            "CommitAndPanic" => {
                drop(transaction.execute_batch("COMMIT"));
                panic!("it has committed")
            }
            _ => Ok(()),
        }
    }

    fn prepare(&self, transaction: &Transaction<'_>) -> Result<(), HandlerError> {
        Ok(transaction.execute_batch(TABLES)?)
    }

    fn switch(&self, transaction: &Transaction<'_>) -> Result<(), HandlerError> {
        transaction.execute_batch(TABLES)?;
        transaction.execute_batch("DROP TABLE applied; ALTER TABLE applied_next RENAME TO applied")?;
        Ok(())
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::backend("the view can't be read").with_source(error)
}
