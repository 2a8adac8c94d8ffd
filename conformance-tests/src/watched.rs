use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use eventsource_core::{
    Append, Appended, Capabilities, Changes, Error, EventStore, Filter, Page, Position, ReadOptions, Result,
    StreamId, Version,
};
use tokio::sync::watch;

/// A store whose pages are counted as they are asked for, and held back where a case says so. Looks at one event, with
/// which a consumer assures itself of the log, are not counted.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    store: Arc<dyn EventStore>,
    begun: Arc<watch::Sender<Vec<Position>>>,
    /// How many pages may be read; a further one waits for ever.
    allowed: Arc<watch::Sender<usize>>,
    /// How many events came back.
    read: Arc<watch::Sender<usize>>,
    /// Whether nothing is answered any more, though nobody has closed it.
    broken: Arc<AtomicBool>,
}

impl Watched {
    pub(crate) fn new(store: Arc<dyn EventStore>) -> Self {
        let (begun, allowed, read) =
            (watch::Sender::new(Vec::new()), watch::Sender::new(usize::MAX), watch::Sender::new(0));
        let (begun, allowed, read) = (Arc::new(begun), Arc::new(allowed), Arc::new(read));
        Self { store, begun, allowed, read, broken: Arc::default() }
    }

    /// Lets so many pages be read in all, and no more.
    pub(crate) fn allow(&self, pages: usize) {
        self.allowed.send_replace(pages);
    }

    /// From now on the log is answered for as by a store that can't flush any more: its changes go on, and all else says that
    /// it is closed.
    pub(crate) fn break_for_good(&self) {
        self.broken.store(true, Ordering::SeqCst);
    }

    fn check(&self) -> Result<()> {
        if self.broken.load(Ordering::SeqCst) { Err(Error::closed("it is broken")) } else { Ok(()) }
    }

    /// Behind which positions pages were asked for.
    pub(crate) fn begun(&self) -> Vec<Position> {
        self.begun.borrow().clone()
    }

    /// How many events were read.
    pub(crate) fn events_read(&self) -> usize {
        *self.read.borrow()
    }

    /// Waits until so many pages were asked for.
    pub(crate) async fn until_begun(&self, pages: usize) {
        // This handle keeps the other end.
        let _ = self.begun.subscribe().wait_for(|begun| begun.len() >= pages).await;
    }

    /// Waits until so many events were read.
    pub(crate) async fn until_read(&self, events: usize) {
        let _ = self.read.subscribe().wait_for(|read| *read >= events).await;
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventStore for Watched {
    async fn append(&self, append: Append) -> Result<Appended> {
        self.check()?;
        self.store.append(append).await
    }

    async fn read_page(&self, filter: &Filter, options: &ReadOptions) -> Result<Page> {
        self.check()?;
        if options.until_position().is_some() {
            return self.store.read_page(filter, options).await;
        }
        self.begun.send_modify(|begun| begun.push(options.after_position()));
        let number = self.begun.borrow().len();
        let _ = self.allowed.subscribe().wait_for(|allowed| *allowed >= number).await;
        let page = self.store.read_page(filter, options).await?;
        self.read.send_modify(|read| *read += page.events.len());
        Ok(page)
    }

    async fn head(&self) -> Result<Position> {
        self.check()?;
        self.store.head().await
    }

    async fn stream_version(&self, stream: &StreamId) -> Result<Option<Version>> {
        self.check()?;
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
