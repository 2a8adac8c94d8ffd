use std::future::{Future, ready};
use std::sync::Arc;

use crate::preload;
use crate::{Event, Failure, Stream};

/// What a projection keeps up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Nothing: events are read, and that is all.
    None,
    /// Nothing, but by a consumer whose checkpoint commits with each page.
    Empty,
    /// How many events there are of each type: a row is written for each event, in the transaction of its page.
    Counts,
}

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

    /// Reads the whole log in pages of [`PAGE`](crate::PAGE) events, keeps the view up to date, and counts. No two calls on
    /// a store have the same name: each begins at the beginning.
    fn project(&self, name: &str, view: View) -> impl Future<Output = Result<u64, Failure>> + Send {
        let _ = (name, view);
        absent("its projections are a framework of their own, which is not measured")
    }

    /// Publishes whatever waits in the outbox, and counts.
    fn drain(self: Arc<Self>) -> impl Future<Output = Result<u64, Failure>> + Send {
        absent("no outbox")
    }

    /// Fills the store with the events that [`Event::preloaded`] says, as fast as its own interface can, or its tables.
    fn preload(self: Arc<Self>, size: u64) -> impl Future<Output = Result<(), Failure>> + Send {
        preload::by_append(self, size)
    }

    /// All rows as text, in order, without what differs each time: to see that filling the tables writes what appends write.
    fn rows(&self) -> impl Future<Output = Result<Vec<String>, Failure>> + Send {
        absent("it is filled by its own interface")
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
