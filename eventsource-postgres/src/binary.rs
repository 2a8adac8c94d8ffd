//! Columns as the server sends them in answer to a prepared statement, in PostgreSQL's binary format.
//!
//! Decoded here because there are seventeen for each event: the driver asks for the type of each again, takes times through
//! four types, and makes a `String` of each tag.

use chrono::{DateTime, Utc};
use eventsource_core::{Error, Result, Tag};
use smallvec::SmallVec;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

/// From 1970, where times begin elsewhere, to 2000, where they begin in PostgreSQL.
const EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;

/// What a column holds, if it is not NULL.
pub(crate) fn optional<'r, T>(
    row: &'r PgRow,
    at: usize,
    decode: impl FnOnce(&'r [u8]) -> Option<T>,
) -> Result<Option<T>> {
    let value = row.try_get_raw(at).map_err(|error| broken_column(row, at).with_source(error))?;
    // NULL is all that it can't give.
    let Ok(bytes) = value.as_bytes() else { return Ok(None) };
    decode(bytes).map(Some).ok_or_else(|| broken_column(row, at))
}

/// What a column holds that is never NULL.
pub(crate) fn required<'r, T>(
    row: &'r PgRow,
    at: usize,
    decode: impl FnOnce(&'r [u8]) -> Option<T>,
) -> Result<T> {
    optional(row, at, decode)?.ok_or_else(|| broken_column(row, at))
}

pub(crate) fn bigint(bytes: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(bytes.try_into().ok()?))
}

pub(crate) fn integer(bytes: &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(bytes.try_into().ok()?))
}

pub(crate) fn uuid(bytes: &[u8]) -> Option<Uuid> {
    Uuid::from_slice(bytes).ok()
}

pub(crate) fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Microseconds since 2000. The ends of what it can hold stand for infinity, which is no time here.
pub(crate) fn time(bytes: &[u8]) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(bigint(bytes)?.checked_add(EPOCH_MICROSECONDS)?)
}

/// The text of a jsonb: a version byte, then the text.
pub(crate) fn json(bytes: &[u8]) -> Option<&str> {
    match bytes {
        [1, json @ ..] => text(json),
        _ => None,
    }
}

/// An array of text: dimensions, flags, element type; for a dimension its length and lower bound; then length and bytes of
/// each element.
pub(crate) fn tags(mut bytes: &[u8]) -> Option<SmallVec<[Tag; 4]>> {
    let number = |bytes: &mut &[u8]| {
        let (head, rest) = bytes.split_first_chunk::<4>()?;
        *bytes = rest;
        Some(i32::from_be_bytes(*head))
    };
    let dimensions = number(&mut bytes)?;
    let (_flags, _element_type) = (number(&mut bytes)?, number(&mut bytes)?);
    if dimensions == 0 {
        return Some(SmallVec::new());
    }
    let length = usize::try_from(number(&mut bytes)?).ok()?;
    let _lower_bound = number(&mut bytes)?;
    if dimensions != 1 || length > bytes.len() {
        return None;
    }
    let mut tags = SmallVec::with_capacity(length);
    for _ in 0..length {
        let size = usize::try_from(number(&mut bytes)?).ok()?;
        let (tag, rest) = bytes.split_at_checked(size)?;
        bytes = rest;
        tags.push(Tag::parse(text(tag)?).ok()?);
    }
    Some(tags)
}

fn broken_column(row: &PgRow, at: usize) -> Error {
    use sqlx::Column as _;

    let name = row.columns().get(at).map_or("that it should have", |column| column.name());
    Error::corrupt(format!("the column {name} can't be decoded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_another_length_is_refused() {
        assert_eq!((bigint(&[0, 0, 0, 0, 0, 0, 1, 2]), integer(&[0, 0, 1, 2])), (Some(258), Some(258)));
        assert_eq!((bigint(&[0; 4]), integer(&[0; 8]), uuid(&[0; 15])), (None, None, None));
        assert_eq!(
            (json(b"\x01{}"), json(b"\x02{}"), json(b""), text(b"\xff")),
            (Some("{}"), None, None, None)
        );
    }

    #[test]
    fn times_are_counted_from_2000() {
        let at = |microseconds: i64| time(&microseconds.to_be_bytes()).map(|time| time.to_rfc3339());
        assert_eq!(at(0).unwrap(), "2000-01-01T00:00:00+00:00");
        assert_eq!(at(-1).unwrap(), "1999-12-31T23:59:59.999999+00:00");
        assert_eq!((at(i64::MAX), at(i64::MIN)), (None, None));
    }

    #[test]
    fn tags_that_are_cut_short_are_refused() {
        let list = |tags: &[&str]| {
            let mut bytes: Vec<u8> = [1, 0, 25, i32::try_from(tags.len()).unwrap(), 1]
                .iter()
                .flat_map(|number: &i32| number.to_be_bytes())
                .collect();
            for tag in tags {
                bytes.extend(i32::try_from(tag.len()).unwrap().to_be_bytes());
                bytes.extend(tag.as_bytes());
            }
            bytes
        };
        let bytes = list(&["course:1", "student:2"]);
        let texts: Vec<_> = tags(&bytes).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["course:1", "student:2"]);
        for length in 0..bytes.len() {
            assert!(tags(&bytes[..length]).is_none(), "{length}");
        }
        assert!(tags(&[0; 12]).unwrap().is_empty());
    }
}
