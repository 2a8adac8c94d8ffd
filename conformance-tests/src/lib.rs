#![doc = include_str!("../README.md")]

mod bad_network;
mod beside;
mod case;
pub mod cases;
pub mod chaos;
pub mod child;
mod clock;
mod consuming;
pub mod contract;
mod crash;
mod explore;
mod failure;
mod given;
mod harness;
mod manual_clock;
pub mod model;
mod operations;
mod outrun;
mod publishing;
mod race;
pub mod random;
mod run;
mod watched;
pub mod witness;
mod workload;

pub use case::{Body, Case, Group};
pub use failure::{CaseResult, Failure, FailureKind};
pub use harness::{Fixture, Harness, Held, Log, Setup, Stores, View};
pub use run::{Cx, judge, judge_for, run, seed};
