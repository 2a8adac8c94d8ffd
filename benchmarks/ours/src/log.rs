use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use common::{Deliveries, Event, Failure, PAGE, Stream, System, View, broken};
use eventsource_consumers::Consumer;
use eventsource_core::{
    Append, CheckpointStore, DeadLetters, Error, EventPublisher, EventStore, EventStoreExt, ExpectedVersion,
    Filter, FilterItem, LogIdentity, NewEvent, Outbox, Position, ReadOptions, RecordedEvent, Relay,
    RelayConfig, StreamId, Version,
};
use futures_util::TryStreamExt;

/// How one of our stores is opened.
pub(crate) trait Backend: Send + Sync + 'static {
    type Store: EventStore + LogIdentity + CheckpointStore + DeadLetters + Outbox + Clone + 'static;

    fn open(place: &str) -> impl Future<Output = Result<Self::Store, Error>> + Send;

    /// Lets the consumer catch up with a view that lies beside the log, and says how many events came by.
    fn catch_up(
        store: &Self::Store,
        place: &str,
        consumer: Consumer,
        view: View,
    ) -> impl Future<Output = Result<u64, Failure>> + Send;
}

/// One of our stores: everything that is measured is written once, over the traits.
pub(crate) struct Ours<B: Backend> {
    store: B::Store,
    place: String,
}

/// How many streams a preloading append writes to.
const PRELOAD_STREAMS: u64 = 100;
const PRELOAD_CALLERS: u64 = 4;

impl<B: Backend> System for Ours<B> {
    async fn open(place: &str) -> Result<Self, Failure> {
        let store = B::open(place).await.map_err(broken)?;
        Ok(Self { store, place: place.to_owned() })
    }

    async fn append(&self, stream: Stream, expected: u64, events: Vec<Event>) -> Result<(), Failure> {
        let events = events.iter().map(new_event).collect::<Result<Vec<_>, _>>()?;
        self.store
            .append_to_stream(stream_id(stream)?, expected_version(expected)?, events)
            .await
            .map_err(judged)?;
        Ok(())
    }

    async fn version(&self, stream: Stream) -> Result<u64, Failure> {
        let version = self.store.stream_version(&stream_id(stream)?).await.map_err(broken)?;
        Ok(version.map_or(0, Version::get))
    }

    async fn read_stream(&self, stream: Stream) -> Result<u64, Failure> {
        count(self.store.read_stream(&stream_id(stream)?)).await
    }

    async fn decide(&self, event: Event) -> Result<(), Failure> {
        let [course, student] = event.tags();
        let boundary = Filter::any_of([
            FilterItem::new().tag(course.0, course.1).map_err(broken)?,
            FilterItem::new().tag(student.0, student.1).map_err(broken)?,
        ])
        .map_err(broken)?;
        let found = self.store.query(&boundary).await.map_err(broken)?;
        let append = Append::events([new_event(&event)?]).fail_if(boundary).after(found.head);
        self.store.append(append).await.map_err(judged)?;
        Ok(())
    }

    async fn find_type(&self, event_type: &'static str) -> Result<u64, Failure> {
        count(self.store.read(Filter::event_types([event_type]).map_err(broken)?, ReadOptions::new())).await
    }

    async fn find_customer(&self, customer: &'static str) -> Result<u64, Failure> {
        let item = FilterItem::new().all_payload("customer", customer).map_err(broken)?;
        count(self.store.read(Filter::any_of([item]).map_err(broken)?, ReadOptions::new())).await
    }

    async fn feed(&self) -> Result<u64, Failure> {
        count(self.store.read(Filter::all(), ReadOptions::new())).await
    }

    async fn follow(&self, deliveries: Arc<Deliveries>) -> Result<(), Failure> {
        let mut changes = self.store.changes();
        let mut checkpoint = self.store.head().await.map_err(broken)?;
        deliveries.begin();
        loop {
            checkpoint = self.deliver_after(checkpoint, &deliveries).await?;
            changes.changed().await.map_err(broken)?;
        }
    }

    async fn project(&self, name: &str, view: View) -> Result<u64, Failure> {
        if view == View::None {
            return self.read_pages().await;
        }
        let consumer = Consumer::new(name, self.store.clone()).map_err(broken)?.page_size(PAGE);
        B::catch_up(&self.store, &self.place, consumer, view).await
    }

