use std::fmt;

use crate::{ConsumerName, Error, ErrorKind, EventId, EventType, HandlerError, Position, RecordedEvent};

/// Why a view that is kept within the appends could not take one. Nothing of the append was written.
///
/// To decide again does not help: the handler has to be mended, or the view to be caught up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ViewRefusal {
    /// The view's handler failed on an event of the append.
    Failed {
        /// Whose handler.
        view: ConsumerName,
        /// The event.
        event_id: EventId,
        /// What kind of event it is.
        event_type: EventType,
    },
    /// The view's handler failed on an event that lies in the log already: somebody else has appended it, and the view must
    /// have it before it can have anything later.
    FailedBefore {
        /// Whose handler.
        view: ConsumerName,
        /// Where the event lies.
        position: Position,
    },
    /// The view lacks more events than an append may make up for.
    Behind {
        /// Which view.
        view: ConsumerName,
        /// How far it has come.
        position: Position,
        /// Where the log ends.
        head: Position,
    },
}

impl ViewRefusal {
    /// The error for an append that `view` could not take because its handler failed on `event` with `error`; what lies
    /// behind `before` is the append's own. An error of a store's that was `Unavailable` stays what it is: no event is to
    /// blame. Not so if it [is closed](Error::is_closed), for that is another store: the log's own has just asked the view.
    #[must_use]
    pub fn of_handler(
        view: &ConsumerName,
        event: &RecordedEvent,
        before: Position,
        error: HandlerError,
    ) -> Error {
        let error = match error.downcast::<Error>() {
            Ok(error) if error.kind() == ErrorKind::Unavailable && !error.is_closed() => return *error,
            Ok(error) => error,
            Err(error) => error,
        };
        let (view, position) = (view.clone(), event.position());
        let refusal = if position > before {
            Self::Failed { view, event_id: event.id(), event_type: event.event_type().clone() }
        } else {
            Self::FailedBefore { view, position }
        };
        Error::from(refusal).with_source(error)
    }

    /// The view that could not take the append.
    #[must_use]
    pub fn view(&self) -> &ConsumerName {
        match self {
            Self::Failed { view, .. } | Self::FailedBefore { view, .. } | Self::Behind { view, .. } => view,
        }
    }

    /// Whether it was for an event of the append itself. If not, every append is refused until the view is caught up.
    #[must_use]
    pub fn is_of_the_append(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }
}

impl fmt::Display for ViewRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { view, event_id, event_type } => {
                write!(
                    f,
                    "the view {view} failed on the event {event_id}, of type {event_type}, and so the append is undone"
                )
            }
            Self::FailedBefore { view, position } => {
                write!(
                    f,
                    "the view {view} failed on the event at {position}, which is in the log already, and takes no \
                    later one before it; mend its handler, or let a consumer of this name pass over the event"
                )
            }
            Self::Behind { view, position, head } => {
                write!(
                    f,
                    "the view {view} has come to {position} and the log to {head}, further than an append may \
                    make up for; open the store again, or run a consumer of this name until it has caught up"
                )
            }
        }
    }
}
