use clap::{Parser, ValueEnum};
use common::Workload;

use crate::systems::{Backend, SYSTEMS};

/// Measures this workspace's stores beside their peers and their limits.
#[derive(Debug, Parser)]
#[command(name = "benchmarks/run")]
pub(crate) struct Arguments {
    /// Stores of 10 and 100 thousand events, few rounds: ends within 15 minutes on two cores.
    #[arg(long, conflicts_with = "smoke")]
    pub(crate) quick: bool,
    /// Everything once, with counts so small that the figures mean nothing: does it run?
    #[arg(long)]
    pub(crate) smoke: bool,
    /// Only these backends.
    #[arg(long, value_delimiter = ',')]
    pub(crate) backend: Vec<Backend>,
    /// Only these workloads.
    #[arg(long, value_delimiter = ',', value_parser = measured)]
    pub(crate) workload: Vec<Workload>,
    /// Only these systems.
    #[arg(long, value_delimiter = ',', value_parser = clap::builder::PossibleValuesParser::new(SYSTEMS.iter().map(|system| system.name)))]
    pub(crate) system: Vec<String>,
    /// How many rounds; 5 in a full run.
    #[arg(long)]
    pub(crate) rounds: Option<usize>,
    /// How long each measurement takes, in seconds.
    #[arg(long)]
    pub(crate) seconds: Option<f64>,
    /// Builds with this profile of cargo's.
    #[arg(long, default_value = "release")]
    pub(crate) profile: String,
    /// Where the tables are written; a smoke run writes none.
    #[arg(long)]
    pub(crate) output: Option<std::path::PathBuf>,
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Smoke,
    Quick,
    Full,
}

impl Arguments {
    pub(crate) fn extent(&self) -> Extent {
        match (self.smoke, self.quick) {
            (true, _) => Extent::Smoke,
            (false, true) => Extent::Quick,
            (false, false) => Extent::Full,
        }
    }

    pub(crate) fn wants_workload(&self, workload: Workload) -> bool {
        self.workload.is_empty() || self.workload.contains(&workload)
    }

    pub(crate) fn wants_backend(&self, backend: Backend) -> bool {
        self.backend.is_empty() || self.backend.contains(&backend)
    }

    pub(crate) fn wants_system(&self, name: &str) -> bool {
        self.system.is_empty() || self.system.iter().any(|each| each == name)
    }
}

fn measured(name: &str) -> Result<Workload, String> {
    let workload = Workload::from_str(name, false)?;
    if Workload::MEASURED.contains(&workload) { Ok(workload) } else { Err("it measures nothing".to_owned()) }
}
