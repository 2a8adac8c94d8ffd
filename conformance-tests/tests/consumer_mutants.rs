//! Keepers of checkpoints, dead letters and leases that are broken on purpose, each with the case that must catch it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use conformance_tests::{Case, Fixture, Harness, Setup, Stores, judge};
use eventsource_core::{
    Capability, Checkpoint, CheckpointSave, CheckpointStore, ConsumerName, DeadLetter, DeadLetterKey,
    DeadLetterQuery, DeadLetters, Lease, LeaseKey, Leases, LogId, LogIdentity, MemberId, NewDeadLetter,
    Position, Result,
};
use eventsource_memory::MemoryStore;

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
    /// A lease that is renewed holds only as long as it did before.
    RenewsNothing,
    /// Knows members for ever.
    NeverForgetsMembers,
}

macro_rules! mutants {
    ($($defect:ident: $($group:ident::$case:ident),+;)+) => {
        $(
            #[test]
            #[expect(non_snake_case, reason = "the test is named after the defect")]
            fn $defect() {
                $( is_caught(Defect::$defect, stringify!($group), stringify!($case)); )+
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
    RenewsNothing:
        leases::a_renewed_lease_holds_under_the_same_token;
    NeverForgetsMembers:
        leases::members_are_known_until_they_expire;
}

/// The case holds for the whole keeper, and fails for the broken one.
#[track_caller]
fn is_caught(defect: Defect, group: &str, case: &str) {
    let case = Case::find(group, case);
    if let Err(failure) = judge(Arc::new(Mutants(Defect::None)), &case, 1) {
        panic!("{} fails for the keeper that is not broken: {failure}", case.name());
    }
    assert!(judge(Arc::new(Mutants(defect)), &case, 1).is_err(), "{} does not see {defect:?}", case.name());
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
            Defect::IgnoresFences => self.store.save_checkpoint(&save.clone().fenced(None)).await,
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
        self.store.checkpoints().await
    }

    async fn delete_checkpoint(&self, consumer: &ConsumerName) -> Result<bool> {
        self.store.delete_checkpoint(consumer).await
    }
}

#[async_trait]
impl DeadLetters for Mutant {
    async fn park(&self, letter: &NewDeadLetter) -> Result<()> {
        match self.defect {
            Defect::IgnoresFences => self.store.park(&letter.clone().fenced(None)).await,
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
        self.store.acquire_lease(key, member, time).await
    }

    async fn renew_lease(&self, lease: &Lease, time_to_live: Duration) -> Result<Option<Lease>> {
        if self.is(Defect::RenewsNothing) {
            return Ok(Some(lease.clone()));
        }
        self.store.renew_lease(lease, time_to_live).await
    }

    async fn release_lease(&self, lease: &Lease) -> Result<()> {
        self.store.release_lease(lease).await
    }

    async fn leases(&self, group: &ConsumerName) -> Result<Vec<Lease>> {
        self.store.leases(group).await
    }
}
