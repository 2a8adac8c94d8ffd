//! Peers in memory.

mod cqrs_es_memory;
mod eventcore_memory;
mod eventually_memory;

use std::process::ExitCode;

use clap::Parser;
use common::{Failure, Report, Task, finish, perform};

#[tokio::main]
async fn main() -> ExitCode {
    let task = Task::parse();
    let report = match task.system.as_str() {
        "eventcore-memory" => perform::<eventcore_memory::EventcoreMemory>(&task).await,
        "cqrs-es-memory" => perform::<cqrs_es_memory::CqrsEsMemory>(&task).await,
        "eventually-memory" => perform::<eventually_memory::EventuallyMemory>(&task).await,
        other => Report::from(Err(Failure::Broken(format!("this binary knows no system {other}")))),
    };
    finish(&task, &report)
}
