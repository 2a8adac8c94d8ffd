//! The runner itself: what it says when a promise is broken, and that it never takes silence for success.

#[path = "support/caught.rs"]
mod caught;
#[path = "support/selection.rs"]
mod selection;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use conformance_tests::{Case, FailureKind, Fixture, Harness, Setup, judge, run};
use eventsource_core::{Capability, Error, Result, SystemClock};
use eventsource_memory::MemoryStore;

use caught::is_caught;
use selection::Selection;

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

/// A backend that panics before there is a store.
struct Panics;

#[async_trait]
impl Harness for Panics {
    fn name(&self) -> &'static str {
        "panics"
    }

    fn lacks(&self) -> &'static [(Capability, &'static str)] {
        &[]
    }

    async fn fresh(&self, _setup: Setup) -> Result<Fixture> {
        panic!("there is no directory");
    }
}

/// A store that is closed before the case has it.
struct Closed;

#[async_trait]
impl Harness for Closed {
    fn name(&self) -> &'static str {
        "closed"
    }

    fn lacks(&self) -> &'static [(Capability, &'static str)] {
        &[]
    }

    async fn fresh(&self, setup: Setup) -> Result<Fixture> {
        let fixture = Boastful.fresh(setup).await?;
        fixture.stores.events.close().await?;
        Ok(fixture)
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

fn appending() -> Case {
    Case::find("append", "events_lie_in_the_order_they_were_given")
}

#[test]
fn a_failure_says_whether_the_promise_was_judged() {
    let kind = |harness: Arc<dyn Harness>, case| judge(harness, &case, 1).expect_err("it fails").kind();
    assert_eq!(kind(Arc::new(Absent), appending()), FailureKind::NotBegun);
    assert_eq!(kind(Arc::new(Panics), appending()), FailureKind::NotBegun);
    assert_eq!(kind(Arc::new(Closed), appending()), FailureKind::Erred);
    let declared = Case::find("declarations", "a_store_has_every_capability_that_its_harness_does_not_lack");
    assert_eq!(kind(Arc::new(Boastful), declared), FailureKind::Judged);
}

#[test]
fn a_defect_is_not_caught_by_what_says_nothing_about_it() {
    let caught = |broken: Arc<dyn Harness>, says: &'static [&'static str]| {
        let whole = Arc::new(Boastful);
        catch_unwind(AssertUnwindSafe(|| is_caught(whole, broken, &appending(), says))).is_ok()
    };
    assert!(!caught(Arc::new(Boastful), &[]), "nothing is broken");
    assert!(!caught(Arc::new(Absent), &[]), "there was no store");
    assert!(!caught(Arc::new(Absent), &["start it"]), "there was no store, whatever is expected");
    assert!(!caught(Arc::new(Closed), &[]), "an error is no judgement");
    assert!(!caught(Arc::new(Closed), &["is at version"]), "it is another error");
    assert!(caught(Arc::new(Closed), &["closed"]), "it is the error that is expected");
}

#[test]
fn a_harness_of_its_own_takes_the_arguments_of_any_test() {
    let taken = |arguments: &str| {
        let arguments = arguments.split_whitespace().map(str::to_owned);
        let selection = Selection::parse(arguments).expect("it can be read");
        let names = ["sqlite::group::a", "sqlite::relay::b", "memory::relay::b"];
        names.into_iter().filter(|name| selection.takes(name)).collect::<Vec<_>>()
    };
    let [first, second, third] = ["sqlite::group::a", "sqlite::relay::b", "memory::relay::b"];
    assert_eq!(taken(""), [first, second, third]);
    assert_eq!(taken("sqlite"), [first, second]);
    assert_eq!(taken("group memory --nocapture --test-threads 1"), [first, third]);
    assert_eq!(taken("relay::b --exact"), [""; 0]);
    assert_eq!(taken("--exact memory::relay::b"), [third]);
    assert_eq!(taken("--skip sqlite"), [third]);
    assert_eq!(taken("sqlite --skip=relay"), [first]);
    assert_eq!(taken("--exact --skip relay --skip memory::relay::b"), [first, second]);
    assert_eq!(taken("--ignored"), [""; 0]);
    assert_eq!(taken("-- --skip"), [""; 0]);
    let parse = |arguments: &[&str]| Selection::parse(arguments.iter().map(|each| (*each).to_owned()));
    assert!(parse(&["--list", "--format", "terse"]).is_ok_and(|selection| selection.is_list()));
    assert!(parse(&["--skip"]).is_err_and(|problem| problem.contains("--skip")));
    assert!(parse(&["--excat"]).is_err_and(|problem| problem.contains("--excat")));
}
