use std::collections::BTreeSet;

use serde_json::Value;

use crate::cargo::{array, members, name};

const BACKENDS: [&str; 3] = ["eventsource-memory", "eventsource-sqlite", "eventsource-postgres"];

/// What a crate of ours may know of our others: in its library and programs, and beyond that in its tests.
struct Rule {
    knows: &'static [&'static str],
    tests_know: &'static [&'static str],
}

/// Direction: core ← backends ← everything else. No backend knows another.
fn rule(package: &str) -> Option<Rule> {
    let rule = |knows, tests_know| Some(Rule { knows, tests_know });
    match package {
        "eventsource-core" => rule(&["eventsource-macros"], &[]),
        "eventsource-macros" => rule(&[], &["eventsource-core"]),
        "test-servers" | "xtask" => rule(&[], &[]),
        "eventsource-consumers" => rule(&["eventsource-core"], &["eventsource-memory"]),
        "eventsource-memory" | "eventsource-sqlite" | "eventsource-postgres" => {
            rule(&["eventsource-core"], &["test-servers"])
        }
        "eventsource-nats" => rule(&["eventsource-core"], &["eventsource-sqlite", "test-servers"]),
        "eventsource-testing" => {
            rule(&["eventsource-core", "eventsource-consumers"], &["eventsource-memory"])
        }
        "conformance-tests" => rule(
            &["eventsource-core", "eventsource-consumers", "eventsource-testing"],
            &[
                "eventsource-memory",
                "eventsource-sqlite",
                "eventsource-postgres",
                "eventsource-nats",
                "test-servers",
            ],
        ),
        "examples" => rule(
            &[
                "eventsource-core",
                "eventsource-consumers",
                "eventsource-memory",
                "eventsource-sqlite",
                "eventsource-postgres",
            ],
            &["eventsource-testing", "test-servers"],
        ),
        _ => None,
    }
}

/// Dependencies that go the wrong way, by cargo's own account of them.
pub(crate) fn complaints(metadata: &Value) -> Vec<String> {
    let ours = members(metadata);
    let names: BTreeSet<&str> = ours.iter().map(|package| name(package)).collect();
    let mut complaints: Vec<String> = ours.iter().flat_map(|package| of_package(package, &names)).collect();
    complaints.extend(databases_in_core(metadata));
    complaints
}

fn of_package(package: &Value, ours: &BTreeSet<&str>) -> Vec<String> {
    let package_name = name(package);
    let Some(rule) = rule(package_name) else {
        return vec![format!("{package_name} has no rule in xtask/src/dependencies.rs")];
    };
    let dependencies =
        array(&package["dependencies"]).iter().filter(|dependency| ours.contains(name(dependency)));
    dependencies
        .filter(|dependency| {
            let in_tests = dependency["kind"] == "dev" && rule.tests_know.contains(&name(dependency));
            !in_tests && !rule.knows.contains(&name(dependency))
        })
        .map(|dependency| format!("{package_name} must not depend on {}", name(dependency)))
        .collect()
}

/// Core has no SQL, no socket, no file: not in what it depends on either, however far down.
fn databases_in_core(metadata: &Value) -> Vec<String> {
    let packages = array(&metadata["packages"]);
    let nodes = array(&metadata["resolve"]["nodes"]);
    let id_of =
        |wanted: &str| packages.iter().find(|package| name(package) == wanted).map(|package| &package["id"]);
    let Some(core) = id_of("eventsource-core") else {
        return vec!["the workspace has no eventsource-core".into()];
    };
    let mut reached = vec![core];
    let mut next = 0;
    while let Some(id) = reached.get(next) {
        let node = nodes.iter().find(|node| node["id"] == **id);
        for edge in node.map(|node| array(&node["deps"])).unwrap_or_default() {
            let outside_tests = array(&edge["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
            if outside_tests && !reached.contains(&&edge["pkg"]) {
                reached.push(&edge["pkg"]);
            }
        }
        next += 1;
    }
    let database = |name: &str| {
        name.starts_with("sqlx")
            || BACKENDS.contains(&name)
            || matches!(name, "rusqlite" | "libsqlite3-sys" | "tokio-postgres")
    };
    packages
        .iter()
        .filter(|package| reached.contains(&&package["id"]) && database(name(package)))
        .map(|package| format!("eventsource-core brings {} with it", name(package)))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata(dependencies: &[(&str, &str, Option<&str>)]) -> Value {
        let mut names: BTreeSet<&str> = dependencies.iter().flat_map(|(from, to, _)| [*from, *to]).collect();
        names.insert("eventsource-core");
        let of = |package: &str, edge: &dyn Fn(&str, Option<&str>) -> Value| -> Vec<Value> {
            let own = dependencies.iter().filter(|(from, ..)| *from == package);
            own.map(|(_, to, kind)| edge(to, *kind)).collect()
        };
        let packages: Vec<Value> = names
            .iter()
            .map(|name| {
                let direct = of(name, &|to, kind| json!({"name": to, "kind": kind}));
                json!({"name": name, "id": name, "dependencies": direct})
            })
            .collect();
        let nodes: Vec<Value> = names
            .iter()
            .map(|name| {
                let edges = of(name, &|to, kind| json!({"pkg": to, "dep_kinds": [{"kind": kind}]}));
                json!({"id": name, "deps": edges})
            })
            .collect();
        let members: Vec<&&str> =
            names.iter().filter(|name| rule(name).is_some() || name.contains("event")).collect();
        json!({"packages": packages, "workspace_members": members, "resolve": {"nodes": nodes}})
    }

    #[test]
    fn the_directions_of_the_design_are_allowed() {
        let fine = [
            ("eventsource-sqlite", "eventsource-core", None),
            ("eventsource-postgres", "test-servers", Some("dev")),
            ("conformance-tests", "eventsource-core", None),
            ("conformance-tests", "eventsource-sqlite", Some("dev")),
            ("eventsource-sqlite", "rusqlite", None),
        ];
        assert_eq!(complaints(&metadata(&fine)), Vec::<String>::new());
    }

    #[test]
    fn wrong_directions_are_named() {
        for (from, to, kind) in [
            ("eventsource-core", "eventsource-memory", None),
            ("eventsource-sqlite", "eventsource-memory", Some("dev")),
            ("eventsource-postgres", "test-servers", None),
            ("eventsource-postgres", "conformance-tests", Some("dev")),
            ("conformance-tests", "eventsource-memory", None),
        ] {
            let complaints = complaints(&metadata(&[(from, to, kind)]));
            assert!(complaints.contains(&format!("{from} must not depend on {to}")), "{complaints:?}");
        }
    }

    #[test]
    fn a_database_deep_in_core_is_found() {
        let hidden = [("eventsource-core", "innocent", None), ("innocent", "sqlx-core", None)];
        assert_eq!(complaints(&metadata(&hidden)), ["eventsource-core brings sqlx-core with it"]);
    }

    #[test]
    fn a_new_crate_needs_a_rule() {
        let new = [("eventsource-redis", "eventsource-core", None)];
        assert_eq!(
            complaints(&metadata(&new)),
            ["eventsource-redis has no rule in xtask/src/dependencies.rs"]
        );
    }
}
