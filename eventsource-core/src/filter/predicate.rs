use std::fmt;

use super::Scalar;
use crate::name::check_text;
use crate::payload::lookup;
use crate::{Error, Payload, Result};

/// Where in a payload a value lies: object keys from the outside in. One key is written as text, several as an array:
/// `"BookID"`, `["customer", "id"]`. A key is taken as it is; dots and dollars mean nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadPath(Vec<String>);

impl PayloadPath {
    /// The longest key, in bytes.
    pub const MAX_KEY_BYTES: usize = 1024;
    /// The longest path, in keys.
    pub const MAX_KEYS: usize = 32;

    /// The path along these keys.
    ///
    /// # Errors
    /// `InvalidInput` if there is no key or more than [`MAX_KEYS`](Self::MAX_KEYS), or if a key is empty, longer than
    /// [`MAX_KEY_BYTES`](Self::MAX_KEY_BYTES) or contains a NUL character.
    pub fn new<K: Into<String>>(keys: impl IntoIterator<Item = K>) -> Result<Self> {
        let keys: Vec<String> = keys.into_iter().map(Into::into).collect();
        if keys.is_empty() || keys.len() > Self::MAX_KEYS {
            return Err(Error::invalid_input(format!(
                "a payload path has between 1 and {} keys",
                Self::MAX_KEYS
            )));
        }
        for key in &keys {
            check_text("a key of a payload path", key, Self::MAX_KEY_BYTES)?;
        }
        Ok(Self(keys))
    }

    /// The keys, from the outside in; at least one.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.0
    }
}

impl TryFrom<&str> for PayloadPath {
    type Error = Error;

    fn try_from(key: &str) -> Result<Self> {
        Self::new([key])
    }
}

impl TryFrom<&String> for PayloadPath {
    type Error = Error;

    fn try_from(key: &String) -> Result<Self> {
        Self::new([key])
    }
}

impl TryFrom<String> for PayloadPath {
    type Error = Error;

    fn try_from(key: String) -> Result<Self> {
        Self::new([key])
    }
}

impl<const N: usize> TryFrom<[&str; N]> for PayloadPath {
    type Error = Error;

    fn try_from(keys: [&str; N]) -> Result<Self> {
        Self::new(keys)
    }
}

impl fmt::Debug for PayloadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// "The payload's value at this path is this one." A path that leads nowhere, or through a list, is never equal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadPredicate {
    path: PayloadPath,
    value: Scalar,
}

impl PayloadPredicate {
    /// The predicate that `path` holds `value`.
    ///
    /// # Errors
    /// `InvalidInput` as for [`PayloadPath::new`] and [`Scalar`]'s conversions.
    pub fn new(
        path: impl TryInto<PayloadPath, Error: Into<Error>>,
        value: impl TryInto<Scalar, Error: Into<Error>>,
    ) -> Result<Self> {
        Ok(Self { path: path.try_into().map_err(Into::into)?, value: value.try_into().map_err(Into::into)? })
    }

    /// Where to look.
    #[must_use]
    pub fn path(&self) -> &PayloadPath {
        &self.path
    }

    /// What must be there.
    #[must_use]
    pub fn value(&self) -> &Scalar {
        &self.value
    }

    /// Whether it holds for `payload`.
    #[must_use]
    pub fn matches(&self, payload: &Payload) -> bool {
        // A payload is JSON; that was looked at when it was made.
        self.matches_json(payload.as_json()).unwrap_or(false)
    }

    /// Whether it holds for a payload's JSON text; for backends that filter where they store.
    ///
    /// # Errors
    /// `Corrupt` if the text is not JSON: what can't be read must not pass for what doesn't match.
    pub fn matches_json(&self, json: &str) -> Result<bool> {
        let found =
            lookup(json, self.path.keys()).map_err(|_| Error::corrupt("a stored payload is not JSON"))?;
        Ok(found.is_some_and(|found| self.value.is(found)))
    }

    /// The smallest JSON document for which it holds: `{"customer":{"id":"c1"}}`. PostgreSQL's containment
    /// (`payload @> document`) asks exactly this predicate.
    #[must_use]
    pub fn to_document(&self) -> String {
        self.path.keys().iter().rev().fold(self.value.to_json(), |inner, key| {
            let key = serde_json::Value::from(key.as_str());
            format!("{{{key}:{inner}}}")
        })
    }
}

impl fmt::Debug for PayloadPredicate {
    /// Only the path: values may hold what must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} = …", self.path)
    }
}
