use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use test_servers::LocalPostgres;
use tokio_postgres::{Client, NoTls};

use crate::error::{Error, Result};

/// What is special about a PostgreSQL server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Plain,
    /// Its flushes take so many microseconds at least.
    SlowFlush(u32),
    /// A standby on loopback must have flushed what it commits.
    WithStandby,
}

/// The PostgreSQL servers of a run: started when they are needed, from local binaries, on loopback, gone with this process.
#[derive(Debug)]
pub(crate) struct Servers {
    /// What makes flushes slow, if that was built.
    library: Option<PathBuf>,
    running: HashMap<Kind, Server>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Server {
    postgres: LocalPostgres,
    pub(crate) version: String,
    _standby: Option<LocalPostgres>,
}

/// What is changed about PostgreSQL's defaults, for all systems alike. `fsync` and `synchronous_commit` stay on.
pub(crate) const SETTINGS: [(&str, &str); 5] = [
    ("shared_buffers", "1GB"),
    ("max_wal_size", "4GB"),
    ("checkpoint_timeout", "15min"),
    ("max_connections", "600"),
    ("autovacuum_naptime", "10min"),
];

/// How the library is told what a flush takes.
pub(crate) const FLUSH_VARIABLE: &str = "SLOW_FLUSH_MICROSECONDS";

impl Servers {
    pub(crate) fn new(library: Option<PathBuf>) -> Self {
        Self { library, running: HashMap::new() }
    }

    /// The server of this kind; it is started if it doesn't run.
    pub(crate) async fn start(&mut self, kind: Kind) -> Result<&Server> {
        if !self.running.contains_key(&kind) {
            let server = Server::start(kind, self.library.as_deref()).await?;
            self.running.insert(kind, server);
        }
        self.get(kind)
    }

    /// Stops all others.
    pub(crate) fn keep(&mut self, kinds: &HashSet<Kind>) {
        self.running.retain(|kind, _| kinds.contains(kind));
    }

    /// A server that runs.
    pub(crate) fn get(&self, kind: Kind) -> Result<&Server> {
        self.running.get(&kind).ok_or_else(|| Error::new("no such PostgreSQL server was started"))
    }
}

impl Server {
    async fn start(kind: Kind, library: Option<&Path>) -> Result<Self> {
        let mut builder = SETTINGS
            .into_iter()
            .fold(LocalPostgres::builder(), |builder, (name, value)| builder.setting(name, value));
        if let Kind::SlowFlush(microseconds) = kind {
            let library = library.and_then(Path::to_str);
            let library = library.ok_or_else(|| Error::new("what makes flushes slow was not built"))?;
            builder = builder
                .environment("LD_PRELOAD", library)
                .environment(FLUSH_VARIABLE, &microseconds.to_string());
        }
        let mut postgres = builder.start().await.map_err(Error::during("starting PostgreSQL"))?;
        let standby = match kind {
            Kind::WithStandby => Some(
                postgres.start_synchronous_standby().await.map_err(Error::during("starting a standby"))?,
            ),
            Kind::Plain | Kind::SlowFlush(_) => None,
        };
        let mut server = Self { postgres, version: String::new(), _standby: standby };
        let row = server.admin().await?.query_one("SHOW server_version", &[]).await;
        server.version = row.map_err(Error::during("SHOW server_version"))?.get(0);
        Ok(server)
    }

    /// Creates a database, by copying another one if there is a template, and returns its URL.
    pub(crate) async fn create_database(&self, name: &str, template: Option<&str>) -> Result<String> {
        let template = template.map_or_else(|| "template1".to_owned(), database_of);
        self.execute(&format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")).await?;
        let url = self.postgres.url();
        Ok(format!("{}/{name}", url.trim_end_matches("/postgres")))
    }

    pub(crate) async fn drop_database(&self, url: &str) -> Result<()> {
        self.execute(&format!("DROP DATABASE {} WITH (FORCE)", database_of(url))).await
    }

    /// Vacuums, analyses and writes everything out.
    pub(crate) async fn settle(&self, url: &str) -> Result<()> {
        let client = connect(url).await?;
        client.batch_execute("VACUUM (FREEZE, ANALYZE)").await.map_err(Error::during("VACUUM"))?;
        drop(client);
        self.execute("CHECKPOINT").await
    }

    /// What the database takes more than an empty one.
    pub(crate) async fn database_bytes(&self, url: &str) -> Result<u64> {
        let sql = "SELECT pg_database_size($1::text::name) - pg_database_size('template1')";
        let row = self.admin().await?.query_one(sql, &[&database_of(url)]).await;
        let bytes: i64 = row.map_err(Error::during("pg_database_size"))?.get(0);
        u64::try_from(bytes).map_err(Error::during("pg_database_size"))
    }

    /// Makes every commit take so many microseconds more.
    pub(crate) async fn delay_commits(&self, microseconds: u32) -> Result<()> {
        self.execute(&format!("ALTER SYSTEM SET commit_delay = {microseconds}")).await?;
        self.execute("ALTER SYSTEM SET commit_siblings = 0").await?;
        self.execute("SELECT pg_reload_conf()").await
    }

    async fn execute(&self, sql: &str) -> Result<()> {
        self.admin().await?.batch_execute(sql).await.map_err(|error| {
            let message =
                error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
            Error::new(format!("{sql}: {message}"))
        })
    }

    async fn admin(&self) -> Result<Client> {
        connect(&self.postgres.url()).await
    }
}

async fn connect(url: &str) -> Result<Client> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.map_err(Error::during("connecting"))?;
    // It ends with the client, whose calls report whatever went wrong.
    drop(tokio::spawn(connection));
    Ok(client)
}

fn database_of(url: &str) -> String {
    url.rsplit('/').next().unwrap_or_default().to_owned()
}
