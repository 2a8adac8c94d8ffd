//! A store that breaks the rule for pages is told so: nobody takes its silence for the end of the log.

use async_trait::async_trait;
use eventsource_core::{
    Append, Appended, Capabilities, Capability, ChangeSignal, Changes, Error, ErrorKind, EventStore,
    EventStoreExt, Filter, Page, Position, ReadOptions, Result, StreamId, Version,
};
use futures_util::TryStreamExt;

/// Says that there is more, and never what.
#[derive(Debug)]
struct Hesitant;

#[async_trait]
impl EventStore for Hesitant {
    async fn append(&self, _: Append) -> Result<Appended> {
        Err(Error::unsupported(Capability::Durable))
    }

    async fn read_page(&self, _: &Filter, _: &ReadOptions) -> Result<Page> {
        Ok(Page { events: Vec::new(), head: Position::from_raw(7), more: true })
    }

    async fn head(&self) -> Result<Position> {
        Ok(Position::from_raw(7))
    }

    async fn stream_version(&self, _: &StreamId) -> Result<Option<Version>> {
        Ok(None)
    }

    fn changes(&self) -> Changes {
        ChangeSignal::new().subscribe()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_page_that_stops_before_its_first_event_is_an_error() {
    let read = Hesitant.read(Filter::all(), ReadOptions::new()).try_collect::<Vec<_>>().await;
    assert_eq!(read.unwrap_err().kind(), ErrorKind::Backend);
    assert_eq!(Hesitant.query(&Filter::all()).await.unwrap_err().kind(), ErrorKind::Backend);
}

#[tokio::test]
async fn who_asks_for_nothing_is_given_nothing() {
    let read = Hesitant.read(Filter::all(), ReadOptions::new().limit(0)).try_collect::<Vec<_>>().await;
    assert!(read.unwrap().is_empty());
}
