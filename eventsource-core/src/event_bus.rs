mod buffer;
mod subscription;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use futures_util::future;

pub use buffer::WhenFull;
pub use subscription::{BusSubscription, TypedBusSubscription};

use crate::{DomainEvent, EventPublisher, EventSchema, Filter, RecordedEvent, Result};
use buffer::Buffer;

/// Hands events to subscribers within this process. Cloning it gives another handle on the same bus.
///
/// Each subscriber has a buffer of its own and takes from it at its own pace, on a task of its own: one that fails, panics
/// or dawdles does not disturb the others. What becomes of an event that finds the buffer full is the subscriber's
/// [choice](WhenFull).
///
/// It is an [`EventPublisher`]: an event counts as published when it lies in the buffers, which are gone with the process.
/// What must not be lost takes a subscription with a checkpoint, or a broker.
///
/// ```
/// use eventsource_core::{EventBus, EventPublisher, Filter, RecordedEvent, WhenFull};
///
/// # async fn example(placed: RecordedEvent) -> eventsource_core::Result<()> {
/// let bus = EventBus::new();
/// let mut orders = bus.subscribe(Filter::event_types(["OrderPlaced"])?, 100, WhenFull::Wait);
/// bus.publish(&placed).await?;
/// assert_eq!(orders.next().await, Some(placed));
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct EventBus(Arc<Subscribers>);

#[derive(Default)]
struct Subscribers(Mutex<Vec<Weak<Buffer>>>);

impl EventBus {
    /// A bus without subscribers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Subscribes to the events that match, [`Filter::all`] for every one, with a buffer of so many events, one at least.
    #[must_use]
    pub fn subscribe(&self, filter: Filter, capacity: usize, when_full: WhenFull) -> BusSubscription {
        let buffer = Arc::new(Buffer::new(filter, capacity, when_full));
        self.0.lock().push(Arc::downgrade(&buffer));
        BusSubscription::new(buffer)
    }

    /// Subscribes to the events that `E` knows, decoded.
    ///
    /// # Errors
    /// `InvalidInput` if `E` does not say which events it knows: see [`EventSchema::all_of`].
    pub fn subscribe_to<E: DomainEvent>(
        &self,
        capacity: usize,
        when_full: WhenFull,
    ) -> Result<TypedBusSubscription<E>> {
        let schemas = EventSchema::all_of::<E>()?;
        let filter = Filter::event_types(schemas.iter().map(EventSchema::name))?;
        Ok(TypedBusSubscription::new(self.subscribe(filter, capacity, when_full)))
    }
}

#[async_trait]
impl EventPublisher for EventBus {
    /// Lays the event into the buffers of those who want it. It waits only for subscribers who chose
    /// [`WhenFull::Wait`] and have no room, and never fails.
    async fn publish(&self, event: &RecordedEvent) -> Result<()> {
        let wanting: Vec<_> = {
            let mut subscribers = self.0.lock();
            subscribers.retain(|subscriber| subscriber.strong_count() > 0);
            subscribers.iter().filter_map(Weak::upgrade).filter(|buffer| buffer.wants(event)).collect()
        };
        // All at once: nobody's event waits for somebody else's room.
        future::join_all(wanting.iter().map(|buffer| buffer.push(event))).await;
        Ok(())
    }
}

impl Subscribers {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Buffer>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Subscribers {
    fn drop(&mut self) {
        for buffer in self.lock().iter().filter_map(Weak::upgrade) {
            buffer.end();
        }
    }
}

impl fmt::Debug for EventBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBus").field("subscribers", &self.0.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests;
