use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    Append, Appended, Context, Error, EventStore, EventStream, ExpectedVersion, Filter, NewEvent, Page,
    Queried, ReadOptions, RecordedEvent, Result, StreamId, Version, WithContext,
};

/// What every store offers on top of the minimum. Import it beside [`EventStore`]; never implement it.
///
/// ```
/// # use eventsource_core::{EventStore, EventStoreExt, Append, Filter, NewEvent, Result};
/// async fn claim(store: &dyn EventStore, name: &str) -> Result<bool> {
///     let boundary = Filter::tagged("username", name)?;
///     let found = store.query(&boundary).await?;
///     if !found.events.is_empty() {
///         return Ok(false);
///     }
///     let claimed = NewEvent::new("UsernameClaimed", &name)?.tag("username", name)?;
///     // Refused if somebody else claimed it since.
///     store.append(Append::events([claimed]).fail_if(boundary).after(found.head)).await?;
///     Ok(true)
/// }
/// ```
#[async_trait]
pub trait EventStoreExt: EventStore {
    /// The matching events, page by page as they are asked for: the log is never held in memory. The read ends at the
    /// head that the log has when the first event is asked for.
    fn read(&self, filter: Filter, options: ReadOptions) -> EventStream<'_> {
        stream::try_unfold(Some(Reading::new(filter, options)), move |reading| async move {
            let Some(mut reading) = reading else { return Ok(None) };
            let page = reading.next_page(self).await?;
            Ok::<_, Error>(Some((stream::iter(page.events).map(Ok), page.more.then_some(reading))))
        })
        .try_flatten()
        .boxed()
    }

    /// All matching events, and the head of the same snapshot. They are held in memory: ask for what a decision needs.
    ///
    /// # Errors
    /// As for [`EventStore::read_page`].
    async fn query(&self, filter: &Filter) -> Result<Queried> {
        let mut reading = Reading::new(filter.clone(), ReadOptions::new());
        let mut page = reading.next_page(self).await?;
        let (mut events, head) = (page.events, page.head);
        while page.more {
            page = reading.next_page(self).await?;
            events.append(&mut page.events);
        }
        Ok(Queried { events, head })
    }

    /// The newest matching event, if any.
    ///
    /// # Errors
    /// As for [`EventStore::read_page`].
    async fn last(&self, filter: &Filter) -> Result<Option<RecordedEvent>> {
        Ok(self.read_page(filter, &ReadOptions::new().backward().limit(1)).await?.events.pop())
    }

    /// One stream's events, from the first version on.
    fn read_stream(&self, stream: &StreamId) -> EventStream<'_> {
        self.read(Filter::all().in_stream(stream.clone()), ReadOptions::new())
    }

    /// One stream's events, from this version on.
    fn read_stream_from(&self, stream: &StreamId, version: Version) -> EventStream<'_> {
        self.read(Filter::all().in_stream(stream.clone()), ReadOptions::new().from_version(version))
    }

    /// This store in a context, which every event carries that is appended through it.
    fn in_context(&self, context: Context) -> WithContext<&Self> {
        WithContext::new(self, context)
    }

    /// Whether the stream has an event.
    ///
    /// # Errors
    /// As for [`EventStore::stream_version`].
    async fn exists(&self, stream: &StreamId) -> Result<bool> {
        Ok(self.stream_version(stream).await?.is_some())
    }

    /// Appends to one stream: [`Append::to_stream`] in short.
    ///
    /// # Errors
    /// As for [`EventStore::append`].
    async fn append_to_stream(
        &self,
        stream: StreamId,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
    ) -> Result<Appended> {
        self.append(Append::to_stream(stream, expected, events)).await
    }

    /// Appends events that belong to no stream, without a condition: [`Append::events`] in short.
    ///
    /// # Errors
    /// As for [`EventStore::append`].
    async fn append_events(&self, events: Vec<NewEvent>) -> Result<Appended> {
        self.append(Append::events(events)).await
    }
}

impl<S: EventStore + ?Sized> EventStoreExt for S {}

/// A read under way: what is left of it.
struct Reading {
    filter: Filter,
    options: ReadOptions,
    /// How many events the caller still wants.
    left: u64,
    page_size: u64,
    begun: bool,
}

impl Reading {
    const FIRST_PAGE: u64 = 256;
    const LARGEST_PAGE: u64 = 4_096;
    /// What a page may hold: events differ in size by five orders of magnitude, memory should not.
    const PAGE_BYTES: u64 = 1 << 20;

    fn new(filter: Filter, options: ReadOptions) -> Self {
        let left = options.max_events().unwrap_or(u64::MAX);
        Self { filter, options, left, page_size: Self::FIRST_PAGE, begun: false }
    }

    async fn next_page<S: EventStore + ?Sized>(&mut self, store: &S) -> Result<Page> {
        let options = self.options.clone().limit(self.left.min(self.page_size));
        let mut page = store.read_page(&self.filter, &options).await?;
        if page.more && page.events.is_empty() && self.left > 0 {
            // To end here would leave out what the store says is there; to ask again might never end.
            return Err(Error::backend("the store stopped a page before its first event"));
        }
        self.left = self.left.saturating_sub(page.events.len() as u64);
        page.more = page.more && self.left > 0;
        if !self.begun {
            // The log only grows, and only behind its head: up to here, later pages see this page's snapshot.
            self.begun = true;
            let until = self.options.until_position().map_or(page.head, |until| until.min(page.head));
            self.options = self.options.clone().until(until);
        }
        if let Some(last) = page.events.last() {
            self.options = self.options.clone().beyond(last.position());
            let bytes: u64 = page.events.iter().map(|event| event.byte_count() as u64 + 128).sum();
            let average = bytes / page.events.len() as u64;
            let growth = (self.page_size * 4).min(Self::LARGEST_PAGE);
            self.page_size = (Self::PAGE_BYTES / average).clamp(1, growth);
        }
        Ok(page)
    }
}
