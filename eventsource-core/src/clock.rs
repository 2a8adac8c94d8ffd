use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Datelike, Utc};

use crate::{Error, Result};

/// Where a store gets the time from. Tests bring their own.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> DateTime<Utc>;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> DateTime<Utc> {
        (**self).now()
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// Cuts a time to the microsecond, which is what every store keeps. A leap second (`23:59:60`), which no database
/// knows, becomes the second that follows.
///
/// # Errors
/// `InvalidInput` if the year does not lie between 1 and 9999, which not every store can hold.
pub fn to_microseconds(time: DateTime<Utc>) -> Result<DateTime<Utc>> {
    DateTime::from_timestamp_micros(time.timestamp_micros())
        .filter(|time| (1..=9999).contains(&time.year()))
        .ok_or_else(|| {
            Error::invalid_input(format!("a time lies between the years 1 and 9999, not in {}", time.year()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Option<String> {
        to_microseconds(text.parse().unwrap()).ok().map(|time| time.to_rfc3339())
    }

    #[test]
    fn times_are_cut_towards_the_past() {
        assert_eq!(cut("2026-01-02T03:04:05.123456999Z").unwrap(), "2026-01-02T03:04:05.123456+00:00");
        assert_eq!(cut("1969-12-31T23:59:59.999999999Z").unwrap(), "1969-12-31T23:59:59.999999+00:00");
        assert_eq!(cut("0001-01-01T00:00:00Z").unwrap(), "0001-01-01T00:00:00+00:00");
        assert_eq!(cut("9999-12-31T23:59:59.9999999Z").unwrap(), "9999-12-31T23:59:59.999999+00:00");
        assert_eq!((cut("0000-12-31T23:59:59Z"), cut("+10000-01-01T00:00:00Z")), (None, None));
        assert!(to_microseconds(DateTime::<Utc>::MAX_UTC).is_err());
        assert!(to_microseconds(DateTime::<Utc>::MIN_UTC).is_err());
    }

    #[test]
    fn a_leap_second_is_the_second_that_follows() {
        assert_eq!(cut("2016-12-31T23:59:60.5Z").unwrap(), "2017-01-01T00:00:00.500+00:00");
        assert_eq!(cut("9999-12-31T23:59:60Z"), None);
    }
}
