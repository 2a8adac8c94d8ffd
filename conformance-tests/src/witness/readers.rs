use eventsource_core::{EventId, Position};

use super::ledger::Ledger;
use super::log::Log;
use super::{History, Look, Property, Reader, Verdict};

/// Whether every reader saw what the log shows, all of it and nothing twice.
pub(super) fn judge(log: &Log<'_>, ledger: &Ledger, history: &History, verdict: &mut Verdict) {
    for reader in &history.readers {
        judge_reader(log, reader, verdict);
    }
    let looks = history.readers.iter().flat_map(|reader| &reader.looks).map(|look| look.head);
    for head in looks.chain(history.heads.iter().map(|seen| seen.head)) {
        judge_head(log, ledger, head, verdict);
    }
}

fn judge_reader(log: &Log<'_>, reader: &Reader, verdict: &mut Verdict) {
    let name = &reader.name;
    let mut cursor = reader.looks.first().map_or(Position::START, |look| look.after);
    for look in &reader.looks {
        if look.after != cursor {
            let after = look.after;
            verdict.add(
                Property::ReadersMissNothing,
                format!("{name} stood at {cursor} and read on from {after}"),
            );
        }
        judge_look(log, reader, look, verdict);
        cursor = look.scanned_to;
    }
    if reader.finished {
        let unseen = log.first_match(&reader.filter, cursor);
        if let Some(unseen) = unseen {
            let position = unseen.position();
            verdict.add(
                Property::ReadersMissNothing,
                format!("{name} read to the end, {cursor}, and never saw position {position}"),
            );
        }
    }
}

fn judge_look(log: &Log<'_>, reader: &Reader, look: &Look, verdict: &mut Verdict) {
    let (name, after, scanned_to) = (&reader.name, look.after, look.scanned_to);
    let mut complain = |text: String| {
        verdict.add(
            Property::ReadersMissNothing,
            format!("{name}, who read from {after} to {scanned_to}, {text}"),
        );
    };
    if scanned_to < after {
        complain("went back".to_owned());
    }
    let there: Vec<(Position, EventId)> = log
        .range(after, scanned_to)
        .iter()
        .filter(|event| reader.filter.matches(event))
        .map(|event| (event.position(), event.id()))
        .collect();
    if there == look.events {
        return;
    }
    if let Some((position, _)) = there.iter().find(|event| !look.events.contains(event)) {
        complain(format!("never saw the event at position {position}"));
    } else if let Some((position, id)) = look.events.iter().find(|event| !there.contains(event)) {
        complain(format!("saw event {id} at position {position}, which the log does not have there"));
    } else {
        complain("saw the events in another order, or one of them twice".to_owned());
    }
}

fn judge_head(log: &Log<'_>, ledger: &Ledger, head: Position, verdict: &mut Verdict) {
    if head == Position::START {
        return;
    }
    match log.index_of(head) {
        None => {
            verdict.add(Property::HeadIsAnEvent, format!("the head was {head}, where the log has no event"))
        }
        Some(index) if !ledger.ends_append(index) => {
            verdict.add(Property::HeadIsAnEvent, format!("the head was {head}, in the middle of an append"));
        }
        Some(_) => {}
    }
}
