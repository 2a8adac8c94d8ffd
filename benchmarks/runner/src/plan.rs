use std::collections::{BTreeSet, HashSet};

use common::Workload;

use crate::arguments::{Arguments, Extent};
use crate::server::Kind;

/// One line of a table: what every system does in turn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    pub(crate) workload: Workload,
    /// What of the workload, where there are several things.
    pub(crate) variant: &'static str,
    pub(crate) callers: u64,
    /// Events per append, per stream or in the store.
    pub(crate) events: u64,
    /// From how many processes, and what their commits wait for.
    pub(crate) processes: Option<(u64, Commits)>,
    /// How many microseconds a flush takes at least; 0 leaves it to the disk.
    pub(crate) flush: u32,
}

/// What makes the commits of several processes slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commits {
    /// So many microseconds more (`commit_delay`).
    Delayed(u32),
    /// A standby on loopback that has flushed them too.
    Replicated,
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
            | Workload::Preload
            | Workload::Compare => 0,
            Workload::Decide
            | Workload::Filter
            | Workload::Feed
            | Workload::Projection
            | Workload::Relay
            | Workload::Growth
            | Workload::Memory
            | Workload::Size => self.events,
        }
    }

    /// Whether the store is another one afterwards. What a projection writes lies beside the log.
    pub(crate) fn writes(&self) -> bool {
        !matches!(
            self.workload,
            Workload::Filter | Workload::Feed | Workload::Projection | Workload::Memory | Workload::Size
        )
    }

    /// What the store is made for, where it is made otherwise than for most.
    pub(crate) fn purpose(&self) -> &'static str {
        match self.workload {
            Workload::Filter if self.variant == "payload" => "payload",
            Workload::Relay => "outbox",
            _ => "",
        }
    }

    /// The PostgreSQL server that it runs on.
    pub(crate) fn server(&self) -> Kind {
        match self.processes {
            Some((_, Commits::Replicated)) => Kind::WithStandby,
            _ if self.flush > 0 => Kind::SlowFlush(self.flush),
            _ => Kind::Plain,
        }
    }

    /// How many rounds are needed of it, where `rounds` are asked for.
    pub(crate) fn rounds(&self, rounds: usize) -> usize {
        if self.workload == Workload::Size { 1 } else { rounds }
    }

    /// Its name in results: the workload's, and what of it.
    pub(crate) fn name(&self) -> String {
        let mut name = self.workload.name().to_owned();
        if !self.variant.is_empty() {
            name = format!("{name}:{}", self.variant);
        }
        match self.processes {
            Some((processes, Commits::Delayed(0))) => name = format!("{name}:{processes}-processes"),
            Some((processes, Commits::Delayed(delay))) => {
                name = format!("{name}:{processes}-processes:{delay}us");
            }
            Some((processes, Commits::Replicated)) => name = format!("{name}:{processes}-processes:standby"),
            None => {}
        }
        if self.flush > 0 { format!("{name}:flush-{}us", self.flush) } else { name }
    }
}

/// How much is done of everything.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Smaller stores first, so that no more of them lie on disk than needed.
    pub(crate) cells: Vec<Cell>,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    /// At most so many operations in a measurement.
    pub(crate) operations: Option<u64>,
}

struct Sizes {
    append: &'static [u64],
    flush: &'static [(u32, &'static [u64])],
    batch_callers: &'static [u64],
    batches: &'static [u64],
    contended: &'static [u64],
    decide: &'static [u64],
    /// For decisions and filters.
    stores: &'static [u64],
    growth: &'static [u64],
    streams: &'static [u64],
    feed: u64,
    projection: u64,
    relay: u64,
    processes: &'static [(u64, u64)],
    delays: &'static [u32],
    replicated: &'static [(u64, u64)],
}

const FULL: Sizes = Sizes {
    append: &[1, 8, 64, 256, 1024],
    flush: &[(300, &[1, 8, 64, 256]), (1_000, &[1, 8, 64, 256])],
    batch_callers: &[1, 8],
    batches: &[10, 100, 1_000],
    contended: &[8, 64],
    decide: &[1, 64, 256],
    stores: &[10_000, 1_000_000, 10_000_000],
    growth: &[10_000, 1_000_000, 10_000_000],
    streams: &[10, 100, 1_000, 10_000],
    feed: 1_000_000,
    projection: 100_000,
    relay: 50_000,
    processes: &[(1, 4), (1, 16), (4, 4), (4, 16), (16, 4), (16, 16)],
    delays: &[0, 1_000, 3_000],
    replicated: &[(1, 16), (16, 4)],
};

const QUICK: Sizes = Sizes {
    append: &[1, 64, 256],
    flush: &[(300, &[1, 64])],
    batch_callers: &[8],
    batches: &[100],
    contended: &[8],
    decide: &[1, 64],
    stores: &[100_000],
    growth: &[10_000, 100_000],
    streams: &[1_000],
    feed: 100_000,
    projection: 20_000,
    relay: 10_000,
    processes: &[(1, 16), (16, 4)],
    delays: &[0, 3_000],
    replicated: &[(16, 4)],
};

