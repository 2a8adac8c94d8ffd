#![doc = include_str!("../README.md")]

pub mod cases;
pub mod child;
pub mod contract;
mod failure;
mod given;
mod harness;
mod run;

pub use contract::{Case, Group};
pub use failure::{CaseResult, Failure};
pub use harness::{Fixture, Harness, Held, Log, Setup};
pub use run::{Cx, judge, run};
