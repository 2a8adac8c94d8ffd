//! Keepers of checkpoints, dead letters and leases that are broken on purpose, each with the case that must catch it.

#[path = "support/caught.rs"]
mod caught;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use conformance_tests::{Case, Fixture, Harness, Setup, Stores};
use eventsource_core::{
    Capability, Checkpoint, CheckpointSave, CheckpointStore, Clock as _, ConsumerName, DeadLetter,
    DeadLetterKey, DeadLetterQuery, DeadLetters, EventStore as _, FencingToken, Filter, Lease, LeaseKey,
    Leases, LogId, LogIdentity, MemberId, NewDeadLetter, Position, ReadOptions, Result, SystemClock,
};
use eventsource_memory::MemoryStore;

use caught::is_caught;

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    /// Nothing.
    None,
    /// The last save wins, wherever it was before.
    LastSaveWins,
    /// A save is taken from whoever has held the lease once.
    IgnoresFences,
    /// A reset is not counted: who works on from before is not refused.
    ForgetsResets,
    /// Every log is the same one.
    EveryLogIsOne,
    /// Acknowledges a save, and keeps nothing.
    SavesNothing,
    /// Saves the head: everything counts as done before it is handled.
    SavesTheHead,
    /// Lists every checkpoint as if its consumer had done everything.
    ListsTheHead,
    /// Lists every checkpoint as if it had been saved just now.
    ListsTheTime,
    /// Acknowledges a parked event, and keeps nothing.
    ParksNothing,
    /// Says that an event is parked behind another, and keeps nothing.
    LosesSuccessors,
    /// Parking again forgets when it failed first.
    ParksAnew,
    /// Parks whether or not the key is held.
    ParksBehindNothing,
    /// Parks nothing behind an event that is held.
    HoldsNothing,
    /// Lets everybody try a parked event at once.
    LetsAllRetry,
    /// Deletes what is not resolved.
    DeletesUnresolved,
    /// Gives a lease to whoever asks.
    GivesLeasesAway,
    /// Leaves a rebuild's letters where they are.
    HandsOverNothing,
    /// Leaves what had failed before a rebuild to be tried again.
    ResolvesNothingAtASwitch,
    /// Every holder of a lease has the same token.
    TokensStandStill,
    /// A lease that is renewed holds only as long as it did before.
    RenewsNothing,
    /// Knows members for ever.
    NeverForgetsMembers,
}

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
    LastSaveWins:
        checkpoints::a_checkpoint_never_goes_back,
        checkpoints::of_two_instances_one_goes_on;
    IgnoresFences:
        leases::a_fenced_member_saves_no_checkpoint,
        leases::a_fenced_member_parks_nothing;
    ForgetsResets:
        checkpoints::a_reset_goes_back_and_refuses_who_works_on;
    EveryLogIsOne:
        checkpoints::a_checkpoint_of_another_log_is_refused,
        consumer::a_restored_log_is_refused;
    SavesNothing:
        checkpoints::a_saved_checkpoint_comes_back,
        consumer::it_goes_on_where_it_was;
    SavesTheHead:
        consumer::stopping_finishes_and_records_what_is_in_hand,
        failure_policy::a_consumer_that_stops_stays_before_the_event;
    ListsTheHead:
        stale::events_that_wait_make_a_checkpoint_stale,
        group::a_groups_lag_counts_what_its_partitions_have_not_done,
        group::waiting_for_a_group_waits_for_all_its_partitions;
    ListsTheTime:
        stale::events_that_wait_make_a_checkpoint_stale,
        stale::a_checkpoint_that_is_not_of_this_log_is_stale;
    ParksNothing:
        dead_letters::a_parked_event_comes_back_with_its_error,
        failure_policy::a_parked_event_lets_all_others_pass;
    LosesSuccessors:
        dead_letters::an_event_is_parked_behind_an_unresolved_one_only,
        failure_policy::a_parked_event_holds_back_its_key,
        rebuild::what_it_fails_on_is_the_live_consumers_when_it_switches;
    ParksAnew:
        dead_letters::parking_again_keeps_the_first_failure;
    ParksBehindNothing:
        dead_letters::an_event_is_parked_behind_an_unresolved_one_only;
    HoldsNothing:
        dead_letters::an_event_is_parked_behind_an_unresolved_one_only,
        failure_policy::a_parked_event_holds_back_its_key;
    LetsAllRetry:
        dead_letters::a_letter_is_retried_by_one_and_resolved_by_name;
    DeletesUnresolved:
        dead_letters::only_what_was_resolved_long_ago_is_deleted;
    GivesLeasesAway:
        leases::a_lease_is_held_by_one_until_it_expires,
        leases::of_eight_racers_on_a_lease_one_wins;
    HandsOverNothing:
        dead_letters::letters_are_handed_over_with_their_first_failure,
        rebuild::what_it_fails_on_is_the_live_consumers_when_it_switches;
    ResolvesNothingAtASwitch:
        dead_letters::letters_are_handed_over_with_their_first_failure,
        rebuild::what_had_failed_before_is_resolved_by_it;
    TokensStandStill:
        leases::a_fenced_member_saves_no_checkpoint,
        leases::a_fenced_member_parks_nothing;
    RenewsNothing:
        leases::a_renewed_lease_holds_under_the_same_token;
    NeverForgetsMembers:
        leases::members_are_known_until_they_expire;
}

