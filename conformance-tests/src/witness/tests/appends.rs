//! What was written, and what its callers were told.

use eventsource_core::{Append, Appended, ExpectedVersion, NewEvent, Version};

use super::super::{Outcome, Property};
use super::{Case, event, events, honest, room, stream, to};

#[test]
fn a_position_that_two_were_told_is_rejected() {
    let mut case = Case::default();
    let appended = case.acknowledge(events(1));
    let same = case.history.attempts[0].append.clone();
    case.attempt(same, Outcome::Acknowledged(appended));
    case.rejected_for(Property::AcknowledgedIsStored);
}

#[test]
fn a_lost_append_is_rejected() {
    let mut case = honest();
    let position = case.next_position();
    let lost = Appended { first: position, last: position, versions: Vec::new(), replayed: false };
    case.attempt(events(1), Outcome::Acknowledged(lost));
    case.rejected_for(Property::AcknowledgedIsStored);
}

#[test]
fn an_append_that_lost_its_tail_is_rejected() {
    let mut case = Case::default();
    case.acknowledge(events(3));
    case.log.pop();
    case.rejected_for(Property::AcknowledgedIsStored);
}

#[test]
fn a_reordered_append_is_rejected() {
    let mut case = Case::default();
    let append = events(2);
    let reversed: Vec<NewEvent> = append.parts()[0].events().iter().rev().cloned().collect();
    let appended = case.store(&Append::events(reversed));
    case.attempt(append, Outcome::Acknowledged(appended));
    case.rejected_for(Property::AcknowledgedIsStored);
}

#[test]
fn an_append_with_a_stranger_inside_is_rejected() {
    let mut case = Case::default();
    let append = events(2);
    let (first, second) = (append.parts()[0].events()[0].clone(), append.parts()[0].events()[1].clone());
    let from = case.store(&Append::events([first]));
    case.acknowledge(events(1));
    let to = case.store(&Append::events([second]));
    case.attempt(append, Outcome::Acknowledged(Appended { last: to.last, ..from }));
    case.rejected_for(Property::AcknowledgedIsStored);
}

#[test]
fn a_forgotten_tag_is_rejected() {
    let mut case = Case::default();
    let asked = event();
    let without = NewEvent::new("Happened", &7).unwrap().id(asked.event_id());
    let appended = case.store(&Append::events([without]));
    case.attempt(Append::events([asked]), Outcome::Acknowledged(appended));
    case.rejected_for(Property::AcknowledgedIsStored);
}

#[test]
fn an_event_in_another_stream_is_rejected() {
    let mut case = Case::default();
    let (asked, other) = (to(&stream(), ExpectedVersion::Any, 1), stream());
    let event = asked.parts()[0].events()[0].clone();
    let appended = case.store(&Append::to_stream(other, ExpectedVersion::Any, [event]));
    case.attempt(asked, Outcome::Acknowledged(appended));
    case.rejected_for(Property::AcknowledgedIsStored);
}

#[test]
fn a_wrong_version_in_the_answer_is_rejected() {
    let mut case = Case::default();
    let append = to(&stream(), ExpectedVersion::Any, 2);
    let mut appended = case.store(&append);
    appended.versions[0].1 = Version::FIRST;
    case.attempt(append, Outcome::Acknowledged(appended));
    case.rejected_for(Property::AcknowledgedIsStored);
}

#[test]
fn a_wrong_last_position_in_the_answer_is_rejected() {
    let mut case = Case::default();
    let append = events(2);
    let appended = case.store(&append);
    case.attempt(append, Outcome::Acknowledged(Appended { last: appended.first, ..appended }));
    case.rejected_for(Property::AcknowledgedIsStored);
}

#[test]
fn half_of_an_unknown_append_is_rejected() {
    let mut case = honest();
    let append = events(2);
    case.store(&Append::events([append.parts()[0].events()[0].clone()]));
    case.attempt(append, Outcome::Unknown);
    case.rejected_for(Property::UnknownIsWholeOrAbsent);
}

#[test]
fn the_second_half_of_an_unknown_append_is_rejected() {
    let mut case = honest();
    let append = events(2);
    case.store(&Append::events([append.parts()[0].events()[1].clone()]));
    case.attempt(append, Outcome::Unknown);
    case.rejected_for(Property::UnknownIsWholeOrAbsent);
}

#[test]
fn one_stream_of_an_unknown_append_to_two_is_rejected() {
    let mut case = honest();
    let append = to(&stream(), ExpectedVersion::Any, 1).and_stream(stream(), ExpectedVersion::Any, [event()]);
    let part = append.parts()[1].clone();
    let second = part.stream().unwrap().clone();
    case.store(&Append::to_stream(second, ExpectedVersion::Any, part.events().to_vec()));
    case.attempt(append, Outcome::Unknown);
    case.rejected_for(Property::UnknownIsWholeOrAbsent);
}

#[test]
fn a_replay_of_what_nobody_stored_is_rejected() {
    let mut case = Case::default();
    let append = events(1);
    let appended = case.store(&append);
    case.attempt(append, Outcome::Acknowledged(Appended { replayed: true, ..appended }));
    case.rejected_for(Property::ReplayIsTrue);
}

#[test]
fn a_replay_at_another_place_is_rejected() {
    let mut case = Case::default();
    let append = events(1);
    let appended = case.acknowledge(append.clone());
    let other = case.acknowledge(events(1));
    case.attempt(
        append,
        Outcome::Acknowledged(Appended { first: other.first, last: other.last, replayed: true, ..appended }),
    );
    case.rejected_for(Property::ReplayIsTrue);
}

#[test]
fn a_condition_that_an_event_between_breaks_is_rejected() {
    let mut case = Case::default();
    let seen = case.acknowledge(events(1)).last;
    case.acknowledge(events(1));
    case.acknowledge(events(1).fail_if(room()).after(seen));
    case.rejected_for(Property::ConditionHeld);
}

#[test]
fn a_condition_of_an_unknown_append_that_was_stored_is_judged_too() {
    let mut case = Case::default();
    case.acknowledge(events(1));
    let append = events(1).fail_if(room());
    case.store(&append);
    case.attempt(append, Outcome::Unknown);
    case.rejected_for(Property::ConditionHeld);
}

#[test]
fn an_expected_version_that_was_not_there_is_rejected() {
    let mut case = Case::default();
    let order = stream();
    case.acknowledge(to(&order, ExpectedVersion::NoStream, 1));
    case.acknowledge(to(&order, ExpectedVersion::NoStream, 1));
    case.rejected_for(Property::ExpectedVersionHeld);
}

#[test]
fn a_stream_that_should_exist_and_did_not_is_rejected() {
    let mut case = Case::default();
    case.acknowledge(to(&stream(), ExpectedVersion::StreamExists, 1));
    case.rejected_for(Property::ExpectedVersionHeld);
}
