//! Programs that a newcomer runs: see `src/bin`. What they share is how a store is picked at run time.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use eventsource_core::{Error, EventStore, Filter, Outbox, Result, SnapshotStore};
use eventsource_memory::MemoryStore;
use eventsource_postgres::{PostgresConfig, PostgresStore};
use eventsource_sqlite::{SqliteConfig, SqliteStore};

/// Says on standard error what went wrong, with its causes, and turns it into the program's exit code.
pub fn conclude(outcome: Result<(), Box<dyn StdError>>) -> ExitCode {
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because: {error}");
        cause = error.source();
    }
    ExitCode::FAILURE
}

/// Which store a program runs on.
#[derive(Debug, Parser)]
pub struct StoreArguments {
    /// The store.
    #[arg(long, value_enum, default_value_t = Backend::Sqlite)]
    pub backend: Backend,

    /// Where it is: a file's path for SQLite, postgres://user:password@host/database for PostgreSQL.
    #[arg(long)]
    pub url: Option<String>,
}

/// The stores to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// In memory; gone when the program ends.
    Memory,
    /// A file on this machine.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}

/// A store that was picked at run time. The programs see no more of it than its traits.
#[derive(Debug)]
pub struct PickedStore {
    /// The store.
    pub store: Arc<dyn EventStore>,
    /// Where it keeps snapshots.
    pub snapshots: Arc<dyn SnapshotStore>,
    /// Where it is, for people.
    pub place: String,
    connections: Connections,
}

#[derive(Debug)]
enum Connections {
    None,
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

impl StoreArguments {
    /// Opens the store that was asked for; `file` is SQLite's where no path was given.
    ///
    /// # Errors
    /// `InvalidInput` if PostgreSQL was asked for without a URL; otherwise what the store says.
    pub async fn open(&self, file: &str) -> Result<PickedStore> {
        // An outbox into which nothing goes is none.
        self.open_with(file, None).await.map(|(picked, _)| picked)
    }

    /// Opens the store that was asked for, which puts the events that match `publish` into its outbox; and the outbox.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub async fn open_with_outbox(
        &self,
        file: &str,
        publish: Filter,
    ) -> Result<(PickedStore, Arc<dyn Outbox>)> {
        self.open_with(file, Some(publish)).await
    }

    async fn open_with(&self, file: &str, publish: Option<Filter>) -> Result<(PickedStore, Arc<dyn Outbox>)> {
        match self.backend {
            Backend::Memory => {
                let mut store = MemoryStore::new();
                if let Some(publish) = publish {
                    store = store.outbox(publish)?;
                }
                let place = "this process's memory".to_owned();
                let store = Arc::new(store);
                Ok((PickedStore::new(store.clone(), place, Connections::None), store))
            }
            Backend::Sqlite => {
                let path = PathBuf::from(self.url.as_deref().unwrap_or(file));
                let place = format!("the file {}", path.display());
                let mut config = SqliteConfig::file(path);
                if let Some(publish) = publish {
                    config = config.outbox(publish);
                }
                let store = SqliteStore::open(config).await?;
                let connections = Connections::Sqlite(store.clone());
                let store = Arc::new(store);
                Ok((PickedStore::new(store.clone(), place, connections), store))
            }
            Backend::Postgres => {
                let url = self.url.as_deref().ok_or_else(|| {
                    Error::invalid_input("PostgreSQL needs --url postgres://user:password@host/database")
                })?;
                let mut config = PostgresConfig::new(url);
                if let Some(publish) = publish {
                    config = config.outbox(publish);
                }
                let store = PostgresStore::connect(config).await?;
                let place = "the PostgreSQL server".to_owned();
                let connections = Connections::Postgres(store.clone());
                let store = Arc::new(store);
                Ok((PickedStore::new(store.clone(), place, connections), store))
            }
        }
    }
}

impl PickedStore {
    fn new<S: EventStore + SnapshotStore + 'static>(
        store: Arc<S>,
        place: String,
        connections: Connections,
    ) -> Self {
        Self { snapshots: store.clone(), store, place, connections }
    }

    /// How many connections the store holds and uses, for people.
    #[must_use]
    pub fn connection_statistics(&self) -> String {
        match &self.connections {
            Connections::None => "none: the events are in this process's memory".to_owned(),
            Connections::Sqlite(store) => store.pool_statistics().to_string(),
            Connections::Postgres(store) => store.pool_statistics().to_string(),
        }
    }
}

/// The documents' code blocks, compiled and run.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../README.md")]
    struct Readme;

    #[doc = include_str!("../../docs/guarantees.md")]
    struct Guarantees;

    #[doc = include_str!("../../docs/guide/outbox.md")]
    struct Outbox;

    #[doc = include_str!("../../docs/guide/events.md")]
    struct Events;

    #[doc = include_str!("../../docs/guide/values.md")]
    struct Values;
    #[doc = include_str!("../../docs/guide/tenancy.md")]
    struct Tenancy;

    #[doc = include_str!("../../docs/guide/testing.md")]
    struct Testing;

    #[doc = include_str!("../../docs/guide/orders.md")]
    struct Orders;
}
