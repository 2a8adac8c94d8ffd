use std::collections::BTreeSet;
use std::fmt::Write;

use crate::plan::Plan;
use crate::results::{Entry, Results};
use crate::server::SETTINGS;
use crate::systems::{Backend, Program, SYSTEMS};
use crate::table::{Ratios, figure, markdown};

/// `docs/benchmarks.md`: what was written by hand, then everything that was measured.
pub(crate) struct Document<'a> {
    pub(crate) preamble: &'a str,
    pub(crate) plan: &'a Plan,
    pub(crate) results: &'a Results,
}

impl Document<'_> {
    pub(crate) fn render(&self) -> String {
        let mut text = format!("{}\n## The sittings\n\n", self.preamble);
        text.push_str(
            "Systems take turns within a round; a figure is the median of its rounds. A line of the tables says by which \
             sittings its figures were measured. PostgreSQL's settings that are not its defaults, for all systems alike: ",
        );
        let _ =
            writeln!(text, "{}.\n", SETTINGS.map(|(name, value)| format!("`{name} = {value}`")).join(", "));
        let used = self.parts_of(0..self.plan.cells.len(), 0..SYSTEMS.len());
        for number in &used {
            let part = &self.results.parts()[*number];
            let _ = writeln!(
                text,
                "### Sitting {}\n\n```sh\n{}\n```\n\n{} s for each measurement.\n\n{}",
                number + 1,
                part.command,
                part.seconds,
                part.machine
            );
        }
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
            let _ = write!(text, "- **{}** ({}): {}.", system.name, system.backend.name(), system.note);
            let filled = if system.program == Program::None {
                String::new()
            } else {
                format!(" Its stores are filled {}.", system.filling.told())
            };
            let _ = writeln!(text, "{filled}");
        }
        text
    }

    /// The sittings that these figures are of.
    fn parts_of(
        &self,
        cells: impl IntoIterator<Item = usize>,
        systems: impl IntoIterator<Item = usize> + Clone,
    ) -> BTreeSet<usize> {
        let pairs =
            cells.into_iter().flat_map(|cell| systems.clone().into_iter().map(move |system| (cell, system)));
        pairs
            .filter_map(|(cell, system)| self.results.of(cell, system))
            .filter(|found| matches!(found.entry, Entry::Figures(_)))
            .map(|found| found.part)
            .collect()
    }

    /// How many rounds the figures are medians of: from the fewest to the most.
    fn rounds_of(&self, cell: usize, systems: &[usize]) -> String {
        let line =
            |system: &usize| self.results.line((cell, *system), &self.plan.cells[cell], &SYSTEMS[*system]);
        let rounds: BTreeSet<usize> = systems.iter().filter_map(line).map(|line| line.rounds).collect();
        match (rounds.first(), rounds.last()) {
            (Some(fewest), Some(most)) if fewest == most => most.to_string(),
            (Some(fewest), Some(most)) => format!("{fewest}–{most}"),
            _ => "–".to_owned(),
        }
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
            ["workload", "callers", "events", "unit", "sitting", "rounds"].map(str::to_owned).to_vec();
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
                    self.parts_of([*index], systems.iter().copied())
                        .iter()
                        .map(|part| (part + 1).to_string())
                        .collect::<Vec<_>>()
                        .join(", "),
                    self.rounds_of(*index, &systems),
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
