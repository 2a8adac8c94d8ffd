use std::fmt;

/// Why a task failed, in words for the person who ran it.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// The same failure, with what was being done when it happened.
    pub(crate) fn during<E: fmt::Display>(action: impl fmt::Display) -> impl FnOnce(E) -> Self {
        move |error| Self(format!("{action}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
