//! The promises, as plain functions. Each one's name says what it is.
#![allow(missing_docs, clippy::missing_errors_doc, reason = "a case's name is its documentation")]

pub mod append;
pub mod changes;
pub mod close;
pub mod condition;
pub mod damage;
pub mod declarations;
pub mod expected_version;
pub mod feed;
pub mod filter;
pub mod idempotency;
pub mod late_commit;
pub mod multi_stream;
pub mod paging;
pub mod predicate;
pub mod read;
pub mod refusals;
pub mod reopening;
pub mod sharing;
pub mod tenancy;
pub mod transaction;
pub mod validation;
pub mod values;
