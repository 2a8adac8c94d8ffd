//! The contract of the event store, as tests that any backend can run.
//!
//! [`suite!`] turns the [contract](contract::CONTRACT), a list on one page, into one `#[test]` for each promise. A
//! backend brings a [`Harness`] that makes it an empty log:
//!
//! ```
//! use std::sync::Arc;
//!
//! use conformance_tests::{Fixture, Harness, Setup};
//! # use eventsource_memory::MemoryStore as MyStore;
//! use eventsource_core::{Capability, Result};
//!
//! struct Mine;
//!
//! #[async_trait::async_trait]
//! impl Harness for Mine {
//!     fn name(&self) -> &'static str {
//!         "mine"
//!     }
//!
//!     fn lacks(&self) -> &'static [(Capability, &'static str)] {
//!         &[
//!             (Capability::Durable, "it lives in memory"),
//!             (Capability::Shared, "it lives in one process"),
//!             (Capability::Transactional, "it has no transactions"),
//!         ]
//!     }
//!
//!     async fn fresh(&self, setup: Setup) -> Result<Fixture> {
//!         Ok(Fixture::new(Arc::new(MyStore::with_clock(setup.clock))))
//!     }
//! }
//!
//! conformance_tests::suite!(Mine);
//! ```

pub mod cases;
pub mod child;
pub mod contract;
mod crash;
mod explore;
mod failure;
mod faulty;
mod given;
mod harness;
pub mod model;
pub mod operations;
mod race;
mod random;
mod run;
pub mod witness;
mod workload;

pub use contract::{Case, Group};
pub use failure::{CaseResult, Failure};
pub use faulty::{Fault, Faulty};
pub use harness::{Fixture, Harness, Held, Log, Setup};
pub use run::{Cx, judge, run};
