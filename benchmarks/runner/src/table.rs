use std::fmt::Write;

use crate::plan::Plan;
use crate::results::{Entry, Measured, Results};
use crate::systems::{Backend, Role, SYSTEMS};

/// The best of its kind.
#[derive(Clone, Copy)]
struct Best {
    system: &'static str,
    /// In which sitting.
    part: usize,
    median: f64,
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
                let best = |role, backend, in_part: Option<usize>| {
                    let systems = SYSTEMS.iter().enumerate();
                    let found = systems
                        .filter(|(_, system)| system.role == role && system.backend == backend)
                        .filter_map(|(number, system)| {
                            let part = results.of(index, number)?.part;
                            if in_part.is_some_and(|wanted| wanted != part) {
                                return None;
                            }
                            Some(Best {
                                system: system.name,
                                part,
                                median: results.line((index, number), cell, system)?.median,
                            })
                        });
                    found.reduce(|best, next| {
                        if is_better(next.median, best.median, cell.workload.counts_up()) {
                            next
                        } else {
                            best
                        }
                    })
                };
                let Some(ours) = best(Role::Ours, backend, None) else { continue };
                // What was measured beside ours, if anything was.
                let median = |role, backend| {
                    best(role, backend, Some(ours.part)).or_else(|| best(role, backend, None))
                };
                let peer = median(Role::Peer, backend);
                let server =
                    if backend == Backend::Memory { None } else { median(Role::Peer, Backend::Server) };
                let limit = median(Role::Limit, backend);
                let named = |found: Option<Best>| {
                    let told = |best: Best| format!("{} ({})", number(best.median), best.system);
                    found.map_or_else(|| "–".to_owned(), told)
                };
                rows.push([
                    cell.name(),
                    backend.name().to_owned(),
                    cell.callers.to_string(),
                    cell.events.to_string(),
                    format!("{} {}", number(ours.median), cell.workload.unit()),
                    named(peer),
                    ratio(ours, peer),
                    ratio(ours, server),
                    named(limit),
                    ratio(ours, limit),
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

/// Of two figures of one sitting: what was measured at different times is not compared.
fn ratio(ours: Best, other: Option<Best>) -> String {
    match other {
        Some(other) if other.part != ours.part => "other sitting".to_owned(),
        Some(other) if other.median > 0.0 => format!("{:.2}", ours.median / other.median),
        _ => "–".to_owned(),
    }
}

fn is_better(value: f64, than: f64, more_is_better: bool) -> bool {
    if more_is_better { value > than } else { value < than }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_short() {
        assert_eq!(number(1_234_567.8), "1,234,568");
        assert_eq!(number(12.345), "12.3");
        assert_eq!(number(0.5), "0.50");
        assert_eq!(number(0.012_34), "0.0123");
    }
}
