//! An event store in PostgreSQL, with group commit through one function call.
//!
//! [`PostgresStore`] keeps a log in a schema. Every append, alone or in a batch, goes through one function in the
//! database: it takes the log's lock, looks, and inserts, so that commit order is position order for all processes.
//! Its tables have the names that the tutorial's SQL for monitoring and maintenance uses.

mod append;
mod append_event;
mod arguments;
mod array;
mod binary;
mod blockers;
mod call;
mod changes;
mod checkpoints;
mod committer;
mod config;
mod connection;
mod dead_letters;
mod deadline;
mod durable;
mod error;
mod filter;
mod flusher;
mod inline;
mod inline_view;
mod items;
mod leases;
mod log;
mod log_state;
mod outbox;
mod plan;
mod pool_statistics;
mod projection;
mod read;
mod readers;
mod replay;
mod reply;
mod row;
mod schema;
mod schema_name;
mod snapshots;
mod store;
mod transaction;
mod values;
mod writing;

pub use config::{CommitMode, ConnectionTest, PayloadIndex, PostgresConfig, Workload};
pub use inline_view::PostgresInlineView;
pub use pool_statistics::PoolStatistics;
pub use projection::{PostgresProjection, PostgresView};
pub use store::PostgresStore;
