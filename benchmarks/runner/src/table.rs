use std::fmt::Write;

use crate::plan::Plan;
use crate::results::{Entry, Measured, Results};
use crate::systems::{Backend, Role, SYSTEMS};

/// One system's figure.
#[derive(Clone, Copy)]
struct Best {
    /// The system's place in the list.
    system: usize,
    median: f64,
}

/// Two figures of one sitting: what was measured at different times is not compared.
struct Pair {
    part: usize,
    ours: f64,
    other: Best,
}

/// Ours beside the best peer, the umadb server and the limit: a line for each cell and backend.
pub(crate) struct Ratios {
    rows: Vec<[String; 10]>,
}

const HEADER: [&str; 10] = [
    "workload",
    "backend",
    "callers",
    "events",
    "ours",
    "best peer",
    "ours / peer",
    "ours / umadb server",
    "limit",
    "ours / limit",
];

impl Ratios {
    pub(crate) fn new(plan: &Plan, results: &Results) -> Self {
        let mut rows = Vec::new();
        for (index, cell) in plan.cells.iter().enumerate() {
            for backend in [Backend::Memory, Backend::Sqlite, Backend::Postgres] {
                let best = |role, backend, median: &dyn Fn(usize) -> Option<f64>| {
                    let systems = SYSTEMS.iter().enumerate();
                    let found = systems
                        .filter(|(_, system)| system.role == role && system.backend == backend)
                        .filter_map(|(system, _)| Some(Best { system, median: median(system)? }));
                    found.reduce(|best, next| {
                        if is_better(next.median, best.median, cell.workload.counts_up()) {
                            next
                        } else {
                            best
                        }
                    })
                };
                let last =
                    |system: usize| Some(results.line((index, system), cell, &SYSTEMS[system])?.median);
                let Some(ours) = best(Role::Ours, backend, &last) else { continue };
                let ours_in = results.of(index, ours.system).map_or(0, |measured| measured.part);
                // The last sitting that measured both; what failed since is not compared.
                let beside = |role, backend| {
                    (0..=ours_in).rev().find_map(|part| {
                        let median =
                            |system| last(system).and_then(|_| results.median_in(part, (index, system)));
                        Some(Pair { part, ours: median(ours.system)?, other: best(role, backend, &median)? })
                    })
                };
                let peer = beside(Role::Peer, backend);
                let server =
                    if backend == Backend::Memory { None } else { beside(Role::Peer, Backend::Server) };
                let limit = beside(Role::Limit, backend);
                let named = |pair: &Option<Pair>| {
                    pair.as_ref().map_or_else(
                        || "–".to_owned(),
                        |Pair { other, .. }| {
                            format!("{} ({})", number(other.median), SYSTEMS[other.system].name)
                        },
                    )
                };
                let ratio = |pair: &Option<Pair>| match pair {
                    Some(Pair { part, ours, other }) if other.median > 0.0 => {
                        let ratio = format!("{:.2}", ours / other.median);
                        if *part == ours_in { ratio } else { format!("{ratio} (sitting {})", part + 1) }
                    }
                    _ => "–".to_owned(),
                };
                rows.push([
                    cell.name(),
                    backend.name().to_owned(),
                    cell.callers.to_string(),
                    cell.events.to_string(),
                    format!("{} {}", number(ours.median), cell.workload.unit()),
                    named(&peer),
                    ratio(&peer),
                    ratio(&server),
                    named(&limit),
                    ratio(&limit),
                ]);
            }
        }
        Self { rows }
    }

    /// For a terminal.
    pub(crate) fn aligned(&self) -> String {
        let rows: Vec<Vec<&str>> = std::iter::once(HEADER.to_vec())
            .chain(self.rows.iter().map(|row| row.iter().map(String::as_str).collect()))
            .collect();
        let width =
            |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..HEADER.len()).map(width).collect();
        let mut text = String::new();
        for row in rows {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            let _ = writeln!(text, "{}", cells.join("  ").trim_end());
        }
        text
    }

    /// For a document.
    pub(crate) fn markdown(&self) -> String {
        markdown(&HEADER.map(str::to_owned), self.rows.iter().map(<[String; 10]>::as_slice))
    }
}

