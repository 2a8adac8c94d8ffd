//! The cqrs-es family: an aggregate, its events, and its repositories' calls.

use std::convert::Infallible;

use common::{Event, Failure, Payload, Stream, broken};
use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{PersistedEventRepository, PersistenceError, SerializedEvent};
use cqrs_es::{Aggregate, DomainEvent};
use serde::{Deserialize, Serialize};

/// An aggregate without state: what is measured is the store.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Order;

/// Its events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderEvent {
    #[serde(skip)]
    pub event_type: &'static str,
    #[serde(flatten)]
    pub payload: Payload,
}

impl DomainEvent for OrderEvent {
    fn event_type(&self) -> String {
        self.event_type.to_owned()
    }

    fn event_version(&self) -> String {
        "1.0".to_owned()
    }
}

impl Aggregate for Order {
    const TYPE: &'static str = Stream::TYPE;
    type Command = ();
    type Event = OrderEvent;
    type Error = Infallible;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), _sink: &EventSink<Self>) -> Result<(), Infallible> {
        Ok(())
    }

    fn apply(&mut self, _event: OrderEvent) {}
}

/// What cqrs-es's own store does after a command: it encodes the events and persists them behind the version that it saw.
pub async fn append<R: PersistedEventRepository>(
    repository: &R,
    stream: Stream,
    expected: u64,
    events: Vec<Event>,
) -> Result<(), Failure> {
    let events = (expected + 1..).zip(events).map(|(sequence, event)| serialized(stream, sequence, &event));
    let events = events.collect::<Result<Vec<_>, _>>()?;
    repository.persist::<Order>(&events, None).await.map_err(judged)
}

/// Fills a store by its own interface: a thousand events at once, of a hundred aggregates.
pub async fn preload<R: PersistedEventRepository>(repository: &R, size: u64) -> Result<(), Failure> {
    for first in (0..size).step_by(1_000) {
        let events = (first..size.min(first + 1_000)).map(|number| {
            let (stream, version, event) = Event::preloaded(number, size);
            serialized(stream, version, &event)
        });
        let events = events.collect::<Result<Vec<_>, _>>()?;
        repository.persist::<Order>(&events, None).await.map_err(judged)?;
    }
    Ok(())
}

fn serialized(stream: Stream, sequence: u64, event: &Event) -> Result<SerializedEvent, Failure> {
    Ok(SerializedEvent::new(
        stream.0.to_string(),
        sequence as usize,
        Stream::TYPE.to_owned(),
        event.event_type.to_owned(),
        "1.0".to_owned(),
        serde_json::to_value(&event.payload).map_err(broken)?,
        serde_json::Value::Object(serde_json::Map::new()),
    ))
}

/// Reads an aggregate's events and counts them.
pub async fn read_stream<R: PersistedEventRepository>(
    repository: &R,
    stream: Stream,
) -> Result<u64, Failure> {
    let events = repository.get_events::<Order>(&stream.0.to_string()).await.map_err(broken)?;
    Ok(events.len() as u64)
}

/// Replays all events: ordered by their version in their stream, which is no log order.
pub async fn replay<R: PersistedEventRepository>(repository: &R) -> Result<u64, Failure> {
    let mut stream = repository.stream_all_events::<Order>().await.map_err(broken)?;
    let mut count = 0;
    while let Some(event) = stream.next::<Order>(&[]).await {
        event.map_err(broken)?;
        count += 1;
    }
    Ok(count)
}

fn judged(error: PersistenceError) -> Failure {
    match error {
        PersistenceError::OptimisticLockError => Failure::Conflict,
        // SQLite's own words, which sqlite-es passes on: somebody else holds the lock.
        other if other.to_string().contains("database is locked") => Failure::Conflict,
        other => broken(other),
    }
}
