use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use uuid::Uuid;

use crate::clock::to_microseconds;
use crate::{Error, EventType, Metadata, Payload, Position, Result, StreamId, Tag, TenantId, Version};

/// An event's own id. The caller chooses it, so that an append can be repeated without being stored twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Uuid", into = "Uuid")]
pub struct EventId(Uuid);

impl EventId {
    /// A fresh id: a UUID of version 7, which keeps indexes dense. Its time means nothing: order is the position's.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id that a UUID stands for.
    ///
    /// # Errors
    /// `InvalidInput` for the nil UUID (an empty id).
    pub fn new(id: Uuid) -> Result<Self> {
        if id.is_nil() {
            return Err(Error::invalid_input("an event id is never the nil UUID"));
        }
        Ok(Self(id))
    }

    /// The UUID.
    #[must_use]
    pub fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl TryFrom<Uuid> for EventId {
    type Error = Error;

    fn try_from(id: Uuid) -> Result<Self> {
        Self::new(id)
    }
}

impl From<EventId> for Uuid {
    fn from(id: EventId) -> Self {
        id.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A fact that is to be appended.
///
/// ```
/// use eventsource_core::NewEvent;
/// use uuid::Uuid;
///
/// #[derive(serde::Serialize)]
/// struct OrderPlaced {
///     customer_id: String,
///     total_cents: u64,
/// }
///
/// let placed = OrderPlaced { customer_id: "cust-123".into(), total_cents: 29_999 };
/// let event = NewEvent::new("OrderPlaced", &placed)?.tag("customer", "cust-123")?.actor("ann")?;
/// assert_eq!(event.event_type().as_str(), "OrderPlaced");
/// # Ok::<(), eventsource_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    id: EventId,
    event_type: EventType,
    schema_version: u32,
    payload: Payload,
    tags: SmallVec<[Tag; 2]>,
    metadata: Metadata,
    occurred_at: Option<DateTime<Utc>>,
}

impl NewEvent {
    /// The most tags that one event carries.
    pub const MAX_TAGS: usize = 100;

    /// An event with a fresh id, whose payload is the JSON that serde makes of `payload`.
    ///
    /// # Errors
    /// `InvalidInput` if the name is no [`EventType`] or the value makes no [`Payload`].
    pub fn new<T: Serialize + ?Sized>(
        event_type: impl TryInto<EventType, Error: Into<Error>>,
        payload: &T,
    ) -> Result<Self> {
        Ok(Self::from_payload(event_type.try_into().map_err(Into::into)?, Payload::from_serialize(payload)?))
    }

    /// An event with a fresh id from parts that are checked already.
    #[must_use]
    pub fn from_payload(event_type: EventType, payload: Payload) -> Self {
        Self::with_id(EventId::random(), event_type, payload)
    }

    /// An event with this id from parts that are checked already: no fresh id is drawn in vain.
    #[must_use]
    pub fn with_id(id: EventId, event_type: EventType, payload: Payload) -> Self {
        Self {
            id,
            event_type,
            schema_version: 1,
            payload,
            tags: SmallVec::new(),
            metadata: Metadata::new(),
            occurred_at: None,
        }
    }

    /// Sets the id: the same id again is the same event.
    #[must_use]
    pub fn id(mut self, id: EventId) -> Self {
        self.id = id;
        self
    }

    /// Sets the version of the payload's schema; 1 if not set.
    #[must_use]
    pub fn schema_version(mut self, schema_version: u32) -> Self {
        self.schema_version = schema_version;
        self
    }

    /// Adds the tag `key:value`, unless the event carries it already.
    ///
    /// # Errors
    /// `InvalidInput` as for [`Tag::new`].
    pub fn tag(mut self, key: impl fmt::Display, value: impl fmt::Display) -> Result<Self> {
        let tag = Tag::new(key, value)?;
        if let Err(place) = self.tags.binary_search(&tag) {
            self.tags.insert(place, tag);
        }
        Ok(self)
    }

    /// Adds tags, leaving out those that the event carries already. Tags are a set: they come back sorted.
    #[must_use]
    pub fn tags(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.tags.extend(tags);
        self.tags.sort_unstable();
        self.tags.dedup();
        self
    }

    /// Replaces all metadata.
    #[must_use]
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Sets whose data it is.
    #[must_use]
    pub fn tenant(mut self, tenant: TenantId) -> Self {
        self.metadata = self.metadata.tenant(tenant);
        self
    }

    /// Sets who did it.
    ///
    /// # Errors
    /// `InvalidInput` as for [`Metadata::actor`].
    pub fn actor(mut self, actor: impl Into<String>) -> Result<Self> {
        self.metadata = self.metadata.actor(actor)?;
        Ok(self)
    }

    /// Sets the id that everything shares that began with one request.
    #[must_use]
    pub fn correlated(mut self, correlation_id: Uuid) -> Self {
        self.metadata = self.metadata.correlated(correlation_id);
        self
    }

    /// Sets the event that this one follows from.
    #[must_use]
    pub fn caused_by(mut self, causation_id: EventId) -> Self {
        self.metadata = self.metadata.caused_by(causation_id);
        self
    }

