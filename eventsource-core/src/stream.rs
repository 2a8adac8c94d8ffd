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
pub struct StreamId {
    aggregate_type: AggregateType,
    aggregate_id: Uuid,
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

    /// A version.
    ///
    /// # Errors
    /// `InvalidInput` for 0 (versions count from 1; an absent stream has none) and for numbers beyond `i64::MAX`.
    pub fn new(number: u64) -> Result<Self> {
        if number == 0 || i64::try_from(number).is_err() {
            return Err(Error::invalid_input(format!(
                "a version lies between 1 and {}, not at {number}",
                i64::MAX
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

    /// The version that follows.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The version of the `count`-th event (from 1) appended to a stream that is at `current`.
    ///
    /// For backends, which assign versions: `Version::after(None, 1)` is [`Version::FIRST`].
    #[must_use]
    pub fn after(current: Option<Self>, count: u64) -> Self {
        Self(current.map_or(0, Self::get) + count)
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
