//! Who tests the tests? Stores that are broken on purpose, each with the case that must catch it.

mod append;
#[path = "../support/caught.rs"]
mod caught;
mod defect;
mod outbox;
mod read;
mod rewrite;
mod snapshots;
mod store;
mod tenant;

use std::sync::Arc;

use async_trait::async_trait;
use conformance_tests::{Case, Fixture, Harness, Log, Setup, Stores};
use eventsource_core::{
    Capability, EventStore, OutboxFilter, Position, Result, SnapshotStore, SystemClock, TenantId,
};

use caught::is_caught;
use defect::Defect;
use snapshots::MutantSnapshots;
use store::{Ground, Mutant};
use tenant::{BrokenSnapshots, BrokenView};

macro_rules! mutants {
    ($($defect:ident: $($group:ident::$case:ident $(says $text:literal)?),+;)+) => {
        $(
            #[test]
            #[expect(non_snake_case, reason = "the test is named after the defect")]
            fn $defect() {
                let (whole, broken) = (Arc::new(Mutants(Defect::None)), Arc::new(Mutants(Defect::$defect)));
                $(
                    let case = Case::find(stringify!($group), stringify!($case));
                    is_caught(whole.clone(), broken.clone(), &case, &[$($text)?]);
                )+
            }
        )+
    };
}

