//! Histories that are in order, which the witness must accept, and forged ones, one for each way to break a promise,
//! which it must reject for that very reason.

mod appends;
mod consumption;
mod log;
mod publication;
mod readers;
mod refusals;

use chrono::{DateTime, Utc};
use eventsource_core::{
    Append, Appended, Conflict, Error, ExpectedVersion, Filter, NewEvent, Position, RecordedEvent, StreamId,
    Version,
};
use uuid::Uuid;

use super::note::{self, Note};
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
fn a_journal_tells_the_history_up_to_where_it_was_cut() {
    let case = honest();
    let mut output = b"running 1 test\ntest some::case ... ".to_vec();
    for attempt in &case.history.attempts {
        let (name, append) = (attempt.name.clone(), attempt.append.clone());
        note::write(&Note::Began { name, append, tick: attempt.span.began }, &mut output).unwrap();
    }
    for (number, attempt) in case.history.attempts.iter().enumerate() {
        let ended =
            Note::Ended { attempt: number, outcome: attempt.outcome.clone(), tick: attempt.span.ended };
        note::write(&ended, &mut output).unwrap();
    }
    let told = History::from_journal(&output).unwrap();
    assert_eq!(told.attempts.len(), case.history.attempts.len());
    for (told, kept) in told.attempts.iter().zip(&case.history.attempts) {
        assert_eq!((&told.append, &told.outcome, told.span), (&kept.append, &kept.outcome, kept.span));
    }
    // The last line was under way when the process was killed.
    output.truncate(output.len() - 3);
    let told = History::from_journal(&output).unwrap();
    assert_eq!(told.attempts.last().unwrap().outcome, Outcome::Unknown);
}

#[test]
fn an_append_that_failed_is_written_only_if_nobody_knows() {
    let of = |error: Error| Outcome::of(&Err(error));
    assert_eq!(of(Error::outcome_unknown("the answer was lost")), Outcome::Unknown);
    for error in [
        Error::backend("refused"),
        Error::corrupt("a row is none"),
        Error::invalid_input("it is empty"),
        Error::unavailable("nobody is there"),
        Error::unsupported(eventsource_core::Capability::Inline),
    ] {
        assert_eq!(of(error), Outcome::NotWritten);
    }
}
