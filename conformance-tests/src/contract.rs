//! The whole contract: every name is a promise that a user can rely on. What the log promises is here, what is promised
//! beyond it in `contract/domain.rs` and `contract/consumers.rs`.

mod consumers;
mod domain;

use eventsource_core::Capability;

use crate::{Group, cases};

/// Hands the contract to another macro: its groups, what a group requires, its cases.
#[doc(hidden)]
#[macro_export]
macro_rules! __contract {
    (($($callback:tt)+) ($($argument:tt)*)) => { $crate::__contract_domain! { ($($callback)+) ($($argument)*)
        append {
            an_event_comes_back_as_it_was_appended,
            the_result_says_where_the_events_lie,
            events_lie_in_the_order_they_were_given,
            nothing_lies_between_the_events_of_an_append,
            an_append_is_all_or_nothing,
            an_append_is_never_empty,
            positions_rise_also_past_refused_appends,
            an_event_needs_no_stream,
            ten_thousand_events_fit_in_one_append,
            a_dropped_append_is_whole_or_absent,
            what_was_acknowledged_is_read_at_once,
            an_event_is_recorded_at_the_stores_time,
            an_event_without_a_time_occurred_when_it_was_recorded,
            a_clock_that_runs_backwards_changes_no_order,
        }
        expected_version {
            an_absent_stream_has_no_version,
            versions_count_from_one_without_gaps,
            any_takes_every_stream,
            no_stream_refuses_a_stream_that_exists,
            stream_exists_refuses_a_stream_that_does_not,
            exact_takes_the_newest_version_only,
            exact_refuses_an_absent_stream,
            a_refused_version_leaves_the_stream_as_it_was,
            one_id_under_two_types_is_two_streams,
            types_that_differ_in_case_are_two_streams,
            of_eight_racers_on_one_version_one_wins,
            any_never_conflicts_under_contention,
            appends_to_different_streams_never_conflict,
        }
        condition {
            a_condition_on_an_empty_log_holds,
            a_match_refuses_and_is_named,
            the_first_match_after_the_position_is_named,
            a_match_at_the_position_is_overlooked,
            without_a_position_any_match_ever_refuses,
            unrelated_events_do_not_refuse,
            the_position_may_lie_beyond_the_last_match,
            a_position_beyond_the_head_overlooks_everything_stored,
            an_append_is_not_refused_by_its_own_events,
            what_is_appended_need_not_match_the_condition,
            a_conflict_may_go_one_way_only,
            each_item_of_a_condition_refuses,
            all_conditions_must_hold_and_the_first_broken_is_named,
            each_condition_has_its_own_position,
            versions_are_judged_before_conditions,
            every_kind_of_filter_can_be_a_condition,
            a_condition_sees_what_streams_hold,
            of_eight_racers_on_one_boundary_one_wins,
            disjoint_boundaries_never_conflict,
            no_decision_is_lost_to_concurrent_ones,
            a_hundred_conditions_are_all_judged,
        }
        multi_stream {
            each_stream_gets_its_own_versions,
            one_stale_stream_refuses_all,
            the_first_stale_stream_is_named,
            a_stream_stands_in_an_append_once,
            a_condition_guards_streams_as_well,
            streams_taken_in_opposite_orders_never_deadlock,
            a_thousand_streams_fit_in_one_append,
        }
        idempotency {
            a_repeated_append_returns_the_first_result,
            a_repeated_append_writes_nothing,
            a_repeat_succeeds_whatever_the_log_says_now,
            a_repeat_may_expect_and_demand_something_else,
            a_repeat_may_spell_its_payload_differently,
            a_taken_id_with_other_content_conflicts,
            a_taken_id_in_another_stream_conflicts,
            a_part_of_a_stored_append_conflicts,
            more_than_a_stored_append_conflicts,
            two_stored_appends_are_not_one,
            stored_events_in_another_order_conflict,
            the_first_taken_id_in_the_appends_order_is_named,
            taken_ids_are_judged_before_versions_and_conditions,
            a_refused_append_takes_no_ids,
            one_id_stands_in_an_append_once,
            concurrent_repeats_are_stored_once,
            a_repeat_after_a_dropped_append_is_stored_once,
            any_uuid_is_an_event_id,
        }
        read {
            an_empty_log_reads_as_empty,
            reading_goes_in_log_order_or_newest_first,
            after_is_exclusive_and_until_inclusive_both_ways,
            the_limit_counts_matches_only,
            a_range_of_versions_is_inclusive,
            versions_without_a_stream_are_invalid,
            a_stream_is_read_without_its_neighbours,
            last_is_the_newest_match,
            order_is_the_positions_whatever_events_say_of_time,
            order_is_the_positions_whatever_ids_events_have,
            a_query_gives_the_head_of_its_snapshot,
            a_long_log_is_read_whole_both_ways,
            large_events_are_read_whole,
            a_read_ends_at_the_head_it_began_with,
            a_slow_reader_holds_up_no_writer,
            a_read_that_is_dropped_leaves_the_store_well,
        }
        paging {
            a_page_that_reached_its_limit_says_more,
            a_page_that_reached_the_end_says_so,
            pages_join_without_gap_or_overlap,
            pages_join_backward_as_well,
            a_page_without_a_limit_is_bounded_and_goes_on,
            a_page_without_matches_moves_the_cursor_to_the_head,
            a_page_up_to_a_position_moves_the_cursor_there,
            a_cursor_never_moves_back,
            a_pages_head_covers_its_events,
        }
        feed {
            a_resuming_reader_sees_every_event_once_in_order,
            a_filtered_reader_misses_nothing_either,
            what_one_look_showed_every_later_look_begins_with,
            nothing_appears_at_or_below_a_head_that_was_seen,
            the_head_never_moves_back,
            all_readers_see_one_order,
            a_reader_goes_on_past_events_that_are_not_its_own,
            reading_from_a_stored_cursor_goes_on_behind_it,
        }
        filter {
            event_types_are_alternatives,
            names_are_compared_character_by_character,
            tags_must_all_be_carried,
            items_are_alternatives_and_a_match_comes_once,
            types_and_tags_narrow_each_other,
            a_mixed_filter_takes_each_item_on_its_own,
            scope_narrows_every_item,
            time_bounds_are_inclusive_and_compare_instants,
            a_time_bound_looks_at_when_events_occurred,
            a_filter_is_a_set,
            filters_that_differ_have_different_fingerprints,
            a_filter_of_a_thousand_items_works,
            an_item_of_a_thousand_types_works,
            an_item_of_as_much_as_there_may_be_works,
            values_never_become_syntax,
            tenants_narrow_like_any_scope,
        }
        predicate {
            all_must_hold_or_any_must,
            numbers_compare_by_value,
            the_longest_and_smallest_numbers_are_found,
            strings_compare_character_by_character,
            null_booleans_and_their_names_differ,
            a_path_leads_through_objects_only,
            keys_are_taken_as_they_are,
            a_path_may_be_thirty_two_keys_deep,
            a_long_string_is_found,
            duplicates_in_lists_and_orders_of_keys_do_not_matter,
        }
        changes {
            an_append_wakes_who_waits,
            an_append_before_the_wait_is_not_missed,
            everybody_who_waits_is_woken,
            what_woke_is_visible,
            a_dropped_wait_loses_nothing,
            a_follower_who_waits_between_reads_sees_everything,
            closing_ends_the_wait,
        }
        values {
            integers_keep_every_digit,
            floats_come_back_bit_by_bit,
            numbers_keep_their_value_however_they_are_spelt,
            text_of_every_script_comes_back,
            keys_of_every_script_come_back,
            any_json_value_is_a_payload,
            null_is_not_the_same_as_absent,
            a_text_of_five_megabytes_comes_back,
            deep_and_wide_payloads_come_back,
            a_hundred_tags_come_back_sorted_and_are_found,
            the_longest_tag_and_odd_tags_are_found,
            the_longest_and_oddest_names_come_back,
            metadata_comes_back_whole,
            times_are_kept_to_the_microsecond,
            times_long_ago_and_far_ahead_come_back,
            a_time_with_an_offset_is_an_instant,
            a_leap_second_is_the_second_that_follows,
            schema_versions_come_back,
        }
        validation {
            one_event_too_many_is_refused,
            too_much_payload_is_refused,
            too_much_beside_the_payload_is_refused,
            one_condition_too_many_is_refused,
            one_tag_too_many_is_refused,
            a_schema_version_out_of_range_is_refused,
            a_position_without_a_condition_is_refused,
            invalid_input_is_refused_before_conflicts_are_looked_for,
            names_that_mean_nothing_are_refused,
            empty_ids_are_refused,
            tags_that_mean_nothing_are_refused,
            payloads_that_no_store_could_give_back_are_refused,
            an_empty_filter_never_means_everything,
            a_filter_beyond_its_bounds_is_refused,
            predicates_that_mean_nothing_are_refused,
            times_that_mean_nothing_are_refused,
        }
        close {
            a_closed_store_is_unavailable,
            closing_again_is_fine,
            a_store_that_was_never_used_closes,
            closing_leaves_no_append_without_an_answer,
        }
        concurrency {
            in_a_thousand_rounds_of_eight_racers_on_one_boundary_one_wins,
            in_a_thousand_rounds_of_eight_racers_on_one_version_one_wins,
            of_racers_on_a_new_stream_one_creates_it,
            of_racers_with_the_same_append_one_writes_and_all_are_answered,
            a_capacity_is_never_exceeded_by_concurrent_deciders,
            numbers_drawn_by_concurrent_deciders_have_no_gap,
            a_multi_stream_append_is_never_seen_in_part,
            concurrent_appends_keep_all_promises,
            readers_with_filters_miss_nothing_while_writers_run,
            appends_dropped_at_random_moments_are_whole_or_absent,
            closing_finishes_what_was_accepted,
        }
        model {
            random_operations_agree_with_the_model,
            random_filters_agree_with_matches,
            random_pages_join_into_the_whole,
            random_retries_store_nothing_twice,
        }
        faults {
            a_retry_after_a_lost_acknowledgement_stores_nothing_twice,
            a_retry_after_a_lost_append_is_written,
            a_retry_is_answered_whatever_happened_since,
            a_retry_after_a_lost_refusal_is_refused_again,
            whatever_is_lost_each_append_is_stored_once,
            a_command_whose_answer_is_lost_is_carried_out_once,
            a_command_that_may_have_been_carried_out_says_so,
        }
        held requires Transactional {
            a_resuming_reader_misses_nothing_while_a_transaction_is_held_open_for_seconds,
            transactions_beside_appends_keep_all_promises,
        }
        processes requires Shared {
            several_processes_keep_all_promises,
            a_reader_misses_nothing_of_what_other_processes_append,
            a_process_that_is_killed_holds_up_nobody,
        }
        durability requires Durable {
            acknowledged_appends_survive_reopening,
            random_histories_survive_reopening,
        }
        crash requires Durable {
            acknowledged_appends_survive_a_kill,
            a_retry_after_a_kill_stores_nothing_twice,
            a_log_goes_on_after_a_kill,
        }
        declarations {
            a_store_has_every_capability_that_its_harness_does_not_lack,
            capabilities_never_change,
            nothing_that_is_shown_for_debugging_holds_payloads,
        }
        reopening requires Durable {
            a_reopened_log_is_the_same,
            an_empty_log_opens_again_empty,
            positions_and_versions_go_on_after_reopening,
            conditions_and_versions_hold_over_reopening,
            a_repeat_is_known_after_reopening,
            what_was_accepted_before_closing_is_there_afterwards,
            several_stores_open_one_log_at_once,
            what_one_store_acknowledged_the_other_reads_at_once,
            of_racers_through_two_stores_one_wins,
            an_append_through_another_store_wakes_in_the_end,
            closing_one_store_leaves_the_others_open,
        }
        damage requires Durable {
            a_damaged_event_is_an_error_never_left_out,
            a_payload_predicate_does_not_pass_over_damage,
            a_reader_comes_as_far_as_the_damage,
            damage_keeps_nobody_from_writing,
        }
        sharing requires Shared {
            what_another_process_appends_is_read,
            of_two_processes_on_one_boundary_one_wins,
            no_decision_is_lost_between_processes,
        }
        transaction requires Transactional {
            events_and_own_rows_commit_together,
            a_rolled_back_transaction_leaves_nothing,
            a_dropped_transaction_leaves_nothing,
            a_refused_append_takes_the_callers_row_along,
            a_repeat_within_a_transaction_is_known,
            what_a_transaction_appended_is_known_as_a_repeat,
            readers_do_not_wait_for_an_open_transaction,
            appends_wait_for_an_open_transaction_and_lie_behind_it,
            an_append_that_waits_too_long_is_unavailable_and_unwritten,
            a_commit_elsewhere_wakes_in_the_end,
        }
        late_commit requires Transactional {
            a_late_commit_never_lands_below_the_head,
            a_resuming_reader_misses_nothing_while_one_is_held_open,
            a_long_append_and_a_short_one_keep_commit_order,
            of_two_deciders_at_once_one_is_refused,
            a_decision_waits_for_the_verdict_and_wins_if_the_other_is_undone,
            of_two_writers_of_one_version_one_is_refused,
            writers_of_any_version_both_succeed,
            the_newest_position_is_a_sound_token,
            an_unconditional_append_does_not_slip_into_a_window,
            positions_of_a_rolled_back_append_are_no_hole_to_wait_for,
        }
    } };
}

