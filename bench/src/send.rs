//! The sender.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use gst::prelude::*;

use crate::control::Control;
use crate::source::{Load, StampedSource};
use crate::{STUCK_AFTER, TRANSPORT, check, parse_bin, say};

pub(crate) fn run(load: &Load, description: &str, control: &Arc<Control>) -> anyhow::Result<()> {
    ensure!(load.window > 0 && load.fps != Some(0), "--window and --fps must not be 0");
    let caps: gst::Caps = load.caps.parse().with_context(|| format!("`{}` are no caps", load.caps))?;
    let source = StampedSource::new(load, caps, control);
    let sink = parse_bin(description)?;
    let transport = sink.by_name(TRANSPORT).context("no element has name=transport")?;
    let pipeline = gst::Pipeline::new();
    pipeline.add_many([source.upcast_ref::<gst::Element>(), sink.upcast_ref()])?;
    source.link(&sink)?;

    let played = play(&pipeline, &source, &transport, control);
    let stopped = pipeline.set_state(gst::State::Null);
    played?;
    stopped.context("the pipeline does not stop")?;
    let sent = source.sent().context("the receiver has finished before the sender")?;
    say(format_args!("done frames={} cpu={:.6}", sent.frames, sent.cpu.as_secs_f64()))
}

fn play(
    pipeline: &gst::Pipeline,
    source: &StampedSource,
    transport: &gst::Element,
    control: &Control,
) -> anyhow::Result<()> {
    let bus = pipeline.bus().context("the pipeline has no bus")?;
    // When it fails the reason is on the bus.
    let started = pipeline.set_state(gst::State::Playing);
    let mut listening = false;
    let mut begun = false;
    let deadline = Instant::now() + STUCK_AFTER;
    while !control.is_finished() {
        // An error after the last frame is only the receiver that leaves.
        check(&bus).or_else(|error| if control.is_finished() { Ok(()) } else { Err(error) })?;
        started.as_ref().map_err(|_| anyhow::anyhow!("the pipeline does not start, and gives no reason"))?;
        if !listening && let Some(port) = port(transport) {
            listening = true;
            say(format_args!("listening port={port} gstreamer={}", gst_version()))?;
        }
        if !begun && control.is_ready() && has_client(transport) {
            begun = true;
            source.begin();
        }
        ensure!(begun || Instant::now() < deadline, "no receiver within {STUCK_AFTER:?}");
    }
    Ok(())
}

/// The port it listens on, as soon as it does.
fn port(transport: &gst::Element) -> Option<i32> {
    let paused = gst::State::Paused;
    let ready = transport.current_state() >= paused || transport.pending_state() >= paused;
    let property = ["current-port", "port"].into_iter().find(|name| transport.has_property(name))?;
    Some(transport.property::<i32>(property)).filter(|port| ready && *port != 0)
}

/// Transports that do not count their clients keep buffers until there is one.
fn has_client(transport: &gst::Element) -> bool {
    let property = ["num-handles", "num-clients"].into_iter().find(|name| transport.has_property(name));
    property.is_none_or(|name| transport.property::<u32>(name) > 0)
}

fn gst_version() -> String {
    let (major, minor, micro, _) = gst::version();
    format!("{major}.{minor}.{micro}")
}
