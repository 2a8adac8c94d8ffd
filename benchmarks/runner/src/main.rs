//! Builds and starts what is measured, lets systems take turns, collects, and writes the tables.

mod arguments;
mod budget;
mod document;
mod error;
mod figure;
mod machine;
mod measure;
mod part;
mod places;
mod plan;
mod programs;
mod results;
mod run;
mod server;
mod systems;
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Extent};
use crate::budget::{Budget, plan_seconds};
use crate::document::Document;
use crate::error::{Error, Result};
use crate::measure::Measurer;
use crate::part::Part;
use crate::places::Places;
use crate::plan::Plan;
use crate::programs::Programs;
use crate::results::{Entry, FAILED, Measured, Results};
use crate::run::Run;
use crate::server::{Kind, Servers};
use crate::systems::{Backend, Program, SYSTEMS};
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
        .filter(|index| arguments.wants_system(&SYSTEMS[*index]))
        .collect();
    let programs = Programs::new(&arguments.profile);
    let raw = kept_figures(arguments, &programs)?;
    let mut plan = Plan::new(arguments);
    let mut results = Results::load(&raw, &plan)?;
    let wanted = fit(arguments, &mut plan, &results, &chosen);
    if arguments.estimate {
        println!("{:.0} minutes", plan_seconds(&plan, &wanted, &chosen) / 60.0);
        return Ok(true);
    }
    if !arguments.report {
        measure(arguments, &programs, &plan, &mut results, &raw, &chosen, &wanted).await?;
        eprintln!("\n{}", Ratios::new(&plan, &results).aligned());
    }
    if arguments.extent() == Extent::Smoke {
        return Ok(nothing_failed(&plan, &results, &chosen));
    }
    write_document(arguments, &programs, &raw)?;
    Ok(true)
}

/// The file that keeps the figures; what a smoke run has measured is not worth it.
fn kept_figures(arguments: &Arguments, programs: &Programs) -> Result<PathBuf> {
    let directory = programs.root().join("results");
    fs::create_dir_all(&directory).map_err(Error::during(directory.display()))?;
    let raw = directory.join(Part::file(arguments));
    if raw.exists() && arguments.extent() == Extent::Smoke {
        fs::remove_file(&raw).map_err(Error::during(raw.display()))?;
    }
    if raw.exists() && arguments.fresh {
        let aside =
            (1..).map(|number| raw.with_extension(format!("{number}.jsonl"))).find(|path| !path.exists());
        let aside = aside.unwrap_or_else(|| raw.with_extension("old.jsonl"));
        fs::rename(&raw, &aside).map_err(Error::during(raw.display()))?;
        eprintln!("put aside: {}", shown(&aside));
    }
    Ok(raw)
}

fn is_done(results: &Results, cell: usize, system: usize, plan: &Plan) -> bool {
    SYSTEMS[system].reason_against(&plan.cells[cell]).is_some() || results.is_complete(cell, system, plan)
}

/// Chooses rounds and times that fit into the minutes that there are, and returns the cells to measure: of a resumed run those
/// that are not done so well yet.
fn fit(arguments: &Arguments, plan: &mut Plan, results: &Results, chosen: &[usize]) -> Vec<usize> {
    let wanted = |plan: &Plan| -> Vec<usize> {
        let lacks = |cell: &usize| chosen.iter().any(|system| !is_done(results, *cell, *system, plan));
        (0..plan.cells.len()).filter(|cell| !arguments.resume || lacks(cell)).collect()
    };
    let Some(minutes) = arguments.minutes() else { return wanted(plan) };
    for (rounds, seconds) in Plan::choices(arguments.extent()) {
        plan.rounds = arguments.rounds.unwrap_or(*rounds).max(1);
        plan.seconds = arguments.seconds.unwrap_or(*seconds);
        if plan_seconds(plan, &wanted(plan), chosen) <= minutes * 60.0 * 0.9 {
            break;
        }
    }
    eprintln!("{} rounds of {} s fit into {minutes} minutes, by the estimate", plan.rounds, plan.seconds);
    wanted(plan)
}

async fn measure(
    arguments: &Arguments,
    programs: &Programs,
    plan: &Plan,
    results: &mut Results,
    raw: &Path,
    chosen: &[usize],
    wanted: &[usize],
) -> Result<()> {
    let needed: BTreeSet<Program> = chosen.iter().map(|index| SYSTEMS[*index].program).collect();
    eprintln!("building");
    programs.build(&needed)?;
    let directory = tempfile::Builder::new()
        .prefix("eventsource-benchmarks-")
        // A server under another account loads a library that lies here.
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir()
        .map_err(Error::during("the directory for stores"))?;
    let library = match wanted.iter().any(|cell| plan.cells[*cell].flush > 0) {
        true => Some(library(programs, directory.path())?),
        false => None,
    };
    let measurer = Measurer::new(programs, directory.path(), library.as_deref());
    let mut servers = Servers::new(library);
    let version = match chosen.iter().any(|index| SYSTEMS[*index].backend == Backend::Postgres) {
        true => Some(servers.start(Kind::Plain).await?.version.clone()),
        false => None,
    };
    results.begin(raw, Part::new(machine::describe(version.as_deref()), plan))?;
    let left_out = Run {
        plan,
        chosen,
        measurer,
        places: Places::new(servers, directory.path()),
        results,
        budget: Budget::new(arguments.minutes()),
    }
    .all(wanted)
    .await?;
    if !left_out.is_empty() {
        eprintln!(
            "\nleft out, because the time was over (`--resume` measures them): {}",
            left_out.join(", ")
        );
    }
    Ok(())
}

/// Builds what makes flushes slow, and puts it where every account can read it.
fn library(programs: &Programs, directory: &Path) -> Result<PathBuf> {
    let built = programs.build_slow_flush()?;
    let library = directory.join("libslow_flush.so");
    fs::copy(&built, &library).map_err(Error::during(built.display()))?;
    fs::set_permissions(&library, fs::Permissions::from_mode(0o755))
        .map_err(Error::during(library.display()))?;
    Ok(library)
}

/// All that was kept, of the whole plan: whatever this sitting was about.
fn write_document(arguments: &Arguments, programs: &Programs, raw: &Path) -> Result<()> {
    let root = programs.root();
    let plan = Plan::new(&arguments.everything());
    let results = Results::load(raw, &plan)?;
    let preamble = root.join("preamble.md");
    let preamble = fs::read_to_string(&preamble).map_err(Error::during(preamble.display()))?;
    let document = Document { preamble: &preamble, plan: &plan, results: &results };
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
            if let Some(Measured { entry: Entry::Reason(reason), .. }) = results.of(index, *number)
                && reason.starts_with(FAILED)
            {
                failures += 1;
                eprintln!("{} {}: {reason}", cell.name(), SYSTEMS[*number].name);
            }
        }
    }
    let figures = (0..plan.cells.len())
        .flat_map(|cell| chosen.iter().map(move |system| (cell, *system)))
        .filter_map(|(cell, system)| results.of(cell, system))
        .filter(|found| matches!(found.entry, Entry::Figures(_)))
        .count();
    println!("{figures} passed, {failures} failed");
    failures == 0 && figures > 0
}
