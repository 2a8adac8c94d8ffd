use std::iter;
use std::time::Duration;

use chrono::{DateTime, Utc};
use eventsource_core::{Append, Appended, Error, Result, ViewRefusal};
use rusqlite::{Connection, Transaction};

use crate::append::{Appender, Refusal, Retries, in_savepoint, refused};
use crate::connection::begin_immediate;
use crate::error::{SqliteError, commit_failed};
use crate::handler;
use crate::inline::InlineViews;
use crate::pending::Pending;

/// What each append of a batch came to, in the batch's order, and whether anything was written.
pub(crate) struct Verdicts {
    pub(crate) each: Vec<Result<Appended>>,
    pub(crate) wrote: bool,
}

impl Verdicts {
    fn joined(several: impl Iterator<Item = Self>) -> Self {
        several.fold(Self { each: Vec::new(), wrote: false }, |mut joined, next| {
            joined.each.extend(next.each);
            joined.wrote |= next.wrote;
            joined
        })
    }
}

/// Writes appends in one transaction, each with its own verdict; later ones see what earlier ones wrote.
pub(crate) fn write<'a>(
    connection: &Connection,
    appender: &mut Appender<'_>,
    batch: impl ExactSizeIterator<Item = &'a Append> + Clone,
    now: DateTime<Utc>,
    busy_timeout: Duration,
    views: &InlineViews,
) -> Verdicts {
    let mut attempt = Attempt { connection, appender, now, busy_timeout, views };
    let outcome = match attempt.run(batch.clone(), Care::Light) {
        // One of them failed where none was expected to, and left the transaction unusable. Begin again, slower.
        Err(Failure::OfOne) => {
            attempt.appender.forget();
            attempt.run(batch.clone(), Care::Savepoints)
        }
        outcome => outcome,
    };
    if let Err(Failure::OfViews(error)) = &outcome
        && is_of_an_append(error)
        && batch.len() > 1
    {
        // A handler has ended the transaction even so. Then each has one of its own.
        attempt.appender.forget();
        let alone =
            batch.map(|append| write(connection, appender, iter::once(append), now, busy_timeout, views));
        return Verdicts::joined(alone);
    }
    outcome.unwrap_or_else(|failure| {
        attempt.appender.forget();
        Verdicts { each: (0..batch.len()).map(|_| Err(failure.tell())).collect(), wrote: false }
    })
}

/// How to guard the appends of a batch from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Care {
    /// A refused append has nothing to undo, and what is accepted is inserted together.
    Light,
    /// Each is inserted, and undone if that fails, by itself.
    Savepoints,
}

/// Why a transaction came to nothing.
enum Failure {
    OfOne,
    OfAll(SqliteError),
    OfViews(Error),
    AtCommit(SqliteError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::OfAll(error.into())
    }
}

impl Failure {
    fn tell(&self) -> Error {
        match self {
            Self::OfOne => Error::backend("an append of the batch failed"),
            Self::OfAll(error) => error.failed("appending"),
            Self::OfViews(error) => error.clone(),
            Self::AtCommit(error) => commit_failed(error),
        }
    }
}

struct Attempt<'s, 'c> {
    connection: &'s Connection,
    appender: &'s mut Appender<'c>,
    now: DateTime<Utc>,
    busy_timeout: Duration,
    views: &'s InlineViews,
}

impl Attempt<'_, '_> {
    fn run<'a>(
        &mut self,
        batch: impl ExactSizeIterator<Item = &'a Append>,
        care: Care,
    ) -> std::result::Result<Verdicts, Failure> {
        // Rolls back when it is dropped, unless it was committed: no way out of here leaves a transaction open.
        let transaction = begin_immediate(self.connection, self.busy_timeout)?;
        let mut pending = self.appender.begin()?;
        let before = pending.head();
        let mut each = Vec::with_capacity(batch.len());
        let fatal = |error: SqliteError| {
            let of_one = care == Care::Light && error.is_of_one_request() && !handler::is_over(&transaction);
            if of_one { Failure::OfOne } else { Failure::OfAll(error) }
        };
        let mut wrote = false;
        if care == Care::Savepoints {
            wrote = self.views.bring_up(&transaction, before, before, self.now).map_err(Failure::OfViews)?;
        }
        for append in batch {
            each.push(match self.append(append, &mut pending, care, &transaction) {
                Err(Refusal::Judged(error)) if handler::is_over(&transaction) => {
                    return Err(Failure::OfViews(error));
                }
                Err(Refusal::Failed(error))
                    if care == Care::Light
                        || !error.is_of_one_request()
                        || handler::is_over(&transaction) =>
                {
                    return Err(fatal(error));
                }
                judgement => judgement.map_err(refused),
            });
        }
        if pending.head() != before {
            self.appender.finish(&mut pending).map_err(|error| fatal(error.into()))?;
            wrote = true;
        }
        if care == Care::Light && each.iter().any(Result::is_ok) {
            wrote |=
                self.views.bring_up(&transaction, before, pending.head(), self.now).map_err(|error| {
                    if is_of_an_append(&error) { Failure::OfOne } else { Failure::OfViews(error) }
                })?;
        }
        if wrote {
            transaction.commit().map_err(|error| Failure::AtCommit(error.into()))?;
        }
        Ok(Verdicts { each, wrote })
    }

    fn append<'a>(
        &mut self,
        append: &'a Append,
        pending: &mut Pending<'a>,
        care: Care,
        transaction: &Transaction<'_>,
    ) -> std::result::Result<Appended, Refusal> {
        let Self { connection, appender, now, views, .. } = self;
        match care {
            Care::Light => appender.append(append, pending, *now, Retries::NoticedLate),
            Care::Savepoints => {
                let before = pending.head();
                let judgement = in_savepoint(connection, || {
                    let appended = appender.append(append, pending, *now, Retries::LookedUp)?;
                    appender.insert(pending)?;
                    views.bring_up(transaction, before, pending.head(), *now)?;
                    Ok(appended)
                });
                if judgement.is_err() {
                    *pending = Pending::behind(before);
                    appender.forget();
                }
                judgement
            }
        }
    }
}

/// Whether a view could not take one of the appends, and has nothing against the others.
fn is_of_an_append(error: &Error) -> bool {
    error.view_refusal().is_some_and(ViewRefusal::is_of_the_append)
}
