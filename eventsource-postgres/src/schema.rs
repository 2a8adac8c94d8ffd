//! Creating the log and keeping it up to date.
//!
//! sqlx's own migrator can't do it: it holds a session-level advisory lock (lost through pgbouncer in transaction mode),
//! and its SQL can't name a schema that is chosen at run time. This one is a table with a number, and one transaction
//! under a transaction-level advisory lock.

use eventsource_core::{Error, Result};
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use crate::config::PayloadIndex;
use crate::error::{Asked, Failure, reading};
use crate::schema_name::SchemaName;

/// The class of the log's advisory lock; the key is the events table's oid, unique in a database.
const LOG_LOCK_CLASS: i32 = 0x4553_4c47;
/// The class of the migration lock; the key is the schema's name, hashed.
const MIGRATION_LOCK_CLASS: i32 = 0x4553_4d47;

/// What to run to come from the version that is its index to the next.
const MIGRATIONS: [&[&str]; 1] =
    [&[include_str!("sql/tables.sql"), include_str!("sql/archive.sql"), include_str!("sql/append.sql")]];

/// Brings the log in `schema` up to date, creating it if need be, and returns its id. Several processes may do so at
/// once; when nothing is to be done, no right to change the schema is needed.
pub(crate) async fn migrate(pool: &PgPool, schema: &SchemaName, index: &PayloadIndex) -> Result<Uuid> {
    // One transaction for all of it: through a pooler, only a transaction stays on its server.
    let mut transaction =
        pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await.map_err(reading)?;
    let mut version = applied_version(&mut transaction, schema).await?;
    if version < MIGRATIONS.len() || has_all_indexes(&mut transaction, schema, index).await? == Indexed::No {
        sqlx::query("SELECT pg_advisory_xact_lock($1, hashtext($2))")
            .persistent(false)
            .bind(MIGRATION_LOCK_CLASS)
            .bind(schema.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(reading)?;
        // Somebody else may have done it while we waited.
        version = applied_version(&mut transaction, schema).await?;
        if version == 0 {
            create_schema(&mut transaction, schema).await?;
        }
        for (number, scripts) in (1_i32..).zip(MIGRATIONS).skip(version) {
            for script in scripts {
                let script = script.replace("{lock_class}", &LOG_LOCK_CLASS.to_string());
                run(&mut transaction, schema, &script).await?;
            }
            run(
                &mut transaction,
                schema,
                &format!("INSERT INTO {{schema}}.eventsource_migrations (version) VALUES ({number})"),
            )
            .await?;
        }
        for (_, statement) in index_statements(index) {
            run(&mut transaction, schema, &statement).await?;
        }
    }
    let id = sqlx::query(AssertSqlSafe(schema.fill_in("SELECT id FROM {schema}.log")))
        .persistent(false)
        .fetch_one(&mut *transaction)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(reading)?;
    // If the answer to this is lost, the next attempt finds out; nobody's events are at stake.
    transaction.commit().await.map_err(|error| Failure::new(error, Asked::Nothing).to_error())?;
    Ok(id)
}

/// How many migrations the log has seen; 0 if there is no log.
async fn applied_version(connection: &mut PgConnection, schema: &SchemaName) -> Result<usize> {
    let table = schema.fill_in("{schema}.eventsource_migrations");
    if !exists(connection, &table).await? {
        return Ok(0);
    }
    let version: i32 =
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT coalesce(max(version), 0) FROM {table}")))
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
    let known: bool = sqlx::query_scalar("SELECT to_regnamespace($1) IS NOT NULL")
        .persistent(false)
        .bind(schema.to_string())
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

#[derive(PartialEq)]
enum Indexed {
    Yes,
    No,
}

async fn has_all_indexes(
    connection: &mut PgConnection,
    schema: &SchemaName,
    index: &PayloadIndex,
) -> Result<Indexed> {
    for (name, _) in index_statements(index) {
        if !exists(connection, &format!("{schema}.\"{name}\"")).await? {
            return Ok(Indexed::No);
        }
    }
    Ok(Indexed::Yes)
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

async fn exists(connection: &mut PgConnection, relation: &str) -> Result<bool> {
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .persistent(false)
        .bind(relation)
        .fetch_one(connection)
        .await
        .map_err(reading)
}

async fn run(connection: &mut PgConnection, schema: &SchemaName, script: &str) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(schema.fill_in(script))).execute(connection).await.map_err(reading)?;
    Ok(())
}
