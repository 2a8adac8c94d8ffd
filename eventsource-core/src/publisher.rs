use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{RecordedEvent, Result};

/// Where a [`Relay`](crate::Relay) takes events to: a broker, a bus, somebody's HTTP endpoint.
#[async_trait]
pub trait EventPublisher: fmt::Debug + Send + Sync {
    /// Publishes one event, and returns when whoever receives it has taken it over for good: a broker's acknowledgement,
    /// not a buffer's. The relay does not ask again then.
    ///
    /// An event may come several times, always with the same [`id`](RecordedEvent::id): that is what receivers know it by.
    /// Dropping the future is how a relay gives up waiting; the event comes again later then.
    ///
    /// # Errors
    /// `InvalidInput` if this event can never be published, whatever happens: the relay gives it up at once. After
    /// anything else it tries again. The text is stored with the entry, so it says nothing of the payload.
    async fn publish(&self, event: &RecordedEvent) -> Result<()>;
}

macro_rules! forward {
    ($($wrapper:ty;)*) => { $(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<P: EventPublisher + ?Sized> EventPublisher for $wrapper {
            async fn publish(&self, event: &RecordedEvent) -> Result<()> {
                (**self).publish(event).await
            }
        }
    )* };
}

forward! {
    Arc<P>;
    Box<P>;
    &P;
}
