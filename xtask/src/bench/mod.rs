//! Measures our elements beside other ways to carry buffers between two processes, in one run.

mod machine;
mod perftest;
mod pipelines;
mod plan;
mod process;
mod report;
mod rows;
mod sample;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use crate::Outcome;
use crate::setup::For;
use crate::shell::{PLUGIN_PATH, Workspace};
use machine::{Inventory, Machine};
use pipelines::Sides;
use plan::{Case, Group, Kind, Transport};
use report::Report;
use sample::{Results, Runs};

/// What the user asked for.
pub(crate) struct Options {
    /// A selection if not given.
    pub(crate) workloads: Vec<String>,
    /// All workloads, not the selection.
    pub(crate) all: bool,
    /// Every byte is written and read.
    pub(crate) touch: bool,
    /// At most in flight, instead of what each workload has.
    pub(crate) window: Option<u32>,
    /// All of them if not given.
    pub(crate) transports: Vec<String>,
    pub(crate) reps: usize,
    /// Measured, in each run.
    pub(crate) seconds: u32,
    pub(crate) html: Option<PathBuf>,
    pub(crate) json: Option<PathBuf>,
    pub(crate) offline: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            workloads: Vec::new(),
            all: false,
            touch: false,
            window: None,
            transports: Vec::new(),
            reps: 3,
            seconds: 1,
            html: None,
            json: None,
            offline: false,
        }
    }
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<Outcome> {
    ensure!(options.reps > 0, "--reps must not be 0");
    ensure!((1..=600).contains(&options.seconds), "--seconds must be from 1 to 600");
    ensure!(options.window != Some(0), "--window must not be 0");
    let mut cases = Case::select(&options.workloads, options.all, options.touch)?;
    cases.iter_mut().for_each(|case| case.window = options.window);
    let wanted = Transport::select(&options.transports)?;
    let packages = ["gst-plugin-nvdsucx", "nvdsucx-bench"];
    workspace.prepare(&[For::Building, For::Running], &packages, options.offline)?;

    let sides = Sides {
        program: workspace.program("bench-side"),
        environment: environment(workspace)?,
        seconds: options.seconds,
    };
    let inventory = Inventory(sides.look(&Inventory::names())?);
    let (mut transports, mut skipped) = (Vec::new(), Vec::new());
    // What none of the workloads is for is no news.
    let wanted = wanted.into_iter().filter(|transport| cases.iter().any(|case| transport.carries(*case)));
    for transport in wanted {
        match inventory.lacks(transport) {
            None => transports.push(transport),
            Some(reason) => {
                eprintln!("skipped {}: {reason}", transport.name);
                skipped.push((transport.name, reason));
            }
        }
    }
    let results: Vec<_> =
        cases.into_iter().map(|case| measure(&sides, case, &transports, options.reps)).collect();

    let samples = || results.iter().flat_map(|results| &results.runs).flat_map(|runs| &runs.samples);
    let ucx = samples().map(|sample| sample.ucx.as_str()).find(|ucx| !ucx.is_empty());
    let machine = Machine::look(&inventory, ucx, workspace.is_bundle());
    let report = Report { machine, reps: options.reps, seconds: options.seconds, results, skipped };
    println!("{}", report::markdown(&report));
    save(options.html.as_deref(), || report::html(&report))?;
    save(options.json.as_deref(), || report::json(&report))?;
    let runs = || report.results.iter().flat_map(|results| &results.runs);
    ensure!(runs().any(|runs| !runs.samples.is_empty()), "nothing was measured");
    if let Some(runs) = runs().find(|runs| runs.failure.is_some() && runs.transport.group != Group::Peer) {
        bail!("{} failed: {}", runs.transport.name, runs.failure.as_deref().unwrap_or_default());
    }
    Ok(Outcome::Done)
}

/// GStreamer finds our plugin, and what the user's own `GST_PLUGIN_PATH` has.
fn environment(workspace: &Workspace) -> anyhow::Result<Vec<(&'static str, OsString)>> {
    let of_user = std::env::var_os(PLUGIN_PATH).unwrap_or_default();
    let settings = workspace.gstreamer_environment("release")?.into_iter().map(|(name, value)| {
        if name != PLUGIN_PATH {
            return Ok((name, value.into_os_string()));
        }
        let paths = std::iter::once(value).chain(std::env::split_paths(&of_user));
        let paths = paths.filter(|path| !path.as_os_str().is_empty());
        Ok((name, std::env::join_paths(paths).context(PLUGIN_PATH)?))
    });
    settings.collect()
}

fn save(path: Option<&Path>, text: impl Fn() -> String) -> anyhow::Result<()> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, text()).with_context(|| format!("cannot write {}", path.display()))
}

/// Each repetition runs every transport once, in another order, so that what else the machine does hits all of them. A
/// transport that fails is left out from then on.
fn measure(sides: &Sides, case: Case, transports: &[&'static Transport], reps: usize) -> Results {
    let carrying = transports.iter().filter(|transport| transport.carries(case));
    let mut all: Vec<_> =
        carrying.map(|transport| Runs { transport, samples: Vec::new(), failure: None }).collect();
    let count = all.len();
    for rep in 0..reps {
        for position in 0..count {
            let runs = &mut all[(rep + position) % count];
            if runs.failure.is_some() {
                continue;
            }
            let transport = runs.transport;
            let measured = match &transport.kind {
                Kind::Alone => sides.measure_alone(case, rep),
                Kind::Pipelines(pipelines) => sides.measure(case, transport, pipelines, rep),
                Kind::Perftest { handles_errors } => {
                    perftest::measure(case, transport, *handles_errors, rep, sides.seconds)
                }
            };
            let progress = format!("{} {}/{reps} {:<16}", case.name(), rep + 1, transport.name);
            match measured {
                Ok(sample) => {
                    let (rate, noise) = (sample.frames_per_second, sample.noise);
                    eprintln!("{progress} {rate:>9.0} frames/s, {noise:.0} % noise");
                    runs.samples.push(sample);
                }
                Err(error) => {
                    eprintln!("{progress} failed: {error:#}");
                    runs.failure = Some(format!("{error:#}"));
                }
            }
        }
    }
    Results { case, runs: all }
}
