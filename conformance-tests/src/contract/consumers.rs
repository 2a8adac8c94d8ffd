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
            whatever_fails_every_event_is_published_and_streams_in_order,
        }
    } };
}
