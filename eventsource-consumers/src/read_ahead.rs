/// How much is read while what came before is being handled: in events and in bytes.
///
/// Reading ahead keeps a consumer that catches up from waiting for the database in turns with its handler. It stops at
/// either bound, and where the log ends; the page that passes the bound in bytes is the last one. Stores keep their pages
/// short where events are large (16 MiB at most, or one event), so this bounds what is held.
///
/// ```
/// use eventsource_consumers::{Consumer, ReadAhead};
/// # fn consumer(store: eventsource_memory::MemoryStore) -> eventsource_core::Result<Consumer> {
/// let ahead = ReadAhead::new().events(2_000).bytes(1 << 20);
/// Ok(Consumer::new("search index", store)?.read_ahead(ahead))
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct ReadAhead {
    events: Option<u64>,
    bytes: usize,
}

impl ReadAhead {
    const BYTES: usize = 4 << 20;

    /// One page, and none where 4 MiB are waiting already.
    pub fn new() -> Self {
        Self { events: None, bytes: Self::BYTES }
    }

    /// Nothing: a page is read when the one before is done.
    pub fn none() -> Self {
        Self { events: Some(0), bytes: 0 }
    }

    /// Sets how many events may wait; one page if not set.
    pub fn events(mut self, events: u64) -> Self {
        self.events = Some(events);
        self
    }

    /// Sets how many bytes may wait before no further page is read; 4 MiB if not set.
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// How many more events may be read where so many wait, in pages of so many.
    pub(crate) fn room(&self, (events, bytes): (u64, usize), page_size: u64) -> u64 {
        if bytes >= self.bytes {
            return 0;
        }
        self.events.unwrap_or(page_size).saturating_sub(events).min(page_size)
    }
}

impl Default for ReadAhead {
    fn default() -> Self {
        Self::new()
    }
}
