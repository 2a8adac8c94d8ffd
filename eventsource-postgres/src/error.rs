//! What PostgreSQL's errors mean for the log: the one table.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use eventsource_core::{Error, ErrorKind};
use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// What the database was asked for when an error came, and so what is known about the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Something that writes nothing, or that can't be committed yet.
    Nothing,
    /// To write and commit: if the answer is lost, it may have.
    Commit,
}

/// A failed call to the database, which may concern several callers.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    kind: ErrorKind,
    message: String,
    source: Arc<dyn StdError + Send + Sync>,
    /// What a view says, word for word.
    of_views: Option<Error>,
}

impl Failure {
    /// The failure that a driver's error means.
    pub(crate) fn new(error: sqlx::Error, asked: Asked) -> Self {
        let unanswered = match asked {
            Asked::Nothing => (ErrorKind::Unavailable, "the database can't be reached"),
            Asked::Commit => {
                (ErrorKind::OutcomeUnknown, "the connection was lost while the answer was awaited")
            }
        };
        let (kind, message) = match &error {
            sqlx::Error::Database(database) => {
                let database = database.downcast_ref::<PgDatabaseError>();
                let fatal = matches!(database.severity(), PgSeverity::Fatal | PgSeverity::Panic);
                if database.code() == WRONG_ISOLATION {
                    // The function's own sentence, which names the level and nothing else.
                    return Self::of(ErrorKind::InvalidInput, database.message(), Refusal::of(database));
                }
                let lost = fatal || says_that_it_lost_the_answer(database.code());
                let (kind, message) = if lost && asked == Asked::Commit {
                    // Even where the code says "shutting down": it may have committed before.
                    unanswered
                } else {
                    meaning(database.code())
                };
                return Self::of(kind, message, Refusal::of(database));
            }
            sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => unanswered,
            sqlx::Error::PoolTimedOut => (ErrorKind::Unavailable, "no connection became free in time"),
            sqlx::Error::PoolClosed => (ErrorKind::Unavailable, "the connection pool is closed"),
            sqlx::Error::Tls(_) => (ErrorKind::Unavailable, "no encrypted connection could be made"),
            sqlx::Error::Configuration(_) | sqlx::Error::InvalidArgument(_) => {
                (ErrorKind::InvalidInput, "the connection's configuration has no meaning")
            }
            sqlx::Error::Encode(_) => (ErrorKind::Backend, "a value can't be sent"),
            // Something was answered: it may have been committed.
            _ if asked == Asked::Commit => unanswered,
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                (ErrorKind::Corrupt, "the database's answer can't be decoded")
            }
            _ => (ErrorKind::Backend, "the database driver failed"),
        };
        Self::of(kind, message, error)
    }

    /// No answer within the configured time; the connection is given up.
    pub(crate) fn timed_out() -> Self {
        Self::of(
            ErrorKind::OutcomeUnknown,
            "no answer came within the answer timeout",
            std::io::Error::from(std::io::ErrorKind::TimedOut),
        )
    }

    /// The batch can't be sent; nothing was.
    pub(crate) fn encoding(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::InvalidInput => ErrorKind::InvalidInput,
            _ => ErrorKind::Backend,
        };
        Self::of(kind, error.to_string(), error)
    }

    /// What is to be shown was not flushed within the configured time.
    pub(crate) fn unflushed_in_time() -> Self {
        Self::of(
            ErrorKind::Unavailable,
            "the log was not flushed within the answer timeout",
            std::io::Error::from(std::io::ErrorKind::TimedOut),
        )
    }

    /// What was seen is not in the log any more.
    pub(crate) fn taken_back() -> Self {
        Self::of(
            ErrorKind::Unavailable,
            "the server crashed, or another one took over, before what was seen was durable",
            std::io::Error::from(std::io::ErrorKind::ConnectionReset),
        )
    }

    /// Nobody is there to flush the log.
    pub(crate) fn closed() -> Self {
        Self::of(ErrorKind::Unavailable, "the store is closed", sqlx::Error::PoolClosed)
    }

    /// The same for one who has written something that this failure leaves without a flush.
    pub(crate) fn after_writing(&self) -> Self {
        Self { kind: ErrorKind::OutcomeUnknown, of_views: None, ..self.clone() }
    }

    /// It was committed, and the answer can't be understood.
    pub(crate) fn decoding(error: Error) -> Self {
        Self::of(ErrorKind::OutcomeUnknown, "the answer can't be understood", error)
    }

    fn of(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Self { kind, message: message.into(), source: Arc::new(source), of_views: None }
    }

    /// The views that are kept within the appends could not take a batch, which is rolled back.
    pub(crate) fn of_views(error: Error) -> Self {
        let mut failure = Self::of(error.kind(), error.to_string(), error.clone());
        failure.of_views = Some(error);
        failure
    }

    /// Whether some request of a batch may be to blame, all by itself. Nothing was written then.
    pub(crate) fn blames_a_request(&self) -> bool {
        match self.of_views.as_ref().and_then(Error::view_refusal) {
            Some(refusal) => refusal.is_of_the_append(),
            None => matches!(self.kind, ErrorKind::InvalidInput | ErrorKind::Backend | ErrorKind::Corrupt),
        }
    }

    /// Whether trying again makes no sense.
    fn says_closed(&self) -> bool {
        matches!(self.source.downcast_ref(), Some(sqlx::Error::PoolClosed))
    }

    /// The error for one caller.
    pub(crate) fn to_error(&self) -> Error {
        if let Some(error) = &self.of_views {
            return error.clone();
        }
        let message = self.message.clone();
        let error = match self.kind {
            ErrorKind::InvalidInput => Error::invalid_input(message),
            ErrorKind::Unavailable if self.says_closed() => Error::closed(message),
            ErrorKind::Unavailable => Error::unavailable(message),
            ErrorKind::OutcomeUnknown => Error::outcome_unknown(message),
            ErrorKind::Corrupt => Error::corrupt(message),
            _ => Error::backend(message),
        };
        error.with_source(Arc::clone(&self.source))
    }
}

