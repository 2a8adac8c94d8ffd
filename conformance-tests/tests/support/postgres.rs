//! What the Postgres store brings to be tested.

#[path = "../views/postgres.rs"]
mod view;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use conformance_tests::{Fixture, Harness, Held, Log, Setup, Stores};
use eventsource_core::{Append, Appended, Capability, Error, Filter, Position, Result};
use eventsource_postgres::{CommitMode, PostgresConfig, PostgresInlineView, PostgresStore};
use sqlx::{AssertSqlSafe, Transaction};
use test_servers::PgBouncer;
use tokio::sync::OnceCell;

use view::{Applied, List, TABLES};

/// A Postgres store.
pub(crate) struct Postgres {
    mode: CommitMode,
    way: Way,
}

/// How it reaches its server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Straight,
    ThroughPgBouncer,
}

#[allow(dead_code, reason = "every test binary uses a part of it")]
impl Postgres {
    /// One that commits like this.
    pub(crate) fn committing(mode: CommitMode) -> Self {
        Self { mode, way: Way::Straight }
    }

    /// One behind a pgbouncer in transaction mode.
    pub(crate) fn through_pgbouncer() -> Self {
        Self { mode: CommitMode::Flushed, way: Way::ThroughPgBouncer }
    }
}

#[async_trait]
impl Harness for Postgres {
    fn name(&self) -> &'static str {
        match (self.way, self.mode) {
            (Way::ThroughPgBouncer, _) => "postgres_pgbouncer",
            (Way::Straight, CommitMode::Pipelined) => "postgres_pipelined",
            (Way::Straight, _) => "postgres",
        }
    }

    fn lacks(&self) -> &'static [(Capability, &'static str)] {
        &[]
    }

    async fn fresh(&self, setup: Setup) -> Result<Fixture> {
        static SCHEMAS: AtomicU32 = AtomicU32::new(0);
        let schema = format!("case_{}", SCHEMAS.fetch_add(1, Ordering::Relaxed));
        let url = match self.way {
            Way::Straight => database().await,
            Way::ThroughPgBouncer => bouncer().await.url().to_owned(),
        };
        let mut config = self.config(&url, &schema)?;
        if let Some(clock) = setup.clock {
            config = config.clock(clock);
        }
        if let Some(publish) = setup.outbox {
            config = config.outbox(publish);
        }
        if let Some(filter) = setup.inline {
            config = config.inline(inline(filter, &schema)?);
        }
        let store = Arc::new(PostgresStore::connect(config.clone()).await?);
        let stores = stores(store.clone(), &schema);
        let log = Schema { store, config, url, schema };
        log.execute(&format!("CREATE TABLE {{schema}}.own (n INTEGER); {TABLES}")).await?;
        Ok(Fixture::on(log, stores))
    }

    async fn attach(&self, address: &str) -> Result<Stores> {
        let (url, schema) = address.rsplit_once(' ').expect("an address is a URL and a schema");
        Ok(stores(Arc::new(PostgresStore::connect(self.config(url, schema)?).await?), schema))
    }

    async fn attach_inline(&self, address: &str) -> Result<Stores> {
        let (url, schema) = address.rsplit_once(' ').expect("an address is a URL and a schema");
        let config = self.config(url, schema)?.inline(inline(Filter::all(), schema)?);
        Ok(stores(Arc::new(PostgresStore::connect(config).await?), schema))
    }
}

/// A store, and what it stores beside the log.
fn stores(store: Arc<PostgresStore>, schema: &str) -> Stores {
    let view = Applied::of(&store, schema);
    Stores::from(store.clone())
        .with_snapshots(store.clone())
        .with_outbox(store.clone())
        .with_consumers(store)
        .with_view(view)
}

/// The database of this test binary, made when it is first needed.
async fn database() -> String {
    static URL: OnceCell<String> = OnceCell::const_new();
    let create = || async {
        let server = test_servers::Postgres::shared().await;
        server.create_database("contract").await.expect("a database")
    };
    URL.get_or_init(create).await.clone()
}

/// The bouncer of this test binary, in front of its database; its guard stops it when the process is gone.
async fn bouncer() -> &'static PgBouncer {
    static BOUNCER: OnceCell<PgBouncer> = OnceCell::const_new();
    let start = || async { PgBouncer::start(&database().await).await.expect("a pgbouncer") };
    BOUNCER.get_or_init(start).await
}

impl Postgres {
    fn config(&self, url: &str, schema: &str) -> Result<PostgresConfig> {
        // Half of the contract's patience would do; the margin is for a busy machine.
        let config = PostgresConfig::new(url).max_connections(8).lock_timeout(Duration::from_secs(4));
        let config = match self.way {
            Way::Straight => config,
            Way::ThroughPgBouncer => config.through_pgbouncer(),
        };
        config.commit(self.mode).schema(schema)
    }
}

struct Schema {
    store: Arc<PostgresStore>,
    config: PostgresConfig,
    url: String,
    schema: String,
}

impl Schema {
    /// Runs a statement in which `{schema}` stands for the schema, whose name is letters, digits and underscores.
    async fn execute(&self, sql: &str) -> Result<()> {
        use sqlx::{Connection, Executor};
        let mut own = sqlx::PgConnection::connect(&self.url).await.map_err(failed)?;
        own.execute(AssertSqlSafe(sql.replace("{schema}", &self.schema))).await.map_err(failed)?;
        own.close().await.map_err(failed)
    }
}

#[async_trait]
impl Log for Schema {
    async fn open(&self) -> Result<Stores> {
        Ok(stores(Arc::new(PostgresStore::connect(self.config.clone()).await?), &self.schema))
    }

    async fn damage(&self, position: Position) -> Result<()> {
        let sql = "UPDATE {schema}.events SET tags = '{no colon}' WHERE global_position = ";
        self.execute(&format!("{sql}{position}")).await
    }

    fn address(&self) -> Option<String> {
        Some(format!("{} {}", self.url, self.schema))
    }

    async fn hold(&self, append: Append) -> Result<Box<dyn Held>> {
        let mut transaction = self.store.pool().begin().await.map_err(failed)?;
        let insert = format!("INSERT INTO {}.own VALUES (1)", self.schema);
        sqlx::query(AssertSqlSafe(insert))
            .persistent(false)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        let appended = self.store.append_in(&mut transaction, append).await?;
        Ok(Box::new(Open { transaction, appended }))
    }

    async fn own_rows(&self) -> Result<u64> {
        let count = format!("SELECT count(*) FROM {}.own", self.schema);
        let count: i64 =
            sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(self.store.pool()).await.map_err(failed)?;
        u64::try_from(count).map_err(failed)
    }

    async fn remove(&self) -> Result<()> {
        self.execute("DROP SCHEMA {schema} CASCADE").await
    }
}

struct Open {
    transaction: Transaction<'static, sqlx::Postgres>,
    appended: Appended,
}

#[async_trait]
impl Held for Open {
    fn appended(&self) -> &Appended {
        &self.appended
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.transaction.commit().await.map_err(failed)
    }

    async fn roll_back(self: Box<Self>) -> Result<()> {
        self.transaction.rollback().await.map_err(failed)
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::backend("the test's own connection failed").with_source(error)
}

/// The list, kept within the appends.
fn inline(filter: Filter, schema: &str) -> Result<PostgresInlineView> {
    let list = List { schema: schema.to_owned() };
    Ok(PostgresInlineView::new(Setup::INLINE, list)?.filter(filter).most_behind(Setup::MOST_BEHIND))
}
