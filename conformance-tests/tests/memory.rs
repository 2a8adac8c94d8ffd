//! The contract on the memory store.

#[path = "support/memory.rs"]
mod support;

use support::Memory;

conformance_tests::suite!(Memory);
