//! Histories that are in order, which the witness must accept, and forged ones, one for each way to break a promise,
//! which it must reject for that very reason.

use chrono::{DateTime, Utc};
use eventsource_core::{
    Append, Appended, Conflict, ExpectedVersion, Filter, NewEvent, Position, RecordedEvent, StreamId, Version,
};
use uuid::Uuid;

use super::{Attempt, HeadSeen, History, Look, Outcome, Property, Reader, Span, Summary, Verdict, Witness};

/// A log and a history that fit together, to be forged.
#[derive(Default)]
struct Case {
    log: Vec<RecordedEvent>,
    history: History,
    ticks: u64,
}

impl Case {
    fn judge(&self) -> Result<Summary, Verdict> {
        Witness::of(&self.log).judge(std::slice::from_ref(&self.history))
    }

    #[track_caller]
    fn accepted(&self) -> Summary {
        self.judge().unwrap()
    }

    #[track_caller]
    fn rejected_for(&self, property: Property) {
        let verdict = self.judge().expect_err("a forged history was accepted");
        assert!(verdict.breaks(property), "rejected, but not for {property:?}: {verdict}");
    }

    /// Stores an append honestly and acknowledges it.
    fn acknowledge(&mut self, append: Append) -> Appended {
        let appended = self.store(&append);
        self.attempt(append, Outcome::Acknowledged(appended.clone()));
        appended
    }

    /// Stores an append without a word.
    fn store(&mut self, append: &Append) -> Appended {
        let first = self.next_position();
        let mut versions: Vec<(StreamId, Version)> = Vec::new();
        for (stream, event) in append.each_event() {
            let stream = stream.map(|stream| (stream.clone(), Version::after(self.version(stream), 1)));
            if let Some((stream, version)) = &stream {
                match versions.iter_mut().find(|(each, _)| each == stream) {
                    Some((_, last)) => *last = *version,
                    None => versions.push((stream.clone(), *version)),
                }
            }
            let position = self.next_position();
            self.log.push(RecordedEvent::new(event.clone(), position, stream, DateTime::<Utc>::UNIX_EPOCH));
        }
        let last = self.log.last().unwrap().position();
        Appended { first, last, versions, replayed: false }
    }

    fn attempt(&mut self, append: Append, outcome: Outcome) {
        let span = self.span();
        let name = format!("append {}", self.history.attempts.len());
        self.history.attempts.push(Attempt { name, append, outcome, span });
    }

    /// A reader that read everything there is, in pages of two.
    fn reader(&mut self) -> &mut Reader {
        let head = self.log.last().map_or(Position::START, RecordedEvent::position);
        let (mut after, mut looks) = (Position::START, Vec::new());
        for page in self.log.chunks(2) {
            let events: Vec<_> = page.iter().map(|event| (event.position(), event.id())).collect();
            let scanned_to = events.last().unwrap().0;
            looks.push(Look { after, events, scanned_to, head, span: Span { began: 0, ended: 0 } });
            after = scanned_to;
        }
        for look in &mut looks {
            look.span = self.span();
        }
        let name = "reader".to_owned();
        self.history.readers.push(Reader { name, filter: Filter::all(), looks, finished: true });
        self.history.readers.last_mut().unwrap()
    }

    fn version(&self, stream: &StreamId) -> Option<Version> {
        self.log.iter().rev().find(|event| event.stream() == Some(stream)).and_then(RecordedEvent::version)
    }

    /// Every other number, as where transactions were rolled back.
    fn next_position(&self) -> Position {
        at(self.log.last().map_or(1, |last| last.position().to_raw() + 2))
    }

    fn span(&mut self) -> Span {
        self.ticks += 2;
        Span { began: self.ticks - 1, ended: self.ticks }
    }
}

fn at(raw: u64) -> Position {
    Position::from_raw(raw)
}

fn event() -> NewEvent {
    NewEvent::new("Happened", &7).unwrap().tag("room", 1).unwrap()
}

fn events(count: usize) -> Append {
    Append::events((0..count).map(|_| event()))
}

fn stream() -> StreamId {
    StreamId::new("Order", Uuid::now_v7()).unwrap()
}