/// A table of Markdown.
pub(crate) fn markdown<'a>(header: &[String], rows: impl Iterator<Item = &'a [String]>) -> String {
    let mut text = format!("| {} |\n|{}\n", header.join(" | "), "---|".repeat(header.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

/// A cell of a table: the median with its latencies, or the number of its reason.
pub(crate) fn figure(
    plan: &Plan,
    results: &Results,
    cell: usize,
    system: usize,
    reasons: &mut Vec<String>,
) -> String {
    let reason = match results.of(cell, system) {
        Some(Measured { entry: Entry::Figures(_), .. }) => {
            let Some(line) = results.line((cell, system), &plan.cells[cell], &SYSTEMS[system]) else {
                return String::new();
            };
            let latencies = match (line.p50_ms, line.p99_ms) {
                (Some(p50), Some(p99)) if plan.cells[cell].workload.counts_up() => {
                    format!(" ({} / {} ms)", number(p50), number(p99))
                }
                (Some(p50), _) => format!(" (p50 {})", number(p50)),
                _ => String::new(),
            };
            return format!("{}{latencies}", number(line.median));
        }
        Some(Measured { entry: Entry::Reason(reason), .. }) => reason.clone(),
        None => SYSTEMS[system]
            .reason_against(&plan.cells[cell])
            .unwrap_or_else(|| "not measured in the sittings above".to_owned()),
    };
    let place = reasons.iter().position(|each| *each == reason).unwrap_or_else(|| {
        reasons.push(reason);
        reasons.len() - 1
    });
    format!("– [{}]", place + 1)
}

/// Three digits that count, thousands apart.
pub(crate) fn number(value: f64) -> String {
    if value >= 100.0 {
        let digits = format!("{value:.0}");
        let bytes = digits.as_bytes();
        let groups: Vec<&str> =
            bytes.rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
        groups.join(",")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else if value >= 0.1 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    }
}

fn is_better(value: f64, than: f64, more_is_better: bool) -> bool {
    if more_is_better { value > than } else { value < than }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser as _;

    use super::{Ratios, number};
    use crate::arguments::Arguments;
    use crate::plan::Plan;
    use crate::results::Results;

    #[test]
    fn numbers_are_short() {
        assert_eq!(number(1_234_567.8), "1,234,568");
        assert_eq!(number(12.345), "12.3");
        assert_eq!(number(0.5), "0.50");
        assert_eq!(number(0.012_34), "0.0123");
    }

    /// Ours beside the server in two sittings, beside its peer in the third; the server alone in the fourth.
    #[test]
    fn a_ratio_is_of_the_last_sitting_that_measured_both() {
        let sitting = r#"{"part":{"command":"","machine":"","rounds":1,"seconds":1.0}}"#;
        let round = |system: &str, backend: &str, done: u64| {
            format!(
                r#"{{"workload":"append","system":"{system}","backend":"{backend}","callers":1,"events":1,"round":0,"outcome":"rate","done":{done},"seconds":1.0,"retries":0,"latencies":[]}}"#
            )
        };
        let lines = [
            sitting.to_owned(),
            round("eventsource-sqlite", "sqlite", 100),
            round("umadb-server", "server", 100),
            sitting.to_owned(),
            round("eventsource-sqlite", "sqlite", 300),
            round("umadb-server", "server", 100),
            sitting.to_owned(),
            round("eventsource-sqlite", "sqlite", 1_000),
            round("sqlite-es", "sqlite", 500),
            sitting.to_owned(),
            round("umadb-server", "server", 10),
        ];
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), lines.join("\n")).unwrap();
        let plan = Plan::new(&Arguments::parse_from(["runner"]));
        let ratios = Ratios::new(&plan, &Results::load(file.path(), &plan).unwrap());
        let [row] = ratios.rows.as_slice() else { panic!("{}", ratios.aligned()) };
        let told: Vec<&str> = row[4..].iter().map(String::as_str).collect();
        assert_eq!(told, ["1,000 appends/s", "500 (sqlite-es)", "2.00", "3.00 (sitting 2)", "–", "–"]);
    }
}
