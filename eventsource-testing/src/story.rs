use std::fmt::{Debug, Write as _};

use eventsource_core::{DomainEvent, NewEvent, RecordedEvent, WithCauses};
use similar::{ChangeTag, TextDiff};

/// What a test has told so far, for the message of its failure.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    given: Vec<String>,
    when: String,
}

impl Story {
    pub(crate) fn new(given: &[RecordedEvent], when: String) -> Self {
        let given = given.iter().map(|event| format!("{} {}", event.event_type(), event.payload().as_json()));
        Self { given: given.collect(), when }
    }

    /// Fails the test: the story with `headline` above and `then` below.
    #[track_caller]
    pub(crate) fn fail(&self, headline: &str, then: &str) -> ! {
        let mut given = String::new();
        for (number, event) in (1..).zip(&self.given) {
            let _ = writeln!(given, "  {number}. {event}");
        }
        if given.is_empty() {
            given.push_str("  nothing\n");
        }
        let when = indented(&self.when);
        panic!("{headline}\n\ngiven\n{given}when\n{when}{then}")
    }
}

/// Events as a store would be given them.
#[track_caller]
pub(crate) fn encoded<E: DomainEvent>(events: &[E]) -> Vec<NewEvent> {
    let encode = |event: &E| event.encode();
    match events.iter().map(encode).collect() {
        Ok(events) => events,
        Err(error) => panic!("an event can't be stored: {}", WithCauses(&error)),
    }
}

/// Whether they say the same; ids and times apart.
pub(crate) fn say_the_same(some: &[NewEvent], others: &[NewEvent]) -> bool {
    some.len() == others.len()
        && some.iter().zip(others).all(|(one, other)| {
            one.event_type() == other.event_type()
                && one.payload_schema_version() == other.payload_schema_version()
                && one.all_tags() == other.all_tags()
                && one.payload() == other.payload()
        })
}

/// Whether two answers to one question are the same.
#[track_caller]
pub(crate) fn is_same<E: DomainEvent, R: Debug>(one: &Result<Vec<E>, R>, other: &Result<Vec<E>, R>) -> bool {
    match (one, other) {
        (Ok(events), Ok(others)) => say_the_same(&encoded(events), &encoded(others)),
        (Err(rejection), Err(other)) => format!("{rejection:?}") == format!("{other:?}"),
        _ => false,
    }
}

/// The lines in which two lists of events differ, among those in which they don't.
pub(crate) fn diff(expected: &[NewEvent], found: &[NewEvent]) -> String {
    diff_of_lines(&in_lines(expected), &in_lines(found))
}

/// The lines in which two texts differ, among those in which they don't.
pub(crate) fn diff_of_lines(expected: &str, found: &str) -> String {
    let mut text = String::new();
    for change in TextDiff::from_lines(expected, found).iter_all_changes() {
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => ' ',
        };
        let _ = write!(text, "{sign} {change}");
    }
    text
}

/// Each event in a line of its own.
pub(crate) fn list(events: &[NewEvent]) -> String {
    events.iter().fold(String::new(), |mut text, event| {
        let _ = writeln!(text, "  {}", in_a_line(event));
        text
    })
}

pub(crate) fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |mut indented, line| {
        let _ = writeln!(indented, "  {line}");
        indented
    })
}

fn in_a_line(event: &NewEvent) -> String {
    format!("{} {}", head(event), event.payload().as_json())
}

/// A line for each thing that can differ.
fn in_lines(events: &[NewEvent]) -> String {
    events.iter().fold(String::new(), |mut text, event| {
        let json = event.payload().as_json();
        let value = serde_json::from_str::<serde_json::Value>(json);
        let pretty = value.and_then(|value| serde_json::to_string_pretty(&value));
        let _ = write!(text, "{}\n{}", head(event), indented(&pretty.unwrap_or_else(|_| json.to_owned())));
        text
    })
}

fn head(event: &NewEvent) -> String {
    let mut head = event.event_type().to_string();
    if event.payload_schema_version() != 1 {
        let _ = write!(head, " (version {})", event.payload_schema_version());
    }
    for tag in event.all_tags() {
        let _ = write!(head, " [{}]", tag.as_str());
    }
    head
}
