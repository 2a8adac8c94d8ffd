//! Programs that a newcomer runs: see `src/bin`. What they share is how a store is picked at run time.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use eventsource_core::{Error, EventStore, Result, SnapshotStore};
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
        match self.backend {
            Backend::Memory => {
                let store = Arc::new(MemoryStore::new());
                Ok(PickedStore {
                    store: store.clone(),
                    snapshots: store,
                    place: "this process's memory".to_owned(),
                    connections: Connections::None,
                })
            }
            Backend::Sqlite => {
                let path = PathBuf::from(self.url.as_deref().unwrap_or(file));
                let place = format!("the file {}", path.display());
                let store = SqliteStore::open(SqliteConfig::file(path)).await?;
                Ok(PickedStore {
                    store: Arc::new(store.clone()),
                    snapshots: Arc::new(store.clone()),
                    place,
                    connections: Connections::Sqlite(store),
                })
            }
            Backend::Postgres => {
                let url = self.url.as_deref().ok_or_else(|| {
                    Error::invalid_input("PostgreSQL needs --url postgres://user:password@host/database")
                })?;
                let store = PostgresStore::connect(PostgresConfig::new(url)).await?;
                let place = "the PostgreSQL server".to_owned();
                Ok(PickedStore {
                    store: Arc::new(store.clone()),
                    snapshots: Arc::new(store.clone()),
                    place,
                    connections: Connections::Postgres(store),
                })
            }
        }
    }
}

impl PickedStore {
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

    #[doc = include_str!("../../docs/guide/tenancy.md")]
    struct Tenancy;

    #[doc = include_str!("../../docs/guide/testing.md")]
    struct Testing;

    #[doc = include_str!("../../docs/guide/events.md")]
    struct Events;

    #[doc = include_str!("../../docs/guide/values.md")]
    struct Values;

    #[doc = include_str!("../../docs/guide/orders.md")]
    struct Orders;
}
