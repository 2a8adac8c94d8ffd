//! Real servers for tests: started on demand, gone when the process that asked for them is gone.
//!
//! ```no_run
//! # async fn test() -> Result<(), test_servers::Error> {
//! use test_servers::Postgres;
//!
//! let postgres = Postgres::shared().await; // one server for all tests of this binary
//! let url = postgres.create_database("orders").await?; // one database for this test
//! # Ok(()) }
//! ```
//!
//! No test is ever skipped for want of a server: where none is to be had, the test fails and says which commands
//! would help. Everything listens on loopback only.
//!
//! | variable | meaning |
//! |---|---|
//! | `EVENTSOURCE_POSTGRES_URL` | a server that you own: its URL, with a role that may create databases |
//! | `EVENTSOURCE_POSTGRES_SERVER` | `url`, `docker` or `local`: this way and no other |
//! | `EVENTSOURCE_POSTGRES_IMAGE` | the image for Docker, `postgres:17` unless told |
//! | `EVENTSOURCE_TEST_SERVERS_DIR` | where servers keep their directories; empty once every server is gone |
//!
//! A server must not outlive its tests, not even when they are killed. Statics are never dropped and a killed process
//! drops nothing, so each server has a guard: a process that does nothing but wait for its owner's end (`guard.sh`).

mod account;
mod binaries;
mod container;
mod database;
mod directory;
mod docker_host;
mod error;
mod guard;
mod local_postgres;
mod nats;
mod pgbouncer;
mod port;
mod postgres;
mod program;
mod server_process;

pub use binaries::PostgresBinaries;
pub use error::Error;
pub use local_postgres::{LocalPostgres, LocalPostgresBuilder};
pub use nats::Nats;
pub use pgbouncer::PgBouncer;
pub use postgres::{Postgres, PostgresKind};
