use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{
    Checkpoint, CheckpointSave, Conflict, ConsumerName, Delivery, DeliveryError, DeliveryFailure, Error,
    Fence, HandlerError, NewDeadLetter, Position, Purpose, Record, RecordedEvent, Result, Sink, WithCauses,
};
use tokio::time::{Instant, sleep, sleep_until};

use crate::consumer::{Outcome, Settings};
use crate::control::{Control, State};
use crate::patience::{self, Unanswered};
use crate::policy::OnFailure;
use crate::{Backoff, Batch, ConsumerStore, Start, Subscription};

/// Takes events from a subscription and delivers them, one page after the other, until it is told to stop.
pub(crate) struct Pump {
    pub(crate) name: ConsumerName,
    pub(crate) store: ConsumerStore,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) settings: Settings,
    pub(crate) control: Control,
    pub(crate) share: Option<Share>,
    pub(crate) purpose: Purpose,
    pub(crate) end: End,
}

/// The part of the events that is this pump's, and the lease that makes it so.
#[derive(Clone)]
pub(crate) struct Share {
    pub(crate) partition: u32,
    pub(crate) partitions: u32,
    pub(crate) fence: Fence,
}

/// When it ends by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Never,
    CaughtUp,
}

/// Why a page was left before its end.
enum Left {
    /// It is to stop.
    Stopped,
    /// The checkpoint is not where it was: begin again from where it is.
    Moved,
    Failed(Error),
}

impl From<Error> for Left {
    fn from(error: Error) -> Self {
        match error.conflict() {
            Some(Conflict::CheckpointMoved { .. }) => Self::Moved,
            _ => Self::Failed(error),
        }
    }
}

impl From<Unanswered> for Left {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Stopped(_) => Self::Stopped,
            Unanswered::Failed(error) => error.into(),
        }
    }
}

type Delivered<T = ()> = std::result::Result<T, Left>;

impl Pump {
    /// Works until it is told to stop, or fails for good, and tells that it has ended.
    pub(crate) async fn run(self) -> Result<Outcome> {
        let control = self.control.clone();
        let outcome = self.run_to_its_end().await;
        control.update(|status| status.state = State::Stopped);
        outcome
    }

    /// The same for who has more to do then.
    pub(crate) async fn run_to_its_end(self) -> Result<Outcome> {
        loop {
            match self.run_from_checkpoint().await {
                Ok(outcome) => return Ok(outcome),
                Err(Left::Stopped) => return Ok(Outcome::Stopped),
                Err(Left::Failed(error)) => return Err(error),
                Err(Left::Moved) => {
                    tracing::info!(consumer = %self.name, "the checkpoint was moved or reset; going on from there");
                    if self.pause(self.settings.idle_save).await.is_err() {
                        return Ok(Outcome::Stopped);
                    }
                }
            }
        }
    }

    async fn run_from_checkpoint(&self) -> Delivered<Outcome> {
        let checkpoint = self.patiently(|| self.store.checkpoints.load_checkpoint(&self.name)).await?;
        let mut run = Run {
            pump: self,
            current: self.first_save(checkpoint.as_ref()).await?,
            held: BTreeSet::new(),
            unsaved_since: None,
        };
        if self.settings.policy.on_failure == OnFailure::ParkAndHold {
            run.held = self.patiently(|| self.store.dead_letters.held_keys(&self.name)).await?;
        }
        let anchor = run.current.last_event().cloned();
        let mut subscription = Subscription::on(self.store.events.clone())
            .filter(self.settings.filter.clone())
            .start(Start::After(run.current.position()))
            .page_size(self.settings.page_size)
            .read_ahead(self.settings.read_ahead)
            .poll_interval(self.settings.poll_interval)
            .named(self.name.clone(), anchor);
        if checkpoint.is_none() && run.current.position() > Position::START {
            // Where it began is where it begins again.
            run.record().await?;
        }
        self.control.update(|status| {
            status.state = State::CatchingUp;
            status.position = run.current.position();
            status.events_processed = run.current.events_processed();
        });
        let target = match self.end {
            End::Never => None,
            End::CaughtUp => Some(self.patiently(|| self.store.events.head()).await?),
        };
        loop {
            if target.is_some_and(|target| target <= run.current.position()) {
                run.save_scanned().await?;
                return Ok(Outcome::CaughtUp);
            }
            if self.control.is_interrupted() {
                // Who knows for how long; it would only be held, and be older than the log.
                subscription.forget_ahead();
            }
            if !self.control.may_go_on().await {
                run.save_scanned().await?;
                return Ok(Outcome::Stopped);
            }
            let save_at = run.unsaved_since.map(|since| since + self.settings.idle_save);
            tokio::select! {
                biased;
                () = self.control.interrupted() => {}
                () = at(save_at) => run.save_scanned().await?,
                batch = subscription.next() => subscription.reading_ahead(run.work(batch?)).await?,
            }
        }
    }

