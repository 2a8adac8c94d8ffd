use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{CheckpointSave, ConsumerName, DeadLetterKey, Error, Fence, RecordedEvent, Result};

/// What a handler may fail with. A store's own [`Error`] that [is retryable](Error::is_retryable) is not held against the
/// event; one that says that a store [is closed](Error::is_closed) is a failure like any other, for it may be a store that
/// only the handler uses.
pub type HandlerError = Box<dyn StdError + Send + Sync + 'static>;

/// Handles events and records how far it has come: at once where it can, one after the other where it can't.
///
/// This is what a consumer delivers to. A backend that can put a view, the checkpoint and the fence into one transaction
/// implements it, and such a view is exactly-once.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Handles the events in order, then makes the record. Nothing is recorded unless all of them were handled.
    ///
    /// # Errors
    /// [`DeliveryError`], which says how many events from the first on stay handled nevertheless.
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError>;
}

#[async_trait]
impl<S: Sink + ?Sized> Sink for Arc<S> {
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        (**self).deliver(delivery).await
    }
}

/// Events in log order, and what is to be recorded once they are handled.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The events; there may be none, and then only the record is to be made.
    pub events: Vec<RecordedEvent>,
    /// What is to be recorded.
    pub record: Record,
    /// What it is for.
    pub purpose: Purpose,
    /// How long the handler may take for one event.
    pub timeout: Option<Duration>,
}

/// What is recorded together with the events' effects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The consumer has come so far.
    Checkpoint(CheckpointSave),
    /// A parked event was handled after all.
    Resolved {
        /// Which.
        key: DeadLetterKey,
        /// By whom.
        by: String,
    },
    /// A view was rebuilt: it takes the place of the one that is in use, with its checkpoint.
    Switch {
        /// The rebuilding consumer's checkpoint as it stands; it is deleted.
        from: CheckpointSave,
        /// The consumer whose checkpoint is set to it, whatever it was: whoever works on from before is refused.
        to: ConsumerName,
    },
}

impl Record {
    /// Whose lease it needs.
    #[must_use]
    pub fn fence(&self) -> Option<&Fence> {
        match self {
            Self::Checkpoint(save) => save.fence(),
            Self::Resolved { .. } | Self::Switch { .. } => None,
        }
    }
}

/// What events are delivered for. There will be no further purpose that handlers need not know of, so a match on it needs no
/// arm for the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// They are new to the consumer.
    #[default]
    Live,
    /// A view is built anew: no mail is sent and nothing is appended because of them.
    Rebuild,
}

/// Why a delivery came to nothing, or not to all.
#[derive(Debug)]
pub struct DeliveryError {
    /// How many events, from the first on, stay handled. Nothing is recorded of them.
    pub handled: usize,
    /// What went wrong with what came then.
    pub cause: DeliveryFailure,
}

/// What went wrong with a delivery.
#[derive(Debug)]
#[non_exhaustive]
pub enum DeliveryFailure {
    /// The handler failed on this event, the so-manieth of the delivery.
    Event {
        /// Its index.
        index: usize,
        /// What the handler says.
        error: HandlerError,
    },
    /// The handler failed on the events as a whole.
    Page(HandlerError),
    /// The store failed; the events are not to blame.
    Store(Error),
}

impl DeliveryError {
    /// The store failed, and nothing is handled.
    #[must_use]
    pub fn store(error: Error) -> Self {
        Self { handled: 0, cause: DeliveryFailure::Store(error) }
    }

    /// The handler failed on the event at `index`; so many before it stay handled.
    #[must_use]
    pub fn event(handled: usize, index: usize, error: HandlerError) -> Self {
        Self { handled, cause: DeliveryFailure::of(error, |error| DeliveryFailure::Event { index, error }) }
    }

    /// The handler failed on the events as a whole.
    #[must_use]
    pub fn page(error: HandlerError) -> Self {
        Self { handled: 0, cause: DeliveryFailure::of(error, DeliveryFailure::Page) }
    }
}

impl DeliveryFailure {
    /// A store's failure that a handler hands on is the store's if it may pass. Whose store it is that is closed can't be
    /// told: if it is the consumer's own, that shows when the outcome is recorded.
    fn of(error: HandlerError, of_handler: impl FnOnce(HandlerError) -> Self) -> Self {
        match error.downcast::<Error>() {
            Ok(error) if error.is_retryable() => Self::Store(*error),
            Ok(error) => of_handler(error),
            Err(error) => of_handler(error),
        }
    }
}

impl From<Error> for DeliveryError {
    fn from(error: Error) -> Self {
        Self::store(error)
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            DeliveryFailure::Event { index, .. } => write!(f, "the handler failed on event {index}"),
            DeliveryFailure::Page(_) => f.write_str("the handler failed"),
            DeliveryFailure::Store(_) => f.write_str("the store failed"),
        }
    }
}

impl StdError for DeliveryError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.cause {
            DeliveryFailure::Event { error, .. } | DeliveryFailure::Page(error) => Some(&**error),
            DeliveryFailure::Store(error) => Some(error),
        }
    }
}

/// What a handler has failed with that took longer than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandlerTimedOut {
    /// How long it may take.
    pub timeout: Duration,
}

impl fmt::Display for HandlerTimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the handler took longer than {:?}", self.timeout)
    }
}

impl StdError for HandlerTimedOut {}
