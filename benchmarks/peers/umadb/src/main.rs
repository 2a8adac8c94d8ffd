//! UmaDB, in this process and as a server of its own.

mod embedded;
mod event;
mod server;

use std::process::ExitCode;

use clap::Parser;
use common::{Failure, Report, Task, finish, perform};

#[tokio::main]
async fn main() -> ExitCode {
    // The server is this program too, so that nothing has to be installed.
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, serve, directory, address] = arguments.as_slice()
        && serve == "serve"
    {
        return server::serve(directory, address).await;
    }
    let task = Task::parse();
    let report = match task.system.as_str() {
        "umadb-core" => perform::<embedded::Embedded>(&task).await,
        "umadb-server" => perform::<server::Server>(&task).await,
        other => Report::from(Err(Failure::Broken(format!("this binary knows no system {other}")))),
    };
    finish(&task, &report)
}
