use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// A place in the log: every event has one, and it says where in commit order the event lies.
///
/// Positions rise strictly, gaps are allowed, and arithmetic on them has no meaning: compare them, keep them, hand
/// them back. Nothing ever becomes visible at or below a position that a reader has already seen.
///
/// ```
/// use eventsource_core::Position;
///
/// assert!(Position::START < Position::from_raw(1));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Position(u64);

impl Position {
    /// Before the first event.
    pub const START: Self = Self(0);

    /// Behind every event that can ever be.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// The position that a backend, or a caller who stored [`to_raw`](Self::to_raw), stands for. Numbers beyond
    /// [`MAX`](Self::MAX) become `MAX`.
    #[must_use]
    pub const fn from_raw(raw: u64) -> Self {
        if raw > Self::MAX.0 { Self::MAX } else { Self(raw) }
    }

    /// The number to store; give it back to [`from_raw`](Self::from_raw).
    #[must_use]
    pub const fn to_raw(self) -> u64 {
        self.0
    }

    /// The number as databases hold it.
    #[must_use]
    pub const fn to_i64(self) -> i64 {
        self.0.cast_signed()
    }

    /// The nearest place before this one.
    pub(crate) const fn just_before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl TryFrom<i64> for Position {
    type Error = crate::Error;

    /// The position that a database column holds.
    fn try_from(raw: i64) -> crate::Result<Self> {
        u64::try_from(raw)
            .map(Self)
            .map_err(|_| crate::Error::corrupt(format!("a stored position is negative: {raw}")))
    }
}

impl<'de> Deserialize<'de> for Position {
    /// As [`from_raw`](Position::from_raw): a number that no database holds would be a negative one there.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self::from_raw)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_stays_within_its_bounds_wherever_it_comes_from() {
        assert_eq!(Position::from_raw(u64::MAX), Position::MAX);
        assert_eq!(serde_json::from_str::<Position>("18446744073709551615").unwrap(), Position::MAX);
        assert_eq!(serde_json::from_str::<Position>("7").unwrap(), Position::from_raw(7));
        assert!(serde_json::from_str::<Position>("-1").is_err());
        assert_eq!(serde_json::to_string(&Position::from_raw(7)).unwrap(), "7");
        assert_eq!(Position::START.just_before(), Position::START);
    }
}
