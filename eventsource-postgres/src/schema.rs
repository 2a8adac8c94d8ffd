//! Creating the log and keeping it up to date.
//!
//! sqlx's own migrator can't do it: it holds a session-level advisory lock (lost through pgbouncer in transaction mode),
//! and its SQL can't name a schema that is chosen at run time. This one is a table with a number, and one transaction
//! under a transaction-level advisory lock.

use eventsource_core::{Error, Result};
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{AssertSqlSafe, Postgres, Transaction};
use uuid::Uuid;

use crate::config::PayloadIndex;
use crate::connection;
use crate::error::reading;
use crate::schema_name::SchemaName;

/// The class of the log's advisory lock; the key is the events table's oid, unique in a database.
pub(crate) const LOG_LOCK_CLASS: i32 = 0x4553_4c47;
/// The class of the migration lock; the key is the schema's name, hashed.
const MIGRATION_LOCK_CLASS: i32 = 0x4553_4d47;

/// What to run to come from the version that is its index to the next.
const MIGRATIONS: [&[&str]; 4] = [
    &[
        include_str!("sql/tables.sql"),
        include_str!("sql/archive.sql"),
        include_str!("sql/append.sql"),
        include_str!("sql/append_event.sql"),
        include_str!("sql/flush.sql"),
    ],
    // Arrays are taken apart without a table for each of them (ADR 17).
    &[include_str!("sql/append.sql")],
    &[include_str!("sql/snapshot_events.sql"), include_str!("sql/first_match_in_tenant.sql")],
    // One event under a condition has the short cut too (ADR 7).
    &[include_str!("sql/append_event.sql")],
];

/// Brings the log in `schema` up to date, creating it if need be, and returns its id. Several processes may do so at
/// once; when nothing is to be done, no right to change the schema is needed.
pub(crate) async fn migrate(pool: &PgPool, schema: &SchemaName, index: &PayloadIndex) -> Result<Uuid> {
    let mut transaction = begin(pool).await?;
    if is_up_to_date(&mut transaction, schema, index).await? {
        return log_id(transaction, schema).await;
    }
    transaction.rollback().await.map_err(reading)?;
    // Another one, which begins with the lock: what a transaction has looked up before it waited, it may not look up
    // again (the server caches that a name does not exist).
    let mut transaction = begin(pool).await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1, hashtext($2))")
        .persistent(false)
        .bind(MIGRATION_LOCK_CLASS)
        .bind(schema.as_str())
        .execute(&mut *transaction)
        .await
        .map_err(reading)?;
    let version = applied_version(&mut transaction, schema).await?;
    if version == 0 {
        create_schema(&mut transaction, schema).await?;
    }
    for (number, scripts) in (1_i32..).zip(MIGRATIONS).skip(version) {
        for script in scripts {
            let script = with_parts(script);
            let script = script.replace("{lock_class}", &LOG_LOCK_CLASS.to_string());
            run(&mut transaction, schema, &script).await?;
        }
        let applied = format!("INSERT INTO {{schema}}.eventsource_migrations (version) VALUES ({number})");
        run(&mut transaction, schema, &applied).await?;
    }
    for (_, statement) in index_statements(index) {
        run(&mut transaction, schema, &statement).await?;
    }
    log_id(transaction, schema).await
}

/// Tells everybody who reads the log, by what they read anyway, that events may be visible before they are durable.
///
/// Every snapshot that shows a pipelined commit shows this one too, because it comes before; so it makes no difference
/// when the other stores were opened.
pub(crate) async fn announce_pipelined(pool: &PgPool, schema: &SchemaName) -> Result<()> {
    let mut transaction = begin(pool).await?;
    run(&mut transaction, schema, "UPDATE {schema}.log SET pipelined = true WHERE NOT pipelined").await?;
    transaction.commit().await.map_err(reading)
}

/// What functions have in common is written once.
fn with_parts(script: &str) -> String {
    let leap = include_str!("sql/leap.sql").trim_end();
    let find_conflict = include_str!("sql/find_conflict.sql").trim_end();
    script
        .replace("{find_conflict}", &find_conflict.replace("{by_query}", ""))
        .replace(
            "{find_conflict_by_query}",
            &find_conflict.replace("{by_query}", include_str!("sql/condition_query.sql").trim_end()),
        )
        .replace("{lock_log}", include_str!("sql/lock_log.sql").trim_end())
        .replace("{leap}", &leap.replace("{another_list}", ""))
        .replace(
            "{leap_in_tenant}",
            &leap.replace("{another_list}", include_str!("sql/tenant_list.sql").trim_end()),
        )
}

