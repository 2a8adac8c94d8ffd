use std::fmt::{self, Write};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, SmolStrBuilder};

use crate::name::check_text;
use crate::{Error, Result};

/// A `key:value` string that an event carries so that boundaries can find it.
///
/// Tags are derived from the payload and hold no personal data: they are indexed, and they outlive it
/// (as [dcb.events](https://dcb.events) advises).
///
/// ```
/// use eventsource_core::Tag;
///
/// let tag = Tag::new("course", "c1")?;
/// assert_eq!(tag.as_str(), "course:c1");
/// assert_eq!(tag, Tag::parse("course:c1")?);
/// assert_eq!((tag.key(), tag.value()), ("course", "c1"));
/// # Ok::<(), eventsource_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(SmolStr);

impl Tag {
    /// The longest tag, in bytes, colon included: what fits an index entry of every backend.
    pub const MAX_BYTES: usize = 1024;

    /// The tag `key:value`. The value is anything that displays: text, a number, a UUID.
    ///
    /// # Errors
    /// `InvalidInput` if key or value is empty or can't be displayed, if the key contains a colon, if there is a NUL
    /// character, or if the whole is longer than [`MAX_BYTES`](Self::MAX_BYTES).
    pub fn new(key: impl fmt::Display, value: impl fmt::Display) -> Result<Self> {
        let mut text = SmolStrBuilder::new();
        write!(text, "{key}").map_err(|_| Error::invalid_input("a tag's key can't be displayed"))?;
        if text.as_str().contains(':') {
            return Err(Error::invalid_input("a tag's key never contains a colon"));
        }
        write!(text, ":{value}").map_err(|_| Error::invalid_input("a tag's value can't be displayed"))?;
        Self::parse(text.as_str())
    }

    /// The tag that `text` spells as `key:value`; the first colon divides them.
    ///
    /// # Errors
    /// `InvalidInput` as for [`new`](Self::new), and if there is no colon.
    pub fn parse(text: impl AsRef<str>) -> Result<Self> {
        let text = text.as_ref();
        check_text("a tag", text, Self::MAX_BYTES)?;
        let colon = text
            .bytes()
            .position(|byte| byte == b':')
            .ok_or_else(|| Error::invalid_input("a tag has the form key:value"))?;
        if colon == 0 || colon + 1 == text.len() {
            return Err(Error::invalid_input("a tag's key and value are never empty"));
        }
        Ok(Self(text.into()))
    }

    /// The whole, `key:value`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the first colon.
    #[must_use]
    pub fn key(&self) -> &str {
        self.0.split_once(':').map_or("", |(key, _)| key)
    }

    /// What stands behind the first colon.
    #[must_use]
    pub fn value(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, value)| value)
    }
}

impl TryFrom<&str> for Tag {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Tag {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<&String> for Tag {
    type Error = Error;

    fn try_from(text: &String) -> Result<Self> {
        Self::parse(text)
    }
}

impl FromStr for Tag {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.0.into()
    }
}

impl From<&Tag> for Tag {
    fn from(tag: &Tag) -> Self {
        tag.clone()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    /// Shows a part of itself, and fails.
    struct Torn;

    impl fmt::Display for Torn {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a part")?;
            Err(fmt::Error)
        }
    }

    #[test]
    fn what_can_not_be_displayed_is_no_tag() {
        for tag in [Tag::new(Torn, "value"), Tag::new("key", Torn)] {
            assert_eq!(tag.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }
}
