use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use eventsource_core::{
    Append, Conflict, ConsumerName, Error, EventId, EventStore, HandlerError, NewEvent, Purpose,
    RecordedEvent, Result, Sink,
};
use sha2::{Digest, Sha256};

use crate::ConsumerStore;
use crate::handler::{Context, EachEvent, EventHandler, IntoSink};

/// Appends because of events: a process manager in small.
///
/// What it appends names the event that caused it, and has ids that follow from the consumer, that event and the order
/// of what is appended: an event that comes again appends nothing again. While a view is rebuilt it does nothing.
///
/// ```
/// use eventsource_consumers::{Consumer, Reaction};
/// use eventsource_core::{Append, ConsumerName, Filter, NewEvent, RecordedEvent, Result};
/// use eventsource_memory::MemoryStore;
///
/// async fn reserve_stock(store: MemoryStore) -> Result<()> {
///     let name = ConsumerName::new("stock")?;
///     let reaction = Reaction::new(name.clone(), store.clone(), |placed: RecordedEvent| async move {
///         let reserved = NewEvent::new("StockReserved", &placed.id())?;
///         Ok(vec![Append::events([reserved])])
///     });
///     Consumer::new(name, store)?.filter(Filter::event_types(["OrderPlaced"])?).run(reaction).await?;
///     Ok(())
/// }
/// ```
#[must_use]
pub struct Reaction<F> {
    consumer: ConsumerName,
    store: Arc<dyn EventStore>,
    react: F,
}

impl<F, R> Reaction<F>
where
    F: Fn(RecordedEvent) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Vec<Append>, HandlerError>> + Send,
{
    /// Appends to `store` what `react` says. If an append conflicts, it is asked again.
    pub fn new(consumer: ConsumerName, store: impl EventStore + 'static, react: F) -> Self {
        Self { consumer, store: Arc::new(store), react }
    }
}

#[async_trait]
impl<F, R> EventHandler for Reaction<F>
where
    F: Fn(RecordedEvent) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Vec<Append>, HandlerError>> + Send,
{
    async fn handle(&self, event: &RecordedEvent, context: &Context) -> Result<(), HandlerError> {
        if context.purpose == Purpose::Rebuild {
            return Ok(());
        }
        let mut ordinal = 0;
        for append in (self.react)(event.clone()).await? {
            let append = append.map_events(|new| Ok(self.caused(new, event, &mut ordinal)))?;
            let first = append.each_event().next().map(|(_, new)| new.event_id());
            match self.store.append(append).await {
                Ok(_) => {}
                // It was appended when the event came before, and would be another one now: what was said then holds.
                Err(error) if is_stored(&error, first) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl<F, R> IntoSink for Reaction<F>
where
    F: Fn(RecordedEvent) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Vec<Append>, HandlerError>> + Send + 'static,
{
    fn into_sink(self, store: &ConsumerStore) -> Arc<dyn Sink> {
        EachEvent(self).into_sink(store)
    }
}

impl<F> Reaction<F> {
    fn caused(&self, new: NewEvent, by: &RecordedEvent, ordinal: &mut u32) -> NewEvent {
        let id = derived_event_id(&self.consumer, by.id(), *ordinal);
        *ordinal += 1;
        let new = new.id(id).caused_by(by.id());
        match new.all_metadata().correlation_id() {
            Some(_) => new,
            None => new.correlated(by.metadata().correlation_id().unwrap_or_else(|| by.id().as_uuid())),
        }
    }
}

fn is_stored(error: &Error, first: Option<EventId>) -> bool {
    matches!(error.conflict(), Some(Conflict::DuplicateEvent { event_id, .. }) if Some(*event_id) == first)
}

/// The id of the so-manieth event that a consumer appends because of another: always the same one.
#[must_use]
pub fn derived_event_id(consumer: &ConsumerName, cause: EventId, ordinal: u32) -> EventId {
    let mut hash = Sha256::new();
    hash.update(cause.as_uuid().as_bytes());
    hash.update(ordinal.to_be_bytes());
    hash.update(consumer.as_str().as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    // A UUID of version 8, which is never nil.
    EventId::new(uuid::Builder::from_custom_bytes(bytes).into_uuid()).unwrap_or(cause)
}

impl<F> fmt::Debug for Reaction<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reaction").field("consumer", &self.consumer).finish_non_exhaustive()
    }
}
