use std::fmt;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Somebody else was first: it is to be tried again.
    Conflict,
    /// The system has no such thing.
    Absent(String),
    /// Something went wrong: there is no figure.
    Broken(String),
}

impl Failure {
    /// The system has no such thing, and this is what is missing.
    #[must_use]
    pub fn absent(reason: &str) -> Self {
        Self::Absent(reason.to_owned())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => f.write_str("a conflict"),
            Self::Absent(reason) | Self::Broken(reason) => f.write_str(reason),
        }
    }
}

/// For `map_err`: an error that nobody expected.
pub fn broken(error: impl fmt::Debug) -> Failure {
    Failure::Broken(format!("{error:?}").chars().take(300).collect())
}
