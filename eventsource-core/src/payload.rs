//! An event's facts, as JSON text.

mod canonical;
mod check;
mod finite;
mod lookup;
mod misfit;
mod number;
mod plain;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

pub(crate) use lookup::lookup;
pub(crate) use misfit::Misfit;
pub(crate) use number::Number;

/// An event's facts: JSON text, kept as text.
///
/// The same payload comes back *by value* from every store: the keys of an object may come in another order, and a
/// number may be spelt differently (`1e2` as `100`). Equality is by value in the same sense. Cloning shares the text.
///
/// All stores refuse the same things: text that is no JSON ([RFC 8259](https://www.rfc-editor.org/rfc/rfc8259)), a key
/// that stands twice in one object, NUL characters and lone surrogates in strings, numbers beyond `f64`'s range, or
/// longer than 1,000 characters when they are written without an exponent, more than 127 levels of nesting, more than
/// [`MAX_BYTES`](Self::MAX_BYTES).
///
/// ```
/// use eventsource_core::Payload;
///
/// let payload = Payload::from_serialize(&("cust-123", 29_999_u64))?;
/// assert_eq!(payload.as_json(), r#"["cust-123",29999]"#);
/// let (customer, cents): (String, u64) = payload.deserialize()?;
/// assert_eq!((customer.as_str(), cents), ("cust-123", 29_999));
/// assert_eq!(Payload::from_json(r#"{"a":1,"b":10}"#)?, Payload::from_json(r#"{"b":1e1, "a":1.0}"#)?);
/// # Ok::<(), eventsource_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Payload(Arc<str>);

impl Payload {
    /// The longest payload, in bytes of JSON text: 64 MiB.
    pub const MAX_BYTES: usize = 64 << 20;

    /// The JSON that serde makes of `value`.
    ///
    /// # Errors
    /// `InvalidInput` if serde can't, if a float is NaN or infinite (serde_json would write `null` for it), and for
    /// everything that [`from_json`](Self::from_json) refuses.
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        value
            .serialize(finite::Finite)
            .map_err(|error| Error::invalid_input("the payload can't be serialised").with_source(error))?;
        // Room for most payloads, so that they are written without growing.
        let mut json = Vec::with_capacity(256);
        serde_json::to_writer(&mut json, value)
            .map_err(|error| Error::invalid_input("the payload can't be serialised").with_source(error))?;
        let json = String::from_utf8(json)
            .map_err(|error| Error::invalid_input("the payload can't be serialised").with_source(error))?;
        Self::from_json(json)
    }

    /// The JSON that `json` spells.
    ///
    /// # Errors
    /// `InvalidInput` for everything that the type's documentation lists.
    pub fn from_json(json: impl Into<String>) -> Result<Self> {
        let json = json.into();
        if json.len() > Self::MAX_BYTES {
            let (max, len) = (Self::MAX_BYTES, json.len());
            return Err(Error::invalid_input(format!("a payload has at most {max} bytes, not {len}")));
        }
        if !plain::is_plain(&json) {
            check::check(&json)?;
        }
        Ok(Self(json.into()))
    }

    /// For backends: a payload that was checked before it was stored. Only that it is JSON is looked at again.
    ///
    /// # Errors
    /// `Corrupt` if it is not.
    pub fn from_stored(json: impl Into<Arc<str>>) -> Result<Self> {
        let json = json.into();
        if !plain::is_plain(&json) {
            serde_json::from_str::<serde::de::IgnoredAny>(&json)
                .map_err(|error| Error::corrupt("a stored payload is not JSON").with_source(error))?;
        }
        Ok(Self(json))
    }

    /// The value as serde_json holds it; none if it can't: a number that is neither a 64-bit integer nor what an `f64`
    /// says would come out as another one.
    pub(crate) fn to_exact_value(&self) -> Result<Option<serde_json::Value>> {
        let value: serde_json::Value = self.deserialize()?;
        let is_exact = check::has_small_integers_only(&self.0) || Self::from_serialize(&value)? == *self;
        Ok(is_exact.then_some(value))
    }

    /// The text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The value that serde reads from it; it may borrow from the payload.
    ///
    /// # Errors
    /// `Corrupt` if the JSON has not the shape of `T`. The cause says where and what was expected, not what is there.
    pub fn deserialize<'de, T: Deserialize<'de>>(&'de self) -> Result<T> {
        serde_json::from_str(&self.0).map_err(|error| {
            Error::corrupt("the payload has not the expected shape").with_source(Misfit::from(error))
        })
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || canonical::canonical(&self.0) == canonical::canonical(&other.0)
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    /// Only its length: payloads may hold what must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests;
