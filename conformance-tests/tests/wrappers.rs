//! The contract through wrappers: what is wrapped around a store is a store.

use std::sync::Arc;

use async_trait::async_trait;
use conformance_tests::{Case, Fixture, Harness, Setup, judge};
use eventsource_core::{Capability, Result, TenantId, TenantStore};
use eventsource_memory::MemoryStore;
use eventsource_testing::{Fault, Faults, Faulty};
use uuid::Uuid;

const LACKING: &[(Capability, &str)] = &[
    (Capability::Durable, "the log is gone with the process"),
    (Capability::Shared, "another process has no way to it"),
    (Capability::Transactional, "a caller has no transaction to bring"),
    (Capability::Snapshots, "the test looks at the log only"),
    (Capability::Outbox, "the test looks at the log only"),
];

#[derive(Clone, Copy, Debug)]
enum Wrapper {
    Tenant,
    Faultless,
    Late,
}

struct Wrapped(Wrapper);

#[async_trait]
impl Harness for Wrapped {
    fn name(&self) -> &'static str {
        "wrapped"
    }

    fn lacks(&self) -> &'static [(Capability, &'static str)] {
        LACKING
    }

    async fn fresh(&self, setup: Setup) -> Result<Fixture> {
        let memory = setup.clock.map_or_else(MemoryStore::new, MemoryStore::with_clock);
        let tenant = TenantId::new(Uuid::from_u128(1))?;
        Ok(match self.0 {
            Wrapper::Tenant => Fixture::new(Arc::new(TenantStore::new(memory, tenant))),
            Wrapper::Faultless => Fixture::new(Arc::new(Faulty::new(memory))),
            Wrapper::Late => {
                let late = || Faults::random(1).percent(50, Fault::Late(std::time::Duration::ZERO));
                Fixture::new(Arc::new(Faulty::new(memory).on_append(late()).on_read(late())))
            }
        })
    }
}

/// Runs every case of these groups but the exceptions.
#[track_caller]
fn keeps(wrapper: Wrapper, groups: &[&str], except: &[&str]) {
    let (mut failures, mut count) = (Vec::new(), 0);
    for case in Case::all() {
        let name = case.name();
        if !groups.iter().any(|group| name.starts_with(&format!("{group}::")))
            || except.contains(&name.as_str())
        {
            continue;
        }
        count += 1;
        if let Err(failure) = judge(Arc::new(Wrapped(wrapper)), &case, 1) {
            failures.push(format!("{name}: {failure}"));
        }
    }
    assert!(failures.is_empty(), "{wrapper:?}\n{}", failures.join("\n"));
    assert!(count >= groups.len(), "a group has no case");
}

const APPENDING: &[&str] =
    &["append", "expected_version", "condition", "multi_stream", "idempotency", "validation"];
const READING: &[&str] = &["read", "paging", "feed", "filter", "predicate", "changes"];
const EXAMPLES: &[&str] = &[
    "faults",
    "course_subscriptions",
    "unique_username",
    "invoice_number",
    "opt_in_token",
    "record_duplication",
    "product_price",
    "event_sourced_aggregate",
];
const CONCURRENT: &[&str] = &["concurrency", "close"];

/// These compare whole events with what was given, or append several tenants': a view stamps the one and refuses the other.
const OF_OTHER_TENANTS: &[&str] = &[
    "append::an_event_comes_back_as_it_was_appended",
    "concurrency::appends_dropped_at_random_moments_are_whole_or_absent",
    "concurrency::concurrent_appends_keep_all_promises",
    "concurrency::readers_with_filters_miss_nothing_while_writers_run",
    "condition::every_kind_of_filter_can_be_a_condition",
    "faults::whatever_is_lost_each_append_is_stored_once",
    "filter::tenants_narrow_like_any_scope",
    "idempotency::a_taken_id_with_other_content_conflicts",
    "validation::too_much_beside_the_payload_is_refused",
];

#[test]
fn a_tenants_view_is_a_store() {
    let every = [APPENDING, READING, EXAMPLES, CONCURRENT].concat();
    keeps(Wrapper::Tenant, &every, OF_OTHER_TENANTS);
}

#[test]
fn a_store_whose_calls_meet_no_fault_is_a_store() {
    keeps(Wrapper::Faultless, &[APPENDING, READING, EXAMPLES, &["values"]].concat(), &[]);
}

#[test]
fn a_store_that_is_late_is_a_store() {
    keeps(Wrapper::Late, &[APPENDING, READING].concat(), &[]);
}
