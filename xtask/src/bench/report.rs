//! The results as a Markdown table, and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::plan::{BASELINE, Transport, Workload};
use super::{Options, Sample, Versions};
use crate::shell::output_of;

/// A run counts only if others used at most so many percent of the machine. Programs suffer unequally: one that polls on
/// every core loses far more than one that sleeps, so a ratio from a busy machine means nothing.
const QUIET: f64 = 10.0;

/// Where it was measured.
pub(super) struct Machine {
    cores: usize,
    cpu: String,
    kernel: String,
}

/// One workload through every transport that carries it.
pub(super) struct Results {
    pub(super) workload: &'static Workload,
    pub(super) samples: Vec<(&'static Transport, Vec<Sample>)>,
}

impl Machine {
    pub(super) fn look() -> Self {
        let field = |file: &str, key: &str| {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(key))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let kernel = output_of(std::process::Command::new("uname").arg("-sr")).unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            // Not every architecture tells.
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            kernel: kernel.trim().to_owned(),
        }
    }
}

impl Sample {
    fn is_quiet(&self) -> bool {
        self.noise <= QUIET
    }
}

impl Results {
    fn of(&self, name: &str) -> Option<&[Sample]> {
        self.samples.iter().find(|(transport, _)| transport.name == name).map(|(_, samples)| &samples[..])
    }

    fn versions(&self) -> impl Iterator<Item = &Versions> {
        self.samples.iter().flat_map(|(_, samples)| samples).map(|sample| &sample.versions)
    }
}

pub(super) fn markdown(machine: &Machine, all: &[Results], options: &Options) -> String {
    let mut text = String::new();
    let versions = || all.iter().flat_map(Results::versions);
    let first = |field: fn(&Versions) -> &str| {
        versions().map(field).find(|version| !version.is_empty()).unwrap_or("?").to_owned()
    };
    let _ = write!(
        text,
        "{} cores, {}; {}; GStreamer {}; UCX {}. {} runs of {} s each, medians of the quiet ones; max is the largest.",
        machine.cores,
        machine.cpu,
        machine.kernel,
        first(|versions| &versions.gstreamer),
        first(|versions| &versions.ucx),
        options.reps,
        options.seconds
    );
    for results in all {
        table(&mut text, results);
    }
    text
}

fn table(text: &mut String, results: &Results) {
    let workload = results.workload;
    let paced = workload.fps.is_some();
    let _ = write!(
        text,
        "\n\n**{}**: {}; {} bytes, at most {} in flight\n\n| transport | lanes | frames/s | MB/s \
         | CPU ms/frame, sender | receiver | p50 µs | p99 µs | max µs |",
        workload.name, workload.about, workload.bytes, workload.window
    );
    // What a paced source tells is its latency.
    let ratios = if paced {
        format!(" p50 × {BASELINE} (less is better) |")
    } else {
        format!(" rate × ucp_am_bw | rate × {BASELINE} |")
    };
    let columns = 9 + ratios.matches('|').count();
    let _ = write!(text, "{ratios} noise % | quiet runs |\n|---|---|{}", "--:|".repeat(columns));
    for (transport, all) in &results.samples {
        let lanes = all.first().map_or("", |sample| &sample.versions.lanes);
        let lanes = if lanes.is_empty() { "–" } else { lanes };
        let quiet: Vec<_> = all.iter().filter(|sample| sample.is_quiet()).collect();
        // Figures of a busy machine are shown where there are no others, and marked.
        let samples: Vec<_> = if quiet.is_empty() { all.iter().collect() } else { quiet.clone() };
        let rate = median(samples.iter().map(|sample| sample.frames_per_second));
        let _ =
            write!(text, "\n| {} | {lanes} | {rate:.0} | {:.0} |", transport.name, megabytes(workload, rate));
        for field in [|sample: &&Sample| sample.sender_cpu_ms, |sample: &&Sample| sample.receiver_cpu_ms] {
            let _ = write!(text, " {} |", significant(median(samples.iter().map(field))));
        }
        let latencies: Vec<_> = samples.iter().filter_map(|sample| sample.latency).collect();
        if latencies.is_empty() {
            text.push_str(" – | – | – |");
        } else {
            let p50 = median(latencies.iter().map(|latency| latency.p50));
            let p99 = median(latencies.iter().map(|latency| latency.p99));
            let max = latencies.iter().map(|latency| latency.max).fold(0.0, f64::max);
            let _ = write!(text, " {p50:.0} | {p99:.0} | {max:.0} |");
        }
        let rate = |sample: &Sample| Some(sample.frames_per_second);
        let p50 = |sample: &Sample| sample.latency.map(|latency| latency.p50);
        let baseline = Some(BASELINE).filter(|name| *name != transport.name);
        let ratios = if paced {
            vec![ratio(results, &quiet, baseline, p50)]
        } else {
            vec![ratio(results, &quiet, transport.ucx_alone, rate), ratio(results, &quiet, baseline, rate)]
        };
        for ratio in ratios {
            let ratio = ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
            let _ = write!(text, " {ratio} |");
        }
        let noise = samples.iter().map(|sample| sample.noise).fold(0.0, f64::max);
        let mark = if quiet.is_empty() { " (!)" } else { "" };
        let _ = write!(text, " {noise:.0}{mark} | {} of {} |", quiet.len(), all.len());
    }
}