/// One `#[test]` for each promise of the contract, on the stores that a [`Harness`](crate::Harness) makes.
#[macro_export]
macro_rules! suite {
    ($harness:expr) => {
        $crate::__contract! { ($crate::__tests) ($harness) }
    };
}

/// As [`suite!`](crate::suite), of what is promised to those who consume events only.
#[macro_export]
macro_rules! consumers_suite {
    ($harness:expr) => {
        $crate::__contract_consumers! { ($crate::__tests) ($harness) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    (($harness:expr) $($group:ident $(requires $capability:ident)? { $($case:ident,)+ })+) => { $(
        mod $group {
            #[allow(unused_imports, reason = "the harness may be named by its path")]
            use super::*;

            $(
                #[test]
                fn $case() {
                    $crate::run($harness, stringify!($group), stringify!($case));
                }
            )+
        }
    )+ };
}

macro_rules! table {
    (() $($group:ident $(requires $capability:ident)? { $($case:ident,)+ })+) => {
        /// The contract as data.
        pub const CONTRACT: &[Group] = &[ $( Group {
            name: stringify!($group),
            requires: required!($($capability)?),
            cases: &[ $( (stringify!($case), |cx| Box::pin(cases::$group::$case(cx))) ),+ ],
        } ),+ ];
    };
}

macro_rules! required {
    () => {
        None
    };
    ($capability:ident) => {
        Some(Capability::$capability)
    };
}

__contract! { (table) () }
