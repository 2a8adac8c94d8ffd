use eventsource_core::{Append, Appended, Conflict, Error, ErrorKind, EventId, Filter, Position, Result};
use serde::{Deserialize, Serialize};

/// What one process did and saw.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Its appends.
    pub attempts: Vec<Attempt>,
    /// What its readers saw.
    pub readers: Vec<Reader>,
    /// What it was told when it asked for the head.
    pub heads: Vec<HeadSeen>,
}

/// When something was asked and when it was answered, in ticks of the process's own count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Before the call.
    pub began: u64,
    /// After the answer; `u64::MAX` if there was none.
    pub ended: u64,
}

/// One append and what it came to.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// What verdicts call it.
    pub name: String,
    /// What was asked.
    pub append: Append,
    /// What was answered.
    pub outcome: Outcome,
    /// When.
    pub span: Span,
}

/// What an append came to, as far as its caller knows.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It was written, or had been written before.
    Acknowledged(Appended),
    /// Something stood in its way.
    Refused(Conflict),
    /// It failed in a way that says that nothing was written, or its transaction was rolled back.
    NotWritten,
    /// Nobody knows: the answer was lost, or the caller was gone.
    Unknown,
}

impl Outcome {
    /// What the store's answer says about the log.
    #[must_use]
    pub fn of(answer: &Result<Appended>) -> Self {
        match answer {
            Ok(appended) => Self::Acknowledged(appended.clone()),
            Err(error) => Self::of_error(error),
        }
    }

    fn of_error(error: &Error) -> Self {
        match (error.conflict(), error.kind()) {
            (Some(conflict), ErrorKind::Conflict) => Self::Refused(conflict.clone()),
            (_, ErrorKind::OutcomeUnknown) => Self::Unknown,
            // A conflict that names none would be a store's mistake, for a case of its own to find.
            _ => Self::NotWritten,
        }
    }
}

/// A reader that went on from where it was.
#[derive(Clone, Debug)]
pub struct Reader {
    /// What verdicts call it.
    pub name: String,
    /// What it looked for.
    pub filter: Filter,
    /// What it saw, in order.
    pub looks: Vec<Look>,
    /// Whether it read on until everything was over, so that it must have seen everything.
    pub finished: bool,
}

/// One page that a reader was given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Look {
    /// Behind which position it looked.
    pub after: Position,
    /// What it saw.
    pub events: Vec<(Position, EventId)>,
    /// Where it will go on.
    pub scanned_to: Position,
    /// The head that it was told.
    pub head: Position,
    /// When.
    pub span: Span,
}

/// A head that somebody was told.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct HeadSeen {
    /// Which.
    pub head: Position,
    /// When.
    pub span: Span,
}
