use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use common::Outcome;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::plan::Cell;
use crate::systems::System;

/// What was measured so far.
pub(crate) struct Results {
    /// By the cell's and the system's place in their lists.
    entries: BTreeMap<(usize, usize), Entry>,
    raw: Option<File>,
}

/// One system in one cell.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Figures(Vec<Figure>),
    /// Why there is none.
    Reason(String),
}

/// What one round came to.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
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
    rounds: usize,
}

#[derive(Serialize)]
struct Raw<'a> {
    workload: String,
    system: &'a str,
    backend: &'a str,
    callers: u64,
    events: u64,
    round: usize,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

impl Results {
    /// Keeps the raw figures in this file, behind what is there.
    pub(crate) fn new(raw: Option<&Path>) -> Result<Self> {
        let raw = raw
            .map(|path| {
                OpenOptions::new().create(true).append(true).open(path).map_err(Error::during(path.display()))
            })
            .transpose()?;
        Ok(Self { entries: BTreeMap::new(), raw })
    }

    /// What the system came to in the cell, if it was asked.
    pub(crate) fn of(&self, cell: usize, system: usize) -> Option<&Entry> {
        self.entries.get(&(cell, system))
    }

    /// Whether there is a reason not to ask it again.
    pub(crate) fn is_settled(&self, cell: usize, system: usize) -> bool {
        matches!(self.of(cell, system), Some(Entry::Reason(_)))
    }

    /// Why there is no figure.
    pub(crate) fn give_reason(&mut self, cell: usize, system: usize, reason: String) {
        self.entries.insert((cell, system), Entry::Reason(reason));
    }

    /// Takes one round's outcome.
    pub(crate) fn take(
        &mut self,
        key: (usize, usize),
        cell: &Cell,
        system: &System,
        round: usize,
        outcome: &Outcome,
    ) -> Result<()> {
        if let Some(raw) = &mut self.raw {
            let line = Raw {
                workload: cell.name(),
                system: system.name,
                backend: system.backend.name(),
                callers: cell.callers,
                events: cell.events,
                round,
                outcome,
            };
            let json = serde_json::to_string(&line).map_err(Error::during("the raw figures"))?;
            writeln!(raw, "{json}").map_err(Error::during("the raw figures"))?;
        }
        match Figure::of(outcome) {
            Ok(figure) => match self.entries.entry(key).or_insert_with(|| Entry::Figures(Vec::new())) {
                Entry::Figures(figures) => figures.push(figure),
                Entry::Reason(_) => {}
            },
            Err(reason) => self.give_reason(key.0, key.1, reason),
        }
        Ok(())
    }

    /// The medians over the rounds.
    pub(crate) fn line<'a>(
        &self,
        key: (usize, usize),
        cell: &'a Cell,
        system: &'a System,
    ) -> Option<Line<'a>> {
        let Some(Entry::Figures(figures)) = self.entries.get(&key) else { return None };
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
}

impl Figure {
    fn of(outcome: &Outcome) -> std::result::Result<Self, String> {
        match outcome {
            Outcome::Rate { done, seconds, latencies, .. } => Ok(Self {
                value: rounded(*done as f64 / seconds.max(1e-9)),
                p50_ms: quantile(latencies, 0.5),
                p99_ms: quantile(latencies, 0.99),
            }),
            Outcome::Latencies { latencies } => {
                // What a latency is judged by.
                let p99 = quantile(latencies, 0.99).ok_or("nothing was delivered")?;
                Ok(Self { value: p99, p50_ms: quantile(latencies, 0.5), p99_ms: Some(p99) })
            }
            Outcome::Figure { value } => Ok(Self { value: rounded(*value), p50_ms: None, p99_ms: None }),
            Outcome::Absent { reason } => Err(reason.clone()),
            Outcome::Broken { reason } => Err(format!("failed: {reason}")),
        }
    }
}

/// Milliseconds, of nanoseconds and how often they were seen, in order.
fn quantile(latencies: &[(u64, u64)], share: f64) -> Option<f64> {
    let total: u64 = latencies.iter().map(|(_, count)| count).sum();
    let wanted = ((total as f64 * share).ceil() as u64).max(1);
    let mut seen = 0;
    let (nanoseconds, _) = latencies.iter().find(|(_, count)| {
        seen += count;
        seen >= wanted
    })?;
    Some((*nanoseconds as f64).round() / 1e6)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(rounded((values[middle - 1] + values[middle]) / 2.0)),
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_what_was_seen() {
        let latencies = [(1_000_000, 98), (2_000_000, 1), (5_000_000, 1)];
        assert_eq!(quantile(&latencies, 0.5), Some(1.0));
        assert_eq!(quantile(&latencies, 0.99), Some(2.0));
        assert_eq!(quantile(&latencies, 1.0), Some(5.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }
}
