//! What is promised to those who consume events, on every store.

#[doc(hidden)]
#[macro_export]
macro_rules! __contract_consumers {
    (($($callback:tt)+) ($($argument:tt)*) $($before:tt)*) => { $($callback)+! { ($($argument)*)
        $($before)*
        outbox requires Outbox {
            what_is_appended_waits_to_be_published,
            an_entry_holds_everything_that_the_event_does,
            a_refused_append_leaves_nothing_to_publish,
            a_repeated_append_adds_nothing_to_publish,
            what_a_transaction_appends_is_published_if_it_commits,
            only_what_matches_is_published,
            what_to_publish_is_not_chosen_by_time,
            entries_come_in_log_order_as_many_as_are_asked_for,
            what_is_claimed_is_nobody_elses_until_the_lease_ends,
            a_stream_is_in_one_claims_hands,
            a_failed_event_holds_back_its_stream,
            a_clock_that_is_set_back_puts_nothing_before_what_waits,
            an_event_that_was_given_up_lets_its_stream_go_on,
            failures_are_counted,
            a_claim_that_has_run_out_settles_nothing,
            a_lease_can_be_extended_while_it_lasts,
            what_is_released_comes_again_at_once,
            events_that_were_given_up_can_be_retried,
            what_was_published_long_ago_is_deleted,
            statistics_count_every_state,
            what_waits_survives_reopening,
            a_closed_stores_outbox_is_unavailable,
        }
        outbox_under_load requires Outbox {
            workers_that_claim_at_once_take_each_entry_once_and_in_order,
        }
        relay requires Outbox {
            a_relay_publishes_everything_in_order,
            an_event_that_fails_is_published_in_the_end_and_before_the_next_of_its_stream,
            an_event_that_always_fails_is_given_up_after_five_attempts,
            an_event_that_can_never_be_published_is_given_up_at_once,
            a_publisher_that_hangs_is_not_waited_for,
            a_relay_that_is_stopped_finishes_what_it_has_begun,
            an_append_wakes_a_relay,
            a_relay_finds_what_nobody_wakes_it_for,
            a_relay_ends_when_its_store_is_closed,
            a_relay_that_nobody_wakes_ends_when_its_store_is_closed,
            whatever_fails_every_event_is_published_and_streams_in_order,
            relays_that_are_paused_and_killed_publish_everything_in_order,
            whatever_answers_are_lost_every_event_is_published_and_streams_in_order,
        }
        checkpoints requires Checkpoints {
            a_saved_checkpoint_comes_back,
            a_checkpoint_never_goes_back,
            of_two_instances_one_goes_on,
            the_same_save_again_is_fine,
            a_reset_goes_back_and_refuses_who_works_on,
            a_checkpoint_of_another_log_is_refused,
            a_checkpoint_ahead_of_the_head_is_refused,
            a_checkpoint_behind_another_event_is_refused,
            checkpoints_are_listed_and_deleted,
            a_checkpoint_is_stamped_with_the_stores_time,
            a_name_is_never_empty_or_too_long,
        }
        stale requires Checkpoints {
            events_that_wait_make_a_checkpoint_stale,
            a_quiet_consumer_at_the_head_is_not_stale,
            a_consumer_for_which_nothing_matches_is_not_stale,
            who_has_saved_lately_is_not_stale_however_far_behind,
            a_checkpoint_that_is_not_of_this_log_is_stale,
        }
        dead_letters requires DeadLetters {
            a_parked_event_comes_back_with_its_error,
            parking_again_keeps_the_first_failure,
            letters_are_found_in_log_order,
            a_letter_is_retried_by_one_and_resolved_by_name,
            an_event_is_parked_behind_an_unresolved_one_only,
            letters_are_handed_over_with_their_first_failure,
            only_what_was_resolved_long_ago_is_deleted,
        }
        leases requires Leases {
            a_lease_is_held_by_one_until_it_expires,
            a_renewed_lease_holds_under_the_same_token,
            a_released_lease_is_free_at_once,
            of_eight_racers_on_a_lease_one_wins,
            a_fenced_member_saves_no_checkpoint,
            a_fenced_member_parks_nothing,
            members_are_known_until_they_expire,
            calls_that_are_given_up_disturb_no_append,
        }
        subscription {
            what_is_stored_and_what_comes_is_one_stream,
            it_begins_where_it_is_told,
            the_cursor_moves_where_nothing_matches,
            giving_up_waiting_loses_nothing,
            it_ends_with_the_store,
        }
        consumer requires Checkpoints {
            it_goes_on_where_it_was,
            stopping_finishes_and_records_what_is_in_hand,
            it_pauses_and_goes_on,
            it_begins_at_its_start_once,
            the_checkpoint_moves_where_nothing_matches,
            a_store_that_is_away_is_waited_for_and_not_counted,
            a_closed_store_of_the_handlers_own_is_a_failure_of_the_handler,
            it_ends_when_its_handler_finds_its_store_closed,
            it_ends_when_its_handler_finds_its_store_broken_for_good,
            it_ends_when_what_keeps_its_checkpoints_is_closed,
            a_reset_takes_it_back_while_it_runs,
            a_restored_log_is_refused,
            waiting_for_a_position_ends_when_it_is_done,
            lag_is_told_in_events_and_age,
            a_reaction_that_comes_again_appends_nothing_again,
        }
        read_ahead requires Checkpoints {
            the_next_page_is_read_while_one_is_handled,
            reading_ahead_is_bounded_in_events,
            reading_ahead_is_bounded_in_bytes,
            nothing_is_read_ahead_where_nothing_waits,
            a_reset_throws_away_what_was_read_ahead,
            a_pause_throws_away_what_was_read_ahead,
            stopping_does_not_wait_for_what_is_read_ahead,
            a_stream_reads_ahead_as_it_is_told,
            whatever_fails_every_event_is_handled_in_order,
        }
        rebuild requires DeadLetters {
            a_rebuild_starts_anew_and_has_no_side_effects,
            it_tells_how_far_it_is,
            it_has_not_ended_before_it_has_switched,
            an_interrupted_rebuild_goes_on_where_it_was,
            a_rebuild_that_fails_leaves_everything_as_it_was,
            what_it_fails_on_is_the_live_consumers_when_it_switches,
            what_it_fails_on_is_tried_again_as_a_rebuild_until_it_switches,
            what_had_failed_before_is_resolved_by_it,
            the_view_of_a_group_is_not_rebuilt,
            whatever_answers_are_lost_the_view_is_rebuilt_and_switched_to,
        }
        failure_policy requires DeadLetters {
            a_consumer_that_stops_stays_before_the_event,
            a_parked_event_lets_all_others_pass,
            a_parked_event_holds_back_its_key,
            one_parked_event_can_be_tried_again,
            a_handler_that_hangs_or_panics_has_failed,
            of_a_page_that_fails_the_culprit_is_found,
            whatever_answers_are_lost_every_event_is_handled_or_parked,
        }
        exactly_once requires Transactional {
            the_view_is_the_log_over_restarts,
            a_failing_handler_leaves_nothing_of_its_page,
            nothing_is_recorded_where_a_handler_ends_the_transaction,
            a_delivery_whose_answer_was_lost_is_applied_once,
            two_instances_apply_nothing_twice,
            a_fenced_member_changes_no_view,
            a_rebuilt_view_takes_the_place_of_the_live_one,
            a_rebuild_hands_its_dead_letters_over_with_its_view,
            a_parked_event_is_applied_once_however_often_it_is_tried,
        }
        inline requires Inline {
            a_view_kept_inline_shows_the_append_that_was_acknowledged,
            its_checkpoint_commits_with_it,
            only_what_matches_is_applied,
            a_handler_that_fails_refuses_its_append_only,
            a_handler_that_panics_refuses_its_append_only,
            an_append_whose_handler_ends_the_transaction_is_not_acknowledged,
            a_handler_whose_own_store_is_closed_refuses_its_append_only,
            a_refused_append_leaves_the_view_as_it_was,
            what_a_handler_has_committed_is_not_refused,
            a_repeated_append_is_applied_once,
            an_inline_view_misses_nothing_that_others_appended,
            a_repeat_of_what_others_appended_is_in_the_view,
            a_view_too_far_behind_refuses_appends_until_it_has_caught_up,
            how_far_a_view_is_behind_is_counted_in_events_of_its_own,
            an_event_of_others_that_the_view_fails_on_refuses_appends_until_it_is_passed_over,
            opening_catches_a_view_up,
            what_a_transaction_appends_is_in_the_view_if_it_commits,
            a_view_moves_between_a_consumer_and_the_appends,
            a_view_that_is_switched_to_lacks_nothing,
            a_view_is_rebuilt_while_it_is_kept_inline,
            a_view_too_far_behind_to_be_switched_to_catches_up_first,
            a_checkpoint_that_is_not_of_this_log_refuses_appends,
        }
        inline_under_load requires Inline {
            a_view_kept_inline_equals_the_fold_of_the_log_under_contention,
            a_killed_process_leaves_view_and_log_equal,
        }
        group requires Leases {
            members_share_the_work_and_hand_it_over,
            one_partition_is_a_single_active_consumer,
            another_number_of_partitions_is_refused,
            a_member_that_is_paused_takes_nothing_until_it_goes_on,
            a_member_tells_what_failed_and_was_parked,
            a_groups_lag_counts_what_its_partitions_have_not_done,
            a_groups_lag_is_read_in_whole_pages_up_to_what_is_counted,
            waiting_for_a_group_waits_for_all_its_partitions,
            members_end_when_their_store_is_closed_with_or_without_work,
            members_that_are_paused_and_killed_lose_and_reorder_nothing,
            members_whose_calls_are_lost_lose_and_reorder_nothing,
        }
        group_processes requires Shared {
            processes_that_are_paused_and_killed_leave_the_view_exact,
        }
        relay_processes requires Shared {
            processes_that_are_paused_and_killed_publish_everything_in_order,
        }
    } };
}
