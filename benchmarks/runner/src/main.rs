//! Builds and starts what is measured, lets systems take turns, collects, and writes the tables.

mod arguments;
mod document;
mod error;
mod machine;
mod measure;
mod places;
mod plan;
mod programs;
mod results;
mod server;
mod systems;
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use common::{Outcome, Report, Workload};
use indicatif::{ProgressBar, ProgressStyle};

use crate::arguments::{Arguments, Extent};
use crate::document::Document;
use crate::error::{Error, Result};
use crate::measure::{Assignment, Measurer};
use crate::places::{Place, Places};
use crate::plan::{Cell, Plan};
use crate::programs::Programs;
use crate::results::{Entry, Results};
use crate::server::Server;
use crate::systems::{Backend, Program, SYSTEMS, System};
use crate::table::Ratios;

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything that a smoke run asked for went well.
async fn run(arguments: &Arguments) -> Result<bool> {
    let chosen: Vec<usize> = (0..SYSTEMS.len())
        .filter(|index| arguments.wants_backend(SYSTEMS[*index].backend))
        .filter(|index| arguments.wants_system(SYSTEMS[*index].name))
        .collect();
    let programs = Programs::new(&arguments.profile);
    let needed: BTreeSet<Program> = chosen.iter().map(|index| SYSTEMS[*index].program).collect();
    eprintln!("building");
    programs.build(&needed)?;
    let directory = tempfile::Builder::new()
        .prefix("eventsource-benchmarks-")
        .tempdir()
        .map_err(Error::during("the directory for stores"))?;
    let server = match chosen.iter().any(|index| SYSTEMS[*index].backend == Backend::Postgres) {
        true => Some(Server::start().await?),
        false => None,
    };
    let machine = machine::describe(server.as_ref().map(|server| server.version.as_str()));
    let plan = Plan::new(arguments);
    let raw = programs.root().join("results/raw.jsonl");
    if let Some(parent) = raw.parent() {
        fs::create_dir_all(parent).map_err(Error::during(parent.display()))?;
        fs::write(&raw, "").map_err(Error::during(raw.display()))?;
    }
    let mut run = Run {
        plan: &plan,
        chosen: &chosen,
        measurer: Measurer::new(&programs, directory.path()),
        places: Places::new(server.as_ref(), directory.path()),
        server: server.as_ref(),
        results: Results::new(Some(&raw))?,
    };
    run.all().await?;
    let results = run.results;
    eprintln!("\n{}", Ratios::new(&plan, &results).aligned());
    if arguments.extent() != Extent::Smoke {
        write_document(arguments, &programs, &machine, &plan, &results)?;
    }
    Ok(arguments.extent() != Extent::Smoke || nothing_failed(&plan, &results, &chosen))
}

struct Run<'a> {
    plan: &'a Plan,
    chosen: &'a [usize],
    measurer: Measurer<'a>,
    places: Places<'a>,
    server: Option<&'a Server>,
    results: Results,
}

impl Run<'_> {
    async fn all(&mut self) -> Result<()> {
        let progress =
            ProgressBar::new((self.plan.cells.len() * self.plan.rounds * self.chosen.len()) as u64);
        let style =
            ProgressStyle::with_template("{elapsed_precise} [{bar:40}] {pos}/{len} {eta} left  {msg}");
        progress.set_style(style.map_err(Error::during("the progress display"))?);
        for (index, cell) in self.plan.cells.iter().enumerate() {
            if let (Some((_, delay)), Some(server)) = (cell.processes, self.server) {
                server.delay_commits(delay).await?;
            }
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
            for number in self.chosen {
                if let Some(line) = self.results.line((index, *number), cell, &SYSTEMS[*number]) {
                    let json = serde_json::to_string(&line).map_err(Error::during("a result"))?;
                    progress.suspend(|| println!("{json}"));
                }
            }
        }
        if let Some(server) = self.server {
            server.delay_commits(0).await?;
        }
        progress.finish_with_message("done");
        Ok(())
    }

    async fn one(
        &mut self,
        key: (usize, usize),
        cell: &Cell,
        system: &'static System,
        round: usize,
    ) -> Result<()> {
        if self.results.is_settled(key.0, key.1) || (round > 0 && cell.workload == Workload::Size) {
            return Ok(());
        }
        if let Some(reason) = system.reason_against(cell.workload, cell.store_size()) {
            self.results.give_reason(key.0, key.1, reason);
            return Ok(());
        }
        let place = match self.places.provide(&self.measurer, system, cell).await? {
            Ok(place) => place,
            Err(failure) => {
                let outcome = Report::from(Err(failure)).outcome;
                return self.results.take(key, cell, system, round, &outcome);
            }
        };
        let outcome = self.outcome(cell, system, &place).await?;
        self.places.release(system, &place).await?;
        self.results.take(key, cell, system, round, &outcome)
    }

    async fn outcome(&self, cell: &Cell, system: &System, place: &Place) -> Result<Outcome> {
        if cell.workload == Workload::Size {
            let bytes = self.places.bytes(system, place).await?;
            return Ok(Outcome::Figure { value: bytes as f64 / cell.events as f64 });
        }
        let processes = cell.processes.map_or(1, |(processes, _)| processes);
        let assignment = Assignment {
            workload: cell.workload,
            variant: cell.variant,
            callers: cell.callers / processes,
            events: cell.events,
            fill: place.fill,
            seconds: self.plan.seconds,
            operations: self.plan.operations,
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

fn write_document(
    arguments: &Arguments,
    programs: &Programs,
    machine: &str,
    plan: &Plan,
    results: &Results,
) -> Result<()> {
    let root = programs.root();
    let preamble = root.join("preamble.md");
    let document = Document {
        preamble: &fs::read_to_string(&preamble).map_err(Error::during(preamble.display()))?,
        machine,
        command: &format!("benchmarks/run {}", std::env::args().skip(1).collect::<Vec<_>>().join(" ")),
        plan,
        results,
    };
    let path = match &arguments.output {
        Some(path) => path.clone(),
        // Only a full run is the document that the repository shows.
        None if arguments.extent() == Extent::Full => root.join("../docs/benchmarks.md"),
        None => root.join("results/benchmarks.md"),
    };
    fs::write(&path, document.render()).map_err(Error::during(path.display()))?;
    eprintln!("written: {}", shown(&path));
    Ok(())
}

fn shown(path: &Path) -> String {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf()).display().to_string()
}

fn nothing_failed(plan: &Plan, results: &Results, chosen: &[usize]) -> bool {
    let mut failures = 0;
    for (index, cell) in plan.cells.iter().enumerate() {
        for number in chosen {
            if let Some(Entry::Reason(reason)) = results.of(index, *number)
                && reason.starts_with("failed: ")
            {
                failures += 1;
                eprintln!("{} {}: {reason}", cell.name(), SYSTEMS[*number].name);
            }
        }
    }
    let figures = (0..plan.cells.len())
        .flat_map(|cell| chosen.iter().map(move |system| (cell, *system)))
        .filter(|(cell, system)| matches!(results.of(*cell, *system), Some(Entry::Figures(_))))
        .count();
    println!("{figures} passed, {failures} failed");
    failures == 0 && figures > 0
}
