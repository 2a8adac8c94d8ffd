use std::borrow::Cow;
use std::fmt;

use crate::{DomainEvent, Error, Result, domain_event};

/// What an event looks like: its name on the wire, and the version of its payload's schema.
///
/// ```
/// use eventsource_core::EventSchema;
///
/// const CREATED: EventSchema = EventSchema::new("OrderCreated", 2);
/// assert_eq!(CREATED, ("OrderCreated", 2).into());
/// assert_eq!(CREATED.to_string(), "OrderCreated v2");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventSchema {
    name: Cow<'static, str>,
    version: u32,
}

impl EventSchema {
    /// The schema `version` of the events that are called `name`. It is checked where it is used.
    #[must_use]
    pub const fn new(name: &'static str, version: u32) -> Self {
        Self { name: Cow::Borrowed(name), version }
    }

    /// What `E` writes, and reads without help. Without [`DomainEvent::SCHEMAS`] these are the names that serde knows
    /// the enum's variants by, each at version 1.
    ///
    /// # Errors
    /// `InvalidInput` if that can't be told, because `E` is not tagged as [`DomainEvent`] wants it.
    pub fn all_of<E: DomainEvent>() -> Result<Vec<Self>> {
        if !E::SCHEMAS.is_empty() {
            return Ok(E::SCHEMAS.to_vec());
        }
        let names = domain_event::variant_names::<E>().filter(|names| !names.is_empty()).ok_or_else(|| {
            Error::invalid_input(format!(
                "{} does not say which events it knows: derive DomainEvent, or write DomainEvent::SCHEMAS",
                std::any::type_name::<E>()
            ))
        })?;
        Ok(names.iter().map(|name| Self::new(name, 1)).collect())
    }

    /// The name on the wire: the [event type](crate::EventType).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version of the payload's schema.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }
}

impl From<(&'static str, u32)> for EventSchema {
    fn from((name, version): (&'static str, u32)) -> Self {
        Self::new(name, version)
    }
}

impl From<(String, u32)> for EventSchema {
    fn from((name, version): (String, u32)) -> Self {
        Self { name: Cow::Owned(name), version }
    }
}

impl fmt::Display for EventSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} v{}", self.name, self.version)
    }
}
