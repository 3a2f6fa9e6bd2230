//! `bench-side`: one side of a measurement of a transport between two processes.
//!
//! ```text
//! bench-side send    --caps CAPS --bytes N --window N --seconds S --warm-up S [OPTIONS] PIPELINE
//! bench-side receive [--touch] [--objects N] [--gpu N --bytes N [--fps N]] [--slave] PIPELINE
//! bench-side alone   (as send, without a PIPELINE)
//! bench-side look    ELEMENT[:PROPERTY]...
//! ```
//!
//! `send` runs `stamped source ! PIPELINE`, `receive` `PIPELINE ! fakesink`; the element that connects has
//! `name=transport`. `alone` runs `stamped source ! fakesink`. Options: `--fps N` paces the source, `--objects N` puts so
//! many regions of interest on each frame, `--touch` makes the sender write and the receiver read every byte, `--own-memory` makes the source use memory of its own, whatever the sink proposes,
//! `--gpu N` has frames in that GPU's memory (gpu.rs says how they are checked; the caps have to say so, too),
//! `--slave` leaves the states of the receiver's pipeline to the sender (`ipcpipelinesink`).
//!
//! Standard input is a file of at least one page that both sides map: at most `--window` frames are in flight, counted there
//! and so outside the transport. Standard output gets lines of a word and `key=value` pairs:
//!
//! ```text
//! listening port=40123                               (whoever has started; the port where there is one)
//! connected ucx=1.13.1 lanes=tcp/lo path=mapped      (the receiver, where the transport tells)
//! sent frames=2790 cpu=1.903 peak=50108 pss=40731
//! received frames=2790 cpu=1.861 seconds=1.999 p50=2846.1 p99=4021.5 max=6120.0 peak=49312 pss=40012
//! latencies buckets=1036288:1,1052672:7,…            (nanoseconds:frames)
//! ```
//!
//! Latencies in µs, from when a frame is complete until it is at the sink; memory in KiB. All figures are of the measured
//! interval only, which begins after the warm-up; memory is looked at when it ends, while both sides still have all of it. A
//! frame that is lost, damaged or out of order ends the run with an error.
//!
//! `look` tells GStreamer's release, how many GPUs there are, and which elements.

mod arrivals;
mod control;
mod gpu;
mod histogram;
mod look;
mod memory;
mod receive;
mod send;
mod source;
mod stamp;
mod touch;

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
    Alone,
    Look(Vec<String>),
}

struct Arguments {
    role: Role,
    load: source::Load,
    slave: bool,
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

    let mut values = Vec::new();
    let mut slave = false;
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
            Long("objects") => load.objects = parser.value()?.parse()?,
            Long("touch") => load.touch = true,
            Long("gpu") => load.gpu = Some(parser.value()?.parse()?),
            Long("own-memory") => load.own_memory = true,
            Long("slave") => slave = true,
            Value(value) => values.push(value.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let mut values = values.into_iter();
    let role = match values.next().as_deref() {
        Some("send") => Role::Send,
        Some("receive") => Role::Receive,
        Some("alone") => Role::Alone,
        Some("look") => Role::Look(values.by_ref().collect()),
        _ => bail!("usage: bench-side send|receive|alone|look [OPTIONS] [PIPELINE]"),
    };
    let pipeline = match role {
        Role::Send | Role::Receive => values.next().context("there is no pipeline")?,
        Role::Alone | Role::Look(_) => String::new(),
    };
    if let Some(value) = values.next() {
        bail!("`{value}` is one word too many");
    }
    Ok(Arguments { role, load, slave, pipeline })
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    gst::init().context("GStreamer does not start")?;
    if let Role::Look(names) = &arguments.role {
        return look::run(names);
    }
    let control = Arc::new(Control::map(&std::io::stdin()).context("standard input is no control page")?);
    match arguments.role {
        Role::Send => send::run(arguments, &control),
        Role::Receive => receive::run(arguments, &control),
        Role::Alone | Role::Look(_) => send::run_alone(arguments, &control),
    }
}

/// `description` as a bin whose open end can be linked.
fn parse_bin(description: &str) -> anyhow::Result<gst::Bin> {
    gst::parse::bin_from_description(description, true)
        .with_context(|| format!("`{description}` cannot be built"))
}

/// The element that connects.
fn find_transport(bin: &gst::Bin) -> anyhow::Result<gst::Element> {
    bin.by_name(TRANSPORT).with_context(|| format!("no element has name={TRANSPORT}"))
}

/// Tells that the other side can connect, and the port where there is one; `false` if it cannot yet.
fn say_listening(transport: &gst::Element) -> anyhow::Result<bool> {
    let paused = gst::State::Paused;
    if transport.current_state() < paused && transport.pending_state() < paused {
        return Ok(false);
    }
    let property = ["current-port", "port"].into_iter().find(|name| transport.has_property(name));
    match property.and_then(|name| number(transport, name)) {
        Some(0) => return Ok(false),
        Some(port) => say(format_args!("listening port={port}"))?,
        None => say("listening")?,
    }
    Ok(true)
}

/// Elements differ in the type of their numbers.
fn number(element: &gst::Element, property: &str) -> Option<i64> {
    element.property_value(property).transform::<i64>().ok()?.get().ok()
}

/// Says how it went, and stops the pipeline. After an error nothing is stopped, because what is stuck may never stop.
fn conclude(
    outcome: anyhow::Result<impl Display>,
    stop: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    match outcome {
        Ok(lines) => say(lines).and_then(|()| stop()),
        Err(error) => {
            eprintln!("{error:#}");
            std::process::exit(1)
        }
    }
}

fn stop(pipeline: &gst::Pipeline) -> anyhow::Result<()> {
    pipeline.set_state(gst::State::Null).context("the pipeline does not stop")?;
    Ok(())
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
