use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic::Location;

use tokio::task::JoinError;

use crate::witness::Verdict;

/// What a case comes to.
pub type CaseResult<T = ()> = Result<T, Failure>;

/// Why a case failed, and where. Every error becomes one by `?`, which notes the line.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    message: String,
    kind: FailureKind,
    /// Nowhere for a panic, which has told its place itself, and for what no line of a case has failed with.
    at: Option<&'static Location<'static>>,
}

/// What a failure says about the promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// The promise is broken: an assertion of the case failed, in a task of it as well, it says so itself, or the witness does.
    Judged,
    /// Something that the case called failed. That may be how a broken promise shows, or something else.
    Erred,
    /// The case had not ended when its time was over.
    TimedOut,
    /// The case was not begun: there was no store for it.
    NotBegun,
}

impl Failure {
    /// A failure that this sentence describes: the promise is broken.
    #[track_caller]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: FailureKind::Judged, at: Some(Location::caller()) }
    }

    /// A failure at no line of the case.
    pub(crate) fn nowhere(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { message: message.into(), kind, at: None }
    }

    /// The same of another kind.
    pub(crate) fn of_kind(self, kind: FailureKind) -> Self {
        Self { kind, ..self }
    }

    /// What it says about the promise.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.kind
    }
}

impl<E: Error + 'static> From<E> for Failure {
    #[track_caller]
    fn from(error: E) -> Self {
        let any: &dyn Any = &error;
        // A panic of a task that the case has spawned is one of the case.
        let panicked = any.downcast_ref().is_some_and(JoinError::is_panic);
        let kind = if panicked || any.is::<Verdict>() { FailureKind::Judged } else { FailureKind::Erred };
        Self { message: format!("{error:?}"), kind, at: Some(Location::caller()) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.at {
            Some(at) => write!(f, " ({}:{})", at.file(), at.line()),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn joined(task: impl Future<Output = ()> + Send + 'static) -> CaseResult {
        let task = tokio::spawn(task);
        tokio::task::yield_now().await;
        task.abort();
        Ok(task.await?)
    }

    #[tokio::test]
    async fn an_assertion_in_a_task_is_the_cases_own() {
        let failure = joined(async { panic!("as an assertion does") }).await.unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Judged);
        assert!(failure.to_string().contains("as an assertion does"), "{failure}");
    }

    #[tokio::test]
    async fn a_task_that_was_ended_judges_nothing() {
        let failure = joined(std::future::pending()).await.unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Erred);
    }
}
