use std::time::Instant;

use common::Workload;
use common::{Outcome, Report};
use indicatif::{ProgressBar, ProgressStyle};

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::measure::{Assignment, Measurer};
use crate::places::{Place, Places};
use crate::plan::{Cell, Commits, Plan};
use crate::results::Results;
use crate::server::Kind;
use crate::systems::{Backend, SYSTEMS, System};

/// One sitting.
pub(crate) struct Run<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) chosen: &'a [usize],
    pub(crate) measurer: Measurer<'a>,
    pub(crate) places: Places,
    pub(crate) results: &'a mut Results,
    pub(crate) budget: Budget,
}

impl Run<'_> {
    /// Measures these cells, and says which of them the time was too short for.
    pub(crate) async fn all(mut self, wanted: &[usize]) -> Result<Vec<String>> {
        let progress = ProgressBar::new((wanted.len() * self.plan.rounds * self.chosen.len()) as u64);
        let style =
            ProgressStyle::with_template("{elapsed_precise} [{bar:40}] {pos}/{len} {eta} left  {msg}");
        progress.set_style(style.map_err(Error::during("the progress display"))?);
        let mut left_out = Vec::new();
        for index in wanted {
            let cell = &self.plan.cells[*index];
            self.places.keep(&self.plan.sizes_from(*index), &self.plan.servers_from(*index)).await?;
            if self.budget.fits(cell, self.chosen, self.plan) {
                let begin = Instant::now();
                self.cell(*index, cell, &progress).await?;
                self.budget.took(cell, self.chosen, self.plan, begin.elapsed());
            } else {
                left_out.push(format!("{} × {} × {}", cell.name(), cell.callers, cell.events));
                progress.inc((self.plan.rounds * self.chosen.len()) as u64);
            }
        }
        progress.finish_with_message("done");
        Ok(left_out)
    }

    async fn cell(&mut self, index: usize, cell: &Cell, progress: &ProgressBar) -> Result<()> {
        self.delay_commits(cell).await?;
        for round in 0..self.plan.rounds {
            for number in self.chosen {
                let system = &SYSTEMS[*number];
                progress.set_message(format!(
                    "{} × {} × {}: {}",
                    cell.name(),
                    cell.callers,
                    cell.events,
                    system.name
                ));
                self.one((index, *number), cell, system, round).await?;
                progress.inc(1);
            }
        }
        self.places.end_cell().await?;
        for number in self.chosen {
            if let Some(line) = self.results.line((index, *number), cell, &SYSTEMS[*number]) {
                let json = serde_json::to_string(&line).map_err(Error::during("a result"))?;
                progress.suspend(|| println!("{json}"));
            }
        }
        Ok(())
    }

    /// On the plain server; it stays so for the cells that come behind, unless they say otherwise.
    async fn delay_commits(&mut self, cell: &Cell) -> Result<()> {
        if !self.chosen.iter().any(|number| SYSTEMS[*number].backend == Backend::Postgres) {
            return Ok(());
        }
        let delay = match cell.processes {
            Some((_, Commits::Delayed(delay))) => delay,
            Some((_, Commits::Replicated)) | None => 0,
        };
        self.places.servers.start(Kind::Plain).await?.delay_commits(delay).await
    }

    async fn one(
        &mut self,
        key: (usize, usize),
        cell: &Cell,
        system: &'static System,
        round: usize,
    ) -> Result<()> {
        if self.results.is_settled(key.0, key.1) || round >= cell.rounds(self.plan.rounds) {
            return Ok(());
        }
        if let Some(reason) = system.reason_against(cell) {
            self.results.give_reason(key.0, key.1, reason);
            return Ok(());
        }
        let place = match self.places.provide(&self.measurer, system, cell).await? {
            Ok(place) => place,
            Err(failure) => {
                let outcome = Report::from(Err(failure)).outcome;
                return self.results.take(key, cell, round, &outcome);
            }
        };
        let outcome = self.outcome(cell, system, &place).await?;
        self.places.release(&place).await?;
        self.results.take(key, cell, round, &outcome)
    }

    async fn outcome(&self, cell: &Cell, system: &System, place: &Place) -> Result<Outcome> {
        if cell.workload == Workload::Size {
            let bytes = self.places.bytes(place).await?;
            return Ok(Outcome::Figure { value: bytes as f64 / cell.events as f64 });
        }
        let processes = cell.processes.map_or(1, |(processes, _)| processes);
        let assignment = Assignment {
            workload: cell.workload,
            variant: cell.variant.to_owned(),
            callers: cell.callers / processes,
            events: cell.events,
            fill: place.fill,
            seconds: self.plan.seconds,
            operations: self.plan.operations,
            flush: cell.flush,
        };
        let report = match cell.processes {
            Some((processes, _)) => {
                self.measurer.measure_together(system, &place.name, &assignment, processes)?
            }
            None => self.measurer.measure(system, &place.name, &assignment)?,
        };
        Ok(report.outcome)
    }
}
