//! `pipe-side`: runs one side of an example and says what went through it.
//!
//! ```text
//! pipe-side [OPTIONS] PIPELINE
//!   --observe NAME         the element whose buffers are counted and digested (default: ucx, the one that connects)
//!   --detector COMMAND     `identity name=detect`: shows the pictures to COMMAND, puts the objects it finds on the buffers
//!                          (detect.py says how it is talked to)
//!   --list FILE            `identity name=list`: writes a line for each object and sound level on the buffers
//!   --regions-off          takes the regions of interest off the observed buffers, before they are counted
//!   --draw                 `identity name=draw`: draws the regions of interest that are on the buffers
//!   --sheet FILE           a PNG with some of the observed pictures
//!   --until-stdin-closes   ends the stream when standard input closes
//! ```
//!
//! PIPELINE is what one would give to `gst-launch-1.0`, as one argument. Standard output gets one line per report, a word and
//! `key=value` pairs:
//!
//! ```text
//! listening port=40123                  a listening element is ready
//! progress frames=31 bytes=42854400 percent=23
//! lanes address=127.0.0.1:40123 ucx=1.13.1 path=mapped lanes=tcp/lo
//! done frames=132 bytes=182476800 seconds=2.871 content=93a… times=7c0… regions=0 payloads=0
//! ```
//!
//! `done` comes only after a clean end of stream. Ctrl-C (or a closed standard input, where asked for) sends the end of
//! stream through the pipeline, so that files are finished; a second Ctrl-C stops at once.

mod detector;
mod draw;
mod ledger;
mod metas;
mod probe;
mod sheet;
mod transport;

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use gst::prelude::*;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::ledger::Ledger;
use crate::transport::Transport;

/// How often the bus is left to look at signals and to report progress.
const TICK: gst::ClockTime = gst::ClockTime::from_mseconds(50);
const REPORT_EVERY: Duration = Duration::from_millis(250);
/// After Ctrl-C, for the end of stream to reach the files.
const FINISH_WITHIN: Duration = Duration::from_secs(5);
/// What shells report for a program that Ctrl-C ended.
const EXIT_INTERRUPTED: u8 = 130;

/// What the pipelines call the element that connects.
const CONNECTS: &str = "ucx";

struct Arguments {
    pipeline: String,
    observe: String,
    detector: Option<String>,
    list: Option<PathBuf>,
    regions_off: bool,
    draw: bool,
    sheet: Option<PathBuf>,
    until_stdin_closes: bool,
}

enum Outcome {
    Finished,
    Interrupted,
}

fn main() -> std::process::ExitCode {
    match parse_arguments().and_then(|arguments| run(&arguments)) {
        Ok(Outcome::Finished) => std::process::ExitCode::SUCCESS,
        Ok(Outcome::Interrupted) => std::process::ExitCode::from(EXIT_INTERRUPTED),
        Err(error) => {
            eprintln!("{error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn parse_arguments() -> anyhow::Result<Arguments> {
    use lexopt::prelude::*;

    let mut arguments = Arguments {
        pipeline: String::new(),
        observe: CONNECTS.to_owned(),
        detector: None,
        list: None,
        regions_off: false,
        draw: false,
        sheet: None,
        until_stdin_closes: false,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("observe") => arguments.observe = parser.value()?.string()?,
            Long("detector") => arguments.detector = Some(parser.value()?.string()?),
            Long("list") => arguments.list = Some(parser.value()?.into()),
            Long("regions-off") => arguments.regions_off = true,
            Long("draw") => arguments.draw = true,
            Long("sheet") => arguments.sheet = Some(parser.value()?.into()),
            Long("until-stdin-closes") => arguments.until_stdin_closes = true,
            Value(value) if arguments.pipeline.is_empty() => arguments.pipeline = value.string()?,
            other => return Err(other.unexpected().into()),
        }
    }
    if arguments.pipeline.is_empty() {
        bail!("usage: pipe-side [OPTIONS] PIPELINE");
    }
    Ok(arguments)
}

fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the second signal finds the flag set and ends the process.
        signal_hook::flag::register_conditional_shutdown(signal, EXIT_INTERRUPTED.into(), stop.clone())?;
        signal_hook::flag::register(signal, stop.clone())?;
    }
    if arguments.until_stdin_closes {
        stop_when_stdin_closes(stop.clone());
    }

    gst::init().context("GStreamer does not start")?;
    let element = gst::parse::launch(&arguments.pipeline).context("the pipeline cannot be built")?;
    let pipeline = match element.downcast::<gst::Pipeline>() {
        Ok(pipeline) => pipeline,
        Err(element) => {
            let pipeline = gst::Pipeline::new();
            pipeline.add(&element)?;
            pipeline
        }
    };
    let named = |name: &str| {
        pipeline.by_name(name).with_context(|| format!("the pipeline has no element with name={name}"))
    };
    let observed = named(&arguments.observe)?;
    let connects = pipeline.by_name(CONNECTS).unwrap_or_else(|| observed.clone());
    if let Some(command) = &arguments.detector {
        detector::attach(&named("detect")?, command)?;
    }
    if let Some(file) = &arguments.list {
        metas::list(&named("list")?, file)?;
    }
    if arguments.draw {
        draw::attach(&named("draw")?)?;
    }
    if arguments.regions_off {
        metas::take_regions_off(&observed)?;
    }
    let sheet = arguments.sheet.as_ref().map(|_| sheet::attach(&observed)).transpose()?;
    let ledger = ledger::attach(&observed)?;
    let transport = transport::attach(&connects);

    let outcome = play(&pipeline, &connects, &ledger, &transport, &stop);
    let stopped = pipeline.set_state(gst::State::Null);
    let outcome = outcome?;
    stopped.context("the pipeline does not stop")?;
    if let (Some(sheet), Some(file)) = (&sheet, &arguments.sheet) {
        sheet.write(file)?;
    }
    if matches!(outcome, Outcome::Finished) {
        say(&ledger.summary())?;
    }
    Ok(outcome)
}