    /// What the first save begins with: the checkpoint if there is one and it belongs to this log, else the start.
    async fn first_save(&self, checkpoint: Option<&Checkpoint>) -> Delivered<CheckpointSave> {
        let fence = self.share.as_ref().map(|share| share.fence.clone());
        let store = &self.store;
        let save = match checkpoint {
            Some(checkpoint) => {
                self.patiently(|| checkpoint.verify(&*store.events, &*store.identity)).await?;
                CheckpointSave::following(checkpoint)
            }
            None => {
                let log_id = self.patiently(|| store.identity.log_id()).await?;
                let position = match self.settings.start {
                    Start::Beginning => Position::START,
                    Start::After(position) => position,
                    Start::End => self.patiently(|| store.events.head()).await?,
                };
                CheckpointSave::first(self.name.clone(), log_id).scanned_to(position)
            }
        };
        Ok(save.fenced(fence))
    }

    fn is_mine(&self, event: &RecordedEvent) -> bool {
        self.share.as_ref().is_none_or(|share| {
            self.settings.ordering_key.partition(event, share.partitions) == share.partition
        })
    }

    /// Asks until the store answers, however long it is away.
    async fn patiently<T, F>(&self, ask: impl Fn() -> F) -> Delivered<T>
    where
        F: Future<Output = Result<T>>,
    {
        Ok(patience::patiently(&self.name, &self.store, &self.control, ask).await?)
    }

    /// Waits a while after the store has failed, unless it is closed.
    async fn after(&self, error: Error, delay: Option<Duration>) -> Delivered {
        let delay = delay.unwrap_or_default();
        Ok(patience::wait(&self.name, &self.store, &self.control, error, delay).await?)
    }

    async fn pause(&self, delay: Duration) -> Delivered {
        tokio::select! {
            () = self.control.stopped() => Err(Left::Stopped),
            () = sleep(delay) => Ok(()),
        }
    }
}

/// How long to wait between two attempts while the store is away.
pub(crate) fn store_backoff() -> Backoff {
    Backoff::new(Duration::from_millis(20), Duration::from_secs(2))
}

/// A pump at work, from a checkpoint on.
struct Run<'p> {
    pump: &'p Pump,
    /// What is to be saved next: it follows what is saved, and holds what is done since.
    current: CheckpointSave,
    /// The keys that wait behind a parked event, as far as is known.
    held: BTreeSet<String>,
    /// Since when something is scanned and not saved.
    unsaved_since: Option<Instant>,
}