struct Mutants(Defect);

#[async_trait]
impl Harness for Mutants {
    fn name(&self) -> &'static str {
        "mutant"
    }

    fn lacks(&self) -> &'static [(Capability, &'static str)] {
        &[
            (Capability::Durable, "the log is gone with the process"),
            (Capability::Shared, "another process has no way to it"),
            (Capability::Transactional, "a caller has no transaction to bring"),
            (Capability::Inline, "there is no database to keep a view in"),
        ]
    }

    async fn fresh(&self, setup: Setup) -> Result<Fixture> {
        let store = setup.clock.map_or_else(MemoryStore::new, MemoryStore::with_clock);
        let keeper = Arc::new(Mutant { store: store.clone(), defect: self.0 });
        Ok(Fixture::new(Stores::from(Arc::new(store)).with_consumers(keeper)))
    }
}

#[derive(Debug)]
struct Mutant {
    store: MemoryStore,
    defect: Defect,
}

impl Mutant {
    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    /// The lease with the token that the whole store has given it.
    async fn as_stored(&self, lease: &Lease) -> Result<Lease> {
        if !self.is(Defect::TokensStandStill) {
            return Ok(lease.clone());
        }
        let stored = self.store.leases(&lease.key.group).await?;
        let same = |each: &Lease| each.key == lease.key && each.member == lease.member;
        Ok(stored.into_iter().find(same).unwrap_or_else(|| lease.clone()))
    }
}

#[async_trait]
impl LogIdentity for Mutant {
    async fn log_id(&self) -> Result<LogId> {
        if self.is(Defect::EveryLogIsOne) {
            return Ok(LogId::new(uuid::Uuid::from_u128(1)));
        }
        self.store.log_id().await
    }
}

#[async_trait]
impl CheckpointStore for Mutant {
    async fn load_checkpoint(&self, consumer: &ConsumerName) -> Result<Option<Checkpoint>> {
        let loaded = self.store.load_checkpoint(consumer).await?;
        let forgets = self.is(Defect::ForgetsResets);
        Ok(loaded.map(|loaded| if forgets { Checkpoint { resets: 0, ..loaded } } else { loaded }))
    }

    async fn save_checkpoint(&self, save: &CheckpointSave) -> Result<()> {
        match self.defect {
            Defect::SavesNothing => Ok(()),
            Defect::SavesTheHead => {
                let head = self.store.head().await?.max(save.position());
                self.store.save_checkpoint(&save.clone().scanned_to(head)).await
            }
            Defect::IgnoresFences | Defect::TokensStandStill => {
                self.store.save_checkpoint(&save.clone().fenced(None)).await
            }
            Defect::LastSaveWins => {
                self.store.delete_checkpoint(save.consumer()).await?;
                let first = CheckpointSave::first(save.consumer().clone(), save.log_id());
                self.store.save_checkpoint(&first.scanned_to(save.position())).await
            }
            _ => self.store.save_checkpoint(save).await,
        }
    }

    async fn reset_checkpoint(
        &self,
        consumer: &ConsumerName,
        log_id: LogId,
        position: Position,
    ) -> Result<()> {
        if self.is(Defect::ForgetsResets) {
            self.store.delete_checkpoint(consumer).await?;
            let first = CheckpointSave::first(consumer.clone(), log_id);
            return self.store.save_checkpoint(&first.scanned_to(position)).await;
        }
        self.store.reset_checkpoint(consumer, log_id, position).await
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>> {
        let (head, mut listed) = (self.store.head().await?, self.store.checkpoints().await?);
        for checkpoint in &mut listed {
            match self.defect {
                Defect::ListsTheHead => checkpoint.position = head,
                Defect::ListsTheTime => checkpoint.updated_at = SystemClock.now(),
                _ => {}
            }
        }
        Ok(listed)
    }

    async fn delete_checkpoint(&self, consumer: &ConsumerName) -> Result<bool> {
        self.store.delete_checkpoint(consumer).await
    }
}

#[async_trait]
impl DeadLetters for Mutant {
    async fn park(&self, letter: &NewDeadLetter) -> Result<()> {
        match self.defect {
            Defect::ParksNothing => Ok(()),
            Defect::IgnoresFences | Defect::TokensStandStill => {
                self.store.park(&letter.clone().fenced(None)).await
            }
            Defect::ParksAnew => {
                self.store.resolve(&letter.key(), "nobody").await?;
                self.store.delete_resolved(Duration::ZERO).await?;
                self.store.park(letter).await
            }
            _ => self.store.park(letter).await,
        }
    }

