//! Exactly-once views that are broken on purpose, each with the case that must catch it. They are wrapped around SQLite's.

#[path = "support/caught.rs"]
mod caught;
#[path = "views/sqlite.rs"]
mod view;

use std::sync::Arc;

use async_trait::async_trait;
use caught::is_caught;
use conformance_tests::{Case, Fixture, Harness, Log, Setup, Stores, View};
use eventsource_core::{
    Capability, CheckpointSave, CheckpointStore as _, ConsumerName, DeadLetterQuery, DeadLetterState,
    DeadLetters as _, Delivery, DeliveryError, DeliveryFailure, Error, EventId, EventStoreExt as _, Filter,
    LogIdentity as _, NewDeadLetter, Position, Purpose, Record, RecordedEvent, Result, Sink,
};
use eventsource_sqlite::{SqliteConfig, SqliteStore};
use tempfile::TempDir;
use view::Applied;

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    /// Nothing.
    None,
    /// Commits the view, and saves the checkpoint then.
    SavesApart,
    /// Saves the checkpoint, and commits the view then.
    SavesFirst,
    /// Takes a page from whoever has held the lease once.
    ChecksNoFence,
    /// Leaves of a page what came before the event that failed.
    LeavesHalfAPage,
    /// Applies a parked event however it stands.
    TriesWhatIsResolved,
    /// Leaves what had failed before a rebuild to be tried again in the new view.
    LeavesOldLetters,
    /// Rebuilds into the view that is in use.
    RebuildsTheLiveView,
    /// Takes the store's failure for the event's.
    BlamesTheEvent,
}

macro_rules! mutants {
    ($($defect:ident: $($case:ident $(says $text:literal)?),+;)+) => {
        $(
            #[test]
            #[expect(non_snake_case, reason = "the test is named after the defect")]
            fn $defect() {
                let (whole, broken) = (Arc::new(Mutants(Defect::None)), Arc::new(Mutants(Defect::$defect)));
                $(
                    let case = Case::find("exactly_once", stringify!($case));
                    is_caught(whole.clone(), broken.clone(), &case, &[$($text)?]);
                )+
            }
        )+
    };
}

mutants! {
    SavesApart:
        a_delivery_whose_answer_was_lost_is_applied_once,
        a_fenced_member_changes_no_view;
    SavesFirst:
        a_failing_handler_leaves_nothing_of_its_page;
    ChecksNoFence:
        a_fenced_member_changes_no_view;
    LeavesHalfAPage:
        a_failing_handler_leaves_nothing_of_its_page;
    TriesWhatIsResolved:
        a_parked_event_is_applied_once_however_often_it_is_tried;
    LeavesOldLetters:
        a_rebuild_hands_its_dead_letters_over_with_its_view;
    RebuildsTheLiveView:
        a_rebuilt_view_takes_the_place_of_the_live_one;
    BlamesTheEvent:
        a_fenced_member_changes_no_view;
}

struct Mutants(Defect);

#[async_trait]
impl Harness for Mutants {
    fn name(&self) -> &'static str {
        "mutant"
    }

    fn lacks(&self) -> &'static [(Capability, &'static str)] {
        &[]
    }

    async fn fresh(&self, _setup: Setup) -> Result<Fixture> {
        let failed = |error| Error::backend("there is no directory").with_source(error);
        let directory = tempfile::tempdir().map_err(failed)?;
        let path = directory.path().join("events.db");
        let store = Arc::new(SqliteStore::open(SqliteConfig::file(&path)).await?);
        let view = Mutant { whole: Applied::of(&store, &path), store: store.clone(), defect: self.0 };
        let stores = Stores::from(store.clone()).with_consumers(store).with_view(view);
        Ok(Fixture::on(File(directory), stores))
    }
}

struct File(#[expect(dead_code, reason = "it is there until it is dropped")] TempDir);

impl Log for File {}

#[derive(Debug)]
struct Mutant {
    whole: Applied,
    store: Arc<SqliteStore>,
    defect: Defect,
}

type Delivered = std::result::Result<(), DeliveryError>;

#[async_trait]
impl View for Mutant {
    async fn applied(&self) -> Result<Vec<Position>> {
        self.whole.applied().await
    }
}

#[async_trait]
impl Sink for Mutant {
    async fn deliver(&self, delivery: &Delivery) -> Delivered {
        match (self.defect, &delivery.record) {
            (Defect::SavesApart, Record::Checkpoint(save)) => {
                self.apply(delivery, &delivery.events).await?;
                Ok(self.store.save_checkpoint(save).await?)
            }
            (Defect::SavesFirst, Record::Checkpoint(save)) => {
                self.store.save_checkpoint(save).await?;
                self.apply(delivery, &delivery.events).await
            }
            (Defect::ChecksNoFence, Record::Checkpoint(save)) => {
                let record = Record::Checkpoint(save.clone().fenced(None));
                self.whole.deliver(&Delivery { record, ..delivery.clone() }).await
            }
            (Defect::LeavesHalfAPage, Record::Checkpoint(save)) => {
                for (index, event) in delivery.events.iter().enumerate() {
                    self.apply(delivery, std::slice::from_ref(event)).await.map_err(|error| {
                        match error.cause {
                            DeliveryFailure::Event { error, .. } => DeliveryError::event(0, index, error),
                            cause => DeliveryError { handled: 0, cause },
                        }
                    })?;
                }
                Ok(self.store.save_checkpoint(save).await?)
            }
            (Defect::TriesWhatIsResolved, Record::Resolved { key, by }) => {
                self.apply(delivery, &delivery.events).await?;
                Ok(self.store.resolve(key, by).await.map(drop)?)
            }
            (Defect::LeavesOldLetters, Record::Switch { to, .. }) => self.switch(delivery, to).await,
            (Defect::RebuildsTheLiveView, Record::Checkpoint(_)) => {
                self.whole.deliver(&Delivery { purpose: Purpose::Live, ..delivery.clone() }).await
            }
            (Defect::BlamesTheEvent, _) => match self.whole.deliver(delivery).await {
                Err(DeliveryError { cause: DeliveryFailure::Store(error), .. }) => {
                    Err(DeliveryError { handled: 0, cause: DeliveryFailure::Page(error.into()) })
                }
                delivered => delivered,
            },
            _ => self.whole.deliver(delivery).await,
        }
    }
}

impl Mutant {
    /// Changes the view, and no checkpoint of anybody's.
    async fn apply(&self, delivery: &Delivery, events: &[RecordedEvent]) -> Delivered {
        let nobody = ConsumerName::new(EventId::random().to_string())?;
        let save = CheckpointSave::first(nobody.clone(), self.store.log_id().await?);
        let (events, record) = (events.to_vec(), Record::Checkpoint(save));
        let applied = self.whole.deliver(&Delivery { events, record, ..delivery.clone() }).await;
        self.store.delete_checkpoint(&nobody).await?;
        applied
    }

    /// Switches, and leaves what had failed before as it was.
    async fn switch(&self, delivery: &Delivery, to: &ConsumerName) -> Delivered {
        let open = DeadLetterQuery::all().of(to.clone()).in_state(DeadLetterState::Failed);
        let letters = self.store.dead_letters(&open).await?;
        self.whole.deliver(delivery).await?;
        let log = self.store.query(&Filter::all()).await?.events;
        for letter in letters {
            for event in log.iter().filter(|event| event.id() == letter.key.event_id) {
                let again = NewDeadLetter::new(to.clone(), event.clone(), &letter.error, letter.attempts);
                self.store.park(&again).await?;
            }
        }
        Ok(())
    }
}