impl Run<'_> {
    /// Delivers what of a batch is this pump's, and records it.
    async fn work(&mut self, batch: Batch) -> Delivered {
        let control = &self.pump.control;
        control.update(|status| status.head = batch.head);
        let mut events = batch.events;
        events.retain(|event| self.pump.is_mine(event));
        if events.is_empty() {
            self.current = self.current.clone().scanned_to(batch.scanned_to);
            self.unsaved_since.get_or_insert_with(Instant::now);
        } else {
            self.deliver_all(events, batch.scanned_to).await?;
        }
        let state = if batch.scanned_to >= batch.head { State::Live } else { State::CatchingUp };
        control.update(|status| status.state = state);
        Ok(())
    }

    async fn deliver_all(&mut self, events: Vec<RecordedEvent>, scanned_to: Position) -> Delivered {
        let mut page = Page { events, next: 0, suspect: None, singly_until: 0, attempts: 0 };
        let mut delays = self.pump.settings.policy.backoff.delays();
        let mut store_delays = store_backoff().delays();
        while page.next < page.events.len() {
            if self.pass_if_held(&page).await? {
                page.next_event();
                continue;
            }
            let end = self.end_of_delivery(&page);
            let events = page.events[page.next..end].to_vec();
            let mut save = self.current.clone().past_all(&events);
            if end == page.events.len() {
                save = save.scanned_to(scanned_to);
            }
            let Err(DeliveryError { handled, cause }) = self.deliver(events, &save).await else {
                self.saved(save);
                page.handled(end - page.next);
                delays = self.pump.settings.policy.backoff.delays();
                store_delays = store_backoff().delays();
                continue;
            };
            self.current = self.current.clone().past_all(&page.events[page.next..page.next + handled]);
            page.handled(handled);
            if handled > 0 {
                self.record().await?;
            }
            match cause {
                DeliveryFailure::Event { index, error } if index == handled => {
                    self.failed(&mut page, error, delays.next()).await?;
                }
                // What comes before it goes alone first, then the event itself.
                DeliveryFailure::Event { index, .. } => page.suspect = Some(page.next + index - handled),
                DeliveryFailure::Page(error) if end - page.next <= 1 => {
                    self.failed(&mut page, error, delays.next()).await?;
                }
                // One by one, until it shows which.
                DeliveryFailure::Page(_) => page.singly_until = end,
                DeliveryFailure::Store(error) if error.is_retryable() => {
                    self.pump.after(error, store_delays.next()).await?;
                }
                DeliveryFailure::Store(error) => return Err(error.into()),
                _ => return Err(Error::backend("a delivery failed in an unknown way").into()),
            }
        }
        // The rest of the page may have been parked.
        self.current = self.current.clone().scanned_to(scanned_to);
        if self.current.expected().is_none_or(|saved| saved.position < scanned_to) {
            self.record().await?;
        }
        Ok(())
    }

    /// How far the next delivery goes: not behind a failure that is to be seen alone, nor over an event that is held.
    fn end_of_delivery(&self, page: &Page) -> usize {
        let rest = &page.events[page.next..];
        let length = match page.suspect.and_then(|suspect| suspect.checked_sub(page.next)) {
            _ if page.next < page.singly_until || page.attempts > 0 => 1,
            Some(before) => before.max(1),
            None => rest.len(),
        };
        let held = rest.iter().take(length).position(|event| self.held_key(event).is_some());
        page.next + held.unwrap_or(length).max(1)
    }

    fn held_key(&self, event: &RecordedEvent) -> Option<String> {
        if self.held.is_empty() {
            return None;
        }
        self.pump.settings.ordering_key.of(event).filter(|key| self.held.contains(key))
    }

    /// Parks the next event behind an earlier one that is not resolved, if there is one; true if it is parked.
    async fn pass_if_held(&mut self, page: &Page) -> Delivered<bool> {
        let event = &page.events[page.next];
        let Some(key) = self.held_key(event) else { return Ok(false) };
        let letter =
            self.letter(event, "held back behind an earlier event that failed", 0, Some(key.clone()));
        let dead_letters = &self.pump.store.dead_letters;
        if self.pump.patiently(|| dead_letters.park_behind(&letter)).await? {
            self.pass(event).await?;
            return Ok(true);
        }
        self.held.remove(&key);
        Ok(false)
    }

    /// The consumer's own store is closed. One that can't flush any more says so only when it is asked.
    async fn closed_for(&self, error: &HandlerError) -> Option<Error> {
        let store = &self.pump.store;
        if let Err(closed) = store.check_open() {
            return Some(closed);
        }
        let found_closed = error.downcast_ref::<Error>().is_some_and(Error::is_closed);
        if !found_closed {
            return None;
        }
        store.events.head().await.err().filter(Error::is_closed)
    }

    /// The handler failed on the next event, which was alone.
    async fn failed(&mut self, page: &mut Page, error: HandlerError, delay: Option<Duration>) -> Delivered {
        page.attempts += 1;
        let Pump { control, settings, name, store, .. } = self.pump;
        control.update(|status| status.failures += 1);
        let event = page.events[page.next].clone();
        let text = WithCauses(&*error).to_string();
        tracing::warn!(consumer = %name, event = %event.id(), position = %event.position(), attempt = page.attempts, "the handler failed");
        // It may have failed because of that, and nothing could be recorded of it.
        if let Some(closed) = self.closed_for(&error).await {
            return Err(Left::Failed(closed.with_source(error)));
        }
        if page.attempts < settings.policy.attempts {
            control.update(|status| status.state = State::Retrying);
            return self.pump.pause(delay.unwrap_or_default()).await;
        }
        let key = match settings.policy.on_failure {
            OnFailure::Stop => {
                let (id, position, attempts) = (event.id(), event.position(), page.attempts);
                return Err(Left::Failed(
                    Error::backend(format!(
                        "the consumer {name} has stopped: it failed on the event {id} at position {position} \
                         {attempts} times"
                    ))
                    .with_source(error),
                ));
            }
            OnFailure::Park => None,
            OnFailure::ParkAndHold => settings.ordering_key.of(&event),
        };
        // First parked, then passed over: a crash in between parks it once more.
        let letter = self.letter(&event, &text, page.attempts, key.clone());
        self.pump.patiently(|| store.dead_letters.park(&letter)).await?;
        self.held.extend(key);
        self.pass(&event).await?;
        page.next_event();
        Ok(())
    }

    fn letter(
        &self,
        event: &RecordedEvent,
        error: &str,
        attempts: u32,
        key: Option<String>,
    ) -> NewDeadLetter {
        NewDeadLetter::new(self.pump.name.clone(), event.clone(), error, attempts)
            .holding(key)
            .fenced(self.current.fence().cloned())
    }

    /// Passes over a parked event.
    async fn pass(&mut self, event: &RecordedEvent) -> Delivered {
        self.pump.control.update(|status| status.parked += 1);
        self.current = self.current.clone().scanned_to(event.position());
        self.record().await
    }

    async fn save_scanned(&mut self) -> Delivered {
        if self.unsaved_since.is_some() { self.record().await } else { Ok(()) }
    }

    /// Saves how far it has come, with no event.
    async fn record(&mut self) -> Delivered {
        let mut delays = store_backoff().delays();
        let save = self.current.clone();
        loop {
            match self.deliver(Vec::new(), &save).await.map_err(|error| error.cause) {
                Ok(()) => break,
                Err(DeliveryFailure::Store(error)) if error.is_retryable() => {
                    self.pump.after(error, delays.next()).await?;
                }
                Err(DeliveryFailure::Store(error)) => return Err(error.into()),
                Err(_) => return Err(Error::backend("the sink failed on no event").into()),
            }
        }
        self.saved(save);
        Ok(())
    }

    async fn deliver(&self, events: Vec<RecordedEvent>, save: &CheckpointSave) -> Result<(), DeliveryError> {
        let delivery = Delivery {
            events,
            record: Record::Checkpoint(save.clone()),
            purpose: self.pump.purpose,
            timeout: self.pump.settings.policy.handler_timeout,
        };
        self.pump.sink.deliver(&delivery).await
    }

    fn saved(&mut self, save: CheckpointSave) {
        self.current = save.next();
        self.unsaved_since = None;
        self.pump.control.update(|status| {
            status.position = save.position();
            status.events_processed = save.events_processed();
        });
    }
}

/// A page that is being delivered.
struct Page {
    events: Vec<RecordedEvent>,
    /// The first that is neither handled nor parked.
    next: usize,
    /// What failed in the midst of others: they go first, and then it goes alone.
    suspect: Option<usize>,
    /// Up to here, events go one by one: the culprit among them is not known.
    singly_until: usize,
    /// How often the next event has failed.
    attempts: u32,
}

impl Page {
    /// So many more are handled.
    fn handled(&mut self, count: usize) {
        if count > 0 {
            self.next += count;
            self.attempts = 0;
        }
    }

    /// The next one is parked.
    fn next_event(&mut self) {
        self.next += 1;
        self.attempts = 0;
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
