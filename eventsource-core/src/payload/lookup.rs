use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The text of the value that lies at `path`, a list of object keys; none where a key is missing or no object is.
///
/// An error if `json` is not JSON, as far as it was looked at.
pub(crate) fn lookup<'j>(json: &'j str, path: &[impl AsRef<str>]) -> serde_json::Result<Option<&'j str>> {
    let Some((key, rest)) = path.split_first() else { return Ok(Some(json.trim())) };
    match Find(key.as_ref()).deserialize(&mut serde_json::Deserializer::from_str(json)) {
        Ok(Some(value)) => lookup(value.get(), rest),
        Ok(None) => Ok(None),
        // Only an object has keys; asking serde for one in anything else means the same as its absence.
        Err(error) if error.is_data() => Ok(None),
        Err(error) => Err(error),
    }
}

struct Find<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Find<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_wanted) = entries.next_key_seed(Matches(self.0))? {
            if is_wanted {
                found = Some(entries.next_value()?);
            } else {
                entries.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

struct Matches<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for Matches<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Matches<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}
