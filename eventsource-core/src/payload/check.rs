use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::number::Number;
use crate::{Error, Result};

/// Refuses JSON that not all stores could give back.
pub(super) fn check(json: &str) -> Result<()> {
    let refused = |error: serde_json::Error| {
        Error::invalid_input("the payload is not JSON that every store can keep").with_source(error)
    };
    let mut deserializer = serde_json::Deserializer::from_str(json);
    Value.deserialize(&mut deserializer).map_err(refused)?;
    deserializer.end().map_err(refused)?;
    check_numbers(json)
}

/// Looks at every number's text, which serde doesn't show. `json` is JSON already.
fn check_numbers(json: &str) -> Result<()> {
    for number in numbers(json) {
        // Nothing so short can be out of range, and nearly all numbers are.
        let short = number.len() <= 20 && !number.contains(['e', 'E']);
        if !short && Number::parse(number).is_none() {
            return Err(Error::invalid_input("a number in the payload is longer or larger than stores keep"));
        }
    }
    Ok(())
}

/// Whether every number is an integer that surely fits in 64 bits. `json` is JSON already.
pub(super) fn has_small_integers_only(json: &str) -> bool {
    numbers(json).all(|number| number.len() <= 18 && !number.contains(['.', 'e', 'E']) && number != "-0")
}

/// The text of every number. `json` is JSON already.
fn numbers(json: &str) -> impl Iterator<Item = &str> {
    let bytes = json.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            match bytes[at] {
                b'"' => {
                    at += 1;
                    while bytes[at] != b'"' {
                        at += if bytes[at] == b'\\' { 2 } else { 1 };
                    }
                    at += 1;
                }
                b'-' | b'0'..=b'9' => {
                    let begin = at;
                    at += bytes[begin..]
                        .iter()
                        .position(|byte| !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
                        .unwrap_or(bytes.len() - begin);
                    return Some(&json[begin..at]);
                }
                _ => at += 1,
            }
        }
        None
    })
}

/// Any JSON value: walks through it and keeps nothing.
#[derive(Clone, Copy)]
struct Value;

impl<'de> DeserializeSeed<'de> for Value {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        refuse_nul(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut keys = Keys::default();
        while let Some(Key(key)) = entries.next_key()? {
            refuse_nul(&key)?;
            if !keys.insert(key) {
                return Err(de::Error::custom("a key stands twice in one object"));
            }
            entries.next_value_seed(self)?;
        }
        Ok(())
    }
}

fn refuse_nul<E: de::Error>(text: &str) -> Result<(), E> {
    if text.contains('\0') { Err(E::custom("a NUL character stands in a string")) } else { Ok(()) }
}

/// The keys of one object: a list while they are few, which is nearly always.
#[derive(Default)]
struct Keys<'de> {
    few: Vec<Cow<'de, str>>,
    many: HashSet<Cow<'de, str>>,
}

impl<'de> Keys<'de> {
    const FEW: usize = 16;

    fn insert(&mut self, key: Cow<'de, str>) -> bool {
        if self.few.len() < Self::FEW {
            let new = !self.few.contains(&key);
            self.few.push(key);
            return new;
        }
        !self.few.contains(&key) && self.many.insert(key)
    }
}

/// A key that borrows from the text where it has no escapes.
struct Key<'de>(Cow<'de, str>);

impl<'de> de::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}
