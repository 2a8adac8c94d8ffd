use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{
    Changes, Conflict, ConsumerName, Error, ErrorKind, EventStore, Filter, LastEvent, Position, ReadOptions,
    RecordedEvent, Result,
};
use futures_util::{FutureExt as _, Stream, stream};
use tokio::time::{Instant, sleep, timeout};

use crate::Backoff;

/// Where to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// Before the first event.
    #[default]
    Beginning,
    /// Behind the newest event there is by then.
    End,
    /// Behind this position.
    After(Position),
}

/// Events in log order: those that are stored, then those that come. One loop reads both, so there is no seam between.
///
/// It holds one page at most: who takes no events reads none. While the database is away it waits and tries again; it
/// ends only if the store is closed, if an event can't be decoded, or if the log is not the one that it has read (a backup
/// was restored).
///
/// ```
/// # use eventsource_consumers::{Start, Subscription};
/// # use eventsource_core::{EventStoreExt, Filter, NewEvent, Result};
/// # use eventsource_memory::MemoryStore;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// # let store = MemoryStore::new();
/// # store.append_events(vec![NewEvent::new("OrderPlaced", &7)?]).await?;
/// use futures_util::TryStreamExt;
///
/// let orders = Subscription::new(store).filter(Filter::event_types(["OrderPlaced"])?).start(Start::Beginning);
/// let mut orders = std::pin::pin!(orders.into_stream());
/// let first = orders.try_next().await?.expect("it has no end");
/// assert_eq!(first.event_type(), &"OrderPlaced");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Subscription {
    store: Arc<dyn EventStore>,
    changes: Option<Changes>,
    name: Option<ConsumerName>,
    filter: Filter,
    start: Start,
    page_size: u64,
    poll_interval: Duration,
    backoff: Backoff,
    /// None before the first look.
    cursor: Option<Position>,
    /// The last event that was handed out, to tell a log that was restored.
    anchor: Option<LastEvent>,
    /// When the log was last seen to be the same one.
    seen: Option<Instant>,
}

/// What came next.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The matching events, in log order. There may be none, where others were passed over.
    pub events: Vec<RecordedEvent>,
    /// Nothing that matches lies at or below this that was not handed out by now.
    pub scanned_to: Position,
    /// Where the log ended.
    pub head: Position,
}

impl Subscription {
    /// For how long the log is taken to be the same without a look.
    const TRUST: Duration = Duration::from_millis(100);

    /// All events of a store, from the beginning.
    pub fn new(store: impl EventStore + 'static) -> Self {
        Self::on(Arc::new(store))
    }

    pub(crate) fn on(store: Arc<dyn EventStore>) -> Self {
        Self {
            store,
            changes: None,
            name: None,
            filter: Filter::all(),
            start: Start::Beginning,
            page_size: 500,
            poll_interval: Duration::from_secs(1),
            backoff: Backoff::new(Duration::from_millis(20), Duration::from_secs(2)),
            cursor: None,
            anchor: None,
            seen: None,
        }
    }

    /// Only events that match.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets where to begin.
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Sets how many events are read at once; 500 if not set.
    pub fn page_size(mut self, events: u64) -> Self {
        self.page_size = events.max(1);
        self
    }

    /// Sets how often to look where nothing wakes; a second if not set.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// Sets how long to wait between two attempts while the database is away.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    pub(crate) fn named(mut self, name: ConsumerName, anchor: Option<LastEvent>) -> Self {
        self.name = Some(name);
        self.anchor = anchor;
        self
    }

    /// How far it has come; none before the first look.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.cursor
    }

    /// Waits for what comes next. Dropping the future loses nothing.
    ///
    /// # Errors
    /// `Unavailable` once the store is closed; `Corrupt` for an event that can't be decoded; `Conflict` if the log is not
    /// the one that was read. It stays where it is then.
    pub async fn next(&mut self) -> Result<Batch> {
        let mut delays = self.backoff.delays();
        loop {
            // Before the look: what is appended after it wakes.
            let changes = self.changes.get_or_insert_with(|| self.store.changes());
            // A store that is closed says so here, and not by its errors.
            if let Some(Err(closed)) = changes.changed().now_or_never() {
                return Err(closed);
            }
            match self.look().await {
                Ok(Some(batch)) => return Ok(batch),
                Ok(None) => {
                    delays = self.backoff.delays();
                    self.rest().await;
                }
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    self.seen = None;
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "the log can't be read; trying again"
                    );
                    sleep(delays.next().unwrap_or(self.poll_interval)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The events one by one. It ends after an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<RecordedEvent>> + Send {
        let state = Some((self, VecDeque::new()));
        stream::unfold(state, |state: Option<(Self, VecDeque<RecordedEvent>)>| async move {
            let (mut subscription, mut events) = state?;
            loop {
                if let Some(event) = events.pop_front() {
                    return Some((Ok(event), Some((subscription, events))));
                }
                match subscription.next().await {
                    Ok(batch) => events = batch.events.into(),
                    Err(error) => return Some((Err(error), None)),
                }
            }
        })
    }

    /// One look at the log; none if it holds nothing new.
    async fn look(&mut self) -> Result<Option<Batch>> {
        let cursor = match (self.cursor, self.start) {
            (Some(cursor), _) | (None, Start::After(cursor)) => cursor,
            (None, Start::Beginning) => Position::START,
            (None, Start::End) => self.store.head().await?,
        };
        let begun = self.cursor.replace(cursor).is_some();
        let options = ReadOptions::new().after(cursor).limit(self.page_size);
        let page = self.store.read_page(&self.filter, &options).await?;
        if page.head < cursor && (begun || self.name.is_some()) {
            let (position, head) = (cursor, page.head);
            return Err(Conflict::CheckpointAhead { consumer: self.called()?, position, head }.into());
        }
        self.check_history().await?;
        let scanned_to = page.scanned_to(&options);
        if page.events.is_empty() && scanned_to <= cursor {
            return Ok(None);
        }
        if let Some(last) = page.events.last() {
            self.anchor = Some(LastEvent {
                position: last.position(),
                id: last.id(),
                event_type: last.event_type().clone(),
            });
        }
        self.cursor = Some(scanned_to);
        Ok(Some(Batch { events: page.events, scanned_to, head: page.head }))
    }

    /// Whether the last event that was handed out is still where it was; asked now and then, and after an interruption.
    async fn check_history(&mut self) -> Result<()> {
        let trusted = self.seen.replace(Instant::now()).is_some_and(|seen| seen.elapsed() < Self::TRUST);
        let Some(anchor) = self.anchor.as_ref().filter(|_| !trusted) else { return Ok(()) };
        let before = Position::from_raw(anchor.position.to_raw().saturating_sub(1));
        let options = ReadOptions::new().after(before).until(anchor.position).limit(1);
        let page = self.store.read_page(&Filter::all(), &options).await.inspect_err(|_| self.seen = None)?;
        // One that is gone was deleted in order; one that is another was written after a restore.
        match page.events.first() {
            Some(found) if found.id() != anchor.id => {
                let (position, expected, found) = (anchor.position, anchor.id, found.id());
                Err(Conflict::OtherHistory { consumer: self.called()?, position, expected, found }.into())
            }
            _ => Ok(()),
        }
    }

    fn called(&self) -> Result<ConsumerName, Error> {
        self.name.clone().map_or_else(|| ConsumerName::new("a subscription"), Ok)
    }

    /// Until something may have come.
    async fn rest(&mut self) {
        if let Some(changes) = &mut self.changes {
            // If the store is closed, the next round says so.
            let _ = timeout(self.poll_interval, changes.changed()).await;
        }
    }
}
