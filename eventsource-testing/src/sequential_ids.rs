use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eventsource_core::{EventId, EventIds, NewEvent};
use uuid::Uuid;

/// Ids that are the same in every run: 1, 2, 3, …, written as UUIDs. Clones count on together.
///
/// Hand a clone to a `Repository`, a `DecisionMaker` or a `UnitOfWork`, and their events have such ids as well.
///
/// ```
/// use eventsource_core::NewEvent;
/// use eventsource_testing::SequentialIds;
///
/// let ids = SequentialIds::new();
/// assert_eq!(ids.next_uuid().to_string(), "00000000-0000-0000-0000-000000000001");
/// assert_eq!(ids.next_id().to_string(), "00000000-0000-0000-0000-000000000002");
/// let events = ids.give([NewEvent::new("Opened", &())?, NewEvent::new("Closed", &())?]);
/// assert_eq!(events[1].event_id().to_string(), "00000000-0000-0000-0000-000000000004");
/// # Ok::<(), eventsource_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct SequentialIds(Arc<AtomicU64>);

impl SequentialIds {
    /// Ids from 1 on.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next one as an event's id.
    #[must_use]
    pub fn next_id(&self) -> EventId {
        EventId::new(self.next_uuid()).unwrap_or_else(|_| self.next_id())
    }

    /// The next one as an aggregate's, a tenant's or whatever else's id.
    #[must_use]
    pub fn next_uuid(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::SeqCst)) + 1)
    }

    /// The same events with ids of these.
    #[must_use]
    pub fn give(&self, events: impl IntoIterator<Item = NewEvent>) -> Vec<NewEvent> {
        events.into_iter().map(|event| event.id(self.next_id())).collect()
    }
}

impl EventIds for SequentialIds {
    fn next_id(&self) -> EventId {
        Self::next_id(self)
    }
}
