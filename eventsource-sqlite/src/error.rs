use std::fmt;
use std::sync::Arc;

use eventsource_core::{Error, ErrorKind};
use rusqlite::ErrorCode;
use rusqlite::ffi;

/// Turns what SQLite says into what it means for the caller. Every call but COMMIT comes through here, so nothing was
/// written.
///
/// | SQLite | kind |
/// |---|---|
/// | BUSY, LOCKED, PROTOCOL: another process holds a lock | `Unavailable` |
/// | FULL, IOERR, NOMEM, CANTOPEN, INTERRUPT: the machine does not give what is needed | `Unavailable` |
/// | CORRUPT, NOTADB, and a column that holds what it can't | `Corrupt` |
/// | CONSTRAINT: unique, primary key, not null, check, data type | `Corrupt`: the store asks before it writes |
/// | CONSTRAINT by a trigger or anything else that is not the store's | `Backend` |
/// | TOOBIG | `InvalidInput` |
/// | everything else | `Backend` |
pub(crate) fn failed(doing: &'static str, error: rusqlite::Error) -> Error {
    SqliteError::from(error).failed(doing)
}

/// What to say if COMMIT fails: the flush may have failed after the transaction reached the file, and recovery would
/// then find it. Only a lock that was not given proves that it did not.
pub(crate) fn commit_failed(error: &SqliteError) -> Error {
    let busy =
        matches!(error.0.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked));
    if busy {
        error.failed("committing")
    } else {
        Error::outcome_unknown("SQLite failed while committing").with_source(error.clone())
    }
}

/// Whether another process is in the way, so that waiting may help.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    // A snapshot that others have written past stays so, however long one waits.
    let stale = error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_BUSY_SNAPSHOT);
    !stale
        && matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed)
        )
}

/// A SQLite error that several callers are told of.
#[derive(Clone, Debug)]
pub(crate) struct SqliteError(Arc<rusqlite::Error>);

impl SqliteError {
    pub(crate) fn failed(&self, doing: &'static str) -> Error {
        let message = || format!("SQLite failed while {doing}");
        let error = match kind(&self.0) {
            ErrorKind::Unavailable => Error::unavailable(message()),
            ErrorKind::Corrupt => Error::corrupt(message()),
            ErrorKind::InvalidInput => Error::invalid_input(message()),
            _ => Error::backend(message()),
        };
        error.with_source(self.clone())
    }

    /// Whether one request brought this about by what is in it, so that others may fare better.
    pub(crate) fn is_of_one_request(&self) -> bool {
        !matches!(kind(&self.0), ErrorKind::Unavailable)
    }
}

impl From<rusqlite::Error> for SqliteError {
    fn from(error: rusqlite::Error) -> Self {
        Self(Arc::new(error))
    }
}

impl fmt::Display for SqliteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SqliteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

fn kind(error: &rusqlite::Error) -> ErrorKind {
    use rusqlite::Error as E;
    let failure = match error {
        E::SqliteFailure(failure, _) => failure,
        E::SqlInputError { error, .. } => error,
        E::FromSqlConversionFailure(..)
        | E::IntegralValueOutOfRange(..)
        | E::Utf8Error(..)
        | E::InvalidColumnType(..) => return ErrorKind::Corrupt,
        _ => return ErrorKind::Backend,
    };
    match failure.code {
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::DiskFull
        | ErrorCode::SystemIoFailure
        | ErrorCode::OutOfMemory
        | ErrorCode::CannotOpen
        | ErrorCode::OperationInterrupted => ErrorKind::Unavailable,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => ErrorKind::Corrupt,
        ErrorCode::ConstraintViolation => match failure.extended_code {
            ffi::SQLITE_CONSTRAINT_UNIQUE
            | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            | ffi::SQLITE_CONSTRAINT_ROWID
            | ffi::SQLITE_CONSTRAINT_NOTNULL
            | ffi::SQLITE_CONSTRAINT_CHECK
            | ffi::SQLITE_CONSTRAINT_DATATYPE => ErrorKind::Corrupt,
            _ => ErrorKind::Backend,
        },
        ErrorCode::TooBig => ErrorKind::InvalidInput,
        _ => ErrorKind::Backend,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sqlite(extended_code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(extended_code), None)
    }

    #[test]
    fn each_row_of_the_table() {
        use ErrorKind::{Backend, Corrupt, InvalidInput, Unavailable};
        for (code, kind) in [
            (ffi::SQLITE_BUSY, Unavailable),
            (ffi::SQLITE_BUSY_SNAPSHOT, Unavailable),
            (ffi::SQLITE_BUSY_RECOVERY, Unavailable),
            (ffi::SQLITE_LOCKED, Unavailable),
            (ffi::SQLITE_PROTOCOL, Unavailable),
            (ffi::SQLITE_FULL, Unavailable),
            (ffi::SQLITE_IOERR_READ, Unavailable),
            (ffi::SQLITE_NOMEM, Unavailable),
            (ffi::SQLITE_CANTOPEN, Unavailable),
            (ffi::SQLITE_INTERRUPT, Unavailable),
            (ffi::SQLITE_CORRUPT, Corrupt),
            (ffi::SQLITE_NOTADB, Corrupt),
            (ffi::SQLITE_CONSTRAINT_UNIQUE, Corrupt),
            (ffi::SQLITE_CONSTRAINT_PRIMARYKEY, Corrupt),
            (ffi::SQLITE_CONSTRAINT_NOTNULL, Corrupt),
            (ffi::SQLITE_CONSTRAINT_CHECK, Corrupt),
            (ffi::SQLITE_CONSTRAINT_DATATYPE, Corrupt),
            (ffi::SQLITE_CONSTRAINT_TRIGGER, Backend),
            (ffi::SQLITE_TOOBIG, InvalidInput),
            (ffi::SQLITE_READONLY, Backend),
            (ffi::SQLITE_ERROR, Backend),
        ] {
            assert_eq!(failed("testing", sqlite(code)).kind(), kind, "code {code}");
        }
        let column = rusqlite::Error::InvalidColumnType(0, "version".into(), rusqlite::types::Type::Text);
        assert_eq!(failed("testing", column).kind(), Corrupt);
    }

    #[test]
    fn a_failed_commit_is_unknown_unless_the_lock_was_not_given() {
        for (code, kind) in [
            (ffi::SQLITE_BUSY, ErrorKind::Unavailable),
            (ffi::SQLITE_IOERR_FSYNC, ErrorKind::OutcomeUnknown),
            (ffi::SQLITE_IOERR_WRITE, ErrorKind::OutcomeUnknown),
            (ffi::SQLITE_FULL, ErrorKind::OutcomeUnknown),
            (ffi::SQLITE_CORRUPT, ErrorKind::OutcomeUnknown),
        ] {
            assert_eq!(commit_failed(&sqlite(code).into()).kind(), kind, "code {code}");
        }
    }

    #[test]
    fn waiting_does_not_help_a_stale_snapshot() {
        assert!(is_busy(&sqlite(ffi::SQLITE_BUSY)));
        assert!(is_busy(&sqlite(ffi::SQLITE_BUSY_RECOVERY)));
        assert!(!is_busy(&sqlite(ffi::SQLITE_BUSY_SNAPSHOT)));
        assert!(!is_busy(&sqlite(ffi::SQLITE_FULL)));
    }
}
