use serde::{Deserialize, Serialize};

use crate::arguments::Arguments;
use crate::plan::Plan;

/// A sitting: what was measured by one command, and on what. A full run may be spread over several.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) command: String,
    /// The machine, as Markdown.
    pub(crate) machine: String,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
}

impl Part {
    pub(crate) fn new(machine: String, plan: &Plan) -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let command = format!("benchmarks/run {}", arguments.join(" ")).trim_end().to_owned();
        Self { command, machine, rounds: plan.rounds, seconds: plan.seconds }
    }

    /// Where the figures of such a run are kept.
    pub(crate) fn file(arguments: &Arguments) -> &'static str {
        match arguments.extent() {
            crate::arguments::Extent::Full => "raw.jsonl",
            crate::arguments::Extent::Quick => "quick.jsonl",
            crate::arguments::Extent::Smoke => "smoke.jsonl",
        }
    }
}
