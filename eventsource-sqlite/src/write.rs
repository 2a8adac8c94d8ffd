use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use eventsource_core::{Error, Result};
use rusqlite::{Connection, Transaction};

use crate::answer::{Fate, Wrote};
use crate::connection;
use crate::error::{commit_failed, failed};

/// How a transaction is to end.
pub(crate) enum Ending<T> {
    Commit(T),
    RollBack(T),
}

/// What a transaction came to.
pub(crate) enum Outcome<T, E> {
    /// It is committed.
    Committed(T),
    /// Nothing of it is left.
    Undone(Result<T, E>),
    /// Its commit failed.
    Unknown(E),
}

impl<T, E: From<Error>> Outcome<T, E> {
    pub(crate) fn wrote(&self) -> Wrote {
        match self {
            Self::Undone(_) => Wrote::Nothing,
            Self::Committed(_) | Self::Unknown(_) => Wrote::Something,
        }
    }

    /// What the caller is told.
    pub(crate) fn told(self, fate: Fate<'_>) -> Result<T, E> {
        match (self, fate) {
            (Self::Unknown(error), _) => Err(error),
            (Self::Committed(value), Ok(())) => Ok(value),
            (Self::Committed(_), Err(undurable)) => Err(undurable.of_write().into()),
            (Self::Undone(result), Ok(())) => result,
            // What it rests on may be gone tomorrow.
            (Self::Undone(_), Err(undurable)) => Err(undurable.of_read().into()),
        }
    }
}

/// Runs `work` in a transaction of its own, and ends it as it says.
pub(crate) fn write_in<T, E: From<Error>>(
    connection: &Connection,
    timeout: Duration,
    doing: &'static str,
    work: impl FnOnce(&Transaction<'_>) -> Result<Ending<T>, E>,
) -> Outcome<T, E> {
    let transaction = match connection::begin_immediate(connection, timeout) {
        Ok(transaction) => transaction,
        Err(error) => return Outcome::Undone(Err(failed(doing, error).into())),
    };
    // What panics is a caller's handler: the transaction is rolled back like after any failure, and the writer goes on.
    let ending = catch_unwind(AssertUnwindSafe(|| work(&transaction)))
        .unwrap_or_else(|_| Err(Error::backend("what ran in the transaction panicked").into()));
    // The transaction ends here: what it has seen is looked at when it is over.
    match ending {
        Err(error) => Outcome::Undone(Err(error)),
        Ok(Ending::RollBack(value)) => Outcome::Undone(Ok(value)),
        Ok(Ending::Commit(value)) => match transaction.commit() {
            Ok(()) => Outcome::Committed(value),
            Err(error) => Outcome::Unknown(commit_failed(&error.into()).into()),
        },
    }
}