/// The median of the ratios within each repetition in which both runs were quiet.
fn ratio(
    results: &Results,
    quiet: &[&Sample],
    reference: Option<&str>,
    field: impl Fn(&Sample) -> Option<f64>,
) -> Option<f64> {
    let reference = results.of(reference?)?;
    let pairs = quiet.iter().filter_map(|sample| {
        let other = reference.iter().find(|other| other.rep == sample.rep && other.is_quiet())?;
        Some(field(sample)? / field(other)?)
    });
    let ratios: Vec<_> = pairs.collect();
    (!ratios.is_empty()).then(|| median(ratios.into_iter()))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

fn megabytes(workload: &Workload, rate: f64) -> f64 {
    rate * f64::from(workload.bytes) / 1e6
}

/// Three digits or so, whether it is a large frame or a small one.
fn significant(value: f64) -> String {
    if value >= 0.1 { format!("{value:.2}") } else { format!("{value:.4}") }
}

pub(super) fn json(machine: &Machine, all: &[Results], options: &Options) -> String {
    let results: Vec<Value> = all
        .iter()
        .flat_map(|results| {
            results.samples.iter().map(|(transport, samples)| (results.workload, transport, samples))
        })
        .flat_map(|(workload, transport, samples)| {
            samples.iter().map(|sample| run(workload, transport, sample))
        })
        .collect();
    let value = json!({
        "machine": { "cores": machine.cores, "cpu": machine.cpu, "kernel": machine.kernel },
        "seconds": options.seconds,
        "reps": options.reps,
        "runs": results,
    });
    format!("{value:#}\n")
}

fn run(workload: &Workload, transport: &Transport, sample: &Sample) -> Value {
    json!({
        "workload": workload.name,
        "bytes": workload.bytes,
        "window": workload.window,
        "fps": workload.fps,
        "transport": transport.name,
        "ucx_tls": transport.tls,
        "rep": sample.rep,
        "frames_per_second": sample.frames_per_second,
        "megabytes_per_second": megabytes(workload, sample.frames_per_second),
        "sender_cpu_ms_per_frame": sample.sender_cpu_ms,
        "receiver_cpu_ms_per_frame": sample.receiver_cpu_ms,
        "latency_us": sample.latency.map(|latency| json!({
            "p50": latency.p50, "p99": latency.p99, "max": latency.max,
        })),
        "noise_percent": sample.noise,
        "gstreamer": sample.versions.gstreamer,
        "ucx": sample.versions.ucx,
        "lanes": sample.versions.lanes,
    })
}

#[cfg(test)]
mod tests {
    use super::{median, significant};

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
    }

    #[test]
    fn small_figures_keep_their_digits() {
        assert_eq!(significant(1.234), "1.23");
        assert_eq!(significant(0.00567), "0.0057");
    }
}
