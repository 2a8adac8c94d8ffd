use uuid::Uuid;

use crate::{Append, Error, EventId, Metadata, NewEvent, RecordedEvent, Result, TenantId};

/// On whose behalf something is done, and what led to it: what the events that come of it carry, without anybody
/// passing it from hand to hand.
///
/// A request brings one to the edge of the application; what handles an event takes the event's
/// ([`from_event`](Self::from_event)). A store in a context stamps all that is appended through it, by whatever is built
/// on stores:
///
/// ```
/// use eventsource_core::{Context, EventStore, EventStoreExt, NewEvent, Result};
/// use uuid::Uuid;
///
/// async fn place_order(store: &impl EventStore, request_id: Uuid) -> Result<()> {
///     let store = store.in_context(Context::new().correlated(request_id).actor("ann")?);
///     store.append_events(vec![NewEvent::new("OrderPlaced", "…")?]).await?;
///     Ok(())
/// }
/// ```
///
/// # Where a correlation begins
/// Where somebody begins it with [`correlated`](Self::correlated), at best with the id of the request. Events that were
/// appended outside any correlation begin one when they are handled: their own id is the correlation of what follows.
/// A context never makes up an id, so the same append in the same context is the same append, and can be retried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Without entries: those are an event's own.
    metadata: Metadata,
}

impl Context {
    /// Nothing known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The context of what follows from `event`: caused by it, in its correlation (which begins with it, if there is
    /// none), for its tenant, by its actor.
    #[must_use]
    pub fn from_event(event: &RecordedEvent) -> Self {
        let known = event.metadata();
        let correlation_id = known.correlation_id().unwrap_or_else(|| event.id().as_uuid());
        Self { metadata: known.clone().without_entries().correlated(correlation_id).caused_by(event.id()) }
    }

    /// Sets the id that everything shares that began with one request.
    #[must_use]
    pub fn correlated(mut self, correlation_id: Uuid) -> Self {
        self.metadata = self.metadata.correlated(correlation_id);
        self
    }

    /// Sets the event that this follows from.
    #[must_use]
    pub fn caused_by(mut self, causation_id: EventId) -> Self {
        self.metadata = self.metadata.caused_by(causation_id);
        self
    }

    /// Sets who does it.
    ///
    /// # Errors
    /// `InvalidInput` as for [`Metadata::actor`].
    pub fn actor(mut self, actor: impl Into<String>) -> Result<Self> {
        self.metadata = self.metadata.actor(actor)?;
        Ok(self)
    }

    /// Sets for whom.
    #[must_use]
    pub fn tenant(mut self, tenant: TenantId) -> Self {
        self.metadata = self.metadata.tenant(tenant);
        self
    }

    /// The id that everything shares that began with one request.
    #[must_use]
    pub fn correlation_id(&self) -> Option<Uuid> {
        self.metadata.correlation_id()
    }

    /// The event that this follows from.
    #[must_use]
    pub fn causation_id(&self) -> Option<EventId> {
        self.metadata.causation_id()
    }

    /// Who does it.
    #[must_use]
    pub fn actor_id(&self) -> Option<&str> {
        self.metadata.actor_id()
    }

    /// For whom.
    #[must_use]
    pub fn tenant_id(&self) -> Option<TenantId> {
        self.metadata.tenant_id()
    }

    /// The event with what it does not say itself. What it says stays.
    ///
    /// # Errors
    /// `InvalidInput` if it says that it is another tenant's.
    pub fn stamp(&self, event: NewEvent) -> Result<NewEvent> {
        let said = event.all_metadata();
        if let (Some(tenant), Some(own)) = (self.tenant_id(), said.tenant_id())
            && tenant != own
        {
            return Err(Error::invalid_input(format!(
                "the event {} is tenant {own}'s, and what is done here is done for tenant {tenant}",
                event.event_type()
            )));
        }
        let complete = said.clone().or(&self.metadata);
        Ok(event.metadata(complete))
    }

    /// The append with each event [stamped](Self::stamp): for appends that no [`WithContext`](crate::WithContext) sees,
    /// such as those within a transaction of your own.
    ///
    /// # Errors
    /// As for [`stamp`](Self::stamp).
    pub fn stamp_all(&self, append: Append) -> Result<Append> {
        append.map_events(|event| self.stamp(event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, Position};

    fn tenant(number: u128) -> TenantId {
        TenantId::new(Uuid::from_u128(number)).unwrap()
    }

    fn event() -> NewEvent {
        NewEvent::new("Happened", &()).unwrap()
    }

    fn recorded(event: NewEvent) -> RecordedEvent {
        RecordedEvent::new(event, Position::from_raw(1), None, chrono::DateTime::UNIX_EPOCH)
    }

    fn full() -> Context {
        let cause = EventId::new(Uuid::from_u128(9)).unwrap();
        Context::new().correlated(Uuid::from_u128(7)).caused_by(cause).actor("ann").unwrap().tenant(tenant(8))
    }

    #[test]
    fn what_is_unset_is_filled() {
        let stamped = full().stamp(event()).unwrap();
        assert_eq!(*stamped.all_metadata(), full().metadata);
    }

    #[test]
    fn what_was_said_stays() {
        let said = event().correlated(Uuid::from_u128(1)).actor("bob").unwrap().tenant(tenant(8));
        let said = said.metadata(Metadata::new().entry("client", "app").unwrap().actor("bob").unwrap());
        let stamped = full().stamp(said).unwrap();
        assert_eq!(stamped.all_metadata().actor_id(), Some("bob"));
        assert_eq!(stamped.all_metadata().entries()["client"], "app");
        assert_eq!(stamped.all_metadata().tenant_id(), Some(tenant(8)));
    }

    #[test]
    fn another_tenants_event_is_refused() {
        let refused = full().stamp(event().tenant(tenant(3))).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        assert_eq!(
            Context::new().stamp(event().tenant(tenant(3))).unwrap().all_metadata().tenant_id(),
            Some(tenant(3))
        );
    }

    #[test]
    fn what_follows_is_caused_by_the_event_and_shares_its_correlation() {
        let first = recorded(full().stamp(event()).unwrap());
        let next = Context::from_event(&first);
        assert_eq!(next, full().caused_by(first.id()));
        let second = recorded(next.stamp(event()).unwrap());
        assert_eq!(Context::from_event(&second), full().caused_by(second.id()));
    }

    #[test]
    fn a_correlation_begins_with_the_event_that_is_handled_first() {
        let first = recorded(event().metadata(Metadata::new().entry("client", "app").unwrap()));
        let next = Context::from_event(&first);
        assert_eq!(next.correlation_id(), Some(first.id().as_uuid()));
        assert!(next.metadata.entries().is_empty());
    }

    #[test]
    fn the_same_event_in_the_same_context_is_the_same() {
        let event = event();
        assert_eq!(full().stamp(event.clone()).unwrap(), full().stamp(event.clone()).unwrap());
        assert_eq!(full().stamp(full().stamp(event.clone()).unwrap()).unwrap(), full().stamp(event).unwrap());
    }
}
