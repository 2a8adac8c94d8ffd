use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{Error, Result};

/// Refuses what no store could hold, or what would mean nothing: empty text, text beyond `max_bytes`, NUL characters.
pub(crate) fn check_text(what: &str, text: &str, max_bytes: usize) -> Result<()> {
    if text.is_empty() {
        return Err(Error::invalid_input(format!("{what} is never empty")));
    }
    if text.len() > max_bytes {
        return Err(Error::invalid_input(format!(
            "{what} has at most {max_bytes} bytes, not {}",
            text.len()
        )));
    }
    if text.contains('\0') {
        return Err(Error::invalid_input(format!("{what} never contains a NUL character")));
    }
    Ok(())
}

macro_rules! name {
    ($(#[$docs:meta])* $name:ident, $what:literal) => {
        $(#[$docs])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(SmolStr);

        impl $name {
            /// The longest name, in bytes.
            pub const MAX_BYTES: usize = 255;

            /// A checked name.
            ///
            /// # Errors
            /// `InvalidInput` if it is empty, longer than [`MAX_BYTES`](Self::MAX_BYTES) or contains a NUL character.
            pub fn new(name: impl AsRef<str>) -> Result<Self> {
                let name = name.as_ref();
                check_text($what, name, Self::MAX_BYTES)?;
                Ok(Self(name.into()))
            }

            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Error;

            fn try_from(name: &str) -> Result<Self> {
                Self::new(name)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(name: String) -> Result<Self> {
                Self::new(name)
            }
        }

        impl TryFrom<&String> for $name {
            type Error = Error;

            fn try_from(name: &String) -> Result<Self> {
                Self::new(name)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(name: &str) -> Result<Self> {
                Self::new(name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }

        impl From<&$name> for $name {
            fn from(name: &$name) -> Self {
                name.clone()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.as_str())
            }
        }
    };
}

name! {
    /// What kind of fact an event is, such as `OrderPlaced`; the name on the wire, independent of Rust paths.
    EventType, "an event type"
}

name! {
    /// What kind of aggregate a stream belongs to, such as `Order`.
    AggregateType, "an aggregate type"
}

name! {
    /// What a consumer is called: its checkpoint, its dead letters and its leases are found by it.
    ConsumerName, "a consumer's name"
}
