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
    /// The longest number's text.
    const MAX_CHARS: usize = 1_000;
    /// Beyond what `f64` reaches there is no number that every reader of JSON understands.
    const MAX_EXPONENT: i64 = 400;

    /// The number that a JSON number token spells; none if it is longer or has a larger exponent than stores take.
    pub(crate) fn parse(token: &str) -> Option<Self> {
        if token.len() > Self::MAX_CHARS {
            return None;
        }
        let (negative, unsigned) = token.strip_prefix('-').map_or((false, token), |rest| (true, rest));
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut exponent: i64 = exponent.parse().ok()?;
        if exponent.abs() > Self::MAX_EXPONENT {
            return None;
        }
        let digits = format!("{whole}{fraction}");
        let trimmed = digits.trim_end_matches('0');
        exponent += i64::try_from(digits.len() - trimmed.len()).ok()? - i64::try_from(fraction.len()).ok()?;
        let digits = trimmed.trim_start_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { negative: false, exponent: 0, digits });
        }
        Some(Self { negative, exponent, digits })
    }
}

impl fmt::Display for Number {
    /// A JSON number of the same value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.digits.is_empty() {
            return f.write_str("0");
        }
        if self.negative {
            f.write_str("-")?;
        }
        f.write_str(&self.digits)?;
        match self.exponent {
            0 => Ok(()),
            exponent => write!(f, "e{exponent}"),
        }
    }
}
