use std::borrow::Cow;

use crate::payload::Number;
use crate::{Error, Result};

/// A JSON value without parts, to compare a payload's value with: null, a boolean, a number or a string.
///
/// Numbers compare as exact decimals: `1`, `1.0` and `1e0` are equal, `0.1` and `0.10000000000000000001` are not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scalar(Repr);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Repr {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
}

impl Scalar {
    /// JSON's `null`.
    pub const NULL: Self = Self(Repr::Null);

    /// A number in JSON's spelling, for those that no Rust type holds exactly.
    ///
    /// # Errors
    /// `InvalidInput` if it is no JSON number, or larger or longer than [`Payload`](crate::Payload) takes.
    pub fn number(json: &str) -> Result<Self> {
        serde_json::from_str::<serde_json::Number>(json)
            .ok()
            .and_then(|_| Number::parse(json))
            .map(|number| Self(Repr::Number(number)))
            .ok_or_else(|| Error::invalid_input("the value is no JSON number that stores keep"))
    }

    /// The value as JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        match &self.0 {
            Repr::Null => "null".to_owned(),
            Repr::Bool(value) => value.to_string(),
            Repr::Number(number) => number.to_string(),
            Repr::String(text) => serde_json::Value::from(text.as_str()).to_string(),
        }
    }

    /// Whether `json`, one valid JSON value, is this one.
    pub(crate) fn is(&self, json: &str) -> bool {
        match &self.0 {
            Repr::Null => json == "null",
            Repr::Bool(value) => json == if *value { "true" } else { "false" },
            Repr::Number(number) => {
                json.starts_with(|first: char| first == '-' || first.is_ascii_digit())
                    && Number::parse(json).as_ref() == Some(number)
            }
            Repr::String(text) => {
                json.starts_with('"')
                    && serde_json::from_str::<Cow<'_, str>>(json).is_ok_and(|value| value == text.as_str())
            }
        }
    }
}

impl TryFrom<&str> for Scalar {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<&String> for Scalar {
    type Error = Error;

    fn try_from(text: &String) -> Result<Self> {
        Self::try_from(text.clone())
    }
}

impl TryFrom<String> for Scalar {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        if text.contains('\0') {
            return Err(Error::invalid_input("a payload value never contains a NUL character"));
        }
        Ok(Self(Repr::String(text)))
    }
}

impl From<bool> for Scalar {
    fn from(value: bool) -> Self {
        Self(Repr::Bool(value))
    }
}

impl TryFrom<f64> for Scalar {
    type Error = Error;

    fn try_from(value: f64) -> Result<Self> {
        let json = serde_json::Value::from(value);
        if json.is_null() {
            return Err(Error::invalid_input("JSON has no number that is infinite or not a number"));
        }
        Self::number(&json.to_string())
    }
}

impl TryFrom<f32> for Scalar {
    type Error = Error;

    /// The shortest decimal that is this number: what serde writes for it.
    fn try_from(value: f32) -> Result<Self> {
        Self::number(&value.to_string())
    }
}

macro_rules! integers {
    ($($integer:ty),*) => { $(
        impl TryFrom<$integer> for Scalar {
            type Error = Error;

            fn try_from(value: $integer) -> Result<Self> {
                Self::number(&value.to_string())
            }
        }
    )* };
}

integers!(i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize);

impl TryFrom<uuid::Uuid> for Scalar {
    type Error = Error;

    /// The string that serde writes for a UUID.
    fn try_from(id: uuid::Uuid) -> Result<Self> {
        Self::try_from(id.to_string())
    }
}

impl TryFrom<&serde_json::Value> for Scalar {
    type Error = Error;

    fn try_from(value: &serde_json::Value) -> Result<Self> {
        match value {
            serde_json::Value::Null => Ok(Self::NULL),
            serde_json::Value::Bool(value) => Ok((*value).into()),
            serde_json::Value::Number(number) => Self::number(&number.to_string()),
            serde_json::Value::String(text) => text.try_into(),
            _ => Err(Error::invalid_input(
                "a payload predicate compares with a JSON scalar, not a list or an object",
            )),
        }
    }
}
