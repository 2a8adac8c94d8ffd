use std::fmt::Write;

use crate::plan::Plan;
use crate::results::Results;
use crate::server::SETTINGS;
use crate::systems::{Backend, SYSTEMS};
use crate::table::{Ratios, figure, markdown};

/// `docs/benchmarks.md`: what was written by hand, then everything that was measured.
pub(crate) struct Document<'a> {
    pub(crate) preamble: &'a str,
    pub(crate) machine: &'a str,
    pub(crate) command: &'a str,
    pub(crate) plan: &'a Plan,
    pub(crate) results: &'a Results,
}

impl Document<'_> {
    pub(crate) fn render(&self) -> String {
        let mut text =
            format!("{}\n## This run\n\n```sh\n{}\n```\n\n{}\n", self.preamble, self.command, self.machine);
        let _ = writeln!(
            text,
            "Medians over {} rounds of {} s each, systems in turns within a round. PostgreSQL's settings that are not its \
             defaults, for all systems alike: {}.\n",
            self.plan.rounds,
            self.plan.seconds,
            SETTINGS.map(|(name, value)| format!("`{name} = {value}`")).join(", ")
        );
        text.push_str("## Ratios\n\n");
        text.push_str("Of medians; for `delivery`, `memory` and `size`, less is better.\n\n");
        text.push_str(&Ratios::new(self.plan, self.results).markdown());
        text.push_str("\n## All figures\n\nMedian (p50 / p99). A number in brackets is the reason why there is no figure.\n");
        let mut reasons = Vec::new();
        for backend in Backend::ALL {
            self.backend(backend, &mut text, &mut reasons);
        }
        text.push_str("\n## Why there is no figure\n\n");
        for (index, reason) in reasons.iter().enumerate() {
            let _ = writeln!(text, "{}. {}", index + 1, reason.replace('|', "/").replace('\n', " "));
        }
        text.push_str("\n## The systems\n\n");
        for system in SYSTEMS {
            let _ = writeln!(text, "- **{}** ({}): {}.", system.name, system.backend.name(), system.note);
        }
        text
    }

    fn backend(&self, backend: Backend, text: &mut String, reasons: &mut Vec<String>) {
        let systems: Vec<usize> =
            (0..SYSTEMS.len()).filter(|system| SYSTEMS[*system].backend == backend).collect();
        let was_asked = |cell: usize| systems.iter().any(|system| self.results.of(cell, *system).is_some());
        let cells: Vec<usize> = (0..self.plan.cells.len()).filter(|cell| was_asked(*cell)).collect();
        if cells.is_empty() {
            return;
        }
        let mut header =
            vec!["workload".to_owned(), "callers".to_owned(), "events".to_owned(), "unit".to_owned()];
        header.extend(systems.iter().map(|system| SYSTEMS[*system].name.to_owned()));
        let rows: Vec<Vec<String>> = cells
            .iter()
            .map(|index| {
                let cell = &self.plan.cells[*index];
                let mut row = vec![
                    cell.name(),
                    cell.callers.to_string(),
                    cell.events.to_string(),
                    cell.workload.unit().to_owned(),
                ];
                let figures =
                    systems.iter().map(|system| figure(self.plan, self.results, *index, *system, reasons));
                row.extend(figures);
                row
            })
            .collect();
        let _ =
            write!(text, "\n### {}\n\n{}", backend.name(), markdown(&header, rows.iter().map(Vec::as_slice)));
    }
}
