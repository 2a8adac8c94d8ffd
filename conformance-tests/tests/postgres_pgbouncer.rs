//! What is promised to those who consume events, on a Postgres store behind Debian's pgbouncer in transaction mode: leases,
//! fences, groups, exactly-once views and relays need nothing that a session keeps.

#[path = "support/postgres.rs"]
mod support;

use support::Postgres;

conformance_tests::consumers_suite!(Postgres::through_pgbouncer());
