//! The promises, as plain functions. Each one's name says what it is.
#![allow(missing_docs, clippy::missing_errors_doc, reason = "a case's name is its documentation")]

pub mod append;
pub mod changes;
pub mod close;
pub mod concurrency;
pub mod condition;
pub mod crash;
pub mod declarations;
pub mod durability;
pub mod expected_version;
pub mod faults;
pub mod feed;
pub mod filter;
pub mod held;
pub mod idempotency;
pub mod model;
pub mod multi_stream;
pub mod paging;
pub mod predicate;
pub mod processes;
pub mod read;
pub mod refusals;
pub mod sharing;
pub mod tenancy;
pub mod validation;
pub mod values;
