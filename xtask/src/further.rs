use std::collections::BTreeSet;

use serde_json::Value;

use crate::cargo;
use crate::failure::Failure;
use crate::server_directory::ServerDirectory;

/// Runs the tests that need further servers: every test target in the workspace with `required-features`. Nobody has to
/// list them anywhere else, so none can be forgotten.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Failure> {
    let targets = Targets::of(&cargo::metadata()?);
    if targets.names.is_empty() {
        return Err(Failure::new("no test target has required-features"));
    }
    let features = Vec::from_iter(targets.features).join(",");
    let mut tests = cargo::command();
    tests.args(["test", "--workspace", "--features", &features]);
    for name in &targets.names {
        tests.args(["--test", name]);
    }
    tests.args(arguments);

    let servers = ServerDirectory::create()?;
    servers.apply(&mut tests);
    let outcome = cargo::status(&mut tests);
    let gone = servers.wait_until_empty();
    outcome.and(gone)
}

#[derive(Debug, PartialEq, Eq)]
struct Targets {
    names: BTreeSet<String>,
    features: BTreeSet<String>,
}

impl Targets {
    fn of(metadata: &Value) -> Self {
        let mut names = BTreeSet::new();
        let mut features = BTreeSet::new();
        let members = cargo::members(metadata);
        for (package, target) in members.iter().flat_map(|package| {
            cargo::array(&package["targets"]).iter().map(|target| (cargo::name(package), target))
        }) {
            let required = cargo::array(&target["required-features"]);
            if cargo::array(&target["kind"]).iter().any(|kind| kind == "test") && !required.is_empty() {
                names.insert(cargo::name(target).to_owned());
                features.extend(
                    required.iter().filter_map(Value::as_str).map(|name| format!("{package}/{name}")),
                );
            }
        }
        Self { names, features }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn targets_are_found_by_their_features() {
        let metadata = json!({
            "workspace_members": ["a"],
            "packages": [
                {"id": "a", "name": "ours", "targets": [
                    {"name": "plain", "kind": ["test"]},
                    {"name": "bouncer", "kind": ["test"], "required-features": ["pgbouncer"]},
                    {"name": "speed", "kind": ["bench"], "required-features": ["fast"]},
                ]},
                {"id": "b", "name": "theirs", "targets": [
                    {"name": "other", "kind": ["test"], "required-features": ["more"]},
                ]},
            ],
        });
        let expected =
            Targets { names: ["bouncer".to_owned()].into(), features: ["ours/pgbouncer".to_owned()].into() };
        assert_eq!(Targets::of(&metadata), expected);
    }
}
