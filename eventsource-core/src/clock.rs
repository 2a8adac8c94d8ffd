use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Datelike, TimeDelta, Utc};

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

/// Cuts a time to the microsecond, which is what every store keeps.
///
/// # Errors
/// `InvalidInput` if the year does not lie between 1 and 9999, which not every store can hold.
pub fn to_microseconds(time: DateTime<Utc>) -> Result<DateTime<Utc>> {
    if !(1..=9999).contains(&time.year()) {
        return Err(Error::invalid_input(format!(
            "a time lies between the years 1 and 9999, not in {}",
            time.year()
        )));
    }
    let nanoseconds = i64::from(time.timestamp_subsec_nanos() % 1_000);
    Ok(time - TimeDelta::nanoseconds(nanoseconds))
}
