use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::failure::Failure;

/// The workspace's root.
pub(crate) fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The very cargo that runs this task, in the workspace's root.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    command
}

/// Runs tests for everybody to see.
pub(crate) fn status(tests: &mut Command) -> Result<(), Failure> {
    let status = tests.status().map_err(Failure::during("cannot run cargo"))?;
    if status.success() { Ok(()) } else { Err(Failure::new("the tests failed")) }
}

/// Runs it and returns what it printed; errors and progress are shown as they come.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    let output =
        command.stderr(Stdio::inherit()).output().map_err(Failure::during(format!("{command:?}")))?;
    if !output.status.success() {
        return Err(Failure::new(format!("{command:?} failed")));
    }
    String::from_utf8(output.stdout).map_err(Failure::during("cargo's output"))
}

/// Any one will do; with all of them, cargo would download what only other systems need.
const PLATFORM: &str = "--filter-platform=x86_64-unknown-linux-gnu";

/// What cargo knows about the workspace and everything it depends on.
pub(crate) fn metadata() -> Result<Value, Failure> {
    let metadata = output(command().args(["metadata", "--format-version=1", "--locked", PLATFORM]))?;
    serde_json::from_str(&metadata).map_err(Failure::during("cargo metadata"))
}

/// The packages of the workspace itself.
pub(crate) fn members(metadata: &Value) -> Vec<&Value> {
    let members = array(&metadata["workspace_members"]);
    array(&metadata["packages"]).iter().filter(|package| members.contains(&package["id"])).collect()
}

pub(crate) fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

pub(crate) fn name(value: &Value) -> &str {
    value["name"].as_str().unwrap_or_default()
}
