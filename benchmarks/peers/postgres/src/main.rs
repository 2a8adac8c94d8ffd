//! Peers on PostgreSQL.

mod disintegrate;
mod dynamic_streams;
mod esrs;
mod eventcore_postgres;
mod postgres_es;

use std::process::ExitCode;

use clap::Parser;
use common::{Failure, Report, Task, broken, finish, perform};
use sqlx::postgres::{PgPool, PgPoolOptions};

#[tokio::main]
async fn main() -> ExitCode {
    let task = Task::parse();
    let report = match task.system.as_str() {
        "postgres-es" => perform::<postgres_es::PostgresEs>(&task).await,
        "eventcore-postgres" => perform::<eventcore_postgres::EventcorePostgres>(&task).await,
        "esrs" => perform::<esrs::Esrs>(&task).await,
        "disintegrate-postgres" => perform::<disintegrate::Disintegrate>(&task).await,
        "dynamic-streams-sql" => perform::<dynamic_streams::DynamicStreams>(&task).await,
        other => Report::from(Err(Failure::Broken(format!("this binary knows no system {other}")))),
    };
    finish(&task, &report)
}

/// The pool that every system on PostgreSQL has here.
async fn pool(place: &str) -> Result<PgPool, Failure> {
    PgPoolOptions::new()
        .max_connections(16)
        .acquire_timeout(std::time::Duration::from_secs(60))
        .connect(place)
        .await
        .map_err(broken)
}

/// Whether somebody else was first.
fn is_conflict(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("23505" | "40001" | "40P01"))
}
