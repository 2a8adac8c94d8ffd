use std::fmt;

/// Why JSON has not the expected shape: what serde_json says of it, without the content that serde_json would quote.
#[derive(Debug)]
pub(crate) struct Misfit(String);

impl Misfit {
    /// How serde's own messages begin that quote content, up to `, expected …`.
    const QUOTING: [&str; 5] =
        ["invalid type", "invalid value", "invalid length", "unknown variant", "unknown field"];
    /// How those begin that name a field of the expected type, and nothing else.
    const NAMING: [&str; 2] = ["missing field `", "duplicate field `"];
}

impl From<serde_json::Error> for Misfit {
    fn from(error: serde_json::Error) -> Self {
        let text = error.to_string();
        let quoting = Self::QUOTING.iter().find(|beginning| text.starts_with(**beginning));
        if let (Some(beginning), Some((_, expected))) = (quoting, text.rsplit_once(", expected ")) {
            return Self(format!("{beginning}, expected {expected}"));
        }
        if Self::NAMING.iter().any(|beginning| text.starts_with(beginning)) {
            return Self(text);
        }
        Self(format!("the value at line {} column {} is refused", error.line(), error.column()))
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misfit {}
