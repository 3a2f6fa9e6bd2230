//! A table of one case: a row for each transport, with ratios to the best of the peers.

use super::super::plan::{Group, Memory};
use super::super::sample::{Latency, Results, Runs, Sample, Side, median};
use super::significant;

const NOTHING: &str = "–";

pub(super) struct Table {
    pub(super) title: String,
    pub(super) about: String,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
    pub(super) notes: Vec<String>,
}

pub(super) struct Column {
    pub(super) title: String,
    pub(super) numeric: bool,
}

pub(super) struct Row {
    pub(super) group: Group,
    pub(super) cells: Vec<String>,
}

/// What transports are compared by.
#[derive(Clone, Copy)]
struct Measure {
    name: &'static str,
    field: fn(&Sample) -> Option<f64>,
    more_is_better: bool,
}

const RATE: Measure =
    Measure { name: "rate", field: |sample| Some(sample.frames_per_second), more_is_better: true };
const CPU: Measure = Measure { name: "CPU", field: |sample| Some(sample.cpu_ms()), more_is_better: false };
const P50: Measure =
    Measure { name: "p50", field: |sample| sample.latency.map(|latency| latency.p50), more_is_better: false };

impl Table {
    pub(super) fn of(results: &Results) -> Self {
        let case = results.case;
        // What a paced source tells is its latency.
        let measures = if case.is_paced() { [P50, CPU] } else { [RATE, CPU] };
        let workload = case.workload;
        let measured = results.runs.iter().filter(|runs| !runs.samples.is_empty());
        Self {
            title: case.name(),
            about: format!("{}; {} bytes, at most {} in flight", case.about(), workload.bytes, case.window()),
            columns: columns(case.is_paced(), &measures),
            rows: measured.map(|runs| row(results, runs, &measures)).collect(),
            notes: notes(results, &measures),
        }
    }
}

fn columns(paced: bool, measures: &[Measure]) -> Vec<Column> {
    let mut titles = vec!["transport".to_owned(), "path".to_owned()];
    let texts = titles.len();
    let fixed = [
        "frames/s",
        "MB/s",
        "CPU ms/frame, sender / receiver",
        "p50 µs",
        "p99 µs",
        "max µs",
        "peak MiB, sender / receiver",
        "Pss MiB, sender / receiver",
    ];
    titles.extend(fixed.map(str::to_owned));
    titles.extend(measures.iter().map(|measure| format!("{} × best peer", measure.name)));
    if !paced {
        titles.push("rate × ucp_am_bw".to_owned());
    }
    titles.extend(["noise %", "quiet runs"].map(str::to_owned));
    titles.into_iter().enumerate().map(|(at, title)| Column { title, numeric: at >= texts }).collect()
}

fn row(results: &Results, runs: &Runs, measures: &[Measure]) -> Row {
    let (transport, case) = (runs.transport, results.case);
    let counted = runs.counted();
    let path = counted.first().map_or("", |sample| sample.path());
    let mut cells = vec![transport.name.to_owned(), if path.is_empty() { NOTHING } else { path }.to_owned()];
    let mut cell = |value: Option<f64>, format: fn(f64) -> String| cells.push(text(value, format));
    let whole = |value: f64| format!("{value:.0}");
    let rate = runs.median(RATE.field);
    cell(rate, whole);
    cell(rate.map(|rate| rate * f64::from(case.workload.bytes) / 1e6), whole);
    cells.push(both(runs, |side| Some(side.cpu_ms)));
    for field in [|latency: Latency| latency.p50, |latency: Latency| latency.p99] {
        cells.push(text(runs.median(|sample| sample.latency.map(field)), significant));
    }
    let max = counted.iter().filter_map(|sample| sample.latency).map(|latency| latency.max).reduce(f64::max);
    cells.push(text(max, significant));
    for memory in [|side: Side| side.peak_kib, |side: Side| side.pss_kib] {
        cells.push(both(runs, |side| memory(side).map(|kib| kib / 1024.0)));
    }
    let mut cell = |value: Option<f64>| cells.push(text(value, significant));
    for measure in measures {
        let best = best(results, rivals(runs), *measure);
        cell(best.and_then(|best| ratio(runs, best, measure.field)));
    }
    if !case.is_paced() {
        let roof = results.runs.iter().find(|other| Some(other.transport.name) == transport.ucx_alone);
        cell(roof.and_then(|roof| ratio(runs, roof, RATE.field)));
    }
    let noise = counted.iter().map(|sample| sample.noise).fold(0.0, f64::max);
    let quiet = runs.quiet().count();
    let mark = if quiet == 0 { " (!)" } else { "" };
    cells.push(format!("{noise:.0}{mark}"));
    cells.push(format!("{quiet} of {}", runs.samples.len()));
    Row { group: transport.group, cells }
}

