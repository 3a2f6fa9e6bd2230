//! Measures our elements beside other transports, in one run.

mod perftest;
mod pipelines;
mod plan;
mod process;
mod report;

use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};

use crate::Outcome;
use crate::setup::{self, For};
use crate::shell::{self, Workspace};
use plan::{Kind, TRANSPORTS, Transport, WORKLOADS, Workload};
use report::{Machine, Results};

/// What the user asked for.
pub(crate) struct Options {
    /// All of them if not given.
    pub(crate) workload: Option<String>,
    pub(crate) reps: usize,
    /// Measured, in each run.
    pub(crate) seconds: u32,
    pub(crate) json: Option<PathBuf>,
    pub(crate) offline: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { workload: None, reps: 3, seconds: 2, json: None, offline: false }
    }
}

/// What one run of one transport measured.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Which repetition, from 0.
    rep: usize,
    frames_per_second: f64,
    /// Milliseconds a frame.
    sender_cpu_ms: f64,
    receiver_cpu_ms: f64,
    /// Not of a program that measures rates only.
    latency: Option<Latency>,
    /// The share of the machine's time that others used meanwhile, in percent.
    noise: f64,
    versions: Versions,
}

/// In microseconds.
#[derive(Clone, Copy, Debug)]
struct Latency {
    p50: f64,
    p99: f64,
    max: f64,
}

/// What a run tells of itself; empty what it does not.
#[derive(Clone, Debug, Default)]
struct Versions {
    gstreamer: String,
    ucx: String,
    lanes: String,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<Outcome> {
    ensure!(options.reps > 0, "--reps must not be 0");
    ensure!((1..=600).contains(&options.seconds), "--seconds must be from 1 to 600");
    let workloads: Vec<_> = match &options.workload {
        None => WORKLOADS.iter().collect(),
        Some(name) => vec![WORKLOADS.iter().find(|workload| workload.name == name).with_context(|| {
            let names: Vec<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
            format!("there is no workload `{name}`, only {}", names.join(", "))
        })?],
    };
    setup::ensure(&[For::Building, For::Running], options.offline)?;
    let mut build = workspace.cargo();
    build.args(["build", "--release", "-p", "gst-plugin-nvdsucx", "-p", "nvdsucx-bench"]);
    if options.offline {
        build.env("CARGO_NET_OFFLINE", "true");
    }
    shell::run(&mut build)?;

    let sides = pipelines::Sides {
        program: workspace.target.join("release/bench-side"),
        environment: workspace.gstreamer_environment("release")?,
        seconds: options.seconds,
    };
    let machine = Machine::look();
    let mut all = Vec::new();
    for workload in workloads {
        let results = measure(&sides, workload, options.reps)?;
        all.push(Results { workload, samples: results });
    }
    println!("{}", report::markdown(&machine, &all, options));
    if let Some(path) = &options.json {
        let json = report::json(&machine, &all, options);
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(Outcome::Done)
}

/// Each repetition runs every transport once, in another order, so that what else the machine does hits all of them.
fn measure(
    sides: &pipelines::Sides,
    workload: &Workload,
    reps: usize,
) -> anyhow::Result<Vec<(&'static Transport, Vec<Sample>)>> {
    let transports = TRANSPORTS.iter().filter(|transport| transport.carries(workload));
    let mut results: Vec<(&Transport, Vec<Sample>)> =
        transports.map(|transport| (transport, Vec::new())).collect();
    let count = results.len();
    for rep in 0..reps {
        for position in 0..count {
            let (transport, samples) = &mut results[(rep + position) % count];
            let measured = match &transport.kind {
                Kind::Pipelines { .. } => sides.measure(workload, transport, rep),
                Kind::Perftest => perftest::measure(workload, transport, rep, sides.seconds),
            };
            let sample = measured.with_context(|| format!("{} with {}", transport.name, workload.name))?;
            eprintln!(
                "{} {}/{reps} {:<14} {:>9.0} frames/s, {:.0} % noise",
                workload.name,
                rep + 1,
                transport.name,
                sample.frames_per_second,
                sample.noise
            );
            samples.push(sample);
        }
    }
    if results.is_empty() {
        bail!("no transport carries {}", workload.name);
    }
    Ok(results)
}
