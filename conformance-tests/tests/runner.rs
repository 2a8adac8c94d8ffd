//! The runner itself: what it says when a promise is broken, and that it never takes silence for success.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use conformance_tests::{Case, Fixture, Harness, Setup, judge, run};
use eventsource_core::{Capability, Error, Result, SystemClock};
use eventsource_memory::MemoryStore;

/// A memory store that is said to lack less than it does.
struct Boastful;

#[async_trait]
impl Harness for Boastful {
    fn name(&self) -> &'static str {
        "boastful"
    }

    fn lacks(&self) -> &'static [(Capability, &'static str)] {
        &[(Capability::Shared, "another process has no way to it")]
    }

    async fn fresh(&self, setup: Setup) -> Result<Fixture> {
        let clock = setup.clock.unwrap_or_else(|| Arc::new(SystemClock));
        Ok(Fixture::new(Arc::new(MemoryStore::with_clock(clock))))
    }
}

/// A backend whose server is not there.
struct Absent;

#[async_trait]
impl Harness for Absent {
    fn name(&self) -> &'static str {
        "absent"
    }

    fn lacks(&self) -> &'static [(Capability, &'static str)] {
        &[]
    }

    async fn fresh(&self, _setup: Setup) -> Result<Fixture> {
        Err(Error::unavailable("start it with `serve`"))
    }
}

fn failure_of(harness: impl Harness, group: &str, case: &str) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| run(harness, group, case))).expect_err("the case fails");
    *panic.downcast::<String>().expect("a message")
}

#[test]
fn a_failure_names_the_store_the_case_the_seed_and_the_command_that_repeats_it() {
    let text = failure_of(Absent, "append", "an_append_is_all_or_nothing");
    assert!(text.starts_with("[absent] append::an_append_is_all_or_nothing: "), "{text}");
    assert!(text.contains("start it with `serve`"), "{text}");
    let (_, seed) = text.split_once("; seed ").expect("a seed");
    let (seed, command) = seed.split_once("; repeat: ").expect("a command");
    let expected = format!(
        "CONTRACT_SEED={seed} cargo test -p conformance-tests --test runner -- \
         append::an_append_is_all_or_nothing --exact"
    );
    assert_eq!(command, expected);
}

#[test]
fn a_capability_that_is_claimed_falsely_fails() {
    let case = "a_store_has_every_capability_that_its_harness_does_not_lack";
    assert!(failure_of(Boastful, "declarations", case).contains("durable"));
    for case in Case::all().filter(|case| case.name().starts_with("reopening::")) {
        assert!(
            judge(Arc::new(Boastful), &case, 1).is_err(),
            "{} passes on a store that forgets",
            case.name()
        );
    }
}

#[test]
fn a_lacking_capability_runs_its_refusal_under_the_cases_name() {
    let case = Case::find("sharing", "what_another_process_appends_is_read");
    assert_eq!(judge(Arc::new(Boastful), &case, 1), Ok(()));
}
