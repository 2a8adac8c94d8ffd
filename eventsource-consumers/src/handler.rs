use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use eventsource_core::{
    CheckpointStore, DeadLetters, Delivery, DeliveryError, DeliveryFailure, Error, HandlerError,
    HandlerTimedOut, Purpose, Record, RecordedEvent, Sink,
};
use futures_util::FutureExt as _;

use crate::ConsumerStore;

/// What a handler is told beside the event.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Context {
    /// What the event is delivered for: while a view is rebuilt, nothing but the view may change.
    pub purpose: Purpose,
}

impl Context {
    /// A context, for who calls a handler without a consumer: tests do.
    #[must_use]
    pub fn new(purpose: Purpose) -> Self {
        Self { purpose }
    }
}

/// Handles one event after the other, at least once each: it must bear to see an event again after a crash. The event's
/// id tells it.
#[async_trait]
pub trait EventHandler: Send + Sync + 'static {
    /// Handles an event.
    ///
    /// # Errors
    /// Whatever stands in the way: the event comes again, as the consumer's policy says.
    async fn handle(&self, event: &RecordedEvent, context: &Context) -> Result<(), HandlerError>;
}

/// Handles a page of events at once, at least once.
#[async_trait]
pub trait PageHandler: Send + Sync + 'static {
    /// Handles events in log order.
    ///
    /// # Errors
    /// Whatever stands in the way. They come again one by one, so that the one to blame is found.
    async fn handle(&self, events: &[RecordedEvent], context: &Context) -> Result<(), HandlerError>;
}

/// What can be delivered to: every [`Sink`], and handlers.
pub trait IntoSink {
    /// The sink, which makes its records in `store` if it can't make them together with its effects.
    fn into_sink(self, store: &ConsumerStore) -> Arc<dyn Sink>;
}

impl<S: Sink + 'static> IntoSink for S {
    fn into_sink(self, _store: &ConsumerStore) -> Arc<dyn Sink> {
        Arc::new(self)
    }
}

/// An [`EventHandler`] that a consumer can deliver to.
#[derive(Debug)]
pub struct EachEvent<H>(pub H);

/// A [`PageHandler`] that a consumer can deliver to.
#[derive(Debug)]
pub struct EachPage<H>(pub H);

/// A closure as an [`EventHandler`].
pub fn each_event<F, R>(handle: F) -> EachEvent<FromFn<F>>
where
    F: Fn(RecordedEvent, Context) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), HandlerError>> + Send,
{
    EachEvent(FromFn(handle))
}

/// A closure as a [`PageHandler`].
pub fn each_page<F, R>(handle: F) -> EachPage<FromFn<F>>
where
    F: Fn(Vec<RecordedEvent>, Context) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), HandlerError>> + Send,
{
    EachPage(FromFn(handle))
}

/// A closure as a handler.
pub struct FromFn<F>(F);

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FromFn")
    }
}

#[async_trait]
impl<F, R> EventHandler for FromFn<F>
where
    F: Fn(RecordedEvent, Context) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), HandlerError>> + Send,
{
    async fn handle(&self, event: &RecordedEvent, context: &Context) -> Result<(), HandlerError> {
        (self.0)(event.clone(), context.clone()).await
    }
}

#[async_trait]
impl<F, R> PageHandler for FromFn<F>
where
    F: Fn(Vec<RecordedEvent>, Context) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), HandlerError>> + Send,
{
    async fn handle(&self, events: &[RecordedEvent], context: &Context) -> Result<(), HandlerError> {
        (self.0)(events.to_vec(), context.clone()).await
    }
}

impl<H: EventHandler> IntoSink for EachEvent<H> {
    fn into_sink(self, store: &ConsumerStore) -> Arc<dyn Sink> {
        Arc::new(AtLeastOnce::new(Handling::Events(Box::new(self.0)), store))
    }
}

impl<H: PageHandler> IntoSink for EachPage<H> {
    fn into_sink(self, store: &ConsumerStore) -> Arc<dyn Sink> {
        Arc::new(AtLeastOnce::new(Handling::Pages(Box::new(self.0)), store))
    }
}

/// Handles first, records then.
struct AtLeastOnce {
    handling: Handling,
    checkpoints: Arc<dyn CheckpointStore>,
    dead_letters: Arc<dyn DeadLetters>,
}

enum Handling {
    Events(Box<dyn EventHandler>),
    Pages(Box<dyn PageHandler>),
}

impl AtLeastOnce {
    fn new(handling: Handling, store: &ConsumerStore) -> Self {
        Self { handling, checkpoints: store.checkpoints.clone(), dead_letters: store.dead_letters.clone() }
    }

    async fn handle(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        let context = Context { purpose: delivery.purpose };
        match &self.handling {
            Handling::Events(handler) => {
                for (index, event) in delivery.events.iter().enumerate() {
                    guarded(delivery, handler.handle(event, &context))
                        .await
                        .map_err(|error| DeliveryError::event(index, index, error))?;
                }
                Ok(())
            }
            Handling::Pages(_) if delivery.events.is_empty() => Ok(()),
            Handling::Pages(handler) => guarded(delivery, handler.handle(&delivery.events, &context))
                .await
                .map_err(DeliveryError::page),
        }
    }

    async fn record(&self, record: &Record) -> Result<(), Error> {
        match record {
            Record::Checkpoint(save) => self.checkpoints.save_checkpoint(save).await,
            Record::Resolved { key, by } => self.dead_letters.resolve(key, by).await.map(drop),
            Record::Switch { from, to } => {
                self.checkpoints.reset_checkpoint(to, from.log_id(), from.position()).await?;
                self.checkpoints.delete_checkpoint(from.consumer()).await?;
                // Last, and not again: what was handed over would be taken for what was there before.
                self.dead_letters.hand_over_dead_letters(from.consumer(), to).await
            }
        }
    }
}

#[async_trait]
impl Sink for AtLeastOnce {
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        self.handle(delivery).await?;
        self.record(&delivery.record).await.map_err(|error| DeliveryError {
            handled: delivery.events.len(),
            cause: DeliveryFailure::Store(error),
        })
    }
}

/// Within the time that it may take, and a panic is a failure like any other.
async fn guarded(
    delivery: &Delivery,
    handling: impl Future<Output = Result<(), HandlerError>> + Send,
) -> Result<(), HandlerError> {
    let handling = AssertUnwindSafe(handling).catch_unwind();
    let handled = match delivery.timeout {
        None => handling.await,
        Some(timeout) => match tokio::time::timeout(timeout, handling).await {
            Ok(handled) => handled,
            Err(_) => return Err(HandlerTimedOut { timeout }.into()),
        },
    };
    handled.unwrap_or_else(|_| Err("the handler panicked".into()))
}
