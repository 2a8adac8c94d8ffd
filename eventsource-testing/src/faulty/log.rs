use async_trait::async_trait;
use eventsource_core::{
    Append, Appended, Capabilities, Changes, EventStore, Filter, LogId, LogIdentity, Page, Position,
    ReadOptions, Result, StreamId, Version,
};

use super::{Faulty, Kind};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: EventStore> EventStore for Faulty<S> {
    async fn append(&self, append: Append) -> Result<Appended> {
        self.changing(Kind::Append, self.store.append(append)).await
    }

    async fn read_page(&self, filter: &Filter, options: &ReadOptions) -> Result<Page> {
        self.asking(Kind::Read, self.store.read_page(filter, options)).await
    }

    async fn head(&self) -> Result<Position> {
        self.asking(Kind::Read, self.store.head()).await
    }

    async fn stream_version(&self, stream: &StreamId) -> Result<Option<Version>> {
        self.asking(Kind::Read, self.store.stream_version(stream)).await
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

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: LogIdentity> LogIdentity for Faulty<S> {
    async fn log_id(&self) -> Result<LogId> {
        self.asking(Kind::Read, self.store.log_id()).await
    }
}
