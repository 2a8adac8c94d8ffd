//! An event store in memory: the whole contract but durability.
//!
//! For tests, and as a fast default where a restart may forget. It means the same as the stores that last, errors
//! included; payloads are shared, not copied.
//!
//! ```
//! use eventsource_core::{EventStoreExt, Filter, NewEvent};
//! use eventsource_memory::MemoryStore;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let store = MemoryStore::new();
//! store.append_events(vec![NewEvent::new("UsernameClaimed", "ann")?.tag("username", "ann")?]).await?;
//! let found = store.query(&Filter::tagged("username", "ann")?).await?;
//! assert_eq!(found.events.len(), 1);
//! # Ok::<(), eventsource_core::Error>(())
//! # }).unwrap();
//! ```

mod append;
mod log;
mod outbox;
mod read;
mod snapshots;
mod store;

pub use store::MemoryStore;
