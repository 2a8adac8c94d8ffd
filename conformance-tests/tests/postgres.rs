//! The contract on the Postgres store.

#[path = "support/postgres.rs"]
mod support;

use eventsource_postgres::CommitMode;
use support::Postgres;

conformance_tests::suite!(Postgres::committing(CommitMode::Flushed));
