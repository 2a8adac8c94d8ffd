use common::Workload;

use crate::arguments::{Arguments, Extent};

/// One line of a table: what every system does in turn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    pub(crate) workload: Workload,
    /// What of the workload, where there are several things.
    pub(crate) variant: &'static str,
    pub(crate) callers: u64,
    /// Events per append, per stream or in the store.
    pub(crate) events: u64,
    /// How many processes, and how long their commits take.
    pub(crate) processes: Option<(u64, u32)>,
}

impl Cell {
    /// How many events the store has before it is measured.
    pub(crate) fn store_size(&self) -> u64 {
        match self.workload {
            Workload::Append
            | Workload::AppendBatch
            | Workload::AppendContended
            | Workload::AppendProcesses
            | Workload::ReadStream
            | Workload::Delivery
            | Workload::Preload => 0,
            Workload::Decide
            | Workload::Filter
            | Workload::Feed
            | Workload::Growth
            | Workload::Memory
            | Workload::Size => self.events,
        }
    }

    /// Whether the store is another one afterwards.
    pub(crate) fn writes(&self) -> bool {
        !matches!(self.workload, Workload::Filter | Workload::Feed | Workload::Memory | Workload::Size)
    }

    /// Its name in results: the workload's, and what of it.
    pub(crate) fn name(&self) -> String {
        let name = self.workload.name();
        match self.processes {
            Some((processes, 0)) => format!("{name}:{processes}-processes"),
            Some((processes, delay)) => format!("{name}:{processes}-processes:{delay}us"),
            None if self.variant.is_empty() => name.to_owned(),
            None => format!("{name}:{}", self.variant),
        }
    }
}

/// How much is done of everything.
pub(crate) struct Plan {
    pub(crate) cells: Vec<Cell>,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    /// At most so many operations in a measurement.
    pub(crate) operations: Option<u64>,
}

struct Sizes {
    append: &'static [u64],
    batch_callers: &'static [u64],
    batches: &'static [u64],
    contended: &'static [u64],
    decide: &'static [u64],
    stores: &'static [u64],
    streams: &'static [u64],
    feed: u64,
    processes: &'static [(u64, u64)],
    delays: &'static [u32],
}

const FULL: Sizes = Sizes {
    append: &[1, 8, 64, 256, 1024],
    batch_callers: &[1, 8],
    batches: &[10, 100, 1_000],
    contended: &[8, 64],
    decide: &[1, 64, 256],
    stores: &[10_000, 1_000_000, 10_000_000],
    streams: &[10, 100, 1_000, 10_000],
    feed: 1_000_000,
    processes: &[(1, 4), (1, 16), (4, 4), (4, 16), (16, 4), (16, 16)],
    delays: &[0, 1_000, 3_000],
};

const QUICK: Sizes = Sizes {
    append: &[1, 64, 256],
    batch_callers: &[8],
    batches: &[100],
    contended: &[8],
    decide: &[1, 64],
    stores: &[10_000, 100_000],
    streams: &[10, 1_000],
    feed: 100_000,
    processes: &[(1, 16), (16, 4)],
    delays: &[0, 3_000],
};

const SMOKE: Sizes = Sizes {
    append: &[1, 8],
    batch_callers: &[2],
    batches: &[10],
    contended: &[4],
    decide: &[4],
    stores: &[1_000],
    streams: &[10],
    feed: 1_000,
    processes: &[(2, 2)],
    delays: &[1_000],
};

impl Plan {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        let (sizes, rounds, seconds, operations) = match arguments.extent() {
            Extent::Full => (FULL, 5, 3.0, None),
            Extent::Quick => (QUICK, 2, 0.6, None),
            Extent::Smoke => (SMOKE, 1, 0.2, Some(20)),
        };
        let mut cells = Vec::new();
        for workload in Workload::MEASURED.into_iter().filter(|workload| arguments.wants_workload(*workload))
        {
            sizes.add(workload, &mut cells);
        }
        Self {
            cells,
            rounds: arguments.rounds.unwrap_or(rounds).max(1),
            seconds: arguments.seconds.unwrap_or(seconds),
            operations,
        }
    }
}

impl Sizes {
    fn add(&self, workload: Workload, cells: &mut Vec<Cell>) {
        let cell = |variant, callers, events| Cell { workload, variant, callers, events, processes: None };
        match workload {
            Workload::Append => cells.extend(self.append.iter().map(|callers| cell("", *callers, 1))),
            Workload::AppendBatch => {
                for events in self.batches {
                    cells.extend(self.batch_callers.iter().map(|callers| cell("", *callers, *events)));
                }
            }
            Workload::AppendContended => {
                cells.extend(self.contended.iter().map(|callers| cell("", *callers, 1)))
            }
            Workload::AppendProcesses => {
                for delay in self.delays {
                    cells.extend(self.processes.iter().map(|(processes, callers)| Cell {
                        processes: Some((*processes, *delay)),
                        ..cell("", processes * callers, 1)
                    }));
                }
            }
            Workload::Decide => {
                for size in self.stores {
                    cells.extend(self.decide.iter().map(|callers| cell("", *callers, *size)));
                }
            }
            Workload::Filter => {
                for size in self.stores {
                    cells.extend(["type", "payload"].map(|variant| cell(variant, 1, *size)));
                }
            }
            Workload::ReadStream => cells.extend(self.streams.iter().map(|events| cell("", 1, *events))),
            Workload::Feed | Workload::Memory | Workload::Size => cells.push(cell("", 1, self.feed)),
            Workload::Delivery => {
                cells.push(cell("", self.decide.last().map_or(64, |most| 64.min(*most)), 1))
            }
            Workload::Growth => {
                for size in self.stores {
                    let callers = [1, 64].map(|callers: u64| callers.min(self.append[self.append.len() - 1]));
                    cells.extend(callers.map(|callers| cell("", callers, *size)));
                }
            }
            Workload::Preload => {}
        }
    }
}
