use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use common::Outcome;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::figure::{Figure, median};
use crate::part::Part;
use crate::plan::{Cell, Plan};
use crate::systems::{SYSTEMS, System};

/// What was measured so far: in this sitting, and in those before it that the file keeps.
pub(crate) struct Results {
    /// By the cell's and the system's place in their lists.
    entries: BTreeMap<(usize, usize), Measured>,
    /// Of every sitting: by the cell's, the system's and the sitting's place.
    figures: BTreeMap<(usize, usize, usize), Vec<Figure>>,
    parts: Vec<Part>,
    raw: Option<File>,
}

/// One system in one cell.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// In which sitting: the last one counts.
    pub(crate) part: usize,
    pub(crate) entry: Entry,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Figures(Vec<Figure>),
    /// Why there is none.
    Reason(String),
}

/// One line of the output.
#[derive(Debug, Serialize)]
pub(crate) struct Line<'a> {
    workload: String,
    system: &'a str,
    backend: &'a str,
    callers: u64,
    events: u64,
    pub(crate) median: f64,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    unit: &'a str,
    pub(crate) rounds: usize,
}

/// One line of the file: a sitting begins, or one round has ended.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Raw {
    Part { part: Part },
    Round(Round),
}

#[derive(Serialize, Deserialize)]
struct Round {
    workload: String,
    system: String,
    backend: String,
    callers: u64,
    events: u64,
    round: usize,
    #[serde(flatten)]
    outcome: Outcome,
}

impl Results {
    /// What the file keeps of this plan; nothing if there is no such file.
    pub(crate) fn load(path: &Path, plan: &Plan) -> Result<Self> {
        let mut results =
            Self { entries: BTreeMap::new(), figures: BTreeMap::new(), parts: Vec::new(), raw: None };
        let Ok(file) = File::open(path) else { return Ok(results) };
        for (number, line) in BufReader::new(file).lines().enumerate() {
            let line = line.map_err(Error::during(path.display()))?;
            let place = || format!("{}, line {}", path.display(), number + 1);
            match serde_json::from_str(&line).map_err(Error::during(place()))? {
                Raw::Part { part } => results.parts.push(part),
                // One without a sitting was written before there were any: nobody knows how it was measured.
                Raw::Round(_) if results.parts.is_empty() => {}
                Raw::Round(round) => results.recall(plan, &round)?,
            }
        }
        Ok(results)
    }

    /// Begins a sitting, and keeps its figures behind what is in the file.
    pub(crate) fn begin(&mut self, path: &Path, part: Part) -> Result<()> {
        let raw = OpenOptions::new().create(true).append(true).open(path);
        self.raw = Some(raw.map_err(Error::during(path.display()))?);
        self.write(&Raw::Part { part: part.clone() })?;
        self.parts.push(part);
        Ok(())
    }

    /// The sittings, in order.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// What the system came to in the cell, if it was asked.
    pub(crate) fn of(&self, cell: usize, system: usize) -> Option<&Measured> {
        self.entries.get(&(cell, system))
    }

    /// Whether there is a reason, found in this sitting, not to ask it again.
    pub(crate) fn is_settled(&self, cell: usize, system: usize) -> bool {
        let current = self.parts.len().saturating_sub(1);
        self.of(cell, system)
            .is_some_and(|found| found.part == current && matches!(found.entry, Entry::Reason(_)))
    }

    /// Whether all that the plan asks for is there, so that a resumed run passes it by. What failed is tried again.
    pub(crate) fn is_complete(&self, cell: usize, system: usize, plan: &Plan) -> bool {
        let Some(found) = self.of(cell, system) else { return false };
        match &found.entry {
            Entry::Reason(reason) => !reason.starts_with(FAILED) && !reason.starts_with(NO_ROOM),
            Entry::Figures(figures) => {
                figures.len() >= plan.cells[cell].rounds(plan.rounds)
                    && self.parts.get(found.part).is_some_and(|part| part.seconds >= plan.seconds * 0.99)
            }
        }
    }