/// A transaction, because through a pooler only that stays on its server.
async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>> {
    connection::begin(pool, "BEGIN ISOLATION LEVEL READ COMMITTED").await.map_err(reading)
}

/// The log's id; and the end of the transaction.
async fn log_id(mut transaction: Transaction<'_, Postgres>, schema: &SchemaName) -> Result<Uuid> {
    let id = sqlx::query_scalar(AssertSqlSafe(schema.fill_in("SELECT id FROM {schema}.log")))
        .persistent(false)
        .fetch_one(&mut *transaction)
        .await
        .map_err(reading)?;
    // If the answer to this is lost, the next attempt finds out; nobody's events are at stake.
    transaction.commit().await.map_err(reading)?;
    Ok(id)
}

async fn is_up_to_date(
    connection: &mut PgConnection,
    schema: &SchemaName,
    index: &PayloadIndex,
) -> Result<bool> {
    if applied_version(connection, schema).await? < MIGRATIONS.len() {
        return Ok(false);
    }
    for (name, _) in index_statements(index) {
        if !exists(connection, schema, &name).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How many migrations the log has seen; 0 if there is no log.
async fn applied_version(connection: &mut PgConnection, schema: &SchemaName) -> Result<usize> {
    if !exists(connection, schema, "eventsource_migrations").await? {
        return Ok(0);
    }
    let newest = "SELECT coalesce(max(version), 0) FROM {schema}.eventsource_migrations";
    let version: i32 = sqlx::query_scalar(AssertSqlSafe(schema.fill_in(newest)))
        .persistent(false)
        .fetch_one(connection)
        .await
        .map_err(reading)?;
    match usize::try_from(version) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => Err(Error::backend(format!(
            "the log in schema {schema} has version {version}, and this program knows versions up to {}: \
             a newer program has migrated it",
            MIGRATIONS.len()
        ))),
    }
}

async fn create_schema(connection: &mut PgConnection, schema: &SchemaName) -> Result<()> {
    // Even `IF NOT EXISTS` asks for the right to create one.
    let known: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)")
            .persistent(false)
            .bind(schema.as_str())
            .fetch_one(&mut *connection)
            .await
            .map_err(reading)?;
    if !known {
        run(connection, schema, "CREATE SCHEMA {schema}").await?;
    }
    run(
        connection,
        schema,
        "CREATE TABLE {schema}.eventsource_migrations (
            version INTEGER PRIMARY KEY,
            applied_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now()
        )",
    )
    .await
}

/// The indexes that a choice asks for: name and statement.
fn index_statements(index: &PayloadIndex) -> Vec<(String, String)> {
    match index {
        PayloadIndex::None => Vec::new(),
        PayloadIndex::Gin => vec![(
            "idx_events_payload".to_owned(),
            "CREATE INDEX IF NOT EXISTS idx_events_payload ON {schema}.events USING gin (payload jsonb_path_ops)"
                .to_owned(),
        )],
        // The hash, because a value may be longer than an index entry; and the position, because it is read in order.
        PayloadIndex::Keys(keys) => keys
            .iter()
            .map(|key| {
                let name = format!("idx_events_payload_{key}");
                let statement = format!(
                    "CREATE INDEX IF NOT EXISTS \"{name}\" ON {{schema}}.events \
                     (jsonb_hash_extended(payload -> '{key}', 0), global_position)"
                );
                (name, statement)
            })
            .collect(),
    }
}

/// Whether the schema has this table or index: asked of the catalogue, which the statement's snapshot shows as it is.
async fn exists(connection: &mut PgConnection, schema: &SchemaName, relation: &str) -> Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                        WHERE n.nspname = $1 AND c.relname = $2)",
    )
    .persistent(false)
    .bind(schema.as_str())
    .bind(relation)
    .fetch_one(connection)
    .await
    .map_err(reading)
}

async fn run(connection: &mut PgConnection, schema: &SchemaName, script: &str) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(schema.fill_in(script))).execute(connection).await.map_err(reading)?;
    Ok(())
}
