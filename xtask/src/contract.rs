use std::collections::BTreeSet;

use crate::cargo;
use crate::failure::Failure;

/// The stores that ship with the workspace, in the modes that they have: each has a test target of this name in
/// `conformance-tests`.
const STORES: [&str; 4] = ["memory", "sqlite", "postgres", "postgres_pipelined"];

/// A shorter contract would mean that somebody has lost a part of it.
const FEWEST: usize = 120;

/// Checks that all stores run one and the same contract: the same tests by name, and not too few of them.
pub(crate) fn run() -> Result<(), Failure> {
    let mut lists = Vec::new();
    for store in STORES {
        lists.push((store, tests_of(store)?));
    }
    println!("{}", verdict(&lists)?);
    Ok(())
}

fn tests_of(store: &str) -> Result<BTreeSet<String>, Failure> {
    let mut list = cargo::command();
    // Of the whole workspace, so that nothing is built twice with other features.
    list.args(["test", "--workspace", "--test", store, "--", "--list", "--format=terse"]);
    Ok(parse(&cargo::output(&mut list)?))
}

fn parse(list: &str) -> BTreeSet<String> {
    list.lines().filter_map(|line| line.strip_suffix(": test")).map(String::from).collect()
}

fn verdict(lists: &[(&str, BTreeSet<String>)]) -> Result<String, Failure> {
    let all: BTreeSet<&String> = lists.iter().flat_map(|(_, list)| list).collect();
    let missing: Vec<String> = lists
        .iter()
        .flat_map(|(store, list)| {
            all.iter()
                .filter(|test| !list.contains(**test))
                .map(move |test| format!("{store} doesn't run {test}"))
        })
        .collect();
    if !missing.is_empty() {
        return Err(Failure::new(format!("the stores don't run the same contract:\n{}", missing.join("\n"))));
    }
    if all.len() < FEWEST {
        return Err(Failure::new(format!("the contract has {} tests; it had {FEWEST} or more", all.len())));
    }
    let stores: Vec<&str> = lists.iter().map(|(store, _)| *store).collect();
    Ok(format!("{} contract tests, the same on {}", all.len(), stores.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(count: usize) -> BTreeSet<String> {
        (0..count).map(|number| format!("case_{number}")).collect()
    }

    #[test]
    fn tests_are_listed_and_benchmarks_are_not() {
        assert_eq!(
            parse("append::one: test\nread::speed: bench\n"),
            BTreeSet::from(["append::one".to_owned()])
        );
    }

    #[test]
    fn equal_lists_are_counted() {
        let verdict = verdict(&[("memory", list(FEWEST)), ("sqlite", list(FEWEST))]).expect("equal");
        assert_eq!(verdict, "120 contract tests, the same on memory, sqlite");
    }

    #[test]
    fn a_store_that_runs_less_is_named() {
        let failure = verdict(&[("memory", list(130)), ("sqlite", list(129))]).expect_err("unequal");
        assert!(failure.to_string().contains("sqlite doesn't run case_129"), "{failure}");
    }

    #[test]
    fn equal_lists_that_are_short_or_empty_fail() {
        assert!(verdict(&[("memory", list(FEWEST - 1)), ("sqlite", list(FEWEST - 1))]).is_err());
        assert!(verdict(&[("memory", list(0)), ("sqlite", list(0))]).is_err());
    }
}
