use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::failure::Failure;
use crate::server_directory::ServerDirectory;
use crate::{cargo, installation};

/// The variable that allows one way to a server and no other.
const SERVER: &str = "EVENTSOURCE_POSTGRES_SERVER";

/// Runs every test of the workspace that needs no server but a Postgres.
///
/// The tests start that server themselves, one for each test binary. What is done here: it makes sure that they can, that
/// all of them take the same kind, and that no server is left when this returns.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Failure> {
    let for_cargo = arguments.split(|argument| *argument == "--").next().unwrap_or_default();
    let throwaway = build(for_cargo)?;

    let servers = ServerDirectory::create()?;
    let outcome = run_tests(arguments, &throwaway, &servers);
    // However the tests ended, and first of all if they failed.
    let gone = servers.wait_until_empty();
    outcome.and(gone)
}

fn run_tests(arguments: &[&str], throwaway: &PathBuf, servers: &ServerDirectory) -> Result<(), Failure> {
    let kind = match kind_of_server(throwaway, servers) {
        Ok(kind) => kind,
        Err(failure) => {
            eprintln!("{failure}");
            installation::install_postgres()?;
            kind_of_server(throwaway, servers)?
        }
    };
    eprintln!("     Servers each test binary starts its own Postgres where it needs one: {kind}");
    let mut tests = cargo::command();
    tests.args(["test", "--workspace"]).args(arguments).env(SERVER, &kind);
    servers.apply(&mut tests);
    cargo::status(&mut tests)
}

/// Builds all tests and returns the program that starts a server to see whether that can be done at all.
fn build(arguments: &[&str]) -> Result<PathBuf, Failure> {
    let mut build = cargo::command();
    build
        .args(["test", "--workspace", "--no-run", "--message-format=json-render-diagnostics"])
        .args(arguments);
    let output = cargo::output(&mut build)?;
    output
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| {
            message["target"]["name"] == "throwaway-postgres" && message["profile"]["test"] == false
        })
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .ok_or_else(|| Failure::new("cargo has built no throwaway-postgres (test-servers/src/bin)"))
}

/// Starts a server and stops it: that is the only way to know.
fn kind_of_server(throwaway: &PathBuf, servers: &ServerDirectory) -> Result<String, Failure> {
    let mut command = Command::new(throwaway);
    command.stdin(Stdio::null());
    servers.apply(&mut command);
    let output = command.output().map_err(Failure::during(throwaway.display()))?;
    if !output.status.success() {
        return Err(Failure::new(String::from_utf8_lossy(&output.stderr).trim_end()));
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    printed
        .split_whitespace()
        .next()
        .map(String::from)
        .ok_or_else(|| Failure::new("throwaway-postgres said nothing"))
}
