use std::io::Write;

use eventsource_core::{Append, Filter};
use serde::{Deserialize, Serialize};

use super::wire;
use super::{Attempt, HeadSeen, History, Look, Outcome, Reader, Span};

/// One thing that goes into a history; as a line of JSON, it comes from another process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Note {
    Began {
        name: String,
        #[serde(with = "wire::append")]
        append: Append,
        tick: u64,
    },
    Ended {
        attempt: usize,
        #[serde(with = "wire::outcome")]
        outcome: Outcome,
        tick: u64,
    },
    Reads {
        name: String,
        #[serde(with = "wire::filter")]
        filter: Filter,
    },
    Looked {
        reader: usize,
        look: Look,
    },
    Finished {
        reader: usize,
    },
    Head(HeadSeen),
}

impl History {
    /// What a child process wrote to its [journal](super::Recorder::with_journal), up to where it was killed. What
    /// else stands in its output is left out.
    ///
    /// # Errors
    /// If a whole line of the journal is not one.
    pub fn from_journal(output: &[u8]) -> Result<Self, serde_json::Error> {
        let mut history = Self::default();
        for line in output.split_inclusive(|byte| *byte == b'\n') {
            // A line without its end was cut off: what it would have said was not said.
            if let Some(json) = line.strip_prefix(MARK).and_then(|line| line.strip_suffix(b"\n")) {
                history.take(serde_json::from_slice(json)?);
            }
        }
        Ok(history)
    }

    pub(super) fn take(&mut self, note: Note) {
        match note {
            Note::Began { name, append, tick } => {
                let span = Span { began: tick, ended: u64::MAX };
                self.attempts.push(Attempt { name, append, outcome: Outcome::Unknown, span });
            }
            Note::Ended { attempt, outcome, tick } => {
                if let Some(attempt) = self.attempts.get_mut(attempt) {
                    attempt.outcome = outcome;
                    attempt.span.ended = tick;
                }
            }
            Note::Reads { name, filter } => {
                self.readers.push(Reader { name, filter, looks: Vec::new(), finished: false });
            }
            Note::Looked { reader, look } => {
                if let Some(reader) = self.readers.get_mut(reader) {
                    reader.looks.push(look);
                }
            }
            Note::Finished { reader } => {
                if let Some(reader) = self.readers.get_mut(reader) {
                    reader.finished = true;
                }
            }
            Note::Head(seen) => self.heads.push(seen),
        }
    }
}

/// What lines of a journal begin with. A child's output has libtest's own lines between.
const MARK: &[u8] = b"@@";

pub(super) fn write(note: &Note, journal: &mut dyn Write) -> std::io::Result<()> {
    // On a line of its own, whatever stood before; in one piece, so that a kill cuts at most the last line.
    let mut line = b"\n".to_vec();
    line.extend_from_slice(MARK);
    serde_json::to_writer(&mut line, note)?;
    line.push(b'\n');
    journal.write_all(&line)?;
    journal.flush()
}
