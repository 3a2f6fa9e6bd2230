//! Runs an example for real, in one process a side, and checks what arrived.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::Outcome;
use crate::checks::Checker;
use crate::examples::{self, Example, Files, PORT, Plan, Program};
use crate::setup::For;
use crate::shell::{Environment, PLUGIN_PATH, Workspace};
use crate::side::{Report, Side};

const STARTS_WITHIN: Duration = Duration::from_secs(20);
const MOVES_WITHIN: Duration = Duration::from_secs(60);
const STOPS_WITHIN: Duration = Duration::from_secs(6);
const TICK: Duration = Duration::from_millis(100);
/// Where there is no terminal to rewrite a line on.
const LINE_EVERY: Duration = Duration::from_secs(2);
/// The elements' default, for the commands that are shown.
const DEFAULT_PORT: &str = "7174";

/// What the user asked for.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) list: bool,
    pub(crate) example: String,
    pub(crate) input: Option<PathBuf>,
    pub(crate) output: Option<PathBuf>,
    pub(crate) offline: bool,
}

/// Everything that the two sides need to start.
struct Stage<'a> {
    workspace: &'a Workspace,
    program: PathBuf,
    environment: Environment,
    interrupted: Arc<AtomicBool>,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<Outcome> {
    if options.list {
        for example in examples::ALL {
            let number = example.number.map_or_else(String::new, |number| number.to_string());
            println!("{number:<2} {:<12} {}", example.name, example.about);
        }
        return Ok(Outcome::Done);
    }
    let name = if options.example.is_empty() { examples::ALL[0].name } else { &options.example };
    let example = Example::find(name)?;
    // Paths are the user's, and relative to where the user is; everything else runs in the workspace's root.
    let absolute = |path: &PathBuf| std::path::absolute(path).with_context(|| path.display().to_string());
    let input = options.input.as_ref().map(absolute).transpose()?;
    let output = options.output.as_ref().map(absolute).transpose()?;
    if let Some(input) = &input {
        ensure!(input.is_file(), "there is no file {}", input.display());
    }

    let clip = example.clip.filter(|_| input.is_none());
    let mut needs = vec![For::Building, For::Running];
    needs.extend(example.needs);
    if clip.is_some_and(|clip| clip.cached(workspace).is_none()) {
        needs.push(For::Fetching);
    }
    let mut packages = vec!["gst-plugin-nvdsucx", "nvdsucx-examples"];
    if example.metadata {
        packages.push("gst-plugin-nvdsmetautils");
    }
    workspace.prepare(&needs, &packages, options.offline)?;
    if example.metadata && !workspace.is_bundle() {
        workspace.link_plugin("release", "libgstnvdsmetautils.so")?;
    }

    let folder = workspace.target.join("demo");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let input = match (input, clip) {
        (Some(input), _) => input,
        (None, Some(clip)) => clip.fetch(workspace, options.offline)?,
        (None, None) => examples::licence_as_subtitles(workspace, &folder)?,
    };
    let output = output.unwrap_or_else(|| folder.join(format!("{}.{}", example.name, example.extension)));
    ensure!(input != output, "input and output are the same file: {}", input.display());
    let files = Files { input, output, folder, sources: workspace.root.join("examples") };

    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, interrupted.clone())?;
    }
    let stage = Stage {
        workspace,
        program: workspace.program("pipe-side"),
        environment: workspace.gstreamer_environment("release")?,
        interrupted,
    };
    let plan = example.plan(&files)?;
    stage.announce(example, &files, &plan);
    let Some(sides) = stage.play(&plan)? else {
        println!("interrupted; what arrived until then is in {}", workspace.shown(&files.output));
        return Ok(Outcome::Interrupted);
    };
    compare(&sides)?;
    let checker = Checker { workspace, program: &stage.program, environment: &stage.environment };
    for check in &plan.checks {
        checker.check(check, &sides)?;
    }
    report(&sides);
    println!("  result     {}", workspace.shown(&files.output));
    Ok(Outcome::Done)
}

