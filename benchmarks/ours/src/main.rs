//! This workspace's three stores, and the limits that they are measured against.

mod limit_memory;
mod limit_postgres;
mod limit_sqlite;
mod log;
mod memory;
mod postgres;
mod sqlite;

use std::process::ExitCode;

use clap::Parser;
use common::{Failure, Report, Task, Workload, finish, perform};

use crate::limit_memory::MemoryLimit;
use crate::limit_postgres::{CopyLimit, InsertLimit};
use crate::limit_sqlite::SqliteLimit;
use crate::log::Ours;

#[tokio::main]
async fn main() -> ExitCode {
    let task = Task::parse();
    let by_payload = task.workload == Workload::Filter && task.variant == "payload";
    // What is filled for a relay says so by its variant.
    let with_outbox = task.workload == Workload::Relay || task.variant == "outbox";
    let report = match task.system.as_str() {
        "eventsource-memory" if with_outbox => perform::<Ours<memory::MemoryWithOutbox>>(&task).await,
        "eventsource-sqlite" if with_outbox => perform::<Ours<sqlite::SqliteWithOutbox>>(&task).await,
        "eventsource-postgres" if with_outbox => perform::<Ours<postgres::PostgresWithOutbox>>(&task).await,
        "eventsource-memory" => perform::<Ours<memory::Memory>>(&task).await,
        "eventsource-sqlite" => perform::<Ours<sqlite::Sqlite>>(&task).await,
        "eventsource-postgres" if by_payload => perform::<Ours<postgres::PostgresWithIndex>>(&task).await,
        "eventsource-postgres" => perform::<Ours<postgres::Postgres>>(&task).await,
        "eventsource-postgres-pipelined" => perform::<Ours<postgres::PostgresPipelined>>(&task).await,
        "limit-memory" => perform::<MemoryLimit>(&task).await,
        "limit-sqlite" => perform::<SqliteLimit>(&task).await,
        "limit-postgres-insert" => perform::<InsertLimit>(&task).await,
        "limit-postgres-copy" => perform::<CopyLimit>(&task).await,
        other => Report::from(Err(Failure::Broken(format!("this binary knows no system {other}")))),
    };
    finish(&task, &report)
}
