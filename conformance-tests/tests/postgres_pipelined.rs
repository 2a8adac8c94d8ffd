//! The contract on the Postgres store when every commit is pipelined: visible before it is durable, and told to nobody
//! before that.

#[path = "support/postgres.rs"]
mod support;

use eventsource_postgres::CommitMode;
use support::Postgres;

conformance_tests::suite!(Postgres::committing(CommitMode::Pipelined));
