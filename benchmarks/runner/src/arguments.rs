use clap::{Parser, ValueEnum};
use common::Workload;

use crate::systems::{Backend, Program, SYSTEMS, System};

/// Measures this workspace's stores beside their peers and their limits.
#[derive(Debug, Parser)]
#[command(name = "benchmarks/run")]
pub(crate) struct Arguments {
    /// Stores of 10 and 100 thousand events, few rounds: within 14 minutes, unless `--minutes` says otherwise.
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
    /// Fits rounds and times into so many minutes (building excluded), and says what it left out.
    #[arg(long)]
    pub(crate) minutes: Option<f64>,
    /// Measures only what the kept figures lack.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Measures nothing: writes the tables from all figures that were kept.
    #[arg(long, conflicts_with_all = ["smoke", "resume"])]
    pub(crate) report: bool,
    /// Puts the figures aside that were kept, and begins anew.
    #[arg(long, conflicts_with_all = ["smoke", "resume", "report"])]
    pub(crate) fresh: bool,
    /// The chosen workloads that write, with flushes that take at least so many microseconds.
    #[arg(long, value_delimiter = ',')]
    pub(crate) flush: Vec<u32>,
    /// Only on stores of at least so many events.
    #[arg(long, default_value_t = 0)]
    pub(crate) smallest: u64,
    /// Only on stores of at most so many events.
    #[arg(long)]
    pub(crate) largest: Option<u64>,
    /// Prints how long what is asked for would take, and measures nothing.
    #[arg(long)]
    pub(crate) estimate: bool,
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

    /// As if nothing were left out.
    pub(crate) fn everything(&self) -> Self {
        let name = if self.quick { ["benchmarks/run", "--quick"].as_slice() } else { &["benchmarks/run"] };
        Self::parse_from(name)
    }

    /// How long it may take.
    pub(crate) fn minutes(&self) -> Option<f64> {
        let quick = || (self.extent() == Extent::Quick).then_some(14.0);
        self.minutes.or_else(quick)
    }

    pub(crate) fn wants_workload(&self, workload: Workload) -> bool {
        self.workload.is_empty() || self.workload.contains(&workload)
    }

    pub(crate) fn wants_backend(&self, backend: Backend) -> bool {
        self.backend.is_empty() || self.backend.contains(&backend)
    }

    /// A program in Python takes longer to start than a quick measurement takes; who wants it quickly names it.
    pub(crate) fn wants_system(&self, system: &System) -> bool {
        let unnamed = self.system.is_empty() && !(self.quick && system.program == Program::Python);
        unnamed || self.system.iter().any(|name| name == system.name)
    }
}

fn measured(name: &str) -> Result<Workload, String> {
    let workload = Workload::from_str(name, false)?;
    if Workload::MEASURED.contains(&workload) { Ok(workload) } else { Err("it measures nothing".to_owned()) }
}
