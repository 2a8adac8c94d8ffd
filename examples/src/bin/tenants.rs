//! Tenants that share one schema, have a schema each, or a database each: one program, one router.
//!
//! `cargo run -p examples --bin tenants -- [--pattern shared-schema|schema-per-tenant|database-per-tenant]
//! [--backend memory|sqlite|postgres] [--url …]`
//!
//! A schema per tenant needs PostgreSQL. With a database per tenant, `--url` is a directory for SQLite, and for PostgreSQL
//! the URL of databases that exist, with `{tenant}` in the place of the tenant's name.

use std::error::Error as StdError;
use std::future::ready;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use eventsource_core::{
    Append, Error, EventStore, EventStoreExt, ExpectedVersion, Filter, NewEvent, Result, StreamId, TenantId,
    TenantRouter,
};
use eventsource_memory::MemoryStore;
use eventsource_postgres::{PostgresConfig, PostgresStore};
use eventsource_sqlite::{SqliteConfig, SqliteStore};
use examples::{Backend, StoreArguments};
use uuid::Uuid;

#[derive(Debug, Parser)]
struct Arguments {
    /// How tenants are kept apart.
    #[arg(long, value_enum, default_value_t = Pattern::SharedSchema)]
    pattern: Pattern,

    #[command(flatten)]
    store: StoreArguments,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Pattern {
    SharedSchema,
    SchemaPerTenant,
    DatabasePerTenant,
}

/// All tenants in one log: the application opens the store, the router only gives each tenant its view.
fn shared_schema(store: Arc<dyn EventStore>) -> TenantRouter {
    TenantRouter::new(move |_| ready(Ok(store.clone())))
}

/// A schema of one PostgreSQL database for each tenant: a log of its own, with a lock of its own.
fn schema_per_tenant(url: String) -> TenantRouter {
    TenantRouter::new(move |tenant| {
        let url = url.clone();
        async move {
            let schema = format!("tenant_{}", name_of(tenant)?);
            let config = PostgresConfig::new(url).schema(&schema)?.max_connections(4);
            opened(PostgresStore::connect(config).await?)
        }
    })
}

/// A database for each tenant.
fn postgres_per_tenant(url: String) -> TenantRouter {
    TenantRouter::new(move |tenant| {
        let url = url.clone();
        async move {
            let url = url.replace("{tenant}", name_of(tenant)?);
            opened(PostgresStore::connect(PostgresConfig::new(url).max_connections(4)).await?)
        }
    })
}

/// A file for each tenant.
fn file_per_tenant(directory: PathBuf) -> TenantRouter {
    TenantRouter::new(move |tenant| {
        let directory = directory.clone();
        async move {
            let path = directory.join(format!("{}.db", name_of(tenant)?));
            opened(SqliteStore::open(SqliteConfig::file(path)).await?)
        }
    })
}

fn opened(store: impl EventStore + 'static) -> Result<Arc<dyn EventStore>> {
    Ok(Arc::new(store))
}

/// What a table of customers would tell.
const COMPANIES: [(&str, u128); 2] = [("acme", 0xACE), ("globex", 0x610)];

fn tenant(name: &str) -> Result<TenantId> {
    let company = COMPANIES.iter().find(|company| company.0 == name);
    let (_, id) = company.ok_or_else(|| Error::invalid_input(format!("{name} is no customer")))?;
    TenantId::new(Uuid::from_u128(*id))
}

fn name_of(tenant: TenantId) -> Result<&'static str> {
    let company = COMPANIES.iter().find(|company| Uuid::from_u128(company.1) == tenant.as_uuid());
    company.map(|company| company.0).ok_or_else(|| Error::invalid_input(format!("{tenant} is no customer")))
}

#[tokio::main]
async fn main() -> ExitCode {
    examples::conclude(run().await)
}

async fn run() -> Result<(), Box<dyn StdError>> {
    let Arguments { pattern, store } = Arguments::parse();
    let mut shared = None;
    let router = match (pattern, store.backend) {
        (Pattern::SharedSchema, _) => {
            let picked = store.open("tenants.db").await?;
            println!("All tenants share {}", picked.place);
            shared_schema(shared.insert(picked).store.clone())
        }
        (Pattern::SchemaPerTenant, Backend::Postgres) => {
            println!("Each tenant has a schema of the PostgreSQL database");
            schema_per_tenant(store.url.ok_or("a schema per tenant needs --url")?)
        }
        (Pattern::SchemaPerTenant, _) => return Err("a schema per tenant needs --backend postgres".into()),
        (Pattern::DatabasePerTenant, Backend::Postgres) => {
            println!("Each tenant has a PostgreSQL database");
            postgres_per_tenant(
                store.url.filter(|url| url.contains("{tenant}")).ok_or("--url needs {tenant}")?,
            )
        }
        (Pattern::DatabasePerTenant, Backend::Sqlite) => {
            let directory = Path::new(store.url.as_deref().unwrap_or("tenants")).to_owned();
            std::fs::create_dir_all(&directory)?;
            println!("Each tenant has a file in {}", directory.display());
            file_per_tenant(directory)
        }
        (Pattern::DatabasePerTenant, Backend::Memory) => {
            println!("Each tenant has a memory store");
            TenantRouter::new(|_| ready(opened(MemoryStore::new())))
        }
    };
    work(&router).await?;
    router.close().await?;
    if let Some(shared) = shared {
        // The router left it open: it is the application's.
        shared.store.close().await?;
    }
    println!("SUCCESS: no tenant saw another's events");
    Ok(())
}

/// What the application does is the same for every pattern.
async fn work(router: &TenantRouter) -> Result<(), Box<dyn StdError>> {
    let acme = router.store(tenant("acme")?).await?;
    let globex = router.store(tenant("globex")?).await?;

    // One name, claimed by both: each looks at its own events only.
    for company in [&acme, &globex] {
        let taken = Filter::tagged("username", "ann")?;
        let claimed = NewEvent::new("UsernameClaimed", "ann")?.tag("username", "ann")?;
        company.append(Append::events([claimed]).fail_if(taken)).await?;
        println!("claimed: ann at {}", name_of(company.tenant())?);
    }

    // One stream, tried by both.
    let order = StreamId::new("Order", Uuid::now_v7())?;
    let placed = || -> Result<Vec<NewEvent>> { Ok(vec![NewEvent::new("OrderPlaced", &29_999)?]) };
    acme.append_to_stream(order.clone(), ExpectedVersion::NoStream, placed()?).await?;
    println!(
        "acme's order is at version {}",
        acme.stream_version(&order).await?.map_or(0, |version| version.get())
    );
    assert_eq!(globex.stream_version(&order).await?, None, "it is as if it did not exist");
    match globex.append_to_stream(order.clone(), ExpectedVersion::Any, placed()?).await {
        Ok(_) => println!("globex has an order of the same id, in a log of its own"),
        Err(refused) => println!("refused: {}", refused.to_string().replace(&order.to_string(), "Order")),
    }

    for company in [&acme, &globex] {
        let own = company.query(&Filter::all()).await?.events;
        assert!(own.iter().all(|event| event.metadata().tenant_id() == Some(company.tenant())));
        println!("{} sees {} events of its own", name_of(company.tenant())?, own.len());
    }
    Ok(())
}
