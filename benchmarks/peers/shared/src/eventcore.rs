//! The eventcore family: all its stores have the same traits.

use common::{Failure, Payload, Stream, broken};
use eventcore_types::{
    BatchSize, Event, EventFilter, EventPage, EventReader, EventStore, EventStoreError, StreamId,
    StreamVersion, StreamWrites,
};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};

/// All events as one Rust type: that is what a read asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderEvent {
    stream: StreamId,
    event_type: String,
    #[serde(flatten)]
    payload: Payload,
}

impl Event for OrderEvent {
    fn stream_id(&self) -> &StreamId {
        &self.stream
    }

    fn event_type_name() -> &'static str {
        Stream::TYPE
    }
}

/// How many events a page of a feed has.
const PAGE: usize = 1_000;

/// Appends to a stream of this version.
pub async fn append<S: EventStore>(
    store: &S,
    stream: Stream,
    expected: u64,
    events: Vec<common::Event>,
) -> Result<(), Failure> {
    let id = stream_id(stream)?;
    let mut writes = StreamWrites::new()
        .register_stream(id.clone(), StreamVersion::new(expected as usize))
        .map_err(broken)?;
    for event in events {
        writes = writes.append(order_event(&id, event)).map_err(broken)?;
    }
    match store.append_events(writes).await {
        Ok(_) => Ok(()),
        Err(EventStoreError::VersionConflict { .. }) => Err(Failure::Conflict),
        Err(error) => Err(broken(error)),
    }
}

/// Fills a store by its own interface: a thousand events at once, of a hundred streams.
pub async fn preload<S: EventStore>(store: &S, size: u64) -> Result<(), Failure> {
    for first in (0..size).step_by(1_000) {
        let mut writes = StreamWrites::new();
        for number in first..size.min(first + 1_000) {
            let (stream, version, event) = common::Event::preloaded(number, size);
            let id = stream_id(stream)?;
            if version == 1 {
                writes = writes.register_stream(id.clone(), StreamVersion::new(0)).map_err(broken)?;
            }
            writes = writes.append(order_event(&id, event)).map_err(broken)?;
        }
        store.append_events(writes).await.map_err(broken)?;
    }
    Ok(())
}

/// Reads a stream and counts.
pub async fn read_stream<S: EventStore>(store: &S, stream: Stream) -> Result<u64, Failure> {
    let events = store.read_stream::<OrderEvent>(stream_id(stream)?).await.map_err(broken)?;
    events.try_fold(0, |count, _| std::future::ready(Ok(count + 1))).await.map_err(broken)
}

/// Reads all events page by page, in the order of their ids, and counts.
pub async fn feed<S: EventReader<Error: std::fmt::Debug>>(store: &S) -> Result<u64, Failure> {
    let mut page = EventPage::first(BatchSize::new(PAGE));
    let mut count = 0;
    loop {
        let events = store.read_events::<OrderEvent>(EventFilter::all(), page).await.map_err(broken)?;
        count += events.len() as u64;
        match events.last() {
            Some((_, position)) if events.len() == PAGE => {
                page = EventPage::after(*position, BatchSize::new(PAGE));
            }
            _ => return Ok(count),
        }
    }
}

/// Why nothing is found by type.
pub const ONE_TYPE: &str = "a read asks for one Rust type, and an application's events are one enum";
/// Why nothing is followed.
pub const POLLED: &str =
    "no subscription: its projections ask again and again, by a framework that is no part of the store";

fn order_event(stream: &StreamId, event: common::Event) -> OrderEvent {
    OrderEvent { stream: stream.clone(), event_type: event.event_type.to_owned(), payload: event.payload }
}

fn stream_id(stream: Stream) -> Result<StreamId, Failure> {
    StreamId::try_new(stream.0.to_string()).map_err(broken)
}
