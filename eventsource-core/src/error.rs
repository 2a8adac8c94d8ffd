use std::borrow::Cow;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::{Capability, Conflict, ViewRefusal};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// The one error of every store: ask it what it is, don't read it.
///
/// [`Display`](fmt::Display) gives this layer's sentence only; [`source`](StdError::source) carries the cause.
///
/// ```
/// use eventsource_core::{ErrorKind, Tag};
///
/// let error = Tag::new("order", "").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidInput);
/// assert!(!error.is_retryable());
/// ```
///
/// A clone is the same error, for another one of those whom it concerns.
#[derive(Clone)]
pub struct Error(Box<Inner>);

/// For how long it goes wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lasts {
    /// Who can tell.
    Perhaps,
    /// Until the store is opened again.
    UntilReopened,
}

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    conflict: Option<Conflict>,
    refusal: Option<ViewRefusal>,
    duration: Lasts,
    source: Option<Arc<dyn StdError + Send + Sync + 'static>>,
}

/// What went wrong, and with it: what is known about the data.
///
/// A failed append wrote nothing, whatever the kind, unless it is [`OutcomeUnknown`](Self::OutcomeUnknown).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What an append or a consumer's record expected did not hold; [`Error::conflict`] says what stood in the way.
    /// Nothing was written.
    Conflict,
    /// The caller asked for something that has no meaning. Nothing was written.
    InvalidInput,
    /// The store could not be reached, was busy for too long or is closed. Nothing was written; try again, unless it
    /// [is closed](Error::is_closed).
    Unavailable,
    /// The answer was lost: the append may have been written or not. Retry it with the same event ids.
    OutcomeUnknown,
    /// Stored data can't be decoded, or breaks one of the log's own rules. An append that ran into it wrote nothing.
    Corrupt,
    /// This store has no such ability, and says so. Nothing was written.
    Unsupported,
    /// A view that is kept within the appends could not take this one; [`Error::view_refusal`] says which and why. This
    /// call wrote nothing.
    Refused,
    /// The database answered with an error that none of the other kinds describes. An append that it refused so wrote
    /// nothing.
    Backend,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conflict => "conflict",
            Self::InvalidInput => "invalid input",
            Self::Unavailable => "unavailable",
            Self::OutcomeUnknown => "outcome unknown",
            Self::Corrupt => "corrupt",
            Self::Unsupported => "unsupported",
            Self::Refused => "refused",
            Self::Backend => "backend",
        })
    }
}

impl Error {
    /// The kind, for decisions.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// True if an append's expectation did not hold.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.kind() == ErrorKind::Conflict
    }

    /// True if the same call, with the same event ids, may succeed later: [`ErrorKind::Unavailable`] and
    /// [`ErrorKind::OutcomeUnknown`], unless the store [is closed](Self::is_closed). A conflict is not: whoever decided must
    /// read and decide again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind(), ErrorKind::Unavailable | ErrorKind::OutcomeUnknown) && !self.is_closed()
    }

    /// True if the store is closed, or has failed so that it has to be opened again: it never answers any more. The kind is
    /// [`ErrorKind::Unavailable`] then.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.duration == Lasts::UntilReopened
    }

    /// What stood in the way, if this is a conflict.
    #[must_use]
    pub fn conflict(&self) -> Option<&Conflict> {
        self.0.conflict.as_ref()
    }

    /// Which view could not take an append and why, if this is [`ErrorKind::Refused`]. What the view's handler failed with is
    /// the error's source.
    #[must_use]
    pub fn view_refusal(&self) -> Option<&ViewRefusal> {
        self.0.refusal.as_ref()
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into().into());
        self
    }

    /// An error of [`ErrorKind::InvalidInput`].
    pub fn invalid_input(message: impl Into<Cow<'static, str>>) -> Self {
        Self::of(ErrorKind::InvalidInput, message)
    }

    /// An error of [`ErrorKind::Unavailable`] that [says](Self::is_closed) that trying again makes no sense: the store is
    /// closed, or works again only when it is opened again.
    pub fn closed(message: impl Into<Cow<'static, str>>) -> Self {
        let mut error = Self::unavailable(message);
        error.0.duration = Lasts::UntilReopened;
        error
    }

    /// An error of [`ErrorKind::Unavailable`]: the caller must be sure that nothing was written.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::of(ErrorKind::Unavailable, message)
    }

    /// An error of [`ErrorKind::OutcomeUnknown`]: what is to be said of an append if the caller is not sure that nothing was
    /// written.
    pub fn outcome_unknown(message: impl Into<Cow<'static, str>>) -> Self {
        Self::of(ErrorKind::OutcomeUnknown, message)
    }

    /// An error of [`ErrorKind::Corrupt`].
    pub fn corrupt(message: impl Into<Cow<'static, str>>) -> Self {
        Self::of(ErrorKind::Corrupt, message)
    }

    /// An error of [`ErrorKind::Unsupported`] that names the missing capability.
    #[must_use]
    pub fn unsupported(capability: Capability) -> Self {
        Self::of(ErrorKind::Unsupported, format!("this store is not {capability}"))
    }

    /// An error of [`ErrorKind::Backend`].
    pub fn backend(message: impl Into<Cow<'static, str>>) -> Self {
        Self::of(ErrorKind::Backend, message)
    }

    fn of(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        let (message, duration) = (message.into(), Lasts::Perhaps);
        Self(Box::new(Inner { kind, message, conflict: None, refusal: None, duration, source: None }))
    }
}

impl From<Conflict> for Error {
    fn from(conflict: Conflict) -> Self {
        let mut error = Self::of(ErrorKind::Conflict, conflict.to_string());
        error.0.conflict = Some(conflict);
        error
    }
}

impl From<ViewRefusal> for Error {
    fn from(refusal: ViewRefusal) -> Self {
        let mut error = Self::of(ErrorKind::Refused, refusal.to_string());
        error.0.refusal = Some(refusal);
        error
    }
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.0.kind).field("message", &self.0.message);
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_word() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn a_kind_is_shown_by_its_name() {
        assert_eq!(
            format!("{}: {}", ErrorKind::OutcomeUnknown, ErrorKind::Backend),
            "outcome unknown: backend"
        );
    }

    #[test]
    fn display_leaves_the_cause_to_source() {
        let error = Error::backend("the query failed").with_source("disk full");
        assert_eq!(error.to_string(), "the query failed");
        assert_eq!(error.source().unwrap().to_string(), "disk full");
    }
}
