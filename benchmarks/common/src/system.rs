use std::future::{Future, ready};
use std::sync::Arc;

use crate::preload;
use crate::{Event, Failure, Stream};

/// Something that stores events. What it does not implement, it does not have.
///
/// Everything is done as the system's own documentation does it.
pub trait System: Sized + Send + Sync + 'static {
    /// Opens the store at a URL or in a directory, and creates what it needs there.
    fn open(place: &str) -> impl Future<Output = Result<Self, Failure>> + Send;

    /// Appends to a stream that holds exactly `expected` events. Fails with `Conflict` if it holds others.
    fn append(
        &self,
        stream: Stream,
        expected: u64,
        events: Vec<Event>,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = (stream, expected, events);
        absent("no appends with an expected version")
    }

    /// How many events the stream has: what the next append expects. A system that can't say reads the stream.
    fn version(&self, stream: Stream) -> impl Future<Output = Result<u64, Failure>> + Send {
        self.read_stream(stream)
    }

    /// Reads all events of a stream, and counts them.
    fn read_stream(&self, stream: Stream) -> impl Future<Output = Result<u64, Failure>> + Send {
        let _ = stream;
        absent("no streams")
    }

    /// Reads all events about the event's course or its student, and appends the event on the condition that there are no
    /// others by then. Fails with `Conflict` if there are.
    fn decide(&self, event: Event) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = event;
        absent("no append conditions")
    }

    /// Reads all events of a type, and counts them.
    fn find_type(&self, event_type: &'static str) -> impl Future<Output = Result<u64, Failure>> + Send {
        let _ = event_type;
        absent("no reads by event type")
    }

    /// Reads all events with this customer in their payload, and counts them.
    fn find_customer(&self, customer: &'static str) -> impl Future<Output = Result<u64, Failure>> + Send {
        let _ = customer;
        absent("no payload predicates")
    }

    /// Reads the whole log in order, and counts.
    fn feed(&self) -> impl Future<Output = Result<u64, Failure>> + Send {
        absent("no feed of all events")
    }

    /// Passes on every event that is appended from now on, and says when it begins. It goes on until it is dropped.
    fn follow(&self, deliveries: Arc<Deliveries>) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = deliveries;
        absent("no subscriptions")
    }

    /// Fills the store with the events that [`Event::preloaded`] says.
    fn preload(self: Arc<Self>, size: u64) -> impl Future<Output = Result<(), Failure>> + Send {
        preload::by_append(self, size)
    }

    /// Lets go of everything, in order.
    fn close(&self) -> impl Future<Output = Result<(), Failure>> + Send {
        ready(Ok(()))
    }
}

/// The answer of a system that lacks something.
fn absent<T: Send>(reason: &str) -> impl Future<Output = Result<T, Failure>> + Send + use<T> {
    ready(Err(Failure::absent(reason)))
}

pub use crate::delivery::Deliveries;
