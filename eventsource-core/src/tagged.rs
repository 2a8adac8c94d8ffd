//! Reading an enum that serde tags from an event's type and payload, without writing both into one text first.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

/// The value that serde would read from `{"type": event_type, "data": json}`.
pub(crate) fn decode<T: DeserializeOwned>(event_type: &str, json: &str) -> serde_json::Result<T> {
    T::deserialize(Tagged { event_type, json, next: Next::Type })
}

struct Tagged<'de> {
    event_type: &'de str,
    json: &'de str,
    next: Next,
}

#[derive(Clone, Copy, PartialEq)]
enum Next {
    Type,
    Data,
    End,
}

impl<'de> Deserializer<'de> for Tagged<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        visitor.visit_map(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The type comes first, so that serde reads the data as what it is and keeps nothing for later.
impl<'de> MapAccess<'de> for Tagged<'de> {
    type Error = serde_json::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> serde_json::Result<Option<K::Value>> {
        let key = match self.next {
            Next::Type => "type",
            Next::Data => "data",
            Next::End => return Ok(None),
        };
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> serde_json::Result<S::Value> {
        if self.next == Next::Type {
            self.next = Next::Data;
            return seed.deserialize(BorrowedStrDeserializer::new(self.event_type));
        }
        self.next = Next::End;
        let mut data = serde_json::Deserializer::from_str(self.json);
        let value = seed.deserialize(&mut data)?;
        data.end()?;
        Ok(value)
    }
}
