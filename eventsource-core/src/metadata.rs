use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::name::check_text;
use crate::{Error, EventId, Result};

/// Whose data: tenants that share a store never see each other through a tenant-scoped filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Uuid", into = "Uuid")]
pub struct TenantId(Uuid);

impl TenantId {
    /// A tenant.
    ///
    /// # Errors
    /// `InvalidInput` for the nil UUID (an empty id).
    pub fn new(id: Uuid) -> Result<Self> {
        if id.is_nil() {
            return Err(Error::invalid_input("a tenant id is never the nil UUID"));
        }
        Ok(Self(id))
    }

    /// The UUID.
    #[must_use]
    pub fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl TryFrom<Uuid> for TenantId {
    type Error = Error;

    fn try_from(id: Uuid) -> Result<Self> {
        Self::new(id)
    }
}

impl From<TenantId> for Uuid {
    fn from(tenant: TenantId) -> Self {
        tenant.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is known about an event beside its facts: where it came from, who did it, for whom.
///
/// ```
/// use eventsource_core::Metadata;
/// use uuid::Uuid;
///
/// let metadata = Metadata::new().correlated(Uuid::now_v7()).actor("ann")?.entry("client", "app/2.1")?;
/// assert_eq!(metadata.entries()["client"], "app/2.1");
/// # Ok::<(), eventsource_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    correlation_id: Option<Uuid>,
    causation_id: Option<EventId>,
    actor: Option<String>,
    tenant: Option<TenantId>,
    entries: BTreeMap<String, String>,
}

impl Metadata {
    /// The longest actor and the longest key of an entry, in bytes.
    pub const MAX_KEY_BYTES: usize = 255;
    /// The longest value of an entry, in bytes.
    pub const MAX_VALUE_BYTES: usize = 65_536;
    /// The most entries of the application's own.
    pub const MAX_ENTRIES: usize = 100;

    /// Nothing known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the id that everything shares that began with one request.
    #[must_use]
    pub fn correlated(mut self, correlation_id: Uuid) -> Self {
        self.correlation_id = Some(correlation_id);
        self
    }

    /// Sets the event that this one follows from.
    #[must_use]
    pub fn caused_by(mut self, causation_id: EventId) -> Self {
        self.causation_id = Some(causation_id);
        self
    }

    /// Sets who did it.
    ///
    /// # Errors
    /// `InvalidInput` if it is empty, longer than [`MAX_KEY_BYTES`](Self::MAX_KEY_BYTES) or contains a NUL character.
    pub fn actor(mut self, actor: impl Into<String>) -> Result<Self> {
        let actor = actor.into();
        check_text("an actor", &actor, Self::MAX_KEY_BYTES)?;
        self.actor = Some(actor);
        Ok(self)
    }

    /// Sets whose data it is.
    #[must_use]
    pub fn tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// Sets an entry of the application's own, replacing one with the same key. The value may be empty.
    ///
    /// # Errors
    /// `InvalidInput` if the key is empty, if key or value is longer than [`MAX_KEY_BYTES`](Self::MAX_KEY_BYTES) or
    /// [`MAX_VALUE_BYTES`](Self::MAX_VALUE_BYTES), if there is a NUL character, or if there would be more entries than
    /// [`MAX_ENTRIES`](Self::MAX_ENTRIES).
    pub fn entry(mut self, key: impl Into<String>, value: impl Into<String>) -> Result<Self> {
        let (key, value) = (key.into(), value.into());
        check_text("a metadata key", &key, Self::MAX_KEY_BYTES)?;
        if !value.is_empty() {
            check_text("a metadata value", &value, Self::MAX_VALUE_BYTES)?;
        }
        self.entries.insert(key, value);
        if self.entries.len() > Self::MAX_ENTRIES {
            let max = Self::MAX_ENTRIES;
            return Err(Error::invalid_input(format!("metadata has at most {max} entries")));
        }
        Ok(self)
    }

    /// The id that everything shares that began with one request.
    #[must_use]
    pub fn correlation_id(&self) -> Option<Uuid> {
        self.correlation_id
    }

    /// The event that this one follows from.
    #[must_use]
    pub fn causation_id(&self) -> Option<EventId> {
        self.causation_id
    }

    /// Who did it.
    #[must_use]
    pub fn actor_id(&self) -> Option<&str> {
        self.actor.as_deref()
    }

    /// Whose data it is.
    #[must_use]
    pub fn tenant_id(&self) -> Option<TenantId> {
        self.tenant
    }

    /// The application's own entries.
    #[must_use]
    pub fn entries(&self) -> &BTreeMap<String, String> {
        &self.entries
    }

    pub(crate) fn without_entries(mut self) -> Self {
        self.entries.clear();
        self
    }

    /// With what `other` knows beside its entries, and this doesn't.
    pub(crate) fn or(mut self, other: &Self) -> Self {
        self.correlation_id = self.correlation_id.or(other.correlation_id);
        self.causation_id = self.causation_id.or(other.causation_id);
        self.actor = self.actor.or_else(|| other.actor.clone());
        self.tenant = self.tenant.or(other.tenant);
        self
    }

    /// Sets whose data it is, unless that is said already; it must be `tenant` then.
    pub(crate) fn stamp(&mut self, tenant: TenantId) -> Result<()> {
        match self.tenant {
            Some(stamped) if stamped != tenant => {
                Err(Error::invalid_input("the event is stamped with another tenant than the store's"))
            }
            _ => {
                self.tenant = Some(tenant);
                Ok(())
            }
        }
    }

    /// How long all its texts are, in bytes.
    pub(crate) fn byte_count(&self) -> usize {
        let entries = self.entries.iter().map(|(key, value)| key.len() + value.len());
        self.actor.as_ref().map_or(0, String::len) + entries.sum::<usize>()
    }
}
