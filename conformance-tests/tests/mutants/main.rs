//! Who tests the tests? Stores that are broken on purpose, each with the case that must catch it.

mod append;
mod defect;
mod read;
mod rewrite;
mod store;

use std::sync::Arc;

use async_trait::async_trait;
use conformance_tests::model::ModelStore;
use conformance_tests::{Case, Fixture, Harness, Log, Setup, Stores, judge};
use eventsource_core::{Capability, Position, Result};

use defect::Defect;
use store::{Ground, Mutant};

macro_rules! mutants {
    ($($defect:ident: $($group:ident::$case:ident $(says $text:literal)?),+;)+) => {
        $(
            #[test]
            #[expect(non_snake_case, reason = "the test is named after the defect")]
            fn $defect() {
                $( is_caught(Defect::$defect, stringify!($group), stringify!($case), &[$($text)?]); )+
            }
        )+
    };
}

mutants! {
    IgnoresConditions:
        condition::a_match_refuses_and_is_named,
        concurrency::concurrent_appends_keep_all_promises says "ConditionHeld";
    ChecksConditionsBeforeTheLock:
        concurrency::in_a_thousand_rounds_of_eight_racers_on_one_boundary_one_wins says "winners",
        concurrency::a_capacity_is_never_exceeded_by_concurrent_deciders,
        concurrency::concurrent_appends_keep_all_promises says "ConditionHeld";
    ConditionsIncludeTheirPosition:
        condition::a_match_at_the_position_is_overlooked;
    IgnoresVersions:
        expected_version::exact_takes_the_newest_version_only,
        concurrency::concurrent_appends_keep_all_promises says "ExpectedVersionHeld";
    ChecksVersionsBeforeTheLock:
        concurrency::in_a_thousand_rounds_of_eight_racers_on_one_version_one_wins says "winners",
        concurrency::concurrent_appends_keep_all_promises says "ExpectedVersionHeld";
    AnyConflicts:
        expected_version::any_never_conflicts_under_contention,
        concurrency::concurrent_appends_keep_all_promises says "RefusalIsTrue";
    LosesAnAppend:
        concurrency::concurrent_appends_keep_all_promises says "AcknowledgedIsStored",
        durability::acknowledged_appends_survive_reopening says "AcknowledgedIsStored";
    AcknowledgesBeforeWriting:
        append::what_was_acknowledged_is_read_at_once,
        concurrency::concurrent_appends_keep_all_promises;
    ReordersAnAppend:
        append::events_lie_in_the_order_they_were_given,
        concurrency::concurrent_appends_keep_all_promises says "AcknowledgedIsStored";
    ForgetsATag:
        append::an_event_comes_back_as_it_was_appended,
        model::random_operations_agree_with_the_model;
    TearsAnAppend:
        multi_stream::one_stale_stream_refuses_all,
        concurrency::a_multi_stream_append_is_never_seen_in_part,
        concurrency::appends_dropped_at_random_moments_are_whole_or_absent says "UnknownIsWholeOrAbsent";
    WritesARetryAgain:
        faults::a_retry_after_a_lost_acknowledgement_stores_nothing_twice,
        idempotency::a_repeated_append_writes_nothing,
        faults::whatever_is_lost_each_append_is_stored_once;
    TakesAnyKnownIdForARetry:
        idempotency::a_taken_id_with_other_content_conflicts,
        model::random_operations_agree_with_the_model;
    WritesTheRestOfAnAppend:
        idempotency::more_than_a_stored_append_conflicts,
        model::random_operations_agree_with_the_model;
    JudgesBeforeItLooksForARetry:
        faults::a_retry_is_answered_whatever_happened_since,
        idempotency::a_repeat_succeeds_whatever_the_log_says_now,
        model::random_retries_store_nothing_twice;
    JudgesConditionsFirst:
        condition::versions_are_judged_before_conditions,
        model::random_operations_agree_with_the_model;
    NamesTheLastMatch:
        condition::the_first_match_after_the_position_is_named,
        model::random_filters_agree_with_matches,
        concurrency::concurrent_appends_keep_all_promises says "RefusalIsTrue";
    ReusesAPosition:
        model::random_operations_agree_with_the_model,
        concurrency::concurrent_appends_keep_all_promises says "PositionsRise";
    SkipsAVersion:
        expected_version::versions_count_from_one_without_gaps,
        concurrency::concurrent_appends_keep_all_promises says "VersionsCount";
    HeadIsAhead:
        model::random_operations_agree_with_the_model,
        concurrency::concurrent_appends_keep_all_promises says "HeadIsAnEvent";
    LetsALateCommitInBelowTheHead:
        concurrency::concurrent_appends_keep_all_promises says "ReadersMissNothing";
    ShowsHalfAnAppend:
        concurrency::a_multi_stream_append_is_never_seen_in_part,
        concurrency::concurrent_appends_keep_all_promises says "HeadIsAnEvent";
    DropsUndecodableEvents:
        damage::a_damaged_event_is_an_error_never_left_out;
    TakesNothingForAll:
        model::random_filters_agree_with_matches,
        concurrency::readers_with_filters_miss_nothing_while_writers_run says "ReadersMissNothing";
    LimitsBeforeItFilters:
        read::the_limit_counts_matches_only,
        model::random_pages_join_into_the_whole;
    ForgetsThatThereIsMore:
        paging::a_page_that_reached_its_limit_says_more,
        concurrency::concurrent_appends_keep_all_promises says "ReadersMissNothing";
    KeepsTheCursor:
        paging::a_page_without_matches_moves_the_cursor_to_the_head,
        model::random_filters_agree_with_matches;
    UntilIsExclusive:
        read::after_is_exclusive_and_until_inclusive_both_ways,
        model::random_operations_agree_with_the_model;
    ForgetsTheTenant:
        model::random_filters_agree_with_matches;
    ForgetsTheLastOnReopening:
        durability::acknowledged_appends_survive_reopening,
        durability::random_histories_survive_reopening;
    NeverWakes:
        changes::an_append_wakes_who_waits;
    RoundsNumbers:
        model::random_retries_store_nothing_twice;
}

