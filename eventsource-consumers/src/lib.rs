//! What reads the log and acts on it: subscriptions, projections, consumer groups, reactions.
//!
//! A [`Subscription`] hands out events in log order, what is stored and then what comes, and survives a database that is
//! away for a while. A [`Consumer`] is a subscription with a name: it delivers to a handler or a view, keeps a checkpoint,
//! retries, and parks what fails for good. A [`ConsumerGroup`] shares a consumer's work among several processes, in order
//! for each key. [`Rebuild`] builds a view anew beside the one that is in use.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//!
//! use eventsource_consumers::{Consumer, each_event};
//! use eventsource_core::{EventStoreExt, NewEvent};
//! use eventsource_memory::MemoryStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> eventsource_core::Result<()> {
//! let store = MemoryStore::new();
//! store.append_events(vec![NewEvent::new("OrderPlaced", &7)?, NewEvent::new("OrderShipped", &7)?]).await?;
//!
//! let seen = Arc::new(Mutex::new(Vec::new()));
//! let handler = {
//!     let seen = seen.clone();
//!     each_event(move |event, _| {
//!         seen.lock().unwrap().push(event.event_type().to_string());
//!         async { Ok(()) }
//!     })
//! };
//! // Until it has caught up; `run` goes on live.
//! Consumer::new("mailer", store)?.run_until_caught_up(handler).await?;
//! assert_eq!(*seen.lock().unwrap(), ["OrderPlaced", "OrderShipped"]);
//! # Ok(())
//! # }
//! ```
//!
//! Nothing here starts a task: what runs is a future of yours, on a tokio runtime with timers.

mod ahead;
mod consumer;
mod control;
mod dead_letter_office;
mod group;
mod handler;
mod lag;
mod partition;
mod patience;
mod policy;
mod pump;
mod reaction;
mod read_ahead;
mod rebuild;
mod retry;
mod stale;
mod store;
mod subscription;
mod wait;

pub use consumer::{Consumer, Outcome};
pub use control::{Control, State, Status};
pub use dead_letter_office::{DeadLetterOffice, Retried};
pub use group::{ConsumerGroup, GroupOptions};
pub use handler::{
    Context, EachEvent, EachPage, EventHandler, FromFn, IntoSink, PageHandler, each_event, each_page,
};
pub use lag::{Lag, lag};
pub use partition::{OrderingKey, partition_of};
pub use policy::FailurePolicy;
pub use reaction::{Reaction, derived_event_id};
pub use read_ahead::ReadAhead;
pub use rebuild::{Progress, Rebuild, RebuildReport};
pub use retry::Backoff;
pub use stale::{Stale, StaleReason, stale};
pub use store::ConsumerStore;
pub use subscription::{Batch, Start, Subscription};
pub use wait::wait_for;