    async fn drain(self: Arc<Self>) -> Result<u64, Failure> {
        let publisher = Arc::new(Published::default());
        let outbox = Arc::new(self.store.clone());
        let relay = Relay::new(outbox, publisher.clone(), RelayConfig::new("relay")).map_err(broken)?;
        relay.drain().await.map_err(broken)?;
        Ok(publisher.0.load(Ordering::Relaxed))
    }

    async fn preload(self: Arc<Self>, size: u64) -> Result<(), Failure> {
        let mut callers = tokio::task::JoinSet::new();
        let events = PRELOAD_STREAMS * 10;
        for caller in 0..PRELOAD_CALLERS {
            let store = self.clone();
            callers.spawn(async move {
                let mut first = caller * events;
                while first < size {
                    let append = preloading(first..size.min(first + events), size)?;
                    store.store.append(append).await.map_err(broken)?;
                    first += PRELOAD_CALLERS * events;
                }
                Ok::<(), Failure>(())
            });
        }
        while let Some(ended) = callers.join_next().await {
            ended.map_err(broken)??;
        }
        Ok(())
    }

    async fn close(&self) -> Result<(), Failure> {
        self.store.close().await.map_err(broken)
    }
}

/// Takes whatever it is given: what is measured is the relay.
#[derive(Debug, Default)]
struct Published(AtomicU64);

#[async_trait]
impl EventPublisher for Published {
    async fn publish(&self, _event: &RecordedEvent) -> Result<(), Error> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl<B: Backend> Ours<B> {
    async fn read_pages(&self) -> Result<u64, Failure> {
        let (mut count, mut position) = (0, Position::START);
        loop {
            let options = ReadOptions::new().after(position).limit(PAGE);
            let page = self.store.read_page(&Filter::all(), &options).await.map_err(broken)?;
            count += page.events.len() as u64;
            position = page.scanned_to(&options);
            if !page.more {
                return Ok(count);
            }
        }
    }

    async fn deliver_after(
        &self,
        mut checkpoint: Position,
        deliveries: &Deliveries,
    ) -> Result<Position, Failure> {
        loop {
            let options = ReadOptions::new().after(checkpoint).limit(1_024);
            let page = self.store.read_page(&Filter::all(), &options).await.map_err(broken)?;
            checkpoint = page.scanned_to(&options);
            for event in &page.events {
                let payload: common::Payload = event.payload().deserialize().map_err(broken)?;
                deliveries.deliver(payload.number);
            }
            if !page.more {
                return Ok(checkpoint);
            }
        }
    }
}

/// What an application writes for an event.
fn new_event(event: &Event) -> Result<NewEvent, Failure> {
    let [course, student] = event.tags();
    NewEvent::new(event.event_type, &event.payload)
        .and_then(|new| new.tag(course.0, course.1)?.tag(student.0, student.1))
        .map_err(broken)
}

fn preloading(numbers: std::ops::Range<u64>, size: u64) -> Result<Append, Failure> {
    let mut append: Option<Append> = None;
    let mut events: Vec<NewEvent> = Vec::new();
    let last = numbers.end - 1;
    for number in numbers {
        let (stream, version, event) = Event::preloaded(number, size);
        events.push(new_event(&event)?);
        if version == 10 || number == last {
            let (stream, events) = (stream_id(stream)?, std::mem::take(&mut events));
            append = Some(match append {
                Some(append) => append.and_stream(stream, ExpectedVersion::NoStream, events),
                None => Append::to_stream(stream, ExpectedVersion::NoStream, events),
            });
        }
    }
    append.ok_or_else(|| Failure::Broken("nothing to preload".to_owned()))
}

fn stream_id(stream: Stream) -> Result<StreamId, Failure> {
    StreamId::new(Stream::TYPE, stream.0).map_err(broken)
}

fn expected_version(expected: u64) -> Result<ExpectedVersion, Failure> {
    match expected {
        0 => Ok(ExpectedVersion::NoStream),
        version => Version::new(version).map(ExpectedVersion::Exact).map_err(broken),
    }
}

fn judged(error: Error) -> Failure {
    if error.is_conflict() { Failure::Conflict } else { broken(error) }
}

async fn count(events: eventsource_core::EventStream<'_>) -> Result<u64, Failure> {
    events.try_fold(0, |count, _| std::future::ready(Ok(count + 1))).await.map_err(broken)
}
