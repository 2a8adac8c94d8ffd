use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use eventsource_core::{ConsumerName, Error, Filter, Purpose, Result, Sink};

use crate::control::Control;
use crate::handler::IntoSink;
use crate::pump::{End, Pump};
use crate::{ConsumerStore, FailurePolicy, OrderingKey, ReadAhead, Start};

/// A subscription with a name: it delivers to a handler or a view, keeps a checkpoint, retries, and parks what fails for
/// good.
///
/// Delivery is at least once, and exactly once where the sink records the checkpoint together with its effects (the SQL
/// stores' `project`). Run one instance under a name, or a [`ConsumerGroup`](crate::ConsumerGroup): of two instances the
/// checkpoint lets one go forward, and at-least-once handlers see events twice.
///
/// ```
/// use eventsource_consumers::{Consumer, FailurePolicy, each_event};
/// use eventsource_core::{Filter, Result};
/// use eventsource_memory::MemoryStore;
///
/// async fn send_mails(store: MemoryStore) -> Result<()> {
///     let consumer = Consumer::new("mailer", store)?
///         .filter(Filter::event_types(["OrderPlaced"])?)
///         .policy(FailurePolicy::park_and_hold());
///     // Kept for the signal handler: `control.stop()` ends it in order.
///     let control = consumer.control();
///     consumer.run(each_event(|event, _| async move { Ok(send(event.payload().as_json()).await?) })).await?;
///     # drop(control);
///     Ok(())
/// }
/// # async fn send(_: &str) -> std::io::Result<()> { Ok(()) }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Consumer {
    pub(crate) name: ConsumerName,
    pub(crate) store: ConsumerStore,
    pub(crate) settings: Settings,
    pub(crate) control: Control,
}

/// How it works.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) filter: Filter,
    pub(crate) start: Start,
    pub(crate) page_size: u64,
    pub(crate) read_ahead: ReadAhead,
    pub(crate) poll_interval: Duration,
    pub(crate) idle_save: Duration,
    pub(crate) policy: FailurePolicy,
    pub(crate) ordering_key: OrderingKey,
}

/// How a consumer ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It was told to stop.
    Stopped,
    /// It has done everything up to the head that the log had when it began.
    CaughtUp,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped => "stopped",
            Self::CaughtUp => "caught up",
        })
    }
}

impl Consumer {
    /// A consumer of all events, which begins at its checkpoint, or at the beginning if it has none.
    ///
    /// # Errors
    /// `InvalidInput` if the name is empty, too long or holds a NUL.
    pub fn new(
        name: impl TryInto<ConsumerName, Error: Into<Error>>,
        store: impl Into<ConsumerStore>,
    ) -> Result<Self> {
        Ok(Self {
            name: name.try_into().map_err(Into::into)?,
            store: store.into(),
            settings: Settings {
                filter: Filter::all(),
                start: Start::Beginning,
                page_size: 500,
                read_ahead: ReadAhead::new(),
                poll_interval: Duration::from_secs(1),
                idle_save: Duration::from_millis(250),
                policy: FailurePolicy::default(),
                ordering_key: OrderingKey::default(),
            },
            control: Control::new(),
        })
    }

    /// Only events that match.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.settings.filter = filter;
        self
    }

    /// Sets where it begins if it has no checkpoint yet.
    pub fn start(mut self, start: Start) -> Self {
        self.settings.start = start;
        self
    }

    /// Sets how many events are read, delivered and recorded at once at most; 500 if not set.
    pub fn page_size(mut self, events: u64) -> Self {
        self.settings.page_size = events.max(1);
        self
    }

    /// Sets how much is read while a page is being handled; one page if not set, and nothing where 4 MiB wait already.
    pub fn read_ahead(mut self, ahead: ReadAhead) -> Self {
        self.settings.read_ahead = ahead;
        self
    }

    /// Sets how often to look where nothing wakes; a second if not set.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.settings.poll_interval = interval;
        self
    }

    /// Sets how long a checkpoint may stay behind while only events that don't match come by; a quarter of a second if
    /// not set.
    pub fn idle_save(mut self, interval: Duration) -> Self {
        self.settings.idle_save = interval;
        self
    }

    /// Sets what it does when the handler fails; [`FailurePolicy::stop`] if not set.
    pub fn policy(mut self, policy: FailurePolicy) -> Self {
        self.settings.policy = policy;
        self
    }

    /// Sets what keeps events in order where one is parked, or where a group shares the work; the stream if not set.
    pub fn ordering_key(mut self, key: OrderingKey) -> Self {
        self.settings.ordering_key = key;
        self
    }

    /// Pauses, resumes and stops it, and tells how it stands.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Works until it is told to stop. Dropping the future leaves what is in hand to be delivered again.
    ///
    /// # Errors
    /// What the handler failed with for good, as `Backend` with the handler's error as its source; `Conflict` if the
    /// checkpoint does not belong to this log as it is; `Unavailable` once the store [is closed](Error::is_closed); `Corrupt`.
    pub async fn run(self, sink: impl IntoSink) -> Result<Outcome> {
        let sink = sink.into_sink(&self.store);
        self.pump(sink, End::Never).run().await
    }

    /// Works until everything is done that is in the log now, or until it is told to stop.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    pub async fn run_until_caught_up(self, sink: impl IntoSink) -> Result<Outcome> {
        let sink = sink.into_sink(&self.store);
        self.pump(sink, End::CaughtUp).run().await
    }

    fn pump(self, sink: Arc<dyn Sink>, end: End) -> Pump {
        Pump {
            name: self.name,
            store: self.store,
            sink,
            settings: self.settings,
            control: self.control,
            share: None,
            purpose: Purpose::Live,
            end,
        }
    }
}
