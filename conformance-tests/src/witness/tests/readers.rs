//! What readers saw, and when.

use chrono::{DateTime, Utc};
use eventsource_core::{Conflict, ExpectedVersion, Filter, RecordedEvent, Version};

use super::super::{HeadSeen, Outcome, Property, Span};
use super::{Case, at, event, events, honest, stream, to};

#[test]
fn a_reader_that_missed_an_event_is_rejected() {
    let mut case = honest();
    case.history.readers[0].looks[1].events.remove(0);
    case.rejected_for(Property::ReadersMissNothing);
}

#[test]
fn an_event_that_came_up_below_a_cursor_is_rejected() {
    let mut case = Case::default();
    case.acknowledge(events(4));
    case.reader();
    // A late commit: at a position that the reader has passed.
    let late = events(1);
    let position = at(case.log[1].position().to_raw() + 1);
    let recorded = late.parts()[0].events()[0].clone();
    case.log.insert(2, RecordedEvent::new(recorded, position, None, DateTime::<Utc>::UNIX_EPOCH));
    case.attempt(late, Outcome::Unknown);
    case.rejected_for(Property::ReadersMissNothing);
}

#[test]
fn a_reader_that_saw_an_event_twice_is_rejected() {
    let mut case = honest();
    let looks = &mut case.history.readers[0].looks;
    let twice = looks[0].events[1];
    looks[0].events.push(twice);
    case.rejected_for(Property::ReadersMissNothing);
}

#[test]
fn a_reader_that_saw_the_wrong_order_is_rejected() {
    let mut case = honest();
    case.history.readers[0].looks[0].events.swap(0, 1);
    case.rejected_for(Property::ReadersMissNothing);
}

#[test]
fn a_reader_that_saw_what_is_gone_is_rejected() {
    let mut case = honest();
    let phantom = (at(2), event().event_id());
    case.history.readers[0].looks[0].events.insert(1, phantom);
    case.rejected_for(Property::ReadersMissNothing);
}

#[test]
fn a_reader_that_jumped_is_rejected() {
    let mut case = honest();
    case.history.readers[0].looks.remove(1);
    case.rejected_for(Property::ReadersMissNothing);
}

#[test]
fn a_reader_that_stopped_early_is_rejected() {
    let mut case = honest();
    case.history.readers[0].looks.pop();
    case.rejected_for(Property::ReadersMissNothing);
}

#[test]
fn a_filtered_reader_that_was_shown_too_much_is_rejected() {
    let mut case = honest();
    case.history.readers[0].filter = Filter::tagged("room", 2).unwrap();
    case.rejected_for(Property::ReadersMissNothing);
}

#[test]
fn a_head_where_no_event_is_is_rejected() {
    let mut case = honest();
    let head = case.next_position();
    let span = case.span();
    case.history.heads.push(HeadSeen { head, span });
    case.rejected_for(Property::HeadIsAnEvent);
}

#[test]
fn a_head_in_the_middle_of_an_append_is_rejected() {
    let mut case = Case::default();
    let appended = case.acknowledge(events(3));
    let (head, span) = (appended.first, Span { began: 0, ended: 9 });
    case.history.heads.push(HeadSeen { head, span });
    case.rejected_for(Property::HeadIsAnEvent);
}

#[test]
fn a_head_that_went_back_is_rejected() {
    let mut case = honest();
    let head = case.log[4].position();
    let span = case.span();
    case.history.heads.push(HeadSeen { head, span });
    case.rejected_for(Property::TimeIsKept);
}

#[test]
fn an_acknowledged_append_that_is_not_visible_is_rejected() {
    let mut case = Case::default();
    let before = case.acknowledge(events(1)).last;
    case.acknowledge(events(1));
    let span = case.span();
    case.history.heads.push(HeadSeen { head: before, span });
    case.rejected_for(Property::TimeIsKept);
}

#[test]
fn an_append_below_a_head_that_was_seen_is_rejected() {
    let mut case = Case::default();
    case.acknowledge(events(1));
    case.acknowledge(events(1));
    // The second was over before the first began.
    let spans = [case.history.attempts[1].span, case.history.attempts[0].span];
    for (attempt, span) in case.history.attempts.iter_mut().zip(spans) {
        attempt.span = span;
    }
    case.rejected_for(Property::TimeIsKept);
}

#[test]
fn a_refusal_for_a_version_long_gone_is_rejected() {
    let mut case = Case::default();
    let (stream, expected) = (stream(), ExpectedVersion::NoStream);
    case.acknowledge(to(&stream, expected, 1));
    case.acknowledge(to(&stream, ExpectedVersion::Any, 1));
    let conflict = Conflict::StreamVersion { stream: stream.clone(), expected, actual: Some(Version::FIRST) };
    case.attempt(to(&stream, expected, 1), Outcome::Refused(conflict));
    case.rejected_for(Property::TimeIsKept);
}
