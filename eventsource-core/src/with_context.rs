use async_trait::async_trait;

use crate::{
    Append, Appended, Capabilities, Changes, Context, EventStore, Filter, Page, Position, ReadOptions,
    Result, StreamId, Version,
};

/// A store in a [`Context`]: every event that is appended through it carries what the context knows and the event does
/// not say itself. Reading is not narrowed.
///
/// Whatever takes a store takes this one, so nothing else needs to know of contexts. It is cheap: make one for each
/// request or handled event, over a reference.
///
/// A retry that is to be known as one needs the same context: metadata is part of what is compared.
#[derive(Clone, Debug)]
pub struct WithContext<S> {
    store: S,
    context: Context,
}

impl<S: EventStore> WithContext<S> {
    /// The store in this context.
    #[must_use]
    pub fn new(store: S, context: Context) -> Self {
        Self { store, context }
    }

    /// The context.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The store, without it.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.store
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: EventStore> EventStore for WithContext<S> {
    /// As the store does, and `InvalidInput` if an event is another tenant's than the context's.
    async fn append(&self, append: Append) -> Result<Appended> {
        self.store.append(self.context.stamp_all(append)?).await
    }

    async fn read_page(&self, filter: &Filter, options: &ReadOptions) -> Result<Page> {
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