    async fn park_behind(&self, letter: &NewDeadLetter) -> Result<bool> {
        match self.defect {
            Defect::ParksBehindNothing => self.store.park(letter).await.map(|()| true),
            Defect::HoldsNothing => Ok(false),
            Defect::LosesSuccessors => {
                let held = self.store.held_keys(letter.consumer()).await?;
                Ok(letter.ordering_key().is_some_and(|key| held.contains(key)))
            }
            _ => self.store.park_behind(letter).await,
        }
    }

    async fn held_keys(&self, consumer: &ConsumerName) -> Result<BTreeSet<String>> {
        self.store.held_keys(consumer).await
    }

    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetter>> {
        self.store.dead_letters(query).await
    }

    async fn count_dead_letters(&self, query: &DeadLetterQuery) -> Result<u64> {
        self.store.count_dead_letters(query).await
    }

    async fn begin_retry(
        &self,
        key: &DeadLetterKey,
        abandoned_after: Duration,
    ) -> Result<Option<DeadLetter>> {
        let patience = if self.is(Defect::LetsAllRetry) { Duration::ZERO } else { abandoned_after };
        self.store.begin_retry(key, patience).await
    }

    async fn resolve(&self, key: &DeadLetterKey, by: &str) -> Result<bool> {
        self.store.resolve(key, by).await
    }

    async fn hand_over_dead_letters(&self, from: &ConsumerName, to: &ConsumerName) -> Result<()> {
        match self.defect {
            Defect::HandsOverNothing => Ok(()),
            Defect::ResolvesNothingAtASwitch => {
                let letters = self.store.dead_letters(&DeadLetterQuery::all().of(to.clone())).await?;
                self.store.hand_over_dead_letters(from, to).await?;
                for letter in letters.into_iter().filter(|letter| letter.resolution.is_none()) {
                    let options = ReadOptions::new().until(letter.position).backward().limit(1);
                    let found = self.store.read_page(&Filter::all(), &options).await?.events;
                    let again = found.into_iter().map(|event| NewDeadLetter::new(to.clone(), event, "", 1));
                    for again in again {
                        self.store.park(&again).await?;
                    }
                }
                Ok(())
            }
            _ => self.store.hand_over_dead_letters(from, to).await,
        }
    }

    async fn delete_resolved(&self, older_than: Duration) -> Result<u64> {
        if self.is(Defect::DeletesUnresolved) {
            for letter in self.store.dead_letters(&DeadLetterQuery::all()).await? {
                self.store.resolve(&letter.key, "nobody").await?;
            }
        }
        self.store.delete_resolved(older_than).await
    }
}

#[async_trait]
impl Leases for Mutant {
    async fn announce(
        &self,
        group: &ConsumerName,
        member: MemberId,
        time_to_live: Duration,
    ) -> Result<Vec<MemberId>> {
        let for_ever = Duration::from_secs(100_000_000);
        let time = if self.is(Defect::NeverForgetsMembers) { for_ever } else { time_to_live };
        self.store.announce(group, member, time).await
    }

    async fn withdraw(&self, group: &ConsumerName, member: MemberId) -> Result<()> {
        self.store.withdraw(group, member).await
    }

    async fn acquire_lease(
        &self,
        key: &LeaseKey,
        member: MemberId,
        time_to_live: Duration,
    ) -> Result<Option<Lease>> {
        let time = if self.is(Defect::GivesLeasesAway) { Duration::ZERO } else { time_to_live };
        let lease = self.store.acquire_lease(key, member, time).await?;
        let stands_still = self.is(Defect::TokensStandStill);
        Ok(lease
            .map(|lease| if stands_still { Lease { token: FencingToken::new(1), ..lease } } else { lease }))
    }

    async fn renew_lease(&self, lease: &Lease, time_to_live: Duration) -> Result<Option<Lease>> {
        if self.is(Defect::RenewsNothing) {
            return Ok(Some(lease.clone()));
        }
        self.store.renew_lease(&self.as_stored(lease).await?, time_to_live).await
    }

    async fn release_lease(&self, lease: &Lease) -> Result<()> {
        self.store.release_lease(&self.as_stored(lease).await?).await
    }

    async fn leases(&self, group: &ConsumerName) -> Result<Vec<Lease>> {
        self.store.leases(group).await
    }
}
