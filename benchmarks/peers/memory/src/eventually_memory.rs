use std::sync::Arc;

use common::{Deliveries, Event, Failure, Payload, Stream, System, broken};
use eventually::inmemory::EventStore as InMemoryEventStore;
use eventually::store::{AppendError, EventStore, Expected, Select};
use eventually::subscription::EventSubscriber;
use futures_util::{StreamExt, TryStreamExt};
use uuid::Uuid;

/// Cloning it gives another handle on the same store; an append wants one that is its own.
pub(crate) struct EventuallyMemory(InMemoryEventStore<Uuid, OrderEvent>);

#[derive(Clone, Debug)]
struct OrderEvent {
    #[allow(dead_code, reason = "stored as every system stores it, and read by nobody")]
    event_type: &'static str,
    payload: Payload,
}

impl System for EventuallyMemory {
    async fn open(_place: &str) -> Result<Self, Failure> {
        Ok(Self(InMemoryEventStore::default()))
    }

    async fn append(&self, stream: Stream, expected: u64, events: Vec<Event>) -> Result<(), Failure> {
        let expected = u32::try_from(expected).map_err(broken)?;
        let events = events
            .into_iter()
            .map(|event| OrderEvent { event_type: event.event_type, payload: event.payload });
        let appended = self.0.clone().append(stream.0, Expected::Exact(expected), events.collect()).await;
        match appended {
            Ok(_) => Ok(()),
            Err(error) if error.is_conflict_error() => Err(Failure::Conflict),
            Err(error) => Err(broken(error)),
        }
    }

    /// Two racers who pass the check at once both write the same version; from then on the stream has more events than its
    /// newest version says, and whoever expects their number is refused for ever.
    async fn version(&self, _stream: Stream) -> Result<u64, Failure> {
        Err(Failure::absent("its check and its write are two steps: of two racers on one version both win"))
    }

    async fn read_stream(&self, stream: Stream) -> Result<u64, Failure> {
        let events = self.0.stream(stream.0, Select::All).await.map_err(broken)?;
        events.try_fold(0, |count, _| std::future::ready(Ok(count + 1))).await.map_err(broken)
    }

    async fn feed(&self) -> Result<u64, Failure> {
        let events = self.0.stream_all(Select::All).await.map_err(broken)?;
        events.try_fold(0, |count, _| std::future::ready(Ok(count + 1))).await.map_err(broken)
    }

    async fn follow(&self, deliveries: Arc<Deliveries>) -> Result<(), Failure> {
        let mut events = self.0.subscribe_all().await.map_err(broken)?;
        deliveries.begin();
        while let Some(event) = events.next().await {
            deliveries.deliver(event.map_err(broken)?.payload.number);
        }
        Ok(())
    }
}