fn to(stream: &StreamId, expected: ExpectedVersion, count: usize) -> Append {
    Append::to_stream(stream.clone(), expected, (0..count).map(|_| event()))
}

fn room() -> Filter {
    Filter::tagged("room", 1).unwrap()
}

/// Something of everything, in order.
fn honest() -> Case {
    let mut case = Case::default();
    let (order, invoice) = (stream(), stream());
    case.acknowledge(to(&order, ExpectedVersion::NoStream, 2));
    let second = to(&order, ExpectedVersion::StreamExists, 1).and_stream(
        invoice.clone(),
        ExpectedVersion::Any,
        [event(), event()],
    );
    let appended = case.acknowledge(second.clone());
    case.acknowledge(events(1).fail_if(room()).after(appended.last));
    case.attempt(second, Outcome::Acknowledged(Appended { replayed: true, ..appended.clone() }));
    let stored_unknown = events(2);
    case.store(&stored_unknown);
    case.attempt(stored_unknown.clone(), Outcome::Unknown);
    case.attempt(events(2), Outcome::Unknown);
    case.attempt(events(1), Outcome::NotWritten);
    let actual = Some(Version::new(3).unwrap());
    let expected = ExpectedVersion::NoStream;
    case.attempt(
        to(&order, expected, 1),
        Outcome::Refused(Conflict::StreamVersion { stream: order, expected, actual }),
    );
    let matched = Conflict::Condition { position: appended.first, event_type: event().event_type().clone() };
    case.attempt(events(1).fail_if(room()).after(case.log[1].position()), Outcome::Refused(matched));
    let taken = case.log[0].id();
    let duplicate = Conflict::DuplicateEvent { event_id: taken, position: case.log[0].position() };
    case.attempt(Append::events([event(), event().id(taken)]), Outcome::Refused(duplicate));
    let head = case.log.last().unwrap().position();
    let span = case.span();
    case.history.heads.push(HeadSeen { head, span });
    case.reader();
    case
}

#[test]
fn an_honest_history_is_accepted() {
    let summary = honest().accepted();
    let expected = Summary {
        events: 8,
        acknowledged: 3,
        replayed: 1,
        refused: 3,
        not_written: 1,
        unknown_stored: 1,
        unknown_absent: 1,
        looks: 4,
    };
    assert_eq!(summary, expected);
}

#[test]
fn events_from_before_the_history_are_taken_for_granted() {
    let mut case = Case::default();
    case.store(&events(3));
    let since = case.log[2].position();
    case.acknowledge(events(2));
    Witness::of(&case.log).since(since).judge(std::slice::from_ref(&case.history)).unwrap();
    case.rejected_for(Property::NothingElseIsStored);
}

#[test]
fn a_retry_that_found_the_first_attempt_stored_is_accepted() {
    let mut case = Case::default();
    let append = events(2);
    let appended = case.store(&append);
    case.attempt(append.clone(), Outcome::Unknown);
    case.attempt(append, Outcome::Acknowledged(Appended { replayed: true, ..appended }));
    assert_eq!(case.accepted().unknown_stored, 1);
}

#[test]
fn a_retry_that_was_written_in_place_of_the_first_attempt_is_accepted() {
    let mut case = Case::default();
    let append = events(2);
    case.attempt(append.clone(), Outcome::Unknown);
    case.acknowledge(append);
    assert_eq!(case.accepted().unknown_absent, 1);
}

#[test]
fn several_processes_are_judged_together() {
    let mut case = honest();
    let mut other = Case { log: std::mem::take(&mut case.log), ..Case::default() };
    other.acknowledge(events(1));
    other.reader();
    // The first process's readers were finished before that.
    case.history.readers.clear();
    Witness::of(&other.log).judge(&[case.history, other.history]).unwrap();
}

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
fn a_position_that_two_were_told_is_rejected() {
    let mut case = Case::default();
    let appended = case.acknowledge(events(1));
    let same = case.history.attempts[0].append.clone();
    case.attempt(same, Outcome::Acknowledged(appended));
    case.rejected_for(Property::AcknowledgedIsStored);
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
