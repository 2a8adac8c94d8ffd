//! What the domain toolkit promises on every store.

#[doc(hidden)]
#[macro_export]
macro_rules! __contract_domain {
    (($($callback:tt)+) ($($argument:tt)*) $($before:tt)*) => { $crate::__contract_consumers! { ($($callback)+) ($($argument)*)
        $($before)*
        tenancy {
            tenants_never_see_each_other,
            an_event_without_a_tenant_is_nobodys,
            a_tenants_condition_overlooks_the_others,
            a_tenants_page_counts_its_own_events,
            two_logs_know_nothing_of_each_other,
        }
        tenant_store {
            what_a_tenant_appends_is_stamped,
            an_event_of_another_tenant_is_refused,
            a_tenant_reads_its_own_events_only,
            a_filter_that_names_another_tenant_is_refused,
            a_condition_looks_at_the_tenants_own_events,
            another_tenants_stream_is_as_if_absent,
            appending_to_another_tenants_stream_is_refused,
            a_refusal_tells_nothing_of_another_tenant,
            an_event_id_of_another_tenant_is_refused_without_its_place,
            a_tenants_repeat_returns_the_first_result,
            a_tenants_streams_keep_their_versions,
            of_tenants_who_race_for_a_stream_one_gets_it,
            any_never_conflicts_within_a_tenant,
            a_tenants_feed_is_complete_while_others_write,
            a_tenant_who_waits_is_woken,
        }
        tenant_transactions requires Transactional {
            what_a_tenant_appends_in_a_transaction_is_its_own,
            another_tenants_stream_is_refused_in_a_transaction,
            a_stream_that_somebody_creates_meanwhile_is_not_taken,
            a_stream_that_is_expected_in_a_transaction_must_exist,
        }
        tenant_snapshots requires Snapshots {
            a_tenants_snapshot_comes_back_under_the_same_key,
            a_tenants_snapshots_are_not_there_for_others,
            a_snapshot_of_another_tenants_stream_is_refused,
            a_key_that_names_another_tenant_is_refused,
        }
        evolution {
            a_typed_event_comes_back_as_it_was_encoded,
            a_typed_event_is_found_by_the_tags_of_its_fields,
            an_old_name_and_version_reads_as_the_new_type,
            a_version_that_is_not_the_types_is_an_error_without_an_upcaster,
            a_split_keeps_its_place_and_its_order,
            what_is_read_page_by_page_says_the_same,
            a_reader_that_asks_for_its_types_misses_no_old_name,
            an_unknown_type_is_an_error_unless_asked_otherwise,
            a_version_from_the_future_is_never_passed_over,
            an_upcast_event_is_still_the_one_that_was_stored,
            upcasting_loses_no_digit,
            nothing_in_the_log_is_changed_by_reading_it_as_new,
        }
        context {
            every_event_of_an_append_carries_the_context,
            what_an_event_says_itself_stays,
            what_follows_from_an_event_is_caused_by_it,
            a_correlation_begins_with_the_first_event_that_has_none,
            another_tenants_event_is_refused_with_all_others,
            a_retry_in_the_same_context_is_known,
            a_store_in_a_context_is_the_store_in_everything_else,
        }
        repositories {
            an_aggregate_is_loaded_as_it_was_at_a_version,
            an_aggregate_is_loaded_as_it_was_known_at_a_time,
            a_long_stream_is_folded_page_by_page,
            contending_commands_are_all_carried_out,
            who_saves_second_is_refused,
            several_aggregates_are_saved_together_or_not_at_all,
            an_aggregate_that_was_only_looked_at_guards_as_well,
            contending_commands_over_several_aggregates_lose_nothing,
            a_command_over_several_aggregates_whose_answer_is_lost_is_carried_out_once,
        }
        decisions {
            concurrent_decisions_equal_the_same_decisions_alone,
            each_event_reaches_the_views_whose_filter_it_matches,
            long_boundaries_are_folded_page_by_page,
            views_of_different_scopes_know_one_head,
            a_conflict_says_which_event_came_between,
            what_guards_may_differ_from_what_is_read,
            the_newest_event_alone_can_be_read,
            a_decision_whose_answer_is_lost_is_carried_out_once,
            contending_decisions_are_all_made,
            a_rejection_appends_nothing_and_is_no_conflict,
            views_know_the_same_with_snapshots_and_without,
        }
        snapshots requires Snapshots {
            where_there_is_none_none_is_loaded,
            a_snapshot_comes_back_as_it_was_saved,
            a_newer_snapshot_replaces_an_older_one,
            an_older_snapshot_is_stale_and_changes_nothing,
            a_snapshot_of_the_same_place_replaces_the_other,
            of_racing_snapshots_the_newest_stays,
            deleting_a_snapshot_twice_is_fine,
            snapshots_of_different_subjects_are_apart,
            a_tenants_snapshot_is_found_by_that_tenant_only,
            a_snapshot_that_has_no_meaning_is_refused,
            a_snapshot_of_many_megabytes_is_kept,
            snapshots_last_as_long_as_the_log,
            an_aggregate_is_the_same_with_snapshots_and_without,
            a_snapshot_that_does_not_fit_is_dropped_and_the_log_is_folded,
            a_snapshot_of_a_log_that_was_cut_back_and_grew_is_not_used,
            aggregates_that_were_saved_together_have_snapshots_that_fit,
            snapshots_are_saved_in_the_background_and_bounded,
        }
        course_subscriptions {
            a_course_is_defined_once,
            only_a_course_that_exists_changes_its_capacity,
            nobody_subscribes_to_a_course_that_does_not_exist,
            a_full_course_takes_nobody,
            nobody_subscribes_twice,
            nobody_subscribes_to_more_than_five_courses,
            the_last_seat_goes_to_one,
            a_student_who_takes_two_courses_at_once_does_not_pass_the_limit,
        }
        unique_username {
            a_name_is_claimed_once,
            closing_an_account_releases_its_name,
            a_released_name_stays_reserved_for_three_days,
            a_new_name_is_claimed_by_whoever_changed_to_it,
            of_two_who_want_a_released_name_one_gets_it,
        }
        invoice_number {
            numbers_begin_at_one_and_have_no_gaps,
            a_number_that_is_taken_meanwhile_is_refused,
            clerks_who_work_at_once_leave_no_gap,
        }
        opt_in_token {
            a_token_that_was_never_given_confirms_nothing,
            a_token_is_good_for_its_own_address_only,
            a_token_is_good_once,
            a_token_is_good_for_an_hour,
            of_two_who_use_a_token_at_once_one_succeeds,
        }
        record_duplication {
            a_form_that_is_sent_again_is_refused,
            a_form_that_is_sent_many_times_at_once_is_one_order,
        }
        product_price {
            the_displayed_price_is_the_one_that_holds,
            a_changed_price_holds_at_once,
            an_old_price_holds_for_ten_minutes,
            every_item_of_a_cart_has_its_own_price,
            a_price_that_changes_meanwhile_refuses_the_order,
        }
        event_sourced_aggregate {
            an_aggregate_keeps_its_rules_by_version,
            the_same_aggregate_keeps_its_rules_by_tag,
        }
    } };
}