fn text(value: Option<f64>, format: fn(f64) -> String) -> String {
    value.map_or_else(|| NOTHING.to_owned(), format)
}

/// A figure of each side; of one where there is only one.
fn both(runs: &Runs, field: impl Fn(Side) -> Option<f64>) -> String {
    let sender = text(runs.median(|sample| field(sample.sender)), significant);
    match runs.median(|sample| field(sample.receiver?)) {
        Some(receiver) => format!("{sender} / {}", significant(receiver)),
        None => sender,
    }
}

/// Whether it is somebody to be compared with.
type Rivals = fn(&Runs) -> bool;

/// Who a transport is compared with: who brings memory of their own along cannot choose a peer that needs another.
fn rivals(runs: &Runs) -> Option<Rivals> {
    if !matches!(runs.transport.group, Group::Ours | Group::Peer) {
        return None;
    }
    Some(match runs.transport.memory() {
        Some(Memory::Own) => {
            |other| other.transport.group == Group::Peer && other.transport.memory() == Some(Memory::Own)
        }
        _ => |other| other.transport.group == Group::Peer,
    })
}

/// The best of the rivals.
fn best(results: &Results, rivals: Option<Rivals>, measure: Measure) -> Option<&Runs> {
    let rivals = rivals?;
    let values = results.runs.iter().filter(|runs| rivals(runs));
    let values = values.filter_map(|runs| Some((runs, runs.median(measure.field)?)));
    let best = values.max_by(|(_, a), (_, b)| {
        let order = a.total_cmp(b);
        if measure.more_is_better { order } else { order.reverse() }
    });
    best.map(|(runs, _)| runs)
}

/// The median of the ratios within each repetition in which both runs were quiet.
fn ratio(runs: &Runs, reference: &Runs, field: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
    median(runs.quiet().filter_map(|sample| {
        let other = reference.quiet().find(|other| other.rep == sample.rep)?;
        Some(field(sample)? / field(other)?)
    }))
}

