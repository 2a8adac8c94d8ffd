use std::fmt;

use crate::{Conflict, Error};

/// Why a command was not carried out.
#[derive(Debug)]
pub enum ExecuteError<R> {
    /// The domain said no.
    Rejected(R),
    /// The store did.
    Store(Error),
}

impl<R> ExecuteError<R> {
    /// The rejection, if the domain said no.
    #[must_use]
    pub fn rejection(&self) -> Option<&R> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            Self::Store(_) => None,
        }
    }

    /// What stood in the way, if others were faster each time.
    #[must_use]
    pub fn conflict(&self) -> Option<&Conflict> {
        match self {
            Self::Rejected(_) => None,
            Self::Store(error) => error.conflict(),
        }
    }
}

impl<R> From<Error> for ExecuteError<R> {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl<R: fmt::Display> fmt::Display for ExecuteError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl<R: std::error::Error> std::error::Error for ExecuteError<R> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Rejected(rejection) => rejection.source(),
            Self::Store(error) => error.source(),
        }
    }
}
