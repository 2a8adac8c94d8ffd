use std::fmt;

/// A JSON number as the exact decimal that its text spells, so that `1`, `1.0` and `10e-1` are one number and no two
/// different decimals ever are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Number {
    negative: bool,
    /// The power of ten that `digits` is multiplied with.
    exponent: i64,
    /// Without zeros at either end; empty for zero.
    digits: String,
}

impl Number {
    /// The longest number, as it is spelt and as it is without an exponent: a database may spell it so.
    const MAX_CHARS: usize = 1_000;

    /// The number that a JSON number token spells; none if it is longer than stores take.
    pub(crate) fn parse(token: &str) -> Option<Self> {
        if token.len() > Self::MAX_CHARS {
            return None;
        }
        let (negative, unsigned) = token.strip_prefix('-').map_or((false, token), |rest| (true, rest));
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        // No exponent that is refused here would fit below.
        let mut exponent = i64::from(exponent.parse::<i32>().ok()?);
        let (before, behind) = (i64::try_from(whole.len()).ok()?, i64::try_from(fraction.len()).ok()?);
        let written_out = i64::from(negative) + (before + exponent).max(1) + 1 + (behind - exponent).max(0);
        if written_out > i64::try_from(Self::MAX_CHARS).ok()? {
            return None;
        }
        let digits = format!("{whole}{fraction}");
        let trimmed = digits.trim_end_matches('0');
        exponent += i64::try_from(digits.len() - trimmed.len()).ok()? - behind;
        let digits = trimmed.trim_start_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { negative: false, exponent: 0, digits });
        }
        Some(Self { negative, exponent, digits })
    }
}

impl fmt::Display for Number {
    /// The JSON number of the same value that has no exponent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.digits.is_empty() {
            return f.write_str("0");
        }
        if self.negative {
            f.write_str("-")?;
        }
        let places = usize::try_from(self.exponent.unsigned_abs()).map_err(|_| fmt::Error)?;
        if self.exponent >= 0 {
            return write!(f, "{}{:0<places$}", self.digits, "");
        }
        match self.digits.len().checked_sub(places) {
            None | Some(0) => write!(f, "0.{:0>places$}", self.digits),
            Some(point) => write!(f, "{}.{}", &self.digits[..point], &self.digits[point..]),
        }
    }
}
