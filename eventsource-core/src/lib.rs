//! The words and promises of the event store: types, traits, and everything that needs no database.
