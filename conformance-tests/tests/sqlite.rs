//! The contract on the SQLite store.

#[path = "support/sqlite.rs"]
mod support;

use support::Sqlite;

conformance_tests::suite!(Sqlite);