mutants! {
    IgnoresConditions:
        condition::a_match_refuses_and_is_named,
        decisions::a_conflict_says_which_event_came_between,
        repositories::an_aggregate_that_was_only_looked_at_guards_as_well,
        concurrency::concurrent_appends_keep_all_promises says "ConditionHeld";
    ChecksConditionsBeforeTheLock:
        concurrency::in_a_thousand_rounds_of_eight_racers_on_one_boundary_one_wins says "winners",
        concurrency::a_capacity_is_never_exceeded_by_concurrent_deciders,
        decisions::concurrent_decisions_equal_the_same_decisions_alone,
        concurrency::concurrent_appends_keep_all_promises says "ConditionHeld";
    ConditionsIncludeTheirPosition:
        condition::a_match_at_the_position_is_overlooked says "matches the append's condition";
    IgnoresVersions:
        expected_version::exact_takes_the_newest_version_only,
        repositories::several_aggregates_are_saved_together_or_not_at_all,
        repositories::who_saves_second_is_refused,
        concurrency::concurrent_appends_keep_all_promises says "ExpectedVersionHeld";
    ChecksVersionsBeforeTheLock:
        concurrency::in_a_thousand_rounds_of_eight_racers_on_one_version_one_wins says "winners",
        concurrency::concurrent_appends_keep_all_promises says "ExpectedVersionHeld";
    AnyConflicts:
        expected_version::any_never_conflicts_under_contention says "expected no stream",
        concurrency::concurrent_appends_keep_all_promises says "RefusalIsTrue";
    LosesAnAppend:
        concurrency::concurrent_appends_keep_all_promises says "AcknowledgedIsStored",
        durability::acknowledged_appends_survive_reopening says "AcknowledgedIsStored";
    AcknowledgesBeforeWriting:
        append::what_was_acknowledged_is_read_at_once,
        concurrency::concurrent_appends_keep_all_promises;
    ReordersAnAppend:
        append::events_lie_in_the_order_they_were_given,
        evolution::a_split_keeps_its_place_and_its_order,
        concurrency::concurrent_appends_keep_all_promises says "AcknowledgedIsStored";
    ForgetsATag:
        append::an_event_comes_back_as_it_was_appended,
        model::random_operations_agree_with_the_model;
    TearsAnAppend:
        multi_stream::one_stale_stream_refuses_all,
        concurrency::a_multi_stream_append_is_never_seen_in_part,
        concurrency::appends_dropped_at_random_moments_are_whole_or_absent says "UnknownIsWholeOrAbsent";
    WritesARetryAgain:
        faults::a_retry_after_a_lost_acknowledgement_stores_nothing_twice says "expected no stream",
        idempotency::a_repeated_append_writes_nothing,
        faults::whatever_is_lost_each_append_is_stored_once says "expected no stream";
    TakesAnyKnownIdForARetry:
        idempotency::a_taken_id_with_other_content_conflicts,
        model::random_operations_agree_with_the_model;
    WritesTheRestOfAnAppend:
        idempotency::more_than_a_stored_append_conflicts,
        model::random_operations_agree_with_the_model;
    JudgesBeforeItLooksForARetry:
        faults::a_retry_is_answered_whatever_happened_since says "expected no stream",
        idempotency::a_repeat_succeeds_whatever_the_log_says_now says "expected no stream",
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
        read::the_limit_counts_matches_only says "before its first event",
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
    ForgetsTheSchemaVersion:
        evolution::an_old_name_and_version_reads_as_the_new_type says "can't be decoded",
        evolution::a_typed_event_comes_back_as_it_was_encoded,
        evolution::a_version_from_the_future_is_never_passed_over says "can't be decoded",
        evolution::what_is_read_page_by_page_says_the_same says "can't be decoded";
    LowersEventTypes:
        evolution::an_old_name_and_version_reads_as_the_new_type says "nothing registered knows",
        evolution::a_reader_that_asks_for_its_types_misses_no_old_name,
        evolution::a_split_keeps_its_place_and_its_order;
    ForgetsTheCause:
        context::every_event_of_an_append_carries_the_context,
        context::what_follows_from_an_event_is_caused_by_it;
    ForgetsTheCorrelation:
        context::a_correlation_begins_with_the_first_event_that_has_none,
        context::what_follows_from_an_event_is_caused_by_it;
    ForgetsTheActor:
        context::what_an_event_says_itself_stays,
        context::every_event_of_an_append_carries_the_context;
    RoundsNumbers:
        evolution::upcasting_loses_no_digit says "can't be decoded",
        model::random_retries_store_nothing_twice;
    PublishesWhatIsRefused:
        outbox::a_refused_append_leaves_nothing_to_publish;
    ForgetsToPublish:
        outbox::entries_come_in_log_order_as_many_as_are_asked_for,
        relay::whatever_fails_every_event_is_published_and_streams_in_order;
    PublishesARetryAgain:
        outbox::a_repeated_append_adds_nothing_to_publish;
    PublishesEverything:
        outbox::only_what_matches_is_published;
    ClaimsBehindWhatIsHeld:
        outbox::a_stream_is_in_one_claims_hands,
        outbox::a_failed_event_holds_back_its_stream,
        outbox_under_load::workers_that_claim_at_once_take_each_entry_once_and_in_order,
        relay::whatever_fails_every_event_is_published_and_streams_in_order says "PublishedInOrder";
    FreesAStreamBeforeItsEntries:
        outbox::a_clock_that_is_set_back_puts_nothing_before_what_waits;
    ClaimsWhatIsClaimed:
        outbox::what_is_claimed_is_nobody_elses_until_the_lease_ends;
    ClaimsTheNewestFirst:
        outbox::entries_come_in_log_order_as_many_as_are_asked_for,
        relay::a_relay_publishes_everything_in_order says "PublishedInOrder";
    SettlesWhatWasLost:
        outbox::a_claim_that_has_run_out_settles_nothing;
    DropsWhatFailed:
        outbox::failures_are_counted,
        relay::whatever_fails_every_event_is_published_and_streams_in_order says "Published";
    DeletesWhatWaits:
        outbox::what_was_published_long_ago_is_deleted;
    ForgetsToStamp:
        tenant_store::what_a_tenant_appends_is_stamped;
    StampsOverAnotherTenant:
        tenant_store::an_event_of_another_tenant_is_refused;
    ForgetsToNarrowReads:
        tenant_store::a_tenant_reads_its_own_events_only,
        tenant_store::another_tenants_stream_is_as_if_absent;
    NarrowsAnothersFilter:
        tenant_store::a_filter_that_names_another_tenant_is_refused;
    NarrowsAfterTheLimit:
        tenant_store::a_tenant_reads_its_own_events_only;
    ForgetsToNarrowConditions:
        tenant_store::a_condition_looks_at_the_tenants_own_events says "matches the append's condition";
    TakesAnothersStream:
        tenant_store::appending_to_another_tenants_stream_is_refused,
        tenant_store::of_tenants_who_race_for_a_stream_one_gets_it;
    LooksAtStreamsBeforeItAppends:
        tenant_store::of_tenants_who_race_for_a_stream_one_gets_it;
    TellsOthersConflicts:
        tenant_store::a_refusal_tells_nothing_of_another_tenant,
        tenant_store::an_event_id_of_another_tenant_is_refused_without_its_place;
    TellsOthersVersions:
        tenant_store::another_tenants_stream_is_as_if_absent;
    TakesAnyForNoStream:
        tenant_store::any_never_conflicts_within_a_tenant says "expected no stream";
    KeepsSnapshotsForAll:
        tenant_snapshots::a_tenants_snapshots_are_not_there_for_others,
        tenant_snapshots::a_tenants_snapshot_comes_back_under_the_same_key;
    KeepsSnapshotsOfAnothersStream:
        tenant_snapshots::a_snapshot_of_another_tenants_stream_is_refused;
    TakesAnothersSnapshotKey:
        tenant_snapshots::a_key_that_names_another_tenant_is_refused;
    ShowsTheTenantsKey:
        tenant_snapshots::a_tenants_snapshot_comes_back_under_the_same_key;
    ReplacesANewerSnapshot:
        snapshots::an_older_snapshot_is_stale_and_changes_nothing;
    LooksForANewerSnapshotBeforeTheLock:
        snapshots::of_racing_snapshots_the_newest_stays;
    LosesASnapshotsPosition:
        snapshots::a_snapshot_comes_back_as_it_was_saved;
    LosesASnapshotsEvent:
        snapshots::a_snapshot_comes_back_as_it_was_saved,
        snapshots::a_snapshot_that_does_not_fit_is_dropped_and_the_log_is_folded,
        snapshots::a_snapshot_of_a_log_that_was_cut_back_and_grew_is_not_used,
        snapshots::aggregates_that_were_saved_together_have_snapshots_that_fit;
    ForgetsASnapshotsSchemaVersion:
        snapshots::a_snapshot_comes_back_as_it_was_saved,
        snapshots::a_snapshot_that_does_not_fit_is_dropped_and_the_log_is_folded;
    TakesTheSamePlaceForStale:
        snapshots::a_snapshot_of_the_same_place_replaces_the_other;
    SaysSavedOfAStaleSnapshot:
        snapshots::an_older_snapshot_is_stale_and_changes_nothing;
    LosesASnapshotSomeTime:
        snapshots::snapshots_of_different_subjects_are_apart;
    SharesSnapshotsBetweenTenants:
        snapshots::a_tenants_snapshot_is_found_by_that_tenant_only;
    SharesSnapshotsBetweenFilters:
        snapshots::snapshots_of_different_subjects_are_apart;
    FailsWhereThereIsNoSnapshot:
        snapshots::where_there_is_none_none_is_loaded says "there is no such snapshot";
    DeletesASnapshotOnce:
        snapshots::deleting_a_snapshot_twice_is_fine says "there is no such snapshot";
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
            (Capability::Inline, "there is no database to keep a view in"),
            (Capability::Checkpoints, "it keeps events and nothing else"),
            (Capability::DeadLetters, "it keeps events and nothing else"),
            (Capability::Leases, "it keeps events and nothing else"),
        ]
    }

    async fn fresh(&self, setup: Setup) -> Result<Fixture> {
        let clock = setup.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let ground = Ground::new(self.0, clock, setup.outbox.map(OutboxFilter::new).transpose()?);
        let stores = stores(Mutant::on(&ground));
        Ok(Fixture::on(Kept(ground), stores))
    }

    fn tenant_store(&self, store: Arc<dyn EventStore>, tenant: TenantId) -> Arc<dyn EventStore> {
        Arc::new(BrokenView::new(store, tenant, self.0))
    }

    fn tenant_snapshots(
        &self,
        events: Arc<dyn EventStore>,
        store: Arc<dyn SnapshotStore>,
        tenant: TenantId,
    ) -> Arc<dyn SnapshotStore> {
        let whole = Whole.tenant_snapshots(events, store.clone(), tenant);
        Arc::new(BrokenSnapshots { whole, store, tenant, defect: self.0 })
    }
}

/// A store, and what it stores beside the log.
fn stores(handle: Mutant) -> Stores {
    let handle = Arc::new(handle);
    Stores::from(handle.clone())
        .with_outbox(handle.clone())
        .with_snapshots(Arc::new(MutantSnapshots { handle }))
}

/// For what a harness does that says nothing else.
struct Whole;

#[async_trait]
impl Harness for Whole {
    fn name(&self) -> &'static str {
        "whole"
    }

    fn lacks(&self) -> &'static [(Capability, &'static str)] {
        &[]
    }

    async fn fresh(&self, setup: Setup) -> Result<Fixture> {
        Mutants(Defect::None).fresh(setup).await
    }
}

struct Kept(Arc<Ground>);

#[async_trait]
impl Log for Kept {
    async fn open(&self) -> Result<Stores> {
        Ok(stores(self.0.reopened().await?))
    }

    async fn damage(&self, position: Position) -> Result<()> {
        self.0.damage(position);
        Ok(())
    }
}
