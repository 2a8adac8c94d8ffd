//! For the tests of those who use the event store.
//!
//! | | |
//! |---|---|
//! | [`given`] … when … then | what an aggregate decides, with a failure that shows a diff |
//! | [`given_log`] … when … then | the same for decisions over boundaries; what views know |
//! | [`GivenLog::when_delivered_to`] … then | what a projection makes of a log, also when it comes twice |
//! | [`recorded`], [`recorded_log`] | stored events without a store, for whatever folds or handles them |
//! | [`ManualClock`], [`SequentialIds`] | time and ids that a test sets |
//! | [`Faulty`] | any store, with answers that get lost, come late, or are given up |
//!
//! It belongs into `[dev-dependencies]`. What fails panics, and the message shows the events with their payloads.

mod faults;
mod faulty;
mod given;
mod given_log;
mod handled;
mod manual_clock;
mod recorded;
mod sequential_ids;
mod story;
mod then;

pub use faults::{Fault, Faults};
pub use faulty::Faulty;
pub use given::{Given, given};
pub use given_log::{GivenLog, given_log};
pub use handled::Handled;
pub use manual_clock::ManualClock;
pub use recorded::{Recording, recorded, recorded_log};
pub use sequential_ids::SequentialIds;
pub use then::Then;