    /// Sets when it occurred, cut to the microsecond. Without it, that is when the store records it.
    ///
    /// # Errors
    /// `InvalidInput` if the year does not lie between 1 and 9999.
    pub fn occurred_at(mut self, occurred_at: DateTime<Utc>) -> Result<Self> {
        self.occurred_at = Some(to_microseconds(occurred_at)?);
        Ok(self)
    }

    /// Its id.
    #[must_use]
    pub fn event_id(&self) -> EventId {
        self.id
    }

    /// What kind of fact.
    #[must_use]
    pub fn event_type(&self) -> &EventType {
        &self.event_type
    }

    /// The version of the payload's schema.
    #[must_use]
    pub fn payload_schema_version(&self) -> u32 {
        self.schema_version
    }

    /// The fact.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Its tags, sorted.
    #[must_use]
    pub fn all_tags(&self) -> &[Tag] {
        &self.tags
    }

    /// What is known about it.
    #[must_use]
    pub fn all_metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// When it occurred, if the caller said so.
    #[must_use]
    pub fn occurred(&self) -> Option<DateTime<Utc>> {
        self.occurred_at
    }

    /// How long all its texts are, in bytes: payload, tags and metadata. This is what [`Append::MAX_BYTES`] bounds, and
    /// what a store's own budgets can count.
    ///
    /// [`Append::MAX_BYTES`]: crate::Append::MAX_BYTES
    #[must_use]
    pub fn byte_count(&self) -> usize {
        let tags: usize = self.tags.iter().map(|tag| tag.as_str().len()).sum();
        self.payload.as_json().len() + tags + self.metadata.byte_count()
    }

    /// For wrappers: what is known about it, to be changed in place.
    pub(crate) fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }

    /// Refuses what no store takes.
    pub(crate) fn validate(&self) -> Result<()> {
        if self.tags.len() > Self::MAX_TAGS {
            let (max, len) = (Self::MAX_TAGS, self.tags.len());
            return Err(Error::invalid_input(format!("an event carries at most {max} tags, not {len}")));
        }
        if self.schema_version == 0 || i32::try_from(self.schema_version).is_err() {
            return Err(Error::invalid_input("a schema version lies between 1 and 2147483647"));
        }
        Ok(())
    }
}

/// A fact in the log. Cloning it shares everything.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedEvent {
    position: Position,
    stream: Option<(StreamId, Version)>,
    recorded_at: DateTime<Utc>,
    event: Arc<NewEvent>,
}

impl RecordedEvent {
    /// For backends: `event` as it lies in the log. An event that does not say when it occurred did so at
    /// `recorded_at`.
    #[must_use]
    pub fn new(
        event: NewEvent,
        position: Position,
        stream: Option<(StreamId, Version)>,
        recorded_at: DateTime<Utc>,
    ) -> Self {
        Self { position, stream, recorded_at, event: Arc::new(event) }
    }

    /// Where it lies in the log.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Which aggregate's event it is, if any's.
    #[must_use]
    pub fn stream(&self) -> Option<&StreamId> {
        self.stream.as_ref().map(|(stream, _)| stream)
    }

    /// Its number in the stream, if it is in one.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.stream.as_ref().map(|(_, version)| *version)
    }

    /// When the store recorded it, by the store's clock, to the microsecond. Order is the position's, not this.
    #[must_use]
    pub fn recorded_at(&self) -> DateTime<Utc> {
        self.recorded_at
    }

    /// When it occurred, to the microsecond.
    #[must_use]
    pub fn occurred_at(&self) -> DateTime<Utc> {
        self.event.occurred_at.unwrap_or(self.recorded_at)
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> EventId {
        self.event.id
    }

    /// What kind of fact.
    #[must_use]
    pub fn event_type(&self) -> &EventType {
        &self.event.event_type
    }

    /// The version of the payload's schema.
    #[must_use]
    pub fn schema_version(&self) -> u32 {
        self.event.schema_version
    }

    /// The fact.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.event.payload
    }

    /// Its tags, sorted.
    #[must_use]
    pub fn tags(&self) -> &[Tag] {
        &self.event.tags
    }

    /// What is known about it.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.event.metadata
    }

    /// The same event with another type and payload: as an upcaster has it.
    pub(crate) fn rewritten(&self, event_type: EventType, schema_version: u32, payload: Payload) -> Self {
        let event = NewEvent { event_type, schema_version, payload, ..(*self.event).clone() };
        Self { event: Arc::new(event), ..self.clone() }
    }

    /// How long all its texts are, in bytes: what [`NewEvent::byte_count`] counts.
    #[must_use]
    pub fn byte_count(&self) -> usize {
        self.event.byte_count()
    }

    /// Whether this is `event`, stored: the same id, stream and content. A time that `event` leaves to the store
    /// always fits. This is how a store tells a repeated append from an id that was used twice.
    #[must_use]
    pub fn records(&self, event: &NewEvent, stream: Option<&StreamId>) -> bool {
        let stored = &*self.event;
        self.stream() == stream
            && (stored.id, stored.schema_version) == (event.id, event.schema_version)
            && stored.event_type == event.event_type
            && stored.tags == event.tags
            && stored.metadata == event.metadata
            && event.occurred_at.is_none_or(|occurred_at| occurred_at == self.occurred_at())
            && stored.payload == event.payload
    }
}
