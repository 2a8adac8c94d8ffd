use eventsource_core::{
    AppendPart, Conflict, EventId, EventType, ExpectedVersion, Position, StreamId, Version,
};

use super::ledger::Ledger;
use super::log::Log;
use super::{Attempt, Outcome, Property, Verdict};

/// Whether everything that was refused was refused for a reason that the log shows.
pub(super) fn judge(log: &Log<'_>, ledger: &Ledger, attempts: &[&Attempt], verdict: &mut Verdict) {
    for attempt in attempts {
        if let Outcome::Refused(conflict) = &attempt.outcome
            && let Some(why_not) = unexplained(log, ledger, attempt, conflict)
        {
            let name = &attempt.name;
            verdict.add(
                Property::RefusalIsTrue,
                format!("{name} was refused because {conflict}; but {why_not}"),
            );
        }
    }
}

fn unexplained(log: &Log<'_>, ledger: &Ledger, attempt: &Attempt, conflict: &Conflict) -> Option<String> {
    match conflict {
        Conflict::StreamVersion { stream, expected, actual } => {
            version_unexplained(log, ledger, attempt, (stream, *expected, *actual))
        }
        Conflict::Condition { position, event_type } => {
            condition_unexplained(log, attempt, *position, event_type)
        }
        Conflict::DuplicateEvent { event_id, position } => {
            duplicate_unexplained(log, attempt, *event_id, *position)
        }
        other => Some(format!("the witness does not know what {other:?} is")),
    }
}

fn version_unexplained(
    log: &Log<'_>,
    ledger: &Ledger,
    attempt: &Attempt,
    (stream, expected, actual): (&StreamId, ExpectedVersion, Option<Version>),
) -> Option<String> {
    let asked = |part: &AppendPart| part.stream() == Some(stream) && part.expected() == expected;
    if !attempt.append.parts().iter().any(asked) {
        return Some("the append does not expect that".to_owned());
    }
    if expected.is_met_by(actual) {
        return Some("that is as expected".to_owned());
    }
    let version = actual?;
    match log.version(stream, version) {
        None => Some(format!("the stream never had version {version}")),
        Some(index) if !ends_in_stream(log, ledger, index) => {
            Some(format!("the stream never stood at version {version}: it lies within an append"))
        }
        Some(_) => None,
    }
}

/// Whether no later event of the same append lies in the same stream.
fn ends_in_stream(log: &Log<'_>, ledger: &Ledger, index: usize) -> bool {
    ledger.ends_append(index)
        || log.events.get(index + 1).is_none_or(|next| next.stream() != log.events[index].stream())
}

fn condition_unexplained(
    log: &Log<'_>,
    attempt: &Attempt,
    position: Position,
    event_type: &EventType,
) -> Option<String> {
    // The log only grows at its end, so the first match of today was the first match of then.
    let mut firsts = attempt
        .append
        .conditions()
        .iter()
        .map(|condition| log.first_match(condition.filter(), condition.after_position()))
        .map(|found| found.map(|event| (event.position(), event.event_type())));
    if firsts.clone().any(|found| found == Some((position, event_type))) {
        return None;
    }
    let first = firsts.find_map(|found| found);
    Some(first.map_or_else(
        || "no event of the log matches".to_owned(),
        |(position, event_type)| format!("the first that matches is {event_type} at position {position}"),
    ))
}

fn duplicate_unexplained(
    log: &Log<'_>,
    attempt: &Attempt,
    event_id: EventId,
    position: Position,
) -> Option<String> {
    if !attempt.append.each_event().any(|(_, event)| event.event_id() == event_id) {
        return Some("the append has no such event".to_owned());
    }
    let found = log.find(event_id).map(|index| log.events[index].position());
    (found != Some(position)).then(|| {
        found.map_or_else(|| "the log has no such event".to_owned(), |found| format!("it lies at {found}"))
    })
}
