use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use eventsource_core::{
    Append, Appended, Capabilities, Changes, EventStore, NewEvent, Page, StreamId, Version,
};
use eventsource_memory::MemoryStore;

use super::*;

/// Counts the pages that are read.
#[derive(Debug, Default)]
struct Counting {
    store: MemoryStore,
    pages: AtomicU64,
}

#[async_trait]
impl EventStore for Counting {
    async fn append(&self, append: Append) -> Result<Appended> {
        self.store.append(append).await
    }

    async fn read_page(&self, filter: &Filter, options: &ReadOptions) -> Result<Page> {
        self.pages.fetch_add(1, Ordering::Relaxed);
        self.store.read_page(filter, options).await
    }

    async fn head(&self) -> Result<Position> {
        self.store.head().await
    }

    async fn stream_version(&self, stream: &StreamId) -> Result<Option<Version>> {
        self.store.stream_version(stream).await
    }

    fn changes(&self) -> Changes {
        self.store.changes()
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn close(&self) -> Result<()> {
        self.store.close().await
    }
}

/// How many of 12,500 events are counted if those up to a position wait, and how many pages are read for it.
async fn counted(waiting: u64) -> (u64, u64) {
    let events = Arc::new(Counting::default());
    let new = || NewEvent::new("Happened", &()).expect("it is valid");
    for _ in 0..5 {
        events.append(Append::events((0..2_500).map(|_| new()))).await.expect("memory takes it");
    }
    let store = ConsumerStore { events: events.clone(), ..ConsumerStore::from(events.store.clone()) };
    let waits = |event: &RecordedEvent| event.position().to_raw() <= waiting;
    let lag = behind(&store, &Filter::all(), Position::START, DateTime::UNIX_EPOCH, waits)
        .await
        .expect("it answers");
    (lag.events, events.pages.load(Ordering::Relaxed))
}

#[tokio::test]
async fn a_group_that_is_almost_too_far_behind_to_count_is_read_in_whole_pages() {
    assert_eq!(counted(Lag::COUNTED - 1).await, (Lag::COUNTED - 1, 13));
}

#[tokio::test]
async fn who_is_further_behind_than_is_counted_is_not_read_further() {
    assert_eq!(counted(12_500).await, (Lag::COUNTED, 10));
    assert_eq!(counted(Lag::COUNTED).await, (Lag::COUNTED, 10));
}