    /// Why there is no figure. A figure of an earlier sitting stays, unless this one found the system to fail.
    pub(crate) fn give_reason(&mut self, cell: usize, system: usize, reason: String) {
        let part = self.parts.len().saturating_sub(1);
        let was_measured = self
            .of(cell, system)
            .is_some_and(|found| found.part != part && matches!(found.entry, Entry::Figures(_)));
        if was_measured && !reason.starts_with(FAILED) {
            return;
        }
        self.entries.insert((cell, system), Measured { part, entry: Entry::Reason(reason) });
    }

    /// Takes one round's outcome.
    pub(crate) fn take(
        &mut self,
        key: (usize, usize),
        cell: &Cell,
        round: usize,
        outcome: &Outcome,
    ) -> Result<()> {
        let system = &SYSTEMS[key.1];
        self.write(&Raw::Round(Round {
            workload: cell.name(),
            system: system.name.to_owned(),
            backend: system.backend.name().to_owned(),
            callers: cell.callers,
            events: cell.events,
            round,
            outcome: outcome.clone(),
        }))?;
        self.add(key, outcome);
        Ok(())
    }

    /// The medians over the rounds.
    pub(crate) fn line<'a>(
        &self,
        key: (usize, usize),
        cell: &'a Cell,
        system: &'a System,
    ) -> Option<Line<'a>> {
        let Some(Measured { entry: Entry::Figures(figures), .. }) = self.entries.get(&key) else {
            return None;
        };
        let all = |part: fn(&Figure) -> Option<f64>| median(figures.iter().filter_map(part).collect());
        Some(Line {
            workload: cell.name(),
            system: system.name,
            backend: system.backend.name(),
            callers: cell.callers,
            events: cell.events,
            median: all(|figure| Some(figure.value))?,
            p50_ms: all(|figure| figure.p50_ms),
            p99_ms: all(|figure| figure.p99_ms),
            unit: cell.workload.unit(),
            rounds: figures.len(),
        })
    }

    /// The median over the rounds of one sitting.
    pub(crate) fn median_in(&self, part: usize, (cell, system): (usize, usize)) -> Option<f64> {
        let figures = self.figures.get(&(cell, system, part))?;
        median(figures.iter().map(|figure| figure.value).collect())
    }

    /// Figures of what isn't measured any more are passed by.
    fn recall(&mut self, plan: &Plan, round: &Round) -> Result<()> {
        let cell = plan.cells.iter().position(|cell| {
            cell.callers == round.callers && cell.events == round.events && cell.name() == round.workload
        });
        let system = SYSTEMS.iter().position(|system| system.name == round.system);
        if let (Some(cell), Some(system)) = (cell, system)
            && SYSTEMS[system].reason_against(&plan.cells[cell]).is_none()
        {
            self.add((cell, system), &round.outcome);
        }
        Ok(())
    }

    /// The first figure of a sitting replaces those of the sittings before.
    fn add(&mut self, key: (usize, usize), outcome: &Outcome) {
        let part = self.parts.len().saturating_sub(1);
        match Figure::of(outcome) {
            Err(reason) => self.give_reason(key.0, key.1, reason),
            Ok(figure) => {
                self.figures.entry((key.0, key.1, part)).or_default().push(figure);
                let found = self
                    .entries
                    .entry(key)
                    .or_insert_with(|| Measured { part, entry: Entry::Figures(Vec::new()) });
                if found.part != part {
                    *found = Measured { part, entry: Entry::Figures(Vec::new()) };
                }
                if let Entry::Figures(figures) = &mut found.entry {
                    figures.push(figure);
                }
            }
        }
    }

    fn write(&mut self, line: &Raw) -> Result<()> {
        let Some(raw) = &mut self.raw else { return Ok(()) };
        let json = serde_json::to_string(line).map_err(Error::during("the raw figures"))?;
        // At once: whoever stops the run leaves no half a line.
        raw.write_all(format!("{json}\n").as_bytes()).map_err(Error::during("the raw figures"))
    }
}

/// How the reason begins where something went wrong.
pub(crate) const FAILED: &str = "failed: ";
/// How it begins where this machine was too small.
pub(crate) const NO_ROOM: &str = "no room";
