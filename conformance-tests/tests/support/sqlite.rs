//! What the SQLite store brings to be tested.

#[path = "../views/sqlite.rs"]
mod view;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use conformance_tests::{Fixture, Harness, Held, Log, Setup, Stores};
use eventsource_core::{Append, Appended, Capability, Error, Filter, Position, Result};
use eventsource_sqlite::{SqliteConfig, SqliteInlineView, SqliteStore};
use rusqlite::{Connection, DropBehavior, Transaction, TransactionBehavior};
use tempfile::TempDir;
use view::{Applied, List};

/// A SQLite store on a file of its own.
pub(crate) struct Sqlite;

#[async_trait]
impl Harness for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn lacks(&self) -> &'static [(Capability, &'static str)] {
        &[]
    }

    async fn fresh(&self, setup: Setup) -> Result<Fixture> {
        let directory = tempfile::tempdir().map_err(failed)?;
        let path = directory.path().join("events.db");
        let mut config = SqliteConfig::file(&path);
        if let Some(patience) = setup.patience {
            config = config.busy_timeout(patience);
        }
        if let Some(clock) = setup.clock {
            config = config.clock(clock);
        }
        if let Some(publish) = setup.outbox {
            config = config.outbox(publish);
        }
        if let Some(filter) = setup.inline {
            config = config.inline(inline(filter)?);
        }
        let store = Arc::new(SqliteStore::open(config.clone()).await?);
        let stores = stores(store.clone(), &path);
        Ok(Fixture::on(File { store, config, path, _directory: directory }, stores))
    }

    async fn attach(&self, address: &str) -> Result<Stores> {
        Ok(stores(Arc::new(SqliteStore::open(SqliteConfig::file(address)).await?), address.as_ref()))
    }

    async fn attach_inline(&self, address: &str) -> Result<Stores> {
        let config = SqliteConfig::file(address).inline(inline(Filter::all())?);
        Ok(stores(Arc::new(SqliteStore::open(config).await?), address.as_ref()))
    }
}

fn stores(store: Arc<SqliteStore>, path: &Path) -> Stores {
    let view = Applied::of(&store, path);
    Stores::from(store.clone())
        .with_snapshots(store.clone())
        .with_outbox(store.clone())
        .with_consumers(store)
        .with_view(view)
}

struct File {
    store: Arc<SqliteStore>,
    config: SqliteConfig,
    path: PathBuf,
    _directory: TempDir,
}

#[async_trait]
impl Log for File {
    async fn open(&self) -> Result<Stores> {
        Ok(stores(Arc::new(SqliteStore::open(self.config.clone()).await?), &self.path))
    }

    async fn damage(&self, position: Position) -> Result<()> {
        let own = Connection::open(&self.path).map_err(failed)?;
        own.execute("UPDATE events SET payload = '{' WHERE global_position = ?1", [position.to_i64()])
            .map_err(failed)?;
        Ok(())
    }

    fn address(&self) -> Option<String> {
        self.path.to_str().map(str::to_owned)
    }

    async fn hold(&self, append: Append) -> Result<Box<dyn Held>> {
        let (store, path) = (self.store.clone(), self.path.clone());
        let held = tokio::task::spawn_blocking(move || {
            hold(&store, Connection::open(path).map_err(failed)?, append)
        });
        Ok(Box::new(held.await.map_err(failed)??))
    }

    async fn own_rows(&self) -> Result<u64> {
        let own = Connection::open(&self.path).map_err(failed)?;
        own.execute_batch(OWN_TABLE).map_err(failed)?;
        own.query_row("SELECT count(*) FROM own", [], |row| row.get::<_, u32>(0))
            .map(u64::from)
            .map_err(failed)
    }
}

const OWN_TABLE: &str = "CREATE TABLE IF NOT EXISTS own (n INTEGER)";

/// The transaction is the connection's: it stays open for as long as the connection does.
struct Open {
    own: Connection,
    appended: Appended,
}

fn hold(store: &SqliteStore, own: Connection, append: Append) -> Result<Open> {
    own.execute_batch(OWN_TABLE).map_err(failed)?;
    let mut transaction = Transaction::new_unchecked(&own, TransactionBehavior::Immediate).map_err(failed)?;
    transaction.execute("INSERT INTO own VALUES (1)", []).map_err(failed)?;
    let appended = store.append_in(&transaction, append)?;
    transaction.set_drop_behavior(DropBehavior::Ignore);
    drop(transaction);
    Ok(Open { own, appended })
}

#[async_trait]
impl Held for Open {
    fn appended(&self) -> &Appended {
        &self.appended
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.own.execute_batch("COMMIT").map_err(failed)
    }

    async fn roll_back(self: Box<Self>) -> Result<()> {
        self.own.execute_batch("ROLLBACK").map_err(failed)
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::backend("the test's own connection failed").with_source(error)
}

/// The list, kept within the appends.
fn inline(filter: Filter) -> Result<SqliteInlineView> {
    Ok(SqliteInlineView::new(Setup::INLINE, List)?.filter(filter).most_behind(Setup::MOST_BEHIND))
}
