use eventsource_core::Result;
use eventsource_memory::MemoryStore;

use crate::log::Backend;

/// As it is.
pub(crate) struct Memory;

impl Backend for Memory {
    type Store = MemoryStore;

    async fn open(_place: &str) -> Result<MemoryStore> {
        Ok(MemoryStore::new())
    }
}