const SMOKE: Sizes = Sizes {
    append: &[1, 8],
    flush: &[(300, &[4])],
    batch_callers: &[2],
    batches: &[10],
    contended: &[4],
    decide: &[4],
    stores: &[1_000],
    growth: &[1_000],
    streams: &[10],
    feed: 1_000,
    projection: 1_000,
    relay: 1_000,
    processes: &[(2, 2)],
    delays: &[1_000],
    replicated: &[(2, 2)],
};

impl Plan {
    /// What is asked for, with as many rounds and as long ones as a full run has.
    pub(crate) fn new(arguments: &Arguments) -> Self {
        let (sizes, (rounds, seconds), operations) = match arguments.extent() {
            Extent::Full => (FULL, Self::choices(Extent::Full)[0], None),
            Extent::Quick => (QUICK, Self::choices(Extent::Quick)[0], None),
            Extent::Smoke => (SMOKE, (1, 0.2), Some(20)),
        };
        let mut cells = Vec::new();
        for workload in Workload::MEASURED.into_iter().filter(|workload| arguments.wants_workload(*workload))
        {
            sizes.add(workload, &mut cells);
        }
        if !arguments.flush.is_empty() {
            cells.retain(|cell| cell.flush == 0 && cell.processes.is_none() && cell.writes());
            let slow =
                |flush: &u32| cells.iter().map(|cell| Cell { flush: *flush, ..cell.clone() }).collect();
            cells = arguments.flush.iter().flat_map(|flush: &u32| -> Vec<Cell> { slow(flush) }).collect();
        }
        cells.retain(|cell| arguments.largest.is_none_or(|largest| cell.store_size() <= largest));
        cells.retain(|cell| cell.store_size() >= arguments.smallest);
        // The index that the payload's filter has stays in a store that is too large to be copied.
        cells.sort_by_key(|cell| (cell.store_size(), cell.purpose() == "payload"));
        Self {
            cells,
            rounds: arguments.rounds.unwrap_or(rounds).max(1),
            seconds: arguments.seconds.unwrap_or(seconds),
            operations,
        }
    }

    /// Rounds, and seconds each, from the best on.
    pub(crate) fn choices(extent: Extent) -> &'static [(usize, f64)] {
        match extent {
            Extent::Full => &[(5, 3.0), (5, 2.0), (5, 1.0), (3, 1.0), (3, 0.6), (2, 0.6)],
            Extent::Quick => &[(3, 1.0), (3, 0.6), (2, 0.6), (2, 0.4), (1, 0.4)],
            Extent::Smoke => &[(1, 0.2)],
        }
    }

    /// The PostgreSQL servers that are still needed when the cells before this one are done.
    pub(crate) fn servers_from(&self, cell: usize) -> HashSet<Kind> {
        self.cells[cell..].iter().map(Cell::server).chain([Kind::Plain]).collect()
    }

    /// The stores that are still needed when the cells before this one are done.
    pub(crate) fn sizes_from(&self, cell: usize) -> BTreeSet<u64> {
        self.cells[cell..].iter().map(Cell::store_size).collect()
    }
}

impl Sizes {
    fn add(&self, workload: Workload, cells: &mut Vec<Cell>) {
        let cell =
            |variant, callers, events| Cell { workload, variant, callers, events, processes: None, flush: 0 };
        match workload {
            Workload::Append => {
                cells.extend(self.append.iter().map(|callers| cell("", *callers, 1)));
                for (flush, callers) in self.flush {
                    cells.extend(
                        callers.iter().map(|callers| Cell { flush: *flush, ..cell("", *callers, 1) }),
                    );
                }
            }
            Workload::AppendBatch => {
                for events in self.batches {
                    cells.extend(self.batch_callers.iter().map(|callers| cell("", *callers, *events)));
                }
            }
            Workload::AppendContended => {
                cells.extend(self.contended.iter().map(|callers| cell("", *callers, 1)))
            }
            Workload::AppendProcesses => {
                let together = |(processes, callers): &(u64, u64), commits| Cell {
                    processes: Some((*processes, commits)),
                    ..cell("", processes * callers, 1)
                };
                for delay in self.delays {
                    cells.extend(self.processes.iter().map(|both| together(both, Commits::Delayed(*delay))));
                }
                cells.extend(self.replicated.iter().map(|both| together(both, Commits::Replicated)));
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
            Workload::Projection => cells.extend(
                ["bare-feed", "empty-view", "counting-view"].map(|variant| cell(variant, 1, self.projection)),
            ),
            Workload::Relay => cells.push(cell("", 1, self.relay)),
            Workload::Delivery => {
                cells.push(cell("", self.decide.last().map_or(64, |most| 64.min(*most)), 1))
            }
            Workload::Growth => {
                for size in self.growth {
                    let callers = [1, 64].map(|callers: u64| callers.min(self.append[self.append.len() - 1]));
                    cells.extend(callers.map(|callers| cell("", callers, *size)));
                }
            }
            Workload::Preload | Workload::Compare => {}
        }
    }
}