/// The error of something that writes nothing.
pub(crate) fn reading(error: sqlx::Error) -> Error {
    Failure::new(error, Asked::Nothing).to_error()
}

/// The error of something that writes and commits.
pub(crate) fn writing(error: sqlx::Error) -> Error {
    Failure::new(error, Asked::Commit).to_error()
}

/// What `append_events` raises in a transaction of another isolation level.
const WRONG_ISOLATION: &str = "ES001";

/// Whether a code is one of those by which a pooler or proxy says, with a mere ERROR, that it lost its server: class 08
/// (with 08007, the resolution is unknown), and 40003, the completion is unknown.
fn says_that_it_lost_the_answer(code: &str) -> bool {
    code.starts_with("08") || code == "40003"
}

/// What a code says that came with an ERROR (nothing was written), or with a FATAL while nothing was to be written.
fn meaning(code: &str) -> (ErrorKind, &'static str) {
    use ErrorKind::{Backend, Corrupt, InvalidInput, Unavailable};
    match code {
        "55P03" => (Unavailable, "another writer held the log for longer than the lock timeout"),
        "57014" => (Unavailable, "the server cancelled the statement"),
        // To try again what took too long takes as long again.
        "25P03" | "25P04" => (Backend, "the server ended the transaction: it was open for too long"),
        "40001" | "40P01" | "40003" => (Unavailable, "the transaction lost against a concurrent one"),
        "25006" => (Unavailable, "the server takes no writes: it is a standby or read-only"),
        "25P02" => (InvalidInput, "the transaction has failed already and can only be rolled back"),
        "26000" | "42P05" => (
            Backend,
            "a prepared statement got lost: if a pooler lies between, configure `through_pgbouncer`",
        ),
        "42P01" | "42703" | "42883" | "3F000" => (Backend, "the log's schema is missing or another one"),
        "42501" => (Backend, "the role lacks a privilege on the log's schema"),
        "3D000" => (Backend, "the database does not exist"),
        "XX001" | "XX002" => (Corrupt, "the server found its data or an index corrupted"),
        _ => match code.get(..2) {
            Some("08") => (Unavailable, "the connection failed"),
            Some("22") => (InvalidInput, "a value is none that this database can hold"),
            Some("28") => (Backend, "the server refused the role or its password"),
            Some("53") => (Unavailable, "the server is short of disk, memory or connections"),
            Some("54") => (InvalidInput, "something is larger than this database can hold"),
            Some("57") => (Unavailable, "the server is shutting down, starting up or ending connections"),
            _ => (Backend, "the database refused the statement"),
        },
    }
}

