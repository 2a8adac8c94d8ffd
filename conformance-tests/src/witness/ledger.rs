use std::collections::BTreeMap;

use eventsource_core::{Append, Position};

use super::log::Log;
use super::{Attempt, Outcome, Property, Verdict};

/// Which append each event of the log comes from.
pub(super) struct Ledger {
    /// By event: the number of the attempt that wrote it.
    owners: Vec<Option<usize>>,
    /// The attempts that were written, by number: the index of the first event.
    pub(super) written: BTreeMap<usize, usize>,
    since: Position,
}

impl Ledger {
    pub(super) fn of(log: &Log<'_>, attempts: &[&Attempt], since: Position, verdict: &mut Verdict) -> Self {
        let mut ledger = Self { owners: vec![None; log.events.len()], written: BTreeMap::new(), since };
        // What was acknowledged first, then what may have been: an id that several attempts share belongs to the one
        // that was told so.
        for (number, attempt) in attempts.iter().enumerate() {
            if let Outcome::Acknowledged(appended) = &attempt.outcome
                && !appended.replayed
            {
                ledger.claim_acknowledged(log, number, attempt, appended.first, verdict);
            }
        }
        for (number, attempt) in attempts.iter().enumerate() {
            if attempt.outcome == Outcome::Unknown {
                ledger.claim_unknown(log, number, attempt, verdict);
            }
        }
        ledger.judge_rest(log, attempts, verdict);
        ledger
    }

    /// Whether this attempt wrote something.
    pub(super) fn is_stored(&self, attempt: usize) -> bool {
        self.written.contains_key(&attempt)
    }

    /// Whether somebody is known to have written the event.
    pub(super) fn is_explained(&self, log: &Log<'_>, index: usize) -> bool {
        self.owners[index].is_some() || log.events[index].position() <= self.since
    }

    /// Whether an append ends with this event, as far as anybody knows.
    pub(super) fn ends_append(&self, index: usize) -> bool {
        let owner = self.owners[index];
        owner.is_none() || self.owners.get(index + 1).copied().flatten() != owner
    }

    fn claim_acknowledged(
        &mut self,
        log: &Log<'_>,
        number: usize,
        attempt: &Attempt,
        first: Position,
        verdict: &mut Verdict,
    ) {
        let name = &attempt.name;
        let Some(from) = log.index_of(first) else {
            return verdict.add(
                Property::AcknowledgedIsStored,
                format!("{name} was acknowledged at position {first}, where the log has no event"),
            );
        };
        match differs(log, from, &attempt.append) {
            Some(what) => verdict.add(
                Property::AcknowledgedIsStored,
                format!("{name} was acknowledged from position {first} on, and {what}"),
            ),
            None => self.claim(log, number, from, attempt, verdict),
        }
    }

    fn claim_unknown(&mut self, log: &Log<'_>, number: usize, attempt: &Attempt, verdict: &mut Verdict) {
        let unclaimed = |index: &usize| !self.is_explained(log, *index);
        let Some(from) = attempt
            .append
            .each_event()
            .filter_map(|(_, event)| log.find(event.event_id()))
            .filter(unclaimed)
            .min()
        else {
            return;
        };
        match differs(log, from, &attempt.append) {
            Some(what) => {
                // Claimed nevertheless, so that one fault is told once.
                for (_, event) in attempt.append.each_event() {
                    if let Some(index) = log.find(event.event_id()) {
                        self.owners[index] = self.owners[index].or(Some(number));
                    }
                }
                let (name, position) = (&attempt.name, log.events[from].position());
                verdict.add(
                    Property::UnknownIsWholeOrAbsent,
                    format!("{name}, of unknown outcome, begins at position {position}, and {what}"),
                );
            }
            None => self.claim(log, number, from, attempt, verdict),
        }
    }

    fn claim(&mut self, log: &Log<'_>, number: usize, from: usize, attempt: &Attempt, verdict: &mut Verdict) {
        for index in from..from + attempt.append.event_count() {
            if self.owners[index].is_some() {
                let (name, position) = (&attempt.name, log.events[index].position());
                return verdict.add(
                    Property::AcknowledgedIsStored,
                    format!("position {position} was acknowledged to {name} and to another append"),
                );
            }
            self.owners[index] = Some(number);
        }
        self.written.insert(number, from);
    }

    fn judge_rest(&self, log: &Log<'_>, attempts: &[&Attempt], verdict: &mut Verdict) {
        for (index, event) in log.events.iter().enumerate() {
            if self.is_explained(log, index) {
                continue;
            }
            let asked = attempts
                .iter()
                .find(|attempt| attempt.append.each_event().any(|(_, each)| each.event_id() == event.id()));
            let who = asked.map_or_else(
                || "nobody asked for it".to_owned(),
                |attempt| {
                    format!("{}, which asked for it, was told {}", attempt.name, told(&attempt.outcome))
                },
            );
            let (event_type, position) = (event.event_type(), event.position());
            verdict.add(
                Property::NothingElseIsStored,
                format!("{event_type} lies at position {position}, and {who}"),
            );
        }
    }
}

/// How the events from this index on differ from the append, if they do.
pub(super) fn differs(log: &Log<'_>, from: usize, append: &Append) -> Option<String> {
    append.each_event().enumerate().find_map(|(offset, (stream, event))| {
        let (count, id) = (offset + 1, event.event_id());
        match log.events.get(from + offset) {
            None => Some(format!("its event {count}, {id}, is missing at the log's end")),
            Some(stored) if stored.id() != id => {
                let (position, other) = (stored.position(), stored.id());
                Some(format!("its event {count}, {id}, is not next: at position {position} lies {other}"))
            }
            Some(stored) if !stored.records(event, stream) => {
                let position = stored.position();
                Some(format!("its event {count}, {id}, lies at position {position} with other content"))
            }
            Some(_) => None,
        }
    })
}

fn told(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Acknowledged(appended) if appended.replayed => "that it had been stored before",
        Outcome::Acknowledged(_) => "another place",
        Outcome::Refused(_) => "that it conflicts",
        Outcome::NotWritten => "that nothing was written",
        Outcome::Unknown => "nothing",
    }
}
