//! What the log must be like.

use chrono::{DateTime, Utc};
use eventsource_core::{Conflict, ExpectedVersion, RecordedEvent, Version};

use super::super::{Outcome, Property};
use super::{Case, event, events, honest, room, stream, to};

#[test]
fn positions_that_do_not_rise_are_rejected() {
    let mut case = honest();
    case.log.swap(3, 4);
    case.rejected_for(Property::PositionsRise);
}

#[test]
fn a_position_that_was_used_twice_is_rejected() {
    let mut case = honest();
    let (position, id) = (case.log[6].position(), case.log[7].id());
    case.log[7] = RecordedEvent::new(event().id(id), position, None, DateTime::<Utc>::UNIX_EPOCH);
    case.rejected_for(Property::PositionsRise);
}

#[test]
fn an_event_that_lies_there_twice_is_rejected() {
    let mut case = Case::default();
    let append = events(1);
    case.acknowledge(append.clone());
    case.acknowledge(append);
    case.rejected_for(Property::EventsAreUnique);
}

#[test]
fn a_version_left_out_is_rejected() {
    let mut case = Case::default();
    let order = stream();
    case.acknowledge(to(&order, ExpectedVersion::Any, 1));
    let position = case.next_position();
    let append = to(&order, ExpectedVersion::Any, 1);
    let (_, appended) = append.each_event().next().unwrap();
    let version = Version::new(3).unwrap();
    let stream = Some((order, version));
    case.log.push(RecordedEvent::new(appended.clone(), position, stream, DateTime::<Utc>::UNIX_EPOCH));
    case.attempt(append, Outcome::Unknown);
    case.rejected_for(Property::VersionsCount);
}

#[test]
fn a_refused_append_in_the_log_is_rejected() {
    let mut case = honest();
    let append = events(1).fail_if(room());
    case.store(&append);
    let (position, event_type) = (case.log[0].position(), event().event_type().clone());
    case.attempt(append, Outcome::Refused(Conflict::Condition { position, event_type }));
    case.rejected_for(Property::NothingElseIsStored);
}

#[test]
fn a_rolled_back_append_in_the_log_is_rejected() {
    let mut case = honest();
    let append = events(1);
    case.store(&append);
    case.attempt(append, Outcome::NotWritten);
    case.rejected_for(Property::NothingElseIsStored);
}

#[test]
fn an_event_that_nobody_appended_is_rejected() {
    let mut case = honest();
    case.store(&events(1));
    case.rejected_for(Property::NothingElseIsStored);
}
