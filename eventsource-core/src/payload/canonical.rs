use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::value::RawValue;

use super::number::Number;

/// One text for all texts of the same value: sorted keys, numbers as exact decimals, strings escaped one way.
///
/// The text is a payload's, so it has been checked; what can't be read is kept as it is.
pub(super) fn canonical(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    write(json.trim(), &mut out);
    out
}

fn write(json: &str, out: &mut String) {
    match json.as_bytes().first() {
        Some(b'{') => {
            let Ok(object) = serde_json::from_str::<BTreeMap<Cow<'_, str>, &RawValue>>(json) else {
                return out.push_str(json);
            };
            out.push('{');
            for (key, value) in object {
                string(&key, out);
                out.push(':');
                write(value.get(), out);
                out.push(',');
            }
            out.push('}');
        }
        Some(b'[') => {
            let Ok(array) = serde_json::from_str::<Vec<&RawValue>>(json) else {
                return out.push_str(json);
            };
            out.push('[');
            for value in array {
                write(value.get(), out);
                out.push(',');
            }
            out.push(']');
        }
        Some(b'"') => match serde_json::from_str::<Cow<'_, str>>(json) {
            Ok(text) => string(&text, out),
            Err(_) => out.push_str(json),
        },
        Some(b't' | b'f' | b'n') | None => out.push_str(json),
        Some(_) => match Number::parse(json) {
            Some(number) => {
                let _ = write!(out, "{number}");
            }
            None => out.push_str(json),
        },
    }
}

fn string(text: &str, out: &mut String) {
    // Debug escapes quotes and backslashes, and nothing two different texts would share.
    let _ = write!(out, "{text:?}");
}
