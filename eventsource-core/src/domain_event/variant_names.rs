use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

/// The names that serde knows the variants by, if `T` is an enum with `#[serde(tag = "type", content = "data")]`.
///
/// Nobody else tells them: this begins to deserialise a `T`, and stops where serde asks for the variant, which it
/// does with the names of all.
pub(crate) fn variant_names<T: DeserializeOwned>() -> Option<&'static [&'static str]> {
    T::deserialize(Whole).err().and_then(|stopped| stopped.0)
}

/// What a `T` would be read from.
struct Whole;

/// The tag's value.
struct TagValue;

/// The only entry of [`Whole`]'s map.
struct TagEntry(Option<&'static str>);

/// Where deserialising ended, with the names if they were told.
#[derive(Debug)]
struct Stopped(Option<&'static [&'static str]>);

impl<'de> Deserializer<'de> for Whole {
    type Error = Stopped;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stopped> {
        match fields {
            [tag @ "type", "data"] => visitor.visit_map(TagEntry(Some(tag))),
            _ => Err(Stopped(None)),
        }
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stopped> {
        Err(Stopped(None))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for TagEntry {
    type Error = Stopped;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stopped> {
        self.0.take().map(|tag| seed.deserialize(StrDeserializer::new(tag))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stopped> {
        seed.deserialize(TagValue)
    }
}

impl<'de> Deserializer<'de> for TagValue {
    type Error = Stopped;

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Stopped> {
        Err(Stopped(Some(variants)))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stopped> {
        Err(Stopped(None))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deserialising stopped")
    }
}

impl std::error::Error for Stopped {}

impl de::Error for Stopped {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(None)
    }
}
