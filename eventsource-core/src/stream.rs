use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AggregateType, Error, Result};

/// Which aggregate's events: an aggregate type and an id. Two types may use the same id; they are two streams.
///
/// ```
/// use eventsource_core::StreamId;
/// use uuid::Uuid;
///
/// let order = StreamId::new("Order", Uuid::now_v7())?;
/// assert_eq!(order.aggregate_type().as_str(), "Order");
/// # Ok::<(), eventsource_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct StreamId {
    aggregate_type: AggregateType,
    aggregate_id: Uuid,
}

/// A stream as it is written down, before it has been looked at.
#[derive(Deserialize)]
struct Unchecked {
    aggregate_type: AggregateType,
    aggregate_id: Uuid,
}

impl TryFrom<Unchecked> for StreamId {
    type Error = Error;

    fn try_from(stream: Unchecked) -> Result<Self> {
        Self::new(stream.aggregate_type, stream.aggregate_id)
    }
}

impl StreamId {
    /// The stream of one aggregate.
    ///
    /// # Errors
    /// `InvalidInput` if the type is no [`AggregateType`] or the id is the nil UUID (an empty id).
    pub fn new(
        aggregate_type: impl TryInto<AggregateType, Error: Into<Error>>,
        aggregate_id: Uuid,
    ) -> Result<Self> {
        if aggregate_id.is_nil() {
            return Err(Error::invalid_input("an aggregate id is never the nil UUID"));
        }
        Ok(Self { aggregate_type: aggregate_type.try_into().map_err(Into::into)?, aggregate_id })
    }

    /// What kind of aggregate.
    #[must_use]
    pub fn aggregate_type(&self) -> &AggregateType {
        &self.aggregate_type
    }

    /// Which one.
    #[must_use]
    pub fn aggregate_id(&self) -> Uuid {
        self.aggregate_id
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.aggregate_type, self.aggregate_id)
    }
}

/// An event's number in its stream: 1 for the first, then 2, 3, … without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Version(u64);

impl Version {
    /// The first event's version.
    pub const FIRST: Self = Self(1);

    /// The last version that there can be: what databases hold.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// A version.
    ///
    /// # Errors
    /// `InvalidInput` for 0 (versions count from 1; an absent stream has none) and for numbers beyond
    /// [`MAX`](Self::MAX).
    pub fn new(number: u64) -> Result<Self> {
        if !(Self::FIRST.0..=Self::MAX.0).contains(&number) {
            return Err(Error::invalid_input(format!(
                "a version lies between {} and {}, not at {number}",
                Self::FIRST,
                Self::MAX
            )));
        }
        Ok(Self(number))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number as databases hold it.
    #[must_use]
    pub const fn to_i64(self) -> i64 {
        self.0.cast_signed()
    }

    /// The version that follows; none follows [`MAX`](Self::MAX), which stays what it is.
    #[must_use]
    pub fn next(self) -> Self {
        Self::after(Some(self), 1)
    }

    /// The version of the `count`-th event (from 1) appended to a stream that is at `current`.
    ///
    /// For backends, which assign versions: `Version::after(None, 1)` is [`Version::FIRST`]. Whatever is asked for, it
    /// lies between that and [`MAX`](Self::MAX).
    #[must_use]
    pub fn after(current: Option<Self>, count: u64) -> Self {
        Self(current.map_or(0, Self::get).saturating_add(count)).clamp(Self::FIRST, Self::MAX)
    }
}

impl TryFrom<u64> for Version {
    type Error = Error;

    fn try_from(number: u64) -> Result<Self> {
        Self::new(number)
    }
}

impl TryFrom<i64> for Version {
    type Error = Error;

    /// The version that a database column holds.
    fn try_from(raw: i64) -> Result<Self> {
        u64::try_from(raw)
            .ok()
            .and_then(|number| Self::new(number).ok())
            .ok_or_else(|| Error::corrupt(format!("a stored version is not positive: {raw}")))
    }
}

impl From<Version> for u64 {
    fn from(version: Version) -> Self {
        version.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What must be true of a stream for an append to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExpectedVersion {
    /// Nothing: never conflicts.
    Any,
    /// The stream has no event.
    NoStream,
    /// The stream has at least one event.
    StreamExists,
    /// The stream's newest event has this version.
    Exact(Version),
}

impl ExpectedVersion {
    /// Whether a stream at `current` meets the expectation: the one definition, for every store.
    #[must_use]
    pub fn is_met_by(self, current: Option<Version>) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => current.is_none(),
            Self::StreamExists => current.is_some(),
            Self::Exact(version) => current == Some(version),
        }
    }
}

impl From<Option<Version>> for ExpectedVersion {
    /// What a caller expects who saw the stream at this version: `NoStream` for none, else `Exact`.
    fn from(seen: Option<Version>) -> Self {
        seen.map_or(Self::NoStream, Self::Exact)
    }
}

impl fmt::Display for ExpectedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any version"),
            Self::NoStream => f.write_str("no stream"),
            Self::StreamExists => f.write_str("an existing stream"),
            Self::Exact(version) => write!(f, "version {version}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_stays_within_its_bounds() {
        assert_eq!(Version::after(None, 1), Version::FIRST);
        assert_eq!(Version::after(None, 0), Version::FIRST);
        assert_eq!(Version::FIRST.next().get(), 2);
        assert_eq!(Version::MAX.next(), Version::MAX);
        assert_eq!(Version::after(Some(Version::MAX), u64::MAX), Version::MAX);
        assert_eq!(Version::MAX.to_i64(), i64::MAX);
        assert!(Version::new(0).is_err() && Version::new(Version::MAX.get() + 1).is_err());
    }

    #[test]
    fn what_is_read_with_serde_is_checked_as_well() {
        let stream = StreamId::new("Order", Uuid::from_u128(1)).unwrap();
        let json = serde_json::to_string(&stream).unwrap();
        assert_eq!(serde_json::from_str::<StreamId>(&json).unwrap(), stream);
        let nil = json.replace(&stream.aggregate_id().to_string(), &Uuid::nil().to_string());
        assert!(serde_json::from_str::<StreamId>(&nil).is_err());
        assert!(serde_json::from_str::<StreamId>(&json.replace("Order", "")).is_err());
        assert!(serde_json::from_str::<Version>("0").is_err());
    }
}
