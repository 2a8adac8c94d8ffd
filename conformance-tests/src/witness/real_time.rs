use std::collections::HashMap;

use eventsource_core::{Conflict, Position, StreamId, Version};

use super::{Attempt, History, Outcome, Property, Span, Verdict};

/// Whether what was over before something else began comes before it.
pub(super) fn judge(history: &History, verdict: &mut Verdict) {
    let known = Known::of(history);
    for reader in &history.readers {
        for look in &reader.looks {
            judge_head(&known, &reader.name, look.head, look.span, verdict);
        }
    }
    for seen in &history.heads {
        judge_head(&known, "somebody", seen.head, seen.span, verdict);
    }
    for attempt in &history.attempts {
        judge_attempt(&known, attempt, verdict);
    }
}

fn judge_head(known: &Known<'_>, who: &str, head: Position, span: Span, verdict: &mut Verdict) {
    let before = known.head_before(span.began);
    if head < before {
        verdict.add(
            Property::TimeIsKept,
            format!("{who} was told the head {head} when {before} had been there already"),
        );
    }
}

fn judge_attempt(known: &Known<'_>, attempt: &Attempt, verdict: &mut Verdict) {
    let (name, began) = (&attempt.name, attempt.span.began);
    match &attempt.outcome {
        Outcome::Acknowledged(appended) if !appended.replayed => {
            let before = known.head_before(began);
            if appended.first <= before {
                let first = appended.first;
                verdict.add(
                    Property::TimeIsKept,
                    format!("{name} began when the head was {before}, and was written at {first}"),
                );
            }
        }
        Outcome::Refused(Conflict::StreamVersion { stream, actual, .. }) => {
            let before = known.version_before(stream, began);
            if *actual < before {
                verdict.add(
                    Property::TimeIsKept,
                    format!(
                        "{name} was told a version of {stream} that it had left behind before {name} began"
                    ),
                );
            }
        }
        _ => {}
    }
}

/// What was known when: each list by the tick of the answer, with the most that had been told by then.
struct Known<'a> {
    heads: Vec<(u64, Position)>,
    versions: HashMap<&'a StreamId, Vec<(u64, Version)>>,
}

impl<'a> Known<'a> {
    fn of(history: &'a History) -> Self {
        let mut heads: Vec<(u64, Position)> =
            history.heads.iter().map(|seen| (seen.span.ended, seen.head)).collect();
        let looks = history.readers.iter().flat_map(|reader| &reader.looks);
        heads.extend(looks.map(|look| (look.span.ended, look.head)));
        let mut versions: HashMap<&StreamId, Vec<(u64, Version)>> = HashMap::new();
        for attempt in &history.attempts {
            if let Outcome::Acknowledged(appended) = &attempt.outcome {
                heads.push((attempt.span.ended, appended.last));
                for (stream, version) in &appended.versions {
                    versions.entry(stream).or_default().push((attempt.span.ended, *version));
                }
            }
        }
        rising(&mut heads);
        versions.values_mut().for_each(|told| rising(told));
        Self { heads, versions }
    }

    fn head_before(&self, tick: u64) -> Position {
        most_before(&self.heads, tick).unwrap_or(Position::START)
    }

    fn version_before(&self, stream: &StreamId, tick: u64) -> Option<Version> {
        most_before(self.versions.get(stream)?, tick)
    }
}

fn rising<T: Copy + Ord>(told: &mut [(u64, T)]) {
    told.sort_unstable();
    for index in 1..told.len() {
        told[index].1 = told[index].1.max(told[index - 1].1);
    }
}

fn most_before<T: Copy>(told: &[(u64, T)], tick: u64) -> Option<T> {
    let count = told.partition_point(|(ended, _)| *ended < tick);
    count.checked_sub(1).map(|last| told[last].1)
}
