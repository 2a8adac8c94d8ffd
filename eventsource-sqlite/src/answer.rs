use std::fmt;
use std::io;
use std::sync::Arc;

use eventsource_core::Error;

/// Gives an answer to whoever asked, once it is known whether what it rests on is durable.
pub(crate) type Answer = Box<dyn FnOnce(Fate<'_>) + Send>;

/// Whether what an answer rests on is durable.
pub(crate) type Fate<'f> = Result<(), &'f Undurable>;

/// What was written by those who are to be answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wrote {
    /// Nothing that was not there before.
    #[default]
    Nothing,
    /// Something that is kept beside the log.
    Something,
    /// Events.
    Events,
}

/// Why what was committed may be gone tomorrow.
#[derive(Clone, Debug)]
pub(crate) struct Undurable {
    message: String,
    cause: Option<Arc<io::Error>>,
    holds: Holds,
}

/// For how long nothing is durable.
#[derive(Clone, Copy, Debug)]
enum Holds {
    /// Until the files are in their places again, for example.
    ForNow,
    /// Until the store is reopened.
    ForGood,
}

impl Undurable {
    /// The disk refused to flush.
    pub(crate) fn unflushed(error: io::Error) -> Self {
        let message =
            "the WAL could not be flushed; nothing is written or acknowledged until the store is reopened";
        Self { message: message.to_owned(), cause: Some(Arc::new(error)), holds: Holds::ForGood }
    }

    /// It went to files that are no longer in their places.
    pub(crate) fn misplaced(error: &Error) -> Self {
        Self { message: error.to_string(), cause: None, holds: Holds::ForNow }
    }

    /// The thread that writes is gone, and with it whoever flushes.
    pub(crate) fn ended() -> Self {
        Self { message: "the store's thread has ended".to_owned(), cause: None, holds: Holds::ForGood }
    }

    /// The error for one who wrote.
    pub(crate) fn of_write(&self) -> Error {
        self.with_cause(Error::outcome_unknown(self.message.clone()))
    }

    /// The error for one who wrote nothing.
    pub(crate) fn of_read(&self) -> Error {
        self.with_cause(match self.holds {
            Holds::ForNow => Error::unavailable(self.message.clone()),
            Holds::ForGood => Error::closed(self.message.clone()),
        })
    }

    fn with_cause(&self, error: Error) -> Error {
        match &self.cause {
            Some(cause) => error.with_source(Arc::clone(cause)),
            None => error,
        }
    }
}

impl fmt::Display for Undurable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.cause.as_ref().map_or(Ok(()), |cause| write!(f, ": {cause}"))
    }
}
