use std::sync::Arc;

use eventsource_core::{Append, Result};
use sqlx::postgres::{PgArguments, PgRow};

use crate::append::{Answered, Asking, Batch, Commit};
use crate::append_event::OneEvent;
use crate::log::Log;

/// A call of one of the log's functions.
pub(crate) struct Call {
    pub(crate) statement: Arc<str>,
    pub(crate) arguments: PgArguments,
}

/// What was asked by a call, to read the answer by.
pub(crate) enum Asked<'a> {
    Batch(Asking<'a>),
    One(OneEvent<'a>),
}

impl Call {
    /// The call that appends these, which are valid and no two of which share an event id.
    pub(crate) fn new<'a>(appends: &[&'a Append], log: &Log, commit: Commit) -> Result<(Self, Asked<'a>)> {
        if let [append] = appends
            && let Some(one) = OneEvent::of(append)
            && !one.is_published(log)
        {
            let statement = Arc::clone(&log.append_event_statement);
            return Ok((Self { statement, arguments: one.arguments(log, commit)? }, Asked::One(one)));
        }
        let (arguments, asking) = Batch::new(appends.iter().copied(), log)?.into_arguments(log, commit)?;
        let statement = Arc::clone(&log.append_statement);
        Ok((Self { statement, arguments }, Asked::Batch(asking)))
    }
}

impl Asked<'_> {
    /// The answer, with a verdict for each append.
    pub(crate) fn answered(&self, row: &PgRow) -> Result<Answered> {
        match self {
            Self::Batch(asking) => asking.answered(row),
            Self::One(one) => one.answered(row),
        }
    }
}