impl Stage<'_> {
    fn announce(&self, example: &Example, files: &Files, plan: &Plan) {
        println!("{}: {}", example.name, example.about);
        println!("  input      {}", self.workspace.shown(&files.input));
        if let Some(choice) = plan.choice {
            println!("  elements   {choice}");
        }
        match self.environment.iter().find(|(name, _)| *name == PLUGIN_PATH) {
            Some((name, path)) => println!("  by hand    export {name}={}", path.display()),
            None => println!("  by hand    {}/run COMMAND", self.workspace.root.display()),
        }
        for program in std::iter::once(&plan.server).chain(&plan.clients) {
            println!("  {:<10} {}", program.label, self.by_hand(program));
        }
    }

    /// As a user would type it.
    fn by_hand(&self, program: &Program) -> String {
        let pipeline = program.pipeline.replace(PORT, DEFAULT_PORT);
        if program.options.is_empty() {
            return format!("gst-launch-1.0 -e {pipeline}");
        }
        let quoted = |word: &String| match word.contains(' ') {
            true => format!("'{}'", word.replace('\'', r"'\''")),
            false => word.clone(),
        };
        let options = program.options.iter().map(quoted).collect::<Vec<_>>().join(" ");
        format!("{} {options} {}", self.workspace.shown(&self.program), quoted(&pipeline))
    }

    /// Runs all sides to their ends; `None` if the user stopped them.
    fn play(&self, plan: &Plan) -> anyhow::Result<Option<Vec<Side>>> {
        let (reports, incoming) = channel();
        let mut sides = vec![self.start(0, &plan.server, "0", &reports)?];
        let outcome = self.await_port(&mut sides, &incoming).and_then(|port| {
            let Some(port) = port else { return Ok(false) };
            for (number, client) in (1..).zip(&plan.clients) {
                sides.push(self.start(number, client, &port, &reports)?);
            }
            self.follow(&mut sides, &incoming)
        });
        if matches!(outcome, Ok(true)) {
            return Ok(Some(sides));
        }
        let deadline = Instant::now() + STOPS_WITHIN;
        sides.iter_mut().for_each(Side::ask_to_stop);
        for side in &mut sides {
            side.stop_before(deadline)?;
        }
        outcome.map(|_| None)
    }

    fn start(
        &self,
        number: usize,
        program: &Program,
        port: &str,
        reports: &Sender<Report>,
    ) -> anyhow::Result<Side> {
        let who = (number, program.label, program.sends);
        Side::start(&self.program, &self.environment, who, &program.arguments(port), reports)
    }

    /// The port that the system gave to the server; `None` if the user stopped it.
    fn await_port(&self, sides: &mut [Side], incoming: &Receiver<Report>) -> anyhow::Result<Option<String>> {
        let deadline = Instant::now() + STARTS_WITHIN;
        while !self.interrupted.load(Ordering::Relaxed) {
            if let Some(report) = next(incoming)? {
                let port = report
                    .line
                    .as_ref()
                    .filter(|line| line.word == "listening")
                    .and_then(|line| line.text("port"));
                if let Some(port) = port {
                    return Ok(Some(port.to_owned()));
                }
                note(sides, report)?;
            }
            ensure!(
                Instant::now() < deadline,
                "the {} does not listen after {STARTS_WITHIN:?}",
                sides[0].label
            );
        }
        Ok(None)
    }

    /// Until all have ended well (`true`) or the user has enough (`false`).
    fn follow(&self, sides: &mut [Side], incoming: &Receiver<Report>) -> anyhow::Result<bool> {
        let mut display = Display::new();
        let mut moved = (0, Instant::now());
        while sides.iter().any(|side| side.status.is_none()) {
            if self.interrupted.load(Ordering::Relaxed) {
                display.end();
                return Ok(false);
            }
            if let Some(report) = next(incoming)? {
                let noted = note(sides, report);
                if noted.is_err() {
                    display.end();
                }
                noted?;
            }
            display.show(sides);
            let frames = sides.iter().map(Side::frames).sum::<u64>();
            if frames != moved.0 {
                moved = (frames, Instant::now());
            }
            ensure!(moved.1.elapsed() < MOVES_WITHIN, "nothing has moved for {MOVES_WITHIN:?}");
        }
        display.end();
        Ok(true)
    }
}

