use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::Failure;

/// What one measurement came to; one JSON document.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// A figure, or why there is none.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// So many things were done in so many seconds.
    Rate {
        done: u64,
        seconds: f64,
        /// How often something was tried again.
        retries: u64,
        /// How long each took: nanoseconds, and how often.
        latencies: Vec<(u64, u64)>,
    },
    /// Nothing but latencies was measured.
    Latencies { latencies: Vec<(u64, u64)> },
    /// A number of its own kind.
    Figure { value: f64 },
    /// The system has no such thing.
    Absent { reason: String },
    /// It went wrong.
    Broken { reason: String },
}

impl From<Result<Outcome, Failure>> for Report {
    fn from(result: Result<Outcome, Failure>) -> Self {
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(Failure::Absent(reason)) => Outcome::Absent { reason },
            Err(failure) => Outcome::Broken { reason: failure.to_string() },
        };
        Self { outcome }
    }
}

/// Latencies from a nanosecond to some minutes, to one in a hundred: small, because each of a thousand callers has one.
pub(crate) fn histogram() -> Histogram<u32> {
    let mut histogram = Histogram::new(2).expect("two digits are what the library allows");
    histogram.auto(true);
    histogram
}

/// What lies in it, as a report has it.
pub(crate) fn recorded(histogram: &Histogram<u32>) -> Vec<(u64, u64)> {
    histogram
        .iter_recorded()
        .map(|value| (value.value_iterated_to(), value.count_since_last_iteration()))
        .collect()
}
