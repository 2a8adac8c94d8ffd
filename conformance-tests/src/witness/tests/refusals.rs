//! What was refused, and why.

use eventsource_core::{Append, Conflict, ExpectedVersion, Filter, Version};

use super::super::{Outcome, Property};
use super::{Case, event, events, honest, room, stream, to};

#[test]
fn a_refusal_for_a_version_that_never_was_is_rejected() {
    let mut case = honest();
    let (stream, expected) = (stream(), ExpectedVersion::NoStream);
    let conflict = Conflict::StreamVersion { stream: stream.clone(), expected, actual: Some(Version::FIRST) };
    case.attempt(to(&stream, expected, 1), Outcome::Refused(conflict));
    case.rejected_for(Property::RefusalIsTrue);
}

#[test]
fn a_refusal_for_a_version_within_an_append_is_rejected() {
    let mut case = Case::default();
    let (stream, expected) = (stream(), ExpectedVersion::NoStream);
    case.acknowledge(to(&stream, expected, 2));
    let conflict = Conflict::StreamVersion { stream: stream.clone(), expected, actual: Some(Version::FIRST) };
    case.attempt(to(&stream, expected, 1), Outcome::Refused(conflict));
    case.rejected_for(Property::RefusalIsTrue);
}

#[test]
fn a_refusal_of_any_version_is_rejected() {
    let mut case = Case::default();
    let (stream, expected) = (stream(), ExpectedVersion::Any);
    case.acknowledge(to(&stream, expected, 1));
    let conflict = Conflict::StreamVersion { stream: stream.clone(), expected, actual: Some(Version::FIRST) };
    case.attempt(to(&stream, expected, 1), Outcome::Refused(conflict));
    case.rejected_for(Property::RefusalIsTrue);
}

#[test]
fn a_refusal_for_something_not_asked_is_rejected() {
    let mut case = Case::default();
    let stream = stream();
    case.acknowledge(to(&stream, ExpectedVersion::Any, 1));
    let expected = ExpectedVersion::NoStream;
    let conflict = Conflict::StreamVersion { stream: stream.clone(), expected, actual: Some(Version::FIRST) };
    case.attempt(to(&stream, ExpectedVersion::StreamExists, 1), Outcome::Refused(conflict));
    case.rejected_for(Property::RefusalIsTrue);
}

#[test]
fn a_refusal_for_an_event_that_does_not_match_is_rejected() {
    let mut case = honest();
    let (position, event_type) = (case.log[0].position(), event().event_type().clone());
    let elsewhere = Filter::tagged("room", 2).unwrap();
    case.attempt(
        events(1).fail_if(elsewhere),
        Outcome::Refused(Conflict::Condition { position, event_type }),
    );
    case.rejected_for(Property::RefusalIsTrue);
}

#[test]
fn a_refusal_that_names_a_later_match_is_rejected() {
    let mut case = honest();
    let (position, event_type) = (case.log[1].position(), event().event_type().clone());
    case.attempt(events(1).fail_if(room()), Outcome::Refused(Conflict::Condition { position, event_type }));
    case.rejected_for(Property::RefusalIsTrue);
}

#[test]
fn a_refusal_for_an_event_that_is_overlooked_is_rejected() {
    let mut case = honest();
    let (position, event_type) = (case.log[0].position(), event().event_type().clone());
    case.attempt(
        events(1).fail_if(room()).after(position),
        Outcome::Refused(Conflict::Condition { position, event_type }),
    );
    case.rejected_for(Property::RefusalIsTrue);
}

#[test]
fn a_refusal_for_an_id_that_is_not_there_is_rejected() {
    let mut case = honest();
    let append = events(1);
    let event_id = append.parts()[0].events()[0].event_id();
    let position = case.log[0].position();
    case.attempt(append, Outcome::Refused(Conflict::DuplicateEvent { event_id, position }));
    case.rejected_for(Property::RefusalIsTrue);
}

#[test]
fn a_refusal_for_an_id_at_another_place_is_rejected() {
    let mut case = honest();
    let (event_id, position) = (case.log[0].id(), case.log[1].position());
    let append = Append::events([event().id(event_id)]);
    case.attempt(append, Outcome::Refused(Conflict::DuplicateEvent { event_id, position }));
    case.rejected_for(Property::RefusalIsTrue);
}
