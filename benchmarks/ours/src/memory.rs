use common::{Failure, View};
use eventsource_consumers::Consumer;
use eventsource_core::{Filter, Result};
use eventsource_memory::MemoryStore;

use crate::log::Backend;

/// As it is.
pub(crate) struct Memory;

impl Backend for Memory {
    type Store = MemoryStore;

    async fn open(_place: &str) -> Result<MemoryStore> {
        Ok(MemoryStore::new())
    }

    async fn catch_up(_: &MemoryStore, _: &str, _: Consumer, _: View) -> Result<u64, Failure> {
        exactly_once_needs_a_transaction()
    }
}

/// With an outbox for all events.
pub(crate) struct MemoryWithOutbox;

impl Backend for MemoryWithOutbox {
    type Store = MemoryStore;

    async fn open(_place: &str) -> Result<MemoryStore> {
        MemoryStore::new().outbox(Filter::all())
    }

    async fn catch_up(_: &MemoryStore, _: &str, _: Consumer, _: View) -> Result<u64, Failure> {
        exactly_once_needs_a_transaction()
    }
}

fn exactly_once_needs_a_transaction() -> Result<u64, Failure> {
    Err(Failure::absent("exactly once is what a transaction makes it, and a view in memory has none"))
}