/// Runs until the end of the stream; what goes wrong on the way is in the error.
fn play(
    pipeline: &gst::Pipeline,
    connects: &gst::Element,
    ledger: &Ledger,
    transport: &Transport,
    stop: &AtomicBool,
) -> anyhow::Result<Outcome> {
    let bus = pipeline.bus().context("the pipeline has no bus")?;
    // When it fails the reason is on the bus, and `fail` finds it there.
    let started = pipeline.set_state(gst::State::Playing);
    let mut port = listening_port(connects);
    let mut finish_before = None;
    let mut report_at = Instant::now();
    loop {
        let message = bus.timed_pop_filtered(TICK, &[gst::MessageType::Error, gst::MessageType::Eos]);
        match message.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Error(error)) => bail!(explain(error)),
            Some(gst::MessageView::Eos(_)) => {
                transport.look();
                for peer in transport.peers() {
                    say(&format!("lanes {peer}"))?;
                }
                return Ok(if finish_before.is_some() { Outcome::Interrupted } else { Outcome::Finished });
            }
            _ => {}
        }
        if message.is_none() && started.is_err() {
            bail!("the pipeline does not start, and gives no reason");
        }
        if let Some(number) = port.as_mut().and_then(ListeningPort::take) {
            say(&format!("listening port={number}"))?;
            port = None;
        }
        if report_at <= Instant::now() {
            report_at = Instant::now() + REPORT_EVERY;
            transport.look();
            say(&ledger.progress(pipeline))?;
        }
        match finish_before {
            None if stop.load(Ordering::Relaxed) => {
                pipeline.send_event(gst::event::Eos::new());
                finish_before = Some(Instant::now() + FINISH_WITHIN);
            }
            Some(deadline) if Instant::now() > deadline => return Ok(Outcome::Interrupted),
            _ => {}
        }
    }
}

/// Unlike `println!` it does not panic when nobody reads any more: the pipeline must be stopped first.
fn say(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("nobody reads the reports")
}

/// The port of an element that listens, until it was reported.
struct ListeningPort(gst::Element);

fn listening_port(element: &gst::Element) -> Option<ListeningPort> {
    let listens = element.factory().is_some_and(|factory| factory.name().starts_with("nvdsucxserver"));
    listens.then(|| ListeningPort(element.clone()))
}

impl ListeningPort {
    /// With `port=0` the element shows the one that the system chose as soon as it listens.
    fn take(&mut self) -> Option<i32> {
        let ready =
            self.0.current_state() >= gst::State::Paused || self.0.pending_state() >= gst::State::Paused;
        let port = self.0.property::<i32>("port");
        (ready && port != 0).then_some(port)
    }
}

fn explain(error: &gst::message::Error) -> String {
    let source = error.src().map_or_else(String::new, |source| source.path_string().to_string());
    match error.debug() {
        Some(debug) => format!("{source}: {}\n{debug}", error.error()),
        None => format!("{source}: {}", error.error()),
    }
}

/// The parent holds the other end, so this side never outlives it.
fn stop_when_stdin_closes(stop: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let mut sink = [0; 64];
        while std::io::stdin().read(&mut sink).is_ok_and(|n| n > 0) {}
        stop.store(true, Ordering::Relaxed);
    });
}