/// The case holds for the whole store, and fails for the broken one, for that reason.
#[track_caller]
fn is_caught(defect: Defect, group: &str, case: &str, says: &[&str]) {
    let case = Case::find(group, case);
    if let Err(failure) = judge(Arc::new(Mutants(Defect::None)), &case, 1) {
        panic!("{} fails for the store that is not broken: {failure}", case.name());
    }
    // What takes luck to see is seen by one of a few tries.
    let mut other = None;
    for seed in 1..=5 {
        match judge(Arc::new(Mutants(defect)), &case, seed) {
            Err(failure) if says.iter().all(|text| failure.contains(text)) => return,
            Err(failure) => other = Some(failure),
            Ok(()) => {}
        }
    }
    let name = case.name();
    match other {
        None => panic!("{name} does not see {defect:?}"),
        Some(failure) => panic!("{name} does not say {says:?} of {defect:?}, but: {failure}"),
    }
}

/// Stores with one defect.
struct Mutants(Defect);

#[async_trait]
impl Harness for Mutants {
    fn name(&self) -> &'static str {
        "mutant"
    }

    fn lacks(&self) -> &'static [(Capability, &'static str)] {
        &[
            (Capability::Shared, "another process has no way to it"),
            (Capability::Transactional, "a caller has no transaction to bring"),
            (Capability::Checkpoints, "it keeps events and nothing else"),
            (Capability::DeadLetters, "it keeps events and nothing else"),
            (Capability::Leases, "it keeps events and nothing else"),
        ]
    }

    async fn fresh(&self, setup: Setup) -> Result<Fixture> {
        let model = setup.clock.map_or_else(ModelStore::new, ModelStore::with_clock);
        let ground = Ground::new(self.0, model);
        let store = Arc::new(Mutant::on(&ground));
        Ok(Fixture::on(Kept(ground), store))
    }
}

struct Kept(Arc<Ground>);

#[async_trait]
impl Log for Kept {
    async fn open(&self) -> Result<Stores> {
        Ok(Arc::new(self.0.reopened().await?).into())
    }

    async fn damage(&self, position: Position) -> Result<()> {
        self.0.damage(position);
        Ok(())
    }
}