/// The next report, if one comes soon.
fn next(incoming: &Receiver<Report>) -> anyhow::Result<Option<Report>> {
    match incoming.recv_timeout(TICK) {
        Ok(report) => Ok(Some(report)),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Err(RecvTimeoutError::Disconnected) => bail!("nobody reports any more"),
    }
}

/// Takes a report to its side; a side that ends other than well is an error.
fn note(sides: &mut [Side], report: Report) -> anyhow::Result<()> {
    let side = &mut sides[report.side];
    side.take(report.line)?;
    match side.status {
        Some(status) if !status.success() => bail!("the {} failed: {status}", side.label),
        Some(_) if side.done.is_none() => bail!("the {} ended without saying what it did", side.label),
        _ => Ok(()),
    }
}

/// What was received is what was sent, at every receiver.
fn compare(sides: &[Side]) -> anyhow::Result<()> {
    let sender = sides.iter().find(|side| side.sends).context("nobody sends")?;
    let sent = sender.done.as_ref().context("the sender has no result")?;
    let frames = sender.frames();
    ensure!(frames > 0, "nothing was sent: does the input have such a stream?");
    for receiver in sides.iter().filter(|side| !side.sends) {
        let received = receiver.done.as_ref().context("a receiver has no result")?;
        let label = receiver.label;
        let count = receiver.frames();
        ensure!(count == frames, "{frames} buffers were sent, {count} received by the {label}");
        ensure!(
            received.text("content") == sent.text("content"),
            "the {label} received other bytes than were sent"
        );
        ensure!(
            received.text("times") == sent.text("times"),
            "the {label} received other timestamps than were sent"
        );
        println!(
            "  ok         {frames} sent, {count} received by the {label}: same content, same timestamps"
        );
    }
    Ok(())
}

/// Numbers for the user.
fn report(sides: &[Side]) {
    for side in sides {
        let Some(done) = &side.done else { continue };
        let (frames, bytes) = (side.frames() as f64, done.number("bytes").unwrap_or(0.0));
        let seconds = done.number("seconds").unwrap_or(0.0);
        if seconds > 0.0 {
            println!(
                "  {:<10} {frames} buffers, {:.1} MB in {seconds:.2} s: {:.1} buffers/s, {:.1} MB/s",
                side.label,
                bytes / 1e6,
                frames / seconds,
                bytes / 1e6 / seconds
            );
        }
        for peer in &side.lanes {
            let text = |key| peer.text(key).unwrap_or("?");
            let way = if text("path") == "mapped" { "shared memory" } else { text("lanes") };
            println!("  {:<10} peer {} (UCX {}) over {way}", "", text("address"), text("ucx"));
        }
    }
}

/// One line that is rewritten; without a terminal, a line now and then.
struct Display {
    terminal: bool,
    shown: String,
    last: Option<Instant>,
}

impl Display {
    fn new() -> Self {
        Self { terminal: std::io::stdout().is_terminal(), shown: String::new(), last: None }
    }

    fn show(&mut self, sides: &[Side]) {
        let percent =
            sides.iter().filter(|side| side.sends).find_map(|side| side.latest.as_ref()?.count("percent"));
        let percent = percent.map_or_else(String::new, |percent| format!(" ({percent} %)"));
        let each = sides.iter().map(|side| format!("{} {}", side.label, side.frames())).collect::<Vec<_>>();
        let line = format!("  buffers    {}{percent}", each.join(", "));
        if line == self.shown || self.last.is_some_and(|last| !self.terminal && last.elapsed() < LINE_EVERY) {
            return;
        }
        if self.terminal {
            print!("\r\x1b[K{line}");
        } else {
            println!("{line}");
        }
        // Only progress: nothing is lost if it is not seen.
        let _ = std::io::stdout().flush();
        self.shown = line;
        self.last = Some(Instant::now());
    }

    fn end(&self) {
        if self.terminal && self.last.is_some() {
            println!();
        }
    }
}
