use eventsource_core::{AppendPart, Appended, StreamId, Version};

use super::ledger::{Ledger, differs};
use super::log::{Log, shown};
use super::{Attempt, Outcome, Property, Verdict};

/// Whether everything that was written was allowed to be, and was told truly.
pub(super) fn judge(log: &Log<'_>, ledger: &Ledger, attempts: &[&Attempt], verdict: &mut Verdict) {
    for (number, from) in &ledger.written {
        judge_conditions(log, attempts[*number], *from, verdict);
        judge_expectations(log, attempts[*number], *from, verdict);
    }
    for attempt in attempts {
        if let Outcome::Acknowledged(appended) = &attempt.outcome {
            judge_answer(log, ledger, attempt, appended, verdict);
        }
    }
}

fn judge_conditions(log: &Log<'_>, attempt: &Attempt, from: usize, verdict: &mut Verdict) {
    let first = log.events[from].position();
    for condition in attempt.append.conditions() {
        let after = condition.after_position();
        let found = log.first_match(condition.filter(), after).filter(|found| found.position() < first);
        if let Some(found) = found {
            let (name, event_type, position) = (&attempt.name, found.event_type(), found.position());
            verdict.add(
                Property::ConditionHeld,
                format!(
                    "{name} was accepted at position {first} if nothing matched after {after}, and {event_type} \
                     at position {position} does"
                ),
            );
        }
    }
}

fn judge_expectations(log: &Log<'_>, attempt: &Attempt, from: usize, verdict: &mut Verdict) {
    for part in attempt.append.parts() {
        let Some(stream) = part.stream() else { continue };
        let (actual, expected) = (log.stream_before(stream, from), part.expected());
        if !expected.is_met_by(actual) {
            let (name, actual) = (&attempt.name, shown(actual));
            verdict.add(
                Property::ExpectedVersionHeld,
                format!("{name} was accepted though it expected {expected} of {stream}, whose version was {actual}"),
            );
        }
    }
}

fn judge_answer(
    log: &Log<'_>,
    ledger: &Ledger,
    attempt: &Attempt,
    appended: &Appended,
    verdict: &mut Verdict,
) {
    let name = &attempt.name;
    let Some(from) = log.index_of(appended.first) else {
        if appended.replayed {
            let first = appended.first;
            verdict.add(
                Property::ReplayIsTrue,
                format!("{name} was told it lies at {first}, where no event is"),
            );
        }
        return;
    };
    if let Some(what) = differs(log, from, &attempt.append) {
        if appended.replayed {
            verdict
                .add(Property::ReplayIsTrue, format!("{name} was told that it had been stored, and {what}"));
        }
        return;
    }
    let to = from + attempt.append.event_count() - 1;
    if appended.replayed && !ledger.is_explained(log, from) {
        verdict.add(
            Property::ReplayIsTrue,
            format!("{name} was told that it had been stored before, and nothing had written it"),
        );
    }
    if log.events[to].position() != appended.last {
        let (last, position) = (appended.last, log.events[to].position());
        verdict.add(
            Property::AcknowledgedIsStored,
            format!("{name} was told that its last event lies at {last}; it lies at {position}"),
        );
    }
    let versions: Vec<_> =
        attempt.append.parts().iter().filter_map(|part| version_since(log, part, to)).collect();
    if versions != appended.versions {
        let told = &appended.versions;
        verdict.add(
            Property::AcknowledgedIsStored,
            format!("{name} was told the versions {told:?}; they are {versions:?}"),
        );
    }
}

fn version_since(log: &Log<'_>, part: &AppendPart, to: usize) -> Option<(StreamId, Version)> {
    let stream = part.stream()?;
    log.stream_before(stream, to + 1).map(|version| (stream.clone(), version))
}
