//! The whole contract on one page: every name is a promise that a user can rely on.

use eventsource_core::Capability;
use futures_util::future::BoxFuture;

use crate::{CaseResult, Cx, cases};

/// Hands the contract to another macro: its groups, what a group requires, its cases.
#[doc(hidden)]
#[macro_export]
macro_rules! __contract {
    (($($callback:tt)+) ($($argument:tt)*)) => { $($callback)+! { ($($argument)*)
        append {
            an_appended_event_is_read_back,
        }
        concurrency {
            of_eight_racers_on_one_boundary_one_wins,
            of_eight_racers_on_one_version_one_wins,
            of_racers_on_a_new_stream_one_creates_it,
            of_racers_with_the_same_append_one_writes_and_all_are_answered,
            racers_on_different_boundaries_all_win,
            any_never_conflicts_under_contention,
            a_capacity_is_never_exceeded_by_concurrent_deciders,
            numbers_drawn_by_concurrent_deciders_have_no_gap,
            a_multi_stream_append_is_never_seen_in_part,
            concurrent_appends_keep_all_promises,
            readers_with_filters_miss_nothing_while_writers_run,
            a_dropped_append_is_whole_or_absent,
            appends_retried_under_contention_are_stored_once,
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
        }
        held requires Transactional {
            a_resuming_reader_misses_nothing_while_a_transaction_is_held_open_for_seconds,
            readers_do_not_wait_for_a_transaction_that_is_held_open,
            what_was_rolled_back_leaves_no_trace,
            a_condition_sees_what_a_transaction_committed_meanwhile,
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
            positions_and_versions_go_on_after_reopening,
            a_retry_after_reopening_is_answered_with_the_first_result,
            conditions_hold_across_reopening,
        }
        crash requires Durable {
            acknowledged_appends_survive_a_kill,
            a_retry_after_a_kill_stores_nothing_twice,
            a_log_goes_on_after_a_kill,
        }
        sharing requires Shared {
            what_another_process_appends_is_read,
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

/// A case's body.
pub type Body = fn(Cx) -> BoxFuture<'static, CaseResult>;

/// Promises about one thing.
#[derive(Debug)]
pub struct Group {
    /// What they are about.
    pub name: &'static str,
    /// What a store must be able to do for them; another store must refuse it instead.
    pub requires: Option<Capability>,
    /// Each promise's name and body.
    pub cases: &'static [(&'static str, Body)],
}

/// One promise.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    group: &'static Group,
    name: &'static str,
    body: Body,
}

impl Case {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        CONTRACT
            .iter()
            .flat_map(|group| group.cases.iter().map(move |(name, body)| Self { group, name, body: *body }))
    }

    /// One of them.
    ///
    /// # Panics
    /// If the contract has no such case.
    #[must_use]
    pub fn find(group: &str, name: &str) -> Self {
        Self::all()
            .find(|case| case.group.name == group && case.name == name)
            .unwrap_or_else(|| panic!("the contract has no case {group}::{name}"))
    }

    /// `group::case`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}::{}", self.group.name, self.name)
    }

    /// What to run where `lacking` is missing: the case, or the refusal of what it requires.
    pub(crate) fn body_for(&self, lacking: &[(Capability, &str)]) -> Body {
        match self.group.requires {
            Some(required) if lacking.iter().any(|(capability, _)| *capability == required) => {
                cases::refusals::of(required)
            }
            _ => self.body,
        }
    }
}
