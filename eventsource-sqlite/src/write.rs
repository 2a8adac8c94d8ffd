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
pub(crate) enum Came<T, E> {
    /// It is committed.
    ToSomething(T),
    /// Nothing of it is left.
    ToNothing(Result<T, E>),
    /// Its commit failed.
    ToNobodyKnows(E),
}

impl<T, E: From<Error>> Came<T, E> {
    pub(crate) fn wrote(&self) -> Wrote {
        match self {
            Self::ToNothing(_) => Wrote::Nothing,
            Self::ToSomething(_) | Self::ToNobodyKnows(_) => Wrote::Something,
        }
    }

    /// What the caller is told.
    pub(crate) fn told(self, fate: Fate<'_>) -> Result<T, E> {
        match (self, fate) {
            (Self::ToNobodyKnows(error), _) => Err(error),
            (Self::ToSomething(value), Ok(())) => Ok(value),
            (Self::ToSomething(_), Err(undurable)) => Err(undurable.of_write().into()),
            (Self::ToNothing(result), Ok(())) => result,
            // What it rests on may be gone tomorrow.
            (Self::ToNothing(_), Err(undurable)) => Err(undurable.of_read().into()),
        }
    }
}

/// Runs `work` in a transaction of its own, and ends it as it says.
pub(crate) fn write_in<T, E: From<Error>>(
    connection: &Connection,
    timeout: Duration,
    doing: &'static str,
    work: impl FnOnce(&Transaction<'_>) -> Result<Ending<T>, E>,
) -> Came<T, E> {
    let transaction = match connection::begin_immediate(connection, timeout) {
        Ok(transaction) => transaction,
        Err(error) => return Came::ToNothing(Err(failed(doing, error).into())),
    };
    // What panics is a caller's handler: the transaction is rolled back like after any failure, and the writer goes on.
    let ending = catch_unwind(AssertUnwindSafe(|| work(&transaction)))
        .unwrap_or_else(|_| Err(Error::backend("what ran in the transaction panicked").into()));
    // The transaction ends here: what it has seen is looked at when it is over.
    match ending {
        Err(error) => Came::ToNothing(Err(error)),
        Ok(Ending::RollBack(value)) => Came::ToNothing(Ok(value)),
        Ok(Ending::Commit(value)) => match transaction.commit() {
            Ok(()) => Came::ToSomething(value),
            Err(error) => Came::ToNobodyKnows(commit_failed(&error.into()).into()),
        },
    }
}
