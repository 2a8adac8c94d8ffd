//! The promises, as plain functions. Each one's name says what it is.
#![allow(missing_docs, clippy::missing_errors_doc, reason = "a case's name is its documentation")]

pub mod append;
pub mod concurrency;
pub mod crash;
pub mod durability;
pub mod faults;
pub mod held;
pub mod model;
pub mod processes;
pub mod refusals;
pub mod sharing;
