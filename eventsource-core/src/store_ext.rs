use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::reading::Reading;
use crate::{
    Append, Appended, Context, Error, EventStore, EventStream, ExpectedVersion, Filter, NewEvent, Queried,
    ReadOptions, RecordedEvent, Result, StreamId, Version, WithContext,
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
