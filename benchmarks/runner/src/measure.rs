use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Outcome, Report, Workload};

use crate::error::{Error, Result};
use crate::programs::Programs;
use crate::server::FLUSH_VARIABLE;
use crate::systems::{Backend, System};

/// Longer than anything takes that does not hang.
const MEASURING: Duration = Duration::from_secs(120);
/// The same on a store of millions: whoever opens it may have an index to make first.
const MEASURING_MILLIONS: Duration = Duration::from_secs(600);
const FILLING: Duration = Duration::from_secs(3_600);

/// Starts a system's program for one measurement, and reads its report.
pub(crate) struct Measurer<'a> {
    pub(crate) programs: &'a Programs,
    directory: PathBuf,
    /// What makes flushes slow, if that was built.
    library: Option<PathBuf>,
    count: AtomicU64,
}

/// What a system is asked to do.
#[derive(Clone, Debug)]
pub(crate) struct Assignment {
    pub(crate) workload: Workload,
    pub(crate) variant: String,
    pub(crate) callers: u64,
    pub(crate) events: u64,
    pub(crate) fill: u64,
    pub(crate) seconds: f64,
    pub(crate) operations: Option<u64>,
    /// How many microseconds a flush takes at least.
    pub(crate) flush: u32,
}

struct Running {
    child: Child,
    result: PathBuf,
    log: PathBuf,
}

impl<'a> Measurer<'a> {
    pub(crate) fn new(programs: &'a Programs, directory: &Path, library: Option<&Path>) -> Self {
        let library = library.map(Path::to_owned);
        Self { programs, directory: directory.to_owned(), library, count: AtomicU64::new(0) }
    }

    /// One process.
    pub(crate) fn measure(&self, system: &System, place: &str, assignment: &Assignment) -> Result<Report> {
        let limit = match assignment.workload {
            Workload::Preload => FILLING,
            _ if assignment.fill > 0 => FILLING,
            _ if assignment.events > 1_000_000 => MEASURING_MILLIONS,
            _ => MEASURING,
        };
        let mut running = self.start(system, place, assignment, None)?;
        running.report(limit)
    }

    /// Several processes that begin together; their reports are made one.
    pub(crate) fn measure_together(
        &self,
        system: &System,
        place: &str,
        assignment: &Assignment,
        processes: u64,
    ) -> Result<Report> {
        let go = self.directory.join(format!("go-{}", self.count.fetch_add(1, Ordering::Relaxed)));
        let mut all = Vec::new();
        for _ in 0..processes {
            all.push(self.start(system, place, assignment, Some(&go))?);
        }
        let deadline = Instant::now() + MEASURING;
        for running in &mut all {
            running.wait_until_ready(deadline)?;
        }
        File::create(&go).map_err(Error::during(go.display()))?;
        let reports = all.iter_mut().map(|running| running.report(MEASURING)).collect::<Result<Vec<_>>>()?;
        Ok(Report { outcome: together(reports.into_iter().map(|report| report.outcome)) })
    }

    fn start(
        &self,
        system: &System,
        place: &str,
        assignment: &Assignment,
        go: Option<&Path>,
    ) -> Result<Running> {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let (result, log) =
            (self.directory.join(format!("report-{count}")), self.directory.join(format!("log-{count}")));
        let errors = File::create(&log).map_err(Error::during(log.display()))?;
        let mut command = self.programs.command(system.program);
        command.args(["--system", system.name, "--workload", assignment.workload.name(), "--place", place]);
        command.args(["--variant", &assignment.variant]);
        let numbers = [
            ("--callers", assignment.callers),
            ("--events", assignment.events),
            ("--fill", assignment.fill),
            // Below 2^19: numbers made of it stay within what every database has as an integer.
            ("--seed", count % (1 << 19)),
        ];
        for (name, value) in numbers {
            command.arg(name).arg(value.to_string());
        }
        command.arg("--seconds").arg(assignment.seconds.to_string());
        if let Some(operations) = assignment.operations {
            command.arg("--operations").arg(operations.to_string());
        }
        command.arg("--result").arg(&result);
        if let Some(go) = go {
            command.arg("--go").arg(go);
        }
        // PostgreSQL flushes by itself; it was started so.
        if let (1.., Backend::Sqlite | Backend::Server, Some(library)) =
            (assignment.flush, system.backend, &self.library)
        {
            command.env("LD_PRELOAD", library).env(FLUSH_VARIABLE, assignment.flush.to_string());
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        let child = command.spawn().map_err(Error::during(format!("{command:?}")))?;
        Ok(Running { child, result, log })
    }
}

impl Running {
    fn report(&mut self, limit: Duration) -> Result<Report> {
        let deadline = Instant::now() + limit;
        let status = loop {
            if let Some(status) = self.child.try_wait().map_err(Error::during("waiting for a measurement"))? {
                break Some(status);
            }
            if Instant::now() > deadline {
                break None;
            }
            sleep(Duration::from_millis(2));
        };
        let broken = |reason: String| Ok(Report { outcome: Outcome::Broken { reason } });
        if status.is_none() {
            return broken(format!("it did not end within {} s", limit.as_secs()));
        }
        let report = fs::read_to_string(&self.result).ok().and_then(|json| serde_json::from_str(&json).ok());
        match report {
            Some(report) => Ok(report),
            None => {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                let lines: Vec<&str> = log.lines().rev().take(3).collect();
                let words: String =
                    lines.into_iter().rev().collect::<Vec<_>>().join(" | ").chars().take(400).collect();
                broken(format!("it ended without a report: {words}"))
            }
        }
    }

    fn wait_until_ready(&mut self, deadline: Instant) -> Result<()> {
        let mut ready = self.result.clone().into_os_string();
        ready.push(".ready");
        while !Path::new(&ready).exists() && Instant::now() < deadline {
            if self.child.try_wait().map_err(Error::during("waiting for a measurement"))?.is_some() {
                // Its report says why.
                return Ok(());
            }
            sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nothing outlives its measurement; most have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.log);
        let _ = fs::remove_file(&self.result);
    }
}

fn together(outcomes: impl Iterator<Item = Outcome>) -> Outcome {
    let mut all = None;
    for outcome in outcomes {
        all = Some(match (all, outcome) {
            (
                Some(Outcome::Rate { done, seconds, retries, mut latencies }),
                Outcome::Rate { done: more, seconds: longest, retries: again, latencies: mut others },
            ) => {
                latencies.append(&mut others);
                latencies.sort_unstable();
                Outcome::Rate {
                    done: done + more,
                    seconds: seconds.max(longest),
                    retries: retries + again,
                    latencies,
                }
            }
            (None, first @ Outcome::Rate { .. }) => first,
            // One that has no figure leaves none for all.
            (_, other) => return other,
        });
    }
    all.unwrap_or_else(|| Outcome::Broken { reason: "no process was started".to_owned() })
}