/// A server's error without what may quote stored or appended data (its detail and context).
struct Refusal {
    code: String,
    message: String,
    constraint: Option<String>,
}

impl Refusal {
    fn of(error: &PgDatabaseError) -> Self {
        Self {
            code: error.code().to_owned(),
            // A message of class 22 quotes the value that it is about.
            message: if error.code().starts_with("22") { String::new() } else { error.message().to_owned() },
            constraint: error.constraint().map(str::to_owned),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SQLSTATE {}", self.code)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        self.constraint.as_ref().map_or(Ok(()), |constraint| write!(f, " (constraint {constraint})"))
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(code: &str) -> ErrorKind {
        meaning(code).0
    }

    #[test]
    fn every_row_of_the_table() {
        for code in ["55P03", "57014", "40001", "40P01", "25006", "53100", "53200", "53300", "08006", "57P01"]
        {
            assert_eq!(kind(code), ErrorKind::Unavailable, "{code}");
        }
        for code in ["25P02", "22P02", "22P05", "54000"] {
            assert_eq!(kind(code), ErrorKind::InvalidInput, "{code}");
        }
        for code in [
            "25P03", "25P04", "26000", "42P05", "42P01", "42703", "42883", "3F000", "42501", "3D000",
            "28P01", "23514", "",
        ] {
            assert_eq!(kind(code), ErrorKind::Backend, "{code}");
        }
        for code in ["XX001", "XX002"] {
            assert_eq!(kind(code), ErrorKind::Corrupt, "{code}");
        }
    }

    #[test]
    fn a_lost_answer_is_unknown_only_while_committing() {
        let lost = || sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        assert_eq!(Failure::new(lost(), Asked::Nothing).to_error().kind(), ErrorKind::Unavailable);
        assert_eq!(Failure::new(lost(), Asked::Commit).to_error().kind(), ErrorKind::OutcomeUnknown);
    }

    #[test]
    fn an_answer_that_is_not_understood_is_unknown_only_while_committing() {
        let answers: [fn() -> sqlx::Error; 3] = [
            || sqlx::Error::RowNotFound,
            || sqlx::Error::Decode("not a row".into()),
            || sqlx::Error::Protocol("not a message".to_owned()),
        ];
        for answer in answers {
            let kind = |asked| Failure::new(answer(), asked).to_error().kind();
            assert_eq!(kind(Asked::Commit), ErrorKind::OutcomeUnknown);
            assert!(matches!(kind(Asked::Nothing), ErrorKind::Backend | ErrorKind::Corrupt));
        }
    }

    #[test]
    fn a_lost_answer_has_codes_of_its_own() {
        for code in ["08000", "08006", "08007", "40003"] {
            assert!(says_that_it_lost_the_answer(code), "{code}");
        }
        for code in ["40001", "55P03", "57014", "23505"] {
            assert!(!says_that_it_lost_the_answer(code), "{code}");
        }
    }

    #[test]
    fn the_pool_says_that_nothing_was_sent() {
        for error in [sqlx::Error::PoolTimedOut, sqlx::Error::PoolClosed] {
            assert_eq!(Failure::new(error, Asked::Commit).to_error().kind(), ErrorKind::Unavailable);
        }
    }
}
