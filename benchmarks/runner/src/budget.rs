use std::time::{Duration, Instant};

use common::Workload;

use crate::plan::{Cell, Plan};
use crate::systems::{Backend, Filling, Program, SYSTEMS, System};

/// The time that a run may take: what still fits into it, by what was estimated and by how that has turned out so far.
#[derive(Debug)]
pub(crate) struct Budget {
    deadline: Option<Instant>,
    estimated: f64,
    taken: f64,
    /// The stores that are filled already.
    filled: Vec<(&'static str, u64)>,
}

impl Budget {
    pub(crate) fn new(minutes: Option<f64>) -> Self {
        let deadline = minutes.map(|minutes| Instant::now() + Duration::from_secs_f64(minutes * 60.0));
        Self { deadline, estimated: 0.0, taken: 0.0, filled: Vec::new() }
    }

    /// Whether there is time left for the cell, and how long it should take.
    pub(crate) fn fits(&self, cell: &Cell, systems: &[usize], plan: &Plan) -> bool {
        let Some(deadline) = self.deadline else { return true };
        let left = deadline.saturating_duration_since(Instant::now()).as_secs_f64();
        let estimated = cell_seconds(cell, systems, plan, &mut self.filled.clone());
        estimated * self.correction() <= left
    }

    /// The cell took so long.
    pub(crate) fn took(&mut self, cell: &Cell, systems: &[usize], plan: &Plan, time: Duration) {
        self.estimated += cell_seconds(cell, systems, plan, &mut self.filled);
        self.taken += time.as_secs_f64();
    }

    fn correction(&self) -> f64 {
        // A few cells say little.
        if self.estimated < 20.0 { OBSERVED } else { (self.taken / self.estimated).clamp(0.2, 5.0) }
    }
}

/// What a whole quick run took of what was estimated, on a quiet machine.
const OBSERVED: f64 = 0.6;

/// How long the whole plan should take, by figures of a machine with two cores.
pub(crate) fn plan_seconds(plan: &Plan, cells: &[usize], systems: &[usize]) -> f64 {
    let mut filled = Vec::new();
    let seconds: f64 =
        cells.iter().map(|cell| cell_seconds(&plan.cells[*cell], systems, plan, &mut filled)).sum();
    seconds * OBSERVED
}

fn cell_seconds(cell: &Cell, systems: &[usize], plan: &Plan, filled: &mut Vec<(&'static str, u64)>) -> f64 {
    let asked = systems.iter().map(|system| &SYSTEMS[*system]);
    let asked = asked.filter(|system| system.reason_against(cell).is_none());
    asked.map(|system| filling(cell, system, filled) + rounds(cell, system, plan)).sum()
}

fn filling(cell: &Cell, system: &'static System, filled: &mut Vec<(&'static str, u64)>) -> f64 {
    let (owner, size) = (system.owner(), cell.store_size());
    if size == 0 || system.backend == Backend::Memory || filled.contains(&(owner.name, size)) {
        return 0.0;
    }
    filled.push((owner.name, size));
    let events_per_second = match (owner.filling, owner.backend, owner.program) {
        (_, _, Program::Python) => 1_500.0,
        (Filling::Appends, Backend::Postgres, _) => 8_000.0,
        (_, Backend::Postgres, _) => 18_000.0,
        _ => 60_000.0,
    };
    0.5 + size as f64 / events_per_second
}

fn rounds(cell: &Cell, system: &System, plan: &Plan) -> f64 {
    let start = match (system.program, system.backend) {
        (Program::Python, _) => 2.2,
        (_, Backend::Postgres) => 0.6,
        (_, Backend::Server) => 0.25,
        (_, Backend::Memory | Backend::Sqlite) => 0.1,
    };
    let processes = cell.processes.map_or(0.0, |(processes, _)| processes as f64) * start / 6.0;
    let events = cell.events as f64;
    let python = if system.program == Program::Python { 8.0 } else { 1.0 };
    let (memory, postgres) = (system.backend == Backend::Memory, system.backend == Backend::Postgres);
    let timed = plan.seconds + (plan.seconds / 4.0).clamp(0.25, 1.0);
    let measuring = match (cell.workload, cell.variant) {
        (Workload::Feed | Workload::Memory, _) => events / 150_000.0 * python,
        (Workload::Projection, "counting-view") if postgres => events / 8_000.0,
        (Workload::Projection, _) => events / 100_000.0,
        (Workload::Relay, _) => events / 10_000.0,
        (Workload::ReadStream, _) => 1.5 * python + timed,
        (Workload::Size, _) => 0.0,
        _ => timed,
    };
    let size = cell.store_size() as f64;
    let (copies, preparing) = if memory {
        (1.0, size / 400_000.0)
    } else if !cell.writes() {
        (0.0, 0.0)
    } else if size <= 100_000.0 {
        (1.0, size / 200_000.0)
    } else if size <= 1_000_000.0 {
        (1.0 / plan.rounds as f64, size / 200_000.0)
    } else {
        (0.0, 0.0)
    };
    cell.rounds(plan.rounds) as f64 * (start + processes + measuring + copies * preparing)
}
