//! What peers of one family have in common: cqrs-es and eventcore each have several stores.

pub mod cqrs;
pub mod eventcore;
