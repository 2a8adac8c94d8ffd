//! The contract of the event store, as tests that any backend can run.
