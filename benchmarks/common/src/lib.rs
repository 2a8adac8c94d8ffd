//! What all measured systems share: the same events, the same workloads, one trait, one protocol.
//!
//! A binary that knows some systems parses a [`Task`], picks the [`System`] that the task names, and calls [`perform`]. It
//! does one measurement and writes one [`Report`] to the file that the task names; `runner` starts it, once for each.

mod closed_loop;
mod delivery;
mod event;
mod failure;
mod memory;
mod perform;
mod positions;
mod preload;
mod random;
mod report;
mod system;
mod task;
mod workload;

pub use event::{Event, Payload, RARE_COUNT, RARE_CUSTOMER, RARE_TYPE, Stream, boundary_count};
pub use failure::{Failure, broken};
pub use perform::{PAGE, finish, perform};
pub use positions::Positions;
pub use preload::by_append;
pub use random::Random;
pub use report::{Outcome, Report};
pub use system::{Deliveries, System, View};
pub use task::Task;
pub use workload::Workload;
