use std::error::Error;
use std::fmt;

/// Shows an error's sentence and those of its causes, one behind the other: for people, such as in a log line.
///
/// ```
/// use eventsource_core::{Error, WithCauses};
///
/// let lost = std::io::Error::other("the connection was reset");
/// let error = Error::unavailable("the database can't be reached").with_source(lost);
/// assert_eq!(WithCauses(&error).to_string(), "the database can't be reached: the connection was reset");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WithCauses<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
