//! What relays may not do.

use eventsource_core::OutboxStatistics;

use super::*;
use crate::witness::{Delivery, OutboxLook, Publication};

/// Relays that did everything as they should, to be forged.
struct Relays {
    log: Vec<RecordedEvent>,
    done: Publication,
}

impl Relays {
    fn honest(delivery: Delivery) -> Self {
        let log = honest().log;
        let end = OutboxStatistics { published: log.len() as u64, ..OutboxStatistics::default() };
        let looks = [(0, 0), (2, 3), (5, 5)].map(|(settled, delivered)| OutboxLook { settled, delivered });
        let done = Publication { deliveries: log.clone(), delivery, looks: looks.into(), end };
        Self { log, done }
    }

    #[track_caller]
    fn accepted(&self) {
        Witness::of(&self.log).judge_publication(&self.done).unwrap();
    }

    #[track_caller]
    fn rejected_for(&self, properties: &[Property]) {
        let verdict = Witness::of(&self.log).judge_publication(&self.done).expect_err("a forged history");
        let found: Vec<_> = verdict.violations().iter().map(|violation| violation.property).collect();
        assert_eq!(found, properties, "{verdict}");
    }
}

#[test]
fn relays_that_keep_their_promises_are_accepted() {
    Relays::honest(Delivery::ExactlyOnce).accepted();
    let mut again = Relays::honest(Delivery::AtLeastOnce);
    // Whose acknowledgement was lost.
    again.done.deliveries.insert(4, again.log[0].clone());
    again.accepted();
}

#[test]
fn streams_may_be_published_side_by_side() {
    let mut relays = Relays::honest(Delivery::ExactlyOnce);
    relays.done.deliveries.swap(2, 3);
    relays.accepted();
}

#[test]
fn a_settled_entry_that_was_never_published_is_rejected() {
    let mut relays = Relays::honest(Delivery::AtLeastOnce);
    relays.done.deliveries.pop();
    relays.rejected_for(&[Property::EveryEventIsPublished, Property::SettledIsPublished]);
}

#[test]
fn an_entry_that_was_settled_before_it_was_published_is_rejected() {
    let mut relays = Relays::honest(Delivery::AtLeastOnce);
    relays.done.looks.push(OutboxLook { settled: 7, delivered: 6 });
    relays.rejected_for(&[Property::SettledIsPublished]);
}

#[test]
fn a_lost_publication_is_rejected() {
    let mut relays = Relays::honest(Delivery::AtLeastOnce);
    // There never was an entry for it.
    relays.done.deliveries.pop();
    relays.done.end.published -= 1;
    relays.rejected_for(&[Property::EveryEventIsPublished, Property::EverythingIsSettled]);
}

#[test]
fn an_entry_that_waits_for_ever_is_rejected() {
    let mut relays = Relays::honest(Delivery::AtLeastOnce);
    relays.done.end.published -= 1;
    relays.done.end.pending += 1;
    relays.rejected_for(&[Property::EverythingIsSettled]);
}

#[test]
fn a_stream_out_of_order_is_rejected() {
    let mut relays = Relays::honest(Delivery::AtLeastOnce);
    relays.done.deliveries.swap(3, 4);
    relays.rejected_for(&[Property::StreamsArePublishedInOrder, Property::StreamsArePublishedInOrder]);
}

#[test]
fn a_message_that_jetstream_holds_twice_is_rejected() {
    let mut relays = Relays::honest(Delivery::ExactlyOnce);
    relays.done.deliveries.push(relays.log[2].clone());
    relays.rejected_for(&[Property::PublishedOnce]);
}

#[test]
fn an_event_that_was_rolled_back_or_changed_is_rejected() {
    let changed = honest().log.pop().unwrap();
    let mut relays = Relays::honest(Delivery::AtLeastOnce);
    relays.done.deliveries.push(changed);
    relays.rejected_for(&[Property::NothingElseIsPublished]);
}
