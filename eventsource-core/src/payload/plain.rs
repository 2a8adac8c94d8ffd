//! Most payloads are JSON in which nothing can be wrong, compact or as PostgreSQL's `jsonb` spells it; to see that takes a
//! tenth of what a full check takes.

/// How deep such a payload is at most, and how many keys the objects on the way to any value have together.
const MOST_LEVELS: usize = 16;
const MOST_KEYS: usize = 32;

/// True only of JSON that all stores can give back. Of other texts it may be false because it does not look further: at
/// other spaces than one behind a colon or comma, at escapes by number, at keys with escapes, at long numbers.
pub(super) fn is_plain(json: &str) -> bool {
    let mut scan = Scan { rest: json.as_bytes(), keys: [&[]; MOST_KEYS], key_count: 0 };
    scan.value(0).is_some() && scan.rest.is_empty()
}

/// Every step returns none where it does not look further.
struct Scan<'j> {
    rest: &'j [u8],
    /// Those of the objects that are open, one object's behind the other's.
    keys: [&'j [u8]; MOST_KEYS],
    key_count: usize,
}

impl<'j> Scan<'j> {
    fn value(&mut self, level: usize) -> Option<()> {
        match self.rest.first()? {
            b'"' => self.string(),
            b'{' if level < MOST_LEVELS => self.object(level + 1),
            b'[' if level < MOST_LEVELS => self.array(level + 1),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.take_all(b"true"),
            b'f' => self.take_all(b"false"),
            b'n' => self.take_all(b"null"),
            _ => None,
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        let (first, rest) = self.rest.split_first()?;
        (*first == byte).then(|| self.rest = rest)
    }

    fn take_spaced(&mut self, byte: u8) -> Option<()> {
        self.take(byte)?;
        self.rest = self.rest.strip_prefix(b" ").unwrap_or(self.rest);
        Some(())
    }

    fn take_all(&mut self, text: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    fn object(&mut self, level: usize) -> Option<()> {
        self.take(b'{')?;
        if self.take(b'}').is_some() {
            return Some(());
        }
        let outer = self.key_count;
        loop {
            self.key(outer)?;
            self.take_spaced(b':')?;
            self.value(level)?;
            if self.take_spaced(b',').is_none() {
                self.key_count = outer;
                return self.take(b'}');
            }
        }
    }

    fn array(&mut self, level: usize) -> Option<()> {
        self.take(b'[')?;
        if self.take(b']').is_some() {
            return Some(());
        }
        loop {
            self.value(level)?;
            if self.take_spaced(b',').is_none() {
                return self.take(b']');
            }
        }
    }

    /// A key that stands in its object, whose keys begin at `outer`, for the first time.
    fn key(&mut self, outer: usize) -> Option<()> {
        self.take(b'"')?;
        let key = self.until_special()?;
        self.take(b'"')?;
        if self.keys[outer..self.key_count].contains(&key) {
            return None;
        }
        *self.keys.get_mut(self.key_count)? = key;
        self.key_count += 1;
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        self.take(b'"')?;
        loop {
            self.until_special()?;
            match self.rest {
                [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', rest @ ..] => {
                    self.rest = rest
                }
                _ => return self.take(b'"'),
            }
        }
    }

    /// What stands before the next quotation mark, backslash or control character.
    fn until_special(&mut self) -> Option<&'j [u8]> {
        let (eights, _) = self.rest.as_chunks::<8>();
        let marks = eights.iter().map(|eight| special_bytes(u64::from_le_bytes(*eight)));
        let end = match marks.enumerate().find(|(_, marks)| *marks != 0) {
            Some((index, marks)) => 8 * index + marks.trailing_zeros() as usize / 8,
            None => {
                let begin = 8 * eights.len();
                let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
                begin + self.rest[begin..].iter().position(is_special)?
            }
        };
        let (before, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(before)
    }

    /// A number so short that every store can keep it, without an exponent.
    fn number(&mut self) -> Option<()> {
        let length = self.rest.len();
        let _ = self.take(b'-');
        if self.take(b'0').is_none() {
            self.digits()?;
        }
        if self.take(b'.').is_some() {
            self.digits()?;
        }
        let is_short = length - self.rest.len() <= 20;
        (is_short && !matches!(self.rest.first(), Some(b'e' | b'E' | b'0'..=b'9'))).then_some(())
    }

    fn digits(&mut self) -> Option<()> {
        let end = self.rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(self.rest.len());
        self.rest = &self.rest[end..];
        (end > 0).then_some(())
    }
}

/// Of eight bytes at once, the lowest first: sets the highest bit of the first quotation mark, backslash or control
/// character. What it says of those behind the first is not to be relied on: a borrow may have reached them.
fn special_bytes(eight: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let is_less = |bytes: u64, bound: u8| bytes.wrapping_sub(ONES * u64::from(bound)) & !bytes;
    let is = |byte: u8| is_less(eight ^ (ONES * u64::from(byte)), 1);
    (is(b'"') | is(b'\\') | is_less(eight, 0x20)) & (ONES * 0x80)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::payload::check::check;

    #[test]
    fn what_serde_and_jsonb_write_is_plain() {
        for plain in [
            r#"{"order":"o-1","lines":[{"item":1,"cents":-299.5},{"item":2,"cents":0}],"vip":true,"note":null}"#,
            r#"{"a": [1, -299.5, {"b": null, "c": ""}], "d": true}"#,
            r#"["a\n\"b\" \\ c","","ü",{},[],false,18446744073709551615]"#,
        ] {
            assert!(is_plain(plain), "{plain}");
        }
    }

    #[test]
    fn what_needs_a_closer_look_is_not() {
        for other in [
            "",
            " 1",
            "1 ",
            "[ 1]",
            "[1,  2]",
            "[1 ,2]",
            "[1, ]",
            r#"{"a" :1}"#,
            r#"{"a":  1}"#,
            r#"{ "a":1}"#,
            r#"{"a":1 }"#,
            "01",
            "-",
            "1.",
            ".5",
            "1e5",
            "nul",
            "truer",
            "[1,]",
            "[,1]",
            "{",
            "{\"a\"}",
            "{\"a\":1,}",
            r#"{"a":1,"a":2}"#,
            r#"{"a":{"b":1},"a":2}"#,
            r#"{"\n":1}"#,
            r#""\u0041""#,
            "\"\n\"",
            "\"a",
            r#""\"#,
            "123456789012345678901",
            "[1]]",
        ] {
            assert!(!is_plain(other), "{other}");
        }
        assert!(!is_plain(&format!("{}{}", "[".repeat(17), "]".repeat(17))));
        let many = (0..40).map(|key| format!(r#""k{key}":0,"#)).collect::<String>();
        assert!(!is_plain(&format!("{{{many}\"k40\":1}}")));
    }

    #[test]
    fn every_special_byte_is_found_wherever_it_stands() {
        for text in ["", "a", "abcdefg", "abcdefgh", "abcdefghijkl", "äöü€äöü€äöü€", "\u{7f} !#[]~"]
        {
            for special in ["\"", "\\", "\0", "\u{1f}", "\n"] {
                let json = format!("{text}{special}{text}{special}");
                let mut scan = Scan { rest: json.as_bytes(), keys: [&[]; MOST_KEYS], key_count: 0 };
                assert_eq!(scan.until_special(), Some(text.as_bytes()), "{json:?}");
            }
            let mut scan = Scan { rest: text.as_bytes(), keys: [&[]; MOST_KEYS], key_count: 0 };
            assert_eq!(scan.until_special(), None, "{text:?}");
        }
    }

    const PLAIN: &str = r#"{"a":[1.5,"b\n\\",{"c": -0, "":null}],"d": true,"ee":[[], {}]}"#;

    proptest! {
        /// The full check is what decides; this one may only be sooner.
        #[test]
        fn what_is_plain_passes_the_full_check(
            (begin, end) in (0..=PLAIN.len(), 0..=PLAIN.len()),
            tokens in prop::collection::vec(
                prop::sample::select(vec![
                    "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\"b\":", "\"\":1", "\\", "\\n", "\\u0000", "\0", "\n",
                    "0", "1", "-", ".", "12", "e", "E5", "+", "true", "false", "null", "t", " ", "ü",
                ]),
                0..8,
            ),
        ) {
            let tokens = tokens.concat();
            for json in [format!("{}{tokens}{}", &PLAIN[..begin], &PLAIN[end..]), tokens] {
                prop_assert!(!is_plain(&json) || check(&json).is_ok(), "{json}");
            }
        }
    }
}
