use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{
    Changes, Conflict, ConsumerName, Error, ErrorKind, EventId, EventStore, Filter, LastEvent, Page,
    Position, ReadOptions, RecordedEvent, Result,
};
use futures_util::future::{Either, select};
use futures_util::{FutureExt as _, Stream, stream};
use tokio::time::{Instant, sleep, timeout};

use crate::ahead::{Ahead, Reading};
use crate::{Backoff, ReadAhead};

/// Where to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
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
/// It holds one page at most, unless it is told to [read ahead](Self::read_ahead): who takes no events reads none. While the
/// database is away it waits and tries again; it ends only if the store is closed, if an event can't be decoded, or if the
/// log is not the one that it has read (a backup was restored).
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
    filter: Arc<Filter>,
    start: Start,
    page_size: u64,
    poll_interval: Duration,
    backoff: Backoff,
    /// How far it has handed out; none before the first look.
    cursor: Option<Position>,
    /// The last event that was handed out, to tell a log that was restored.
    anchor: Option<LastEvent>,
    /// When the log was last seen to be the same one.
    seen: Option<Instant>,
    /// Whether it has looked.
    begun: bool,
    /// Whether there was more when it last looked.
    more: bool,
    ahead: Ahead,
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

/// One look at the log.
pub(crate) struct Look {
    options: ReadOptions,
    page: Page,
    /// The last event that was read before, and the id of what lies there now; none if nobody asked.
    history: Option<(LastEvent, Option<EventId>)>,
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
            filter: Arc::new(Filter::all()),
            start: Start::Beginning,
            page_size: 500,
            poll_interval: Duration::from_secs(1),
            backoff: Backoff::new(Duration::from_millis(20), Duration::from_secs(2)),
            cursor: None,
            anchor: None,
            seen: None,
            begun: false,
            more: false,
            ahead: Ahead::bounded(ReadAhead::none()),
        }
    }

    /// Only events that match. What was read ahead with another filter is thrown away.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Arc::new(filter);
        self.ahead.forget();
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

    /// Sets how long to wait between two attempts while the database is away; 20 milliseconds first and 2 seconds at most if
    /// not set.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how much is read before it is asked for: nothing if not set.
    ///
    /// It is read while [`reading_ahead`](Self::reading_ahead) works, and a step further each time a
    /// [stream](Self::into_stream) is asked for an event. A stream that is not asked for long lets what it is reading
    /// rest, and on PostgreSQL that holds a connection: where handling takes long, prefer `reading_ahead`.
    pub fn read_ahead(mut self, ahead: ReadAhead) -> Self {
        self.ahead = Ahead::bounded(ahead);
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
            let next = match self.ahead.pop() {
                Some(batch) => Ok(Some(batch)),
                None => self.look().await,
            };
            match next {
                Ok(Some(batch)) => {
                    self.cursor = Some(batch.scanned_to);
                    self.anchor = batch.events.last().map(LastEvent::from).or(self.anchor.take());
                    return Ok(batch);
                }
                Ok(None) => {
                    delays = self.backoff.delays();
                    self.rest().await;
                }
                Err(error) if error.kind() == ErrorKind::Unavailable && error.is_retryable() => {
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

    /// Does `work`, such as handling what came last, and reads meanwhile what comes next, as far as
    /// [`read_ahead`](Self::read_ahead) says. Dropping the future loses nothing that was read.
    ///
    /// ```
    /// # use eventsource_consumers::{ReadAhead, Subscription};
    /// # use eventsource_core::{RecordedEvent, Result};
    /// # use eventsource_memory::MemoryStore;
    /// # async fn index(_: Vec<RecordedEvent>) {}
    /// # async fn follow(store: MemoryStore) -> Result<()> {
    /// let mut all = Subscription::new(store).read_ahead(ReadAhead::new());
    /// loop {
    ///     let batch = all.next().await?;
    ///     all.reading_ahead(index(batch.events)).await;
    /// }
    /// # }
    /// ```
    pub async fn reading_ahead<T>(&mut self, work: impl Future<Output = T>) -> T {
        match select(pin!(work), pin!(self.fill())).await {
            Either::Left((done, _)) => done,
            Either::Right(((), work)) => work.await,
        }
    }

    /// The events one by one. It ends after an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<RecordedEvent>> + Send {
        let state = Some((self, VecDeque::new()));
        stream::unfold(state, |state: Option<(Self, VecDeque<RecordedEvent>)>| async move {
            let (mut subscription, mut events) = state?;
            loop {
                if let Some(event) = events.pop_front() {
                    // A step further with what is being read; `next` goes on from there.
                    let _ = subscription.fill().now_or_never();
                    return Some((Ok(event), Some((subscription, events))));
                }
                match subscription.next().await {
                    Ok(batch) => events = batch.events.into(),
                    Err(error) => return Some((Err(error), None)),
                }
            }
        })
    }

    /// Throws away what was read ahead: what is asked for next is read then.
    pub(crate) fn forget_ahead(&mut self) {
        self.ahead.forget();
    }

    /// Reads ahead until there is enough, or no more. What fails is left to [`next`](Self::next), together with all that
    /// was read before it: it may be another log by then.
    async fn fill(&mut self) {
        loop {
            let room = self.ahead.room(self.page_size);
            if room == 0 || !self.more {
                return;
            }
            if !self.ahead.is_reading() {
                let reading = self.begin_look(room);
                self.ahead.begin(reading);
            }
            let Some(looked) = self.ahead.looked().await else { return };
            match looked.and_then(|look| self.judge(look)) {
                Ok(Some(batch)) => self.ahead.push(batch),
                Ok(None) => return,
                Err(_) => {
                    self.seen = None;
                    return self.ahead.forget();
                }
            }
        }
    }

    /// One look at the log; none if it holds nothing new.
    async fn look(&mut self) -> Result<Option<Batch>> {
        if self.cursor.is_none() {
            self.cursor = match self.start {
                Start::Beginning => Some(Position::START),
                Start::After(position) => Some(position),
                Start::End => Some(self.store.head().await?),
            };
        }
        let reading = match self.ahead.take_reading() {
            Some(reading) => reading,
            None => self.begin_look(self.page_size),
        };
        let look = reading.await?;
        self.judge(look)
    }

    /// Begins to look at so many events behind what was read before; asks now and then, and after an interruption,
    /// whether the last of those is still where it was.
    fn begin_look(&self, limit: u64) -> Reading {
        let after = self.ahead.scanned_to().or(self.cursor).unwrap_or(Position::START);
        let options = ReadOptions::new().after(after).limit(limit);
        let trusted = self.seen.is_some_and(|seen| seen.elapsed() < Self::TRUST);
        let last = self.ahead.last_event().or_else(|| self.anchor.clone()).filter(|_| !trusted);
        let (store, filter) = (self.store.clone(), self.filter.clone());
        Box::pin(async move {
            let page = store.read_page(&filter, &options).await?;
            let history = match last {
                None => None,
                Some(last) => {
                    let before = Position::from_raw(last.position.to_raw().saturating_sub(1));
                    let there = ReadOptions::new().after(before).until(last.position).limit(1);
                    let found = store.read_page(&Filter::all(), &there).await?.events.pop();
                    Some((last, found.map(|found| found.id())))
                }
            };
            Ok(Look { options, page, history })
        })
    }

    /// What a look has found, if the log is the one that was read before.
    fn judge(&mut self, look: Look) -> Result<Option<Batch>> {
        let Look { options, page, history } = look;
        let after = options.after_position();
        if page.head < after && (self.begun || self.name.is_some()) {
            let (position, head) = (after, page.head);
            return Err(Conflict::CheckpointAhead { consumer: self.called()?, position, head }.into());
        }
        match history {
            // One that is gone was deleted in order; one that is another was written after a restore.
            Some((last, Some(found))) if found != last.id => {
                let (position, expected) = (last.position, last.id);
                return Err(
                    Conflict::OtherHistory { consumer: self.called()?, position, expected, found }.into()
                );
            }
            _ => (self.begun, self.seen) = (true, Some(Instant::now())),
        }
        let scanned_to = page.scanned_to(&options);
        self.more = scanned_to < page.head;
        let found_nothing = page.events.is_empty() && scanned_to <= after;
        Ok((!found_nothing).then_some(Batch { events: page.events, scanned_to, head: page.head }))
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
