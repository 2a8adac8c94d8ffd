use std::fmt;
use std::str::FromStr;

use eventsource_core::{Error, Result};

/// A schema's name that is safe to stand in SQL: a plain identifier. It is quoted nevertheless, so that keywords and
/// capitals mean themselves.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SchemaName(String);

impl SchemaName {
    /// PostgreSQL cuts longer ones off, and two could become one.
    const MAX_BYTES: usize = 63;

    /// The name as it is.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// SQL text in which `{schema}` stands for this one.
    pub(crate) fn fill_in(&self, sql: &str) -> String {
        sql.replace("{schema}", &self.to_string())
    }
}

impl FromStr for SchemaName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        if name.len() > Self::MAX_BYTES || !is_plain(name) {
            return Err(Error::invalid_input(
                "a schema's name is an ASCII letter or underscore and then letters, digits or underscores, 63 at most",
            ));
        }
        if name.to_ascii_lowercase().starts_with("pg_") {
            return Err(Error::invalid_input("schemas whose names begin with pg_ belong to PostgreSQL"));
        }
        Ok(Self(name.to_owned()))
    }
}

impl Default for SchemaName {
    fn default() -> Self {
        Self("public".to_owned())
    }
}

impl fmt::Display for SchemaName {
    /// Quoted, for SQL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

impl fmt::Debug for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether it is a letter or underscore and then letters, digits or underscores, all ASCII.
pub(crate) fn is_plain(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first == b'_' || first.is_ascii_alphabetic())
        && bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_refused() {
        for name in [
            "",
            "a b",
            "x\"; DROP TABLE events; --",
            "a.b",
            "1a",
            "pg_temp",
            "PG_x",
            "é",
            "a\0",
            "a$body$",
            "'",
        ] {
            assert!(name.parse::<SchemaName>().is_err(), "{name:?}");
        }
        assert!("a".repeat(64).parse::<SchemaName>().is_err());
    }

    #[test]
    fn keywords_and_capitals_mean_themselves() {
        for name in ["select", "Orders", "_x1", &"a".repeat(63)] {
            assert_eq!(name.parse::<SchemaName>().unwrap().to_string(), format!("\"{name}\""));
        }
    }
}
