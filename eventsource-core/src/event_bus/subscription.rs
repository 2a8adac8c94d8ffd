use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;

use super::buffer::Buffer;
use crate::{DomainEvent, RecordedEvent, Result};

/// One subscriber's end of an [`EventBus`](crate::EventBus). Dropping it ends the subscription.
#[derive(Debug)]
pub struct BusSubscription {
    buffer: Arc<Buffer>,
    failed: u64,
}

impl BusSubscription {
    pub(super) fn new(buffer: Arc<Buffer>) -> Self {
        Self { buffer, failed: 0 }
    }

    /// The next event; none when the bus is gone and the buffer is empty. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<RecordedEvent> {
        self.buffer.next().await
    }

    /// Calls `handler` with every event, one after the other, until the bus is gone. One that fails or panics is counted
    /// and logged, and the next event comes.
    pub async fn run<F, E>(&mut self, mut handler: impl FnMut(RecordedEvent) -> F)
    where
        F: Future<Output = std::result::Result<(), E>>,
        E: fmt::Display,
    {
        while let Some(event) = self.next().await {
            let position = event.position();
            // The call itself may panic, not only the future that it makes.
            let handling = AssertUnwindSafe(async { handler(event).await }).catch_unwind();
            let error = match handling.await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it panicked".to_owned(),
            };
            self.failed += 1;
            tracing::warn!(%position, error, "a subscriber of the bus failed to handle an event");
        }
    }

    /// How many events were not delivered because the buffer was full.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.buffer.missed()
    }

    /// How many events the handler of [`run`](Self::run) has failed on.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed
    }
}

impl Drop for BusSubscription {
    fn drop(&mut self) {
        self.buffer.end();
    }
}

/// One subscriber's end of an [`EventBus`](crate::EventBus), with events decoded.
pub struct TypedBusSubscription<E> {
    events: BusSubscription,
    decoded: PhantomData<fn() -> E>,
}

impl<E: DomainEvent> TypedBusSubscription<E> {
    pub(super) fn new(events: BusSubscription) -> Self {
        Self { events, decoded: PhantomData }
    }

    /// The next event, as it was recorded and as `E`; none when the bus is gone and the buffer is empty.
    pub async fn next(&mut self) -> Option<(RecordedEvent, Result<E>)> {
        let event = self.events.next().await?;
        let decoded = E::decode(&event);
        Some((event, decoded))
    }

    /// Calls `handler` with every event, as [`BusSubscription::run`] does. One that can't be decoded has failed.
    pub async fn run<F>(&mut self, mut handler: impl FnMut(E, RecordedEvent) -> F)
    where
        F: Future<Output = Result<()>>,
    {
        self.events
            .run(|event| {
                let handling = E::decode(&event).map(|decoded| handler(decoded, event));
                async { handling?.await }
            })
            .await;
    }

    /// How many events were not delivered because the buffer was full.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.events.missed()
    }

    /// How many events could not be decoded or handled in [`run`](Self::run).
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.events.failed()
    }
}

impl<E> fmt::Debug for TypedBusSubscription<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedBusSubscription").field(&self.events).finish()
    }
}
