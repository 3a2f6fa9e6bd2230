//! The results as Markdown, HTML and JSON.

mod html;
mod json;
mod plot;
mod table;

use std::fmt::Write as _;

use super::machine::Machine;
use super::sample::Results;
use table::Table;

pub(super) use html::html;
pub(super) use json::json;

/// What there is to report.
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) reps: usize,
    pub(super) seconds: u32,
    pub(super) results: Vec<Results>,
    /// Names of transports, and why they were not measured.
    pub(super) skipped: Vec<(&'static str, String)>,
}

impl Report {
    fn how_often(&self) -> String {
        let (reps, seconds) = (self.reps, self.seconds);
        let runs = if reps == 1 { "1 run".to_owned() } else { format!("{reps} runs") };
        format!("{runs} of {seconds} s each, medians of the quiet ones; max is the largest")
    }
}

pub(super) fn markdown(report: &Report) -> String {
    let fields = report.machine.fields();
    let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let mut text = format!("{}. {}.", fields.join("; "), report.how_often());
    for results in &report.results {
        let table = Table::of(results);
        let _ = write!(text, "\n\n**{}**: {}\n\n|", table.title, table.about);
        for column in &table.columns {
            let _ = write!(text, " {} |", column.title);
        }
        text.push_str("\n|");
        table.columns.iter().for_each(|column| text.push_str(if column.numeric { "--:|" } else { "---|" }));
        for row in &table.rows {
            let _ = write!(text, "\n| {} |", row.cells.join(" | "));
        }
        text.push('\n');
        for note in &table.notes {
            let _ = write!(text, "\n* {note}");
        }
    }
    if !report.skipped.is_empty() {
        text.push_str("\n\nNot measured:\n");
        for (name, reason) in &report.skipped {
            let _ = write!(text, "\n* {name}: {reason}");
        }
    }
    text
}

/// Three digits that say something, whether it is a large figure or a small one.
fn significant(value: f64) -> String {
    let decimals = match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 1.0 || value == 0.0 => 2,
        value if value >= 0.1 => 3,
        value if value >= 0.01 => 4,
        _ => 5,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::super::plan::Case;
    use super::super::sample::tests::{runs, sample};
    use super::*;

    /// Our elements beside one peer.
    pub(super) fn report() -> Report {
        let results = Results {
            case: Case::select(&["video".to_owned()], false, false).unwrap()[0],
            runs: vec![
                runs("nvdsucx", vec![sample(0, 200_000.0, 0.01, 40.0, 0.0)]),
                runs("shm zero-copy", vec![sample(0, 100_000.0, 0.02, 80.0, 0.0)]),
            ],
        };
        let machine = Machine {
            cpu: "a <fast> one".to_owned(),
            cores: 2,
            gpu: "none".to_owned(),
            kernel: "Linux 6".to_owned(),
            distribution: "Debian".to_owned(),
            gstreamer: "1.22.0".to_owned(),
            ucx: "1.13.1".to_owned(),
            plugin: "0.1.0".to_owned(),
            date: "2030-01-01".to_owned(),
            command: "cargo xtask bench".to_owned(),
        };
        let skipped = vec![("cudaipc", "there is no GPU".to_owned())];
        Report { machine, reps: 1, seconds: 1, results: vec![results], skipped }
    }

    #[test]
    fn figures_keep_three_digits() {
        for (value, text) in
            [(1234.5, "1234"), (12.345, "12.3"), (1.234, "1.23"), (0.567, "0.567"), (0.00567, "0.00567")]
        {
            assert_eq!(significant(value), text);
        }
    }

    #[test]
    fn the_markdown_has_a_row_for_each_transport_and_says_what_is_not_there() {
        let text = markdown(&report());
        let row = |name: &str| {
            let start = format!("| {name} |");
            text.lines().find(|line| line.starts_with(&start)).map(|line| line.matches('|').count())
        };
        let columns = text.lines().find(|line| line.starts_with("|---|")).unwrap().matches('|').count();
        assert_eq!((row("nvdsucx"), row("shm zero-copy")), (Some(columns), Some(columns)), "{text}");
        assert!(text.contains("* cudaipc: there is no GPU"), "{text}");
    }
}
