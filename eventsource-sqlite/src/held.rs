use std::mem;
use std::time::Instant;

use rusqlite::Connection;

use crate::answer::{Answer, Wrote};
use crate::flusher::{By, Flusher};

/// What was written, and is yet to be flushed and answered.
///
/// As long as all of it takes less time than a flush, it is held, and one flush is enough for it. Otherwise two groups of
/// callers would wait for each other's flushes in turn, and each be served half as often (docs/adr/0015).
#[derive(Default)]
pub(crate) struct Held {
    since: Option<Instant>,
    wrote: Wrote,
    answers: Vec<Answer>,
}

impl Held {
    pub(crate) fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    pub(crate) fn is_one(&self) -> bool {
        self.answers.len() == 1
    }

    /// Something is written now.
    pub(crate) fn begin(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    pub(crate) fn take(&mut self, (wrote, answers): (Wrote, Vec<Answer>)) {
        self.wrote = self.wrote.max(wrote);
        self.answers.extend(answers);
    }

    /// Leaves the answers to the flusher.
    pub(crate) fn settle(&mut self, connection: &Connection, flusher: &Flusher, by: By) {
        let Self { wrote, answers, .. } = mem::take(self);
        if !answers.is_empty() {
            flusher.settle(connection, wrote, answers, by);
        }
    }

    /// Whether writing it has taken less time than a flush does.
    pub(crate) fn is_quicker_than_a_flush(&self, flusher: &Flusher) -> bool {
        self.since.is_none_or(|since| since.elapsed() < flusher.time_of_a_flush())
    }
}
