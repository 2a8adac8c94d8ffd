//! An event store in a SQLite file.
//!
//! One thread writes. Appends that arrive together share one transaction and one flush (group commit), and each still
//! has its own verdict. Where the next ones need not wait for that flush, another thread sees to it. Readers are a few
//! connections of their own: they hold up no writer, and no writer holds them up. Other processes may open the same file,
//! to read and to append.
//!
//! ```
//! use eventsource_core::{Append, EventStore, ExpectedVersion, NewEvent, StreamId};
//! use eventsource_sqlite::{SqliteConfig, SqliteStore};
//! # use uuid::Uuid;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> eventsource_core::Result<()> {
//! let store = SqliteStore::open(SqliteConfig::in_memory()).await?;
//! let order = StreamId::new("Order", Uuid::now_v7())?;
//! let placed = NewEvent::new("OrderPlaced", "cust-123")?;
//! let appended = store.append(Append::to_stream(order, ExpectedVersion::NoStream, [placed])).await?;
//! assert_eq!(store.head().await?, appended.last);
//! store.close().await
//! # }
//! ```
//!
//! # What an acknowledgement promises
//! See [`Synchronous`]. What a store returns is as durable as what it acknowledges; SQL of your own may see an event some
//! moments before it is. In memory: nothing beyond the process.
//!
//! # The file
//! It is in WAL mode, so it must lie on a local disk: WAL needs memory that all its processes share
//! (<https://sqlite.org/wal.html>). While a store is open, leave the file and its `-wal` and `-shm` where they are: what is
//! written to a file that was deleted, moved or replaced is lost. On Unix the store looks after each commit, and then
//! acknowledges nothing more: the appends of that commit are `OutcomeUnknown`, later ones `Unavailable`. To restore a
//! backup, close the store first, in every process.
//!
//! Tables of your own may live beside the store's: open the store first, then create
//! them, and leave `application_id` and `user_version` alone. [`SqliteStore::append_in`] appends within a transaction
//! of yours.

mod answer;
mod append;
mod batch;
mod changes;
mod checkpoints;
mod committer;
mod config;
mod connection;
mod dead_letters;
mod decoder;
mod driver;
mod error;
mod files;
mod filter;
mod flusher;
mod frontier;
mod handler;
mod held;
mod inline;
mod inline_view;
mod inserts;
mod known_tags;
mod leases;
mod outbox;
mod page;
mod payload;
mod pending;
mod projection;
mod queue;
mod raw_event;
mod raw_events;
mod read;
mod readers;
mod row;
mod schema;
mod search;
mod snapshots;
mod store;
mod stream;
mod tags;
mod transaction;
mod versions;
mod wal;
mod wal_file;
mod write;

pub use config::{SqliteConfig, Synchronous};
pub use inline_view::SqliteInlineView;
pub use projection::{SqliteProjection, SqliteView};
pub use readers::PoolStatistics;
pub use store::SqliteStore;
