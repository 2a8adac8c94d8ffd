//! Peers on SQLite.

mod eventcore_sqlite;
mod sqlite_es;

use std::process::ExitCode;

use clap::Parser;
use common::{Failure, Report, Task, finish, perform};

#[tokio::main]
async fn main() -> ExitCode {
    let task = Task::parse();
    let report = match task.system.as_str() {
        "eventcore-sqlite" => perform::<eventcore_sqlite::EventcoreSqlite>(&task).await,
        "sqlite-es" => perform::<sqlite_es::SqliteEs>(&task).await,
        other => Report::from(Err(Failure::Broken(format!("this binary knows no system {other}")))),
    };
    finish(&task, &report)
}
