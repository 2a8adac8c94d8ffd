//! The promises, as plain functions. Each one's name says what it is.
#![allow(missing_docs, clippy::missing_errors_doc, reason = "a case's name is its documentation")]

pub mod append;
pub mod changes;
pub mod close;
pub mod condition;
pub mod course_subscriptions;
pub mod damage;
pub mod declarations;
pub mod event_sourced_aggregate;
pub mod expected_version;
pub mod feed;
pub mod filter;
pub mod idempotency;
pub mod invoice_number;
pub mod late_commit;
pub mod multi_stream;
pub mod opt_in_token;
pub mod paging;
pub mod predicate;
pub mod product_price;
pub mod read;
pub mod record_duplication;
pub mod refusals;
pub mod reopening;
pub mod sharing;
pub mod tenancy;
pub mod transaction;
pub mod unique_username;
pub mod validation;
pub mod values;
