//! `bench-side`: one side of a measurement of a transport between two processes.
//!
//! ```text
//! bench-side send    --caps CAPS --bytes N --window N --seconds S --warm-up S [--fps N] PIPELINE
//! bench-side receive PIPELINE
//! ```
//!
//! The sender runs `stamped source ! PIPELINE`, the receiver `PIPELINE ! fakesink`; the element that connects has
//! `name=transport`. Standard input is a file of at least one page that both sides map: at most `--window` frames are in
//! flight, counted there and so outside the transport. Standard output gets lines of a word and `key=value` pairs:
//!
//! ```text
//! listening port=40123 gstreamer=1.22.0               (sender)
//! connected ucx=1.13.1 lanes=tcp/lo         (receiver, where the transport tells)
//! done frames=2790 cpu=1.903                          (sender)
//! done frames=2790 cpu=1.861 seconds=1.999 p50=2846.1 p99=4021.5 max=6120.0      (receiver; latencies in µs)
//! ```
//!
//! All figures are of the measured interval only, which begins after the warm-up. A frame that is lost, damaged or out of
//! order ends the run with an error.

mod control;
mod receive;
mod send;
mod source;
mod stamp;

use std::fmt::Display;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use gst::prelude::*;

use crate::control::Control;

/// Nothing moves for so long: one side is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(10);
/// How often the bus is left to look whether the run is over: rarely enough to cost no measurable CPU.
const TICK: gst::ClockTime = gst::ClockTime::from_mseconds(20);
/// What the pipelines call the element that connects.
const TRANSPORT: &str = "transport";

enum Role {
    Send,
    Receive,
}

struct Arguments {
    role: Role,
    load: source::Load,
    pipeline: String,
}

fn main() -> std::process::ExitCode {
    match parse().and_then(|arguments| run(&arguments)) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn parse() -> anyhow::Result<Arguments> {
    use lexopt::prelude::*;

    let (mut role, mut pipeline) = (None, None);
    let mut load = source::Load::default();
    let mut parser = lexopt::Parser::from_env();
    let seconds = |value: std::ffi::OsString| -> anyhow::Result<Duration> {
        Ok(Duration::try_from_secs_f64(value.parse()?)?)
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("caps") => load.caps = parser.value()?.string()?,
            Long("bytes") => load.bytes = parser.value()?.parse()?,
            Long("window") => load.window = parser.value()?.parse()?,
            Long("seconds") => load.measured = seconds(parser.value()?)?,
            Long("warm-up") => load.warm_up = seconds(parser.value()?)?,
            Long("fps") => load.fps = Some(parser.value()?.parse()?),
            Value(value) if value == "send" && role.is_none() => role = Some(Role::Send),
            Value(value) if value == "receive" && role.is_none() => role = Some(Role::Receive),
            Value(value) if pipeline.is_none() => pipeline = Some(value.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    match (role, pipeline) {
        (Some(role), Some(pipeline)) => Ok(Arguments { role, load, pipeline }),
        _ => bail!("usage: bench-side send|receive [OPTIONS] PIPELINE"),
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    gst::init().context("GStreamer does not start")?;
    let control = Arc::new(Control::map(&std::io::stdin()).context("standard input is no control page")?);
    match arguments.role {
        Role::Send => send::run(&arguments.load, &arguments.pipeline, &control),
        Role::Receive => receive::run(&arguments.pipeline, &control),
    }
}

/// `description` as a bin whose open end can be linked.
fn parse_bin(description: &str) -> anyhow::Result<gst::Bin> {
    gst::parse::bin_from_description(description, true)
        .with_context(|| format!("`{description}` cannot be built"))
}

/// An error on the bus, if there is one within a tick.
fn check(bus: &gst::Bus) -> anyhow::Result<()> {
    let message = bus.timed_pop_filtered(TICK, &[gst::MessageType::Error]);
    match message.as_ref().map(|message| message.view()) {
        Some(gst::MessageView::Error(error)) => {
            let source = error.src().map_or_else(String::new, |source| source.name().to_string());
            bail!("{source}: {} ({})", error.error(), error.debug().unwrap_or_default())
        }
        _ => Ok(()),
    }
}

fn say(line: impl Display) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("nobody reads the reports")
}
