//! What groups may not do.

use eventsource_core::{Checkpoint, CheckpointSave, ConsumerName, FencingToken, LogId};

use super::*;
use crate::witness::{Consumption, Delivery, Save};

/// A group that did everything as it should, to be forged.
struct Group {
    log: Vec<RecordedEvent>,
    done: Consumption,
}

impl Group {
    /// Positions 1 and 3 are one stream's, and so on; two members work on one partition, one after the other.
    fn honest(delivery: Delivery) -> Self {
        let log = honest().log;
        let handled = log.iter().map(RecordedEvent::position).collect();
        let saves = vec![save(1, 0, 3), save(1, 3, 7), save(1, 3, 7), save(2, 7, 7), save(2, 9, 15)];
        let checkpoints = [(3, 2), (7, 4), (15, 8)].map(|(position, count)| checkpoint(position, count));
        Self { log, done: Consumption { handled, delivery, saves, checkpoints: checkpoints.into() } }
    }

    #[track_caller]
    fn accepted(&self) {
        Witness::of(&self.log).judge_consumption(&self.done).unwrap();
    }

    #[track_caller]
    fn rejected_for(&self, property: Property) {
        let verdict = Witness::of(&self.log).judge_consumption(&self.done).expect_err("a forged history");
        assert!(verdict.breaks(property), "rejected, but not for {property:?}: {verdict}");
        assert_eq!(verdict.violations().len(), 1, "{verdict}");
    }
}

fn partition() -> ConsumerName {
    ConsumerName::new("group[0/1]").unwrap()
}

fn save(token: u64, after: u64, position: u64) -> Save {
    Save { consumer: partition(), token: FencingToken::new(token), after: at(after), position: at(position) }
}

fn checkpoint(position: u64, events_processed: u64) -> Checkpoint {
    let save = CheckpointSave::first(partition(), LogId::new(Uuid::from_u128(1))).scanned_to(at(position));
    Checkpoint { events_processed, ..save.to_checkpoint(DateTime::<Utc>::UNIX_EPOCH) }
}

#[test]
fn a_group_that_keeps_its_promises_is_accepted() {
    Group::honest(Delivery::ExactlyOnce).accepted();
    let mut again = Group::honest(Delivery::AtLeastOnce);
    // A page that came again, after a crash.
    again.done.handled.extend([at(1), at(3)]);
    again.accepted();
}

#[test]
fn keys_may_be_handled_side_by_side() {
    let mut group = Group::honest(Delivery::ExactlyOnce);
    // The second stream's first event, before the first stream's last.
    group.done.handled.swap(2, 3);
    group.accepted();
}

#[test]
fn members_may_tell_late() {
    let mut group = Group::honest(Delivery::ExactlyOnce);
    group.done.saves.reverse();
    group.accepted();
}

#[test]
fn an_event_that_was_skipped_is_rejected() {
    let mut group = Group::honest(Delivery::AtLeastOnce);
    group.done.handled.remove(4);
    group.rejected_for(Property::EveryEventIsHandled);
}

#[test]
fn an_event_that_a_view_was_given_twice_is_rejected() {
    let mut group = Group::honest(Delivery::ExactlyOnce);
    group.done.handled.push(at(5));
    group.rejected_for(Property::HandledOnce);
}

#[test]
fn an_event_of_another_log_is_rejected() {
    let mut group = Group::honest(Delivery::AtLeastOnce);
    group.done.handled.push(at(2));
    group.rejected_for(Property::NothingElseIsHandled);
}

#[test]
fn events_of_one_key_out_of_order_are_rejected() {
    let mut group = Group::honest(Delivery::AtLeastOnce);
    group.done.handled.swap(0, 1);
    group.rejected_for(Property::KeysAreInOrder);
}

#[test]
fn a_checkpoint_that_was_seen_to_go_back_is_rejected() {
    for back in [checkpoint(14, 8), checkpoint(16, 7), Checkpoint { resets: 1, ..checkpoint(15, 8) }] {
        let mut group = Group::honest(Delivery::ExactlyOnce);
        group.done.checkpoints.push(back);
        group.rejected_for(Property::CheckpointsGoForward);
    }
}

#[test]
fn a_save_that_follows_none_is_rejected() {
    let mut group = Group::honest(Delivery::ExactlyOnce);
    // Both went on from 3: one of them was lost.
    group.done.saves.push(save(1, 3, 6));
    group.rejected_for(Property::CheckpointsGoForward);
}

#[test]
fn a_write_of_a_member_that_lost_its_lease_is_rejected() {
    let mut group = Group::honest(Delivery::ExactlyOnce);
    group.done.saves.push(save(1, 15, 17));
    group.rejected_for(Property::FencedWriteNothing);
}