/// Who the best peers are, and what went wrong.
fn notes(results: &Results, measures: &[Measure]) -> Vec<String> {
    let mut notes = Vec::new();
    for (who, memory) in [
        ("Best peer", Memory::Proposed),
        ("Best peer of the rows whose source has memory of its own", Memory::Own),
    ] {
        let compared = results.runs.iter().find(|runs| runs.transport.memory() == Some(memory));
        let rivals = compared.and_then(rivals);
        let named = |measure: &Measure| {
            let runs = best(results, rivals, *measure)?;
            Some(format!("{} {}", measure.name, runs.transport.name))
        };
        let names: Vec<_> = measures.iter().filter_map(named).collect();
        if !names.is_empty() {
            notes.push(format!("{who}: {}", names.join(", ")));
        }
    }
    for runs in &results.runs {
        if let Some(failure) = &runs.failure {
            notes.push(format!("{} failed: {failure}", runs.transport.name));
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::super::super::plan::Case;
    use super::super::super::sample::tests::{runs, sample};
    use super::*;

    fn table(workload: &str, runs: Vec<Runs>) -> Table {
        let case = Case::select(&[workload.to_owned()], false, false).unwrap()[0];
        Table::of(&Results { case, runs })
    }

    fn cell<'a>(table: &'a Table, row: &str, column: &str) -> &'a str {
        let column = table.columns.iter().position(|one| one.title == column).unwrap();
        let row = table.rows.iter().find(|one| one.cells[0] == row).unwrap();
        assert_eq!(row.cells.len(), table.columns.len());
        &row.cells[column]
    }

    #[test]
    fn a_row_is_compared_with_the_best_of_those_that_could_do_its_work() {
        let table = table(
            "video",
            vec![
                runs("ceiling", vec![sample(0, 900.0, 0.1, 1.0, 0.0)]),
                runs("nvdsucx", vec![sample(0, 200.0, 1.0, 1.0, 0.0)]),
                runs("nvdsucx 1 copy", vec![sample(0, 60.0, 3.0, 1.0, 0.0)]),
                runs("shm zero-copy", vec![sample(0, 100.0, 2.0, 1.0, 0.0)]),
                runs("shm 1 copy", vec![sample(0, 30.0, 6.0, 1.0, 0.0)]),
                runs("tcp+gdp", vec![sample(0, 20.0, 5.0, 1.0, 0.0)]),
                runs("ucp_am_bw", vec![sample(0, 50.0, 1.0, 1.0, 0.0)]),
            ],
        );
        assert_eq!(cell(&table, "nvdsucx", "rate × best peer"), "2.00");
        assert_eq!(cell(&table, "nvdsucx", "CPU × best peer"), "0.500");
        assert_eq!(cell(&table, "nvdsucx", "rate × ucp_am_bw"), "4.00");
        assert_eq!(cell(&table, "nvdsucx 1 copy", "rate × best peer"), "2.00");
        assert_eq!(cell(&table, "nvdsucx 1 copy", "CPU × best peer"), "0.600");
        assert_eq!(cell(&table, "tcp+gdp", "rate × best peer"), "0.667");
        assert_eq!(cell(&table, "ceiling", "rate × best peer"), NOTHING);
        assert_eq!(
            table.notes,
            [
                "Best peer: rate shm zero-copy, CPU shm zero-copy",
                "Best peer of the rows whose source has memory of its own: rate shm 1 copy, CPU tcp+gdp"
            ]
        );
    }

    #[test]
    fn a_paced_source_is_compared_by_its_latency() {
        let table = table(
            "live",
            vec![
                runs("nvdsucx", vec![sample(0, 60.0, 1.0, 50.0, 0.0)]),
                runs("shm zero-copy", vec![sample(0, 60.0, 1.0, 200.0, 0.0)]),
            ],
        );
        assert_eq!(cell(&table, "nvdsucx", "p50 × best peer"), "0.250");
        assert!(table.columns.iter().all(|column| column.title != "rate × ucp_am_bw"));
    }

    #[test]
    fn a_busy_run_counts_for_no_ratio() {
        let table = table(
            "video",
            vec![
                runs("nvdsucx", vec![sample(0, 200.0, 1.0, 1.0, 50.0)]),
                runs("shm zero-copy", vec![sample(0, 100.0, 1.0, 1.0, 0.0)]),
            ],
        );
        assert_eq!(cell(&table, "nvdsucx", "rate × best peer"), NOTHING);
        assert_eq!(cell(&table, "nvdsucx", "noise %"), "50 (!)");
        assert_eq!(cell(&table, "nvdsucx", "quiet runs"), "0 of 1");
    }

    #[test]
    fn what_failed_is_said() {
        let mut failed = runs("cudaipc", Vec::new());
        failed.failure = Some("no GPU".to_owned());
        let table = table("video", vec![failed]);
        assert!(table.rows.is_empty());
        assert_eq!(table.notes, ["cudaipc failed: no GPU"]);
    }
}
