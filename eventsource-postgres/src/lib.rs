//! An event store in PostgreSQL, with group commit through one function call.
