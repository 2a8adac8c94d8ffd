//! An event store in a SQLite file, with group commit and one writer thread.
