//! The receiver.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use gst::prelude::*;

use crate::arrivals::Arrivals;
use crate::control::Control;
use crate::{Arguments, STUCK_AFTER, check, conclude, find_transport, parse_bin, say, say_listening, stop};

/// The other process starts, plays, pauses and stops this one's pipeline.
const SLAVE: &str = "ipcslavepipeline";

pub(crate) fn run(arguments: &Arguments, control: &Arc<Control>) -> anyhow::Result<()> {
    let source = parse_bin(&arguments.pipeline)?;
    let transport = find_transport(&source)?;
    let sink = sink()?;
    let pipeline = if arguments.slave {
        let pipeline = gst::ElementFactory::make(SLAVE).build()?;
        pipeline.downcast().ok().context("it is no pipeline").context(SLAVE)?
    } else {
        gst::Pipeline::new()
    };
    pipeline.add_many([source.upcast_ref::<gst::Element>(), &sink])?;
    source.link(&sink)?;
    let arrivals = Arrivals::at(&sink, control, &arguments.load)?;

    let played = play(&pipeline, &transport, arguments.slave, &arrivals, control);
    let summary = played.and_then(|()| arrivals.summary());
    conclude(summary, || if arguments.slave { wait_until_stopped(&pipeline) } else { stop(&pipeline) })
}

/// What the buffers end in. It keeps the last one, as sinks that show something do. It must not wait for a first one: the
/// sender waits for us.
pub(crate) fn sink() -> anyhow::Result<gst::Element> {
    let sink = gst::ElementFactory::make("fakesink").property("sync", false).property("async", false);
    sink.build().context("there is no fakesink")
}

/// The other side stops us, before it ends.
fn wait_until_stopped(pipeline: &gst::Pipeline) -> anyhow::Result<()> {
    let deadline = Instant::now() + STUCK_AFTER;
    let bus = pipeline.bus().context("the pipeline has no bus")?;
    while pipeline.current_state() > gst::State::Ready {
        ensure!(Instant::now() < deadline, "the sender does not stop the pipeline");
        // An error is only the sender's end.
        if check(&bus).is_err() {
            break;
        }
    }
    stop(pipeline)
}

fn play(
    pipeline: &gst::Pipeline,
    transport: &gst::Element,
    slave: bool,
    arrivals: &Arrivals,
    control: &Control,
) -> anyhow::Result<()> {
    let bus = pipeline.bus().context("the pipeline has no bus")?;
    if slave {
        say("listening")?;
    } else {
        // When it fails the reason is on the bus.
        let started = pipeline.set_state(gst::State::Playing);
        check(&bus)?;
        started.context("the pipeline does not start, and gives no reason")?;
    }
    control.set_ready();
    let (mut listening, mut connected) = (slave, None);
    let mut moved = (0, Instant::now());
    while !(arrivals.are_complete() && control.has_looked()) {
        check(&bus)?;
        let frames = arrivals.frames()?;
        if frames != moved.0 {
            moved = (frames, Instant::now());
        }
        ensure!(moved.1.elapsed() < STUCK_AFTER, "after {frames} frames nothing came for {STUCK_AFTER:?}");
        listening = listening || say_listening(transport)?;
        // Frames may take another way after the first; and at the end the peer is gone.
        if frames > 0 {
            connected = peer(transport).or(connected);
        }
    }
    if let Some(peer) = connected {
        say(format_args!("connected {peer}"))?;
    }
    control.set_finished();
    Ok(())
}

/// How it is connected, if it is one of ours.
fn peer(transport: &gst::Element) -> Option<String> {
    if !transport.has_property("stats") {
        return None;
    }
    let stats = transport.property::<Option<gst::Structure>>("stats")?;
    let clients = stats.get::<gst::Array>("clients").ok()?;
    let client = clients.iter().next()?.get::<gst::Structure>().ok()?;
    let lanes = client.get::<gst::Array>("lanes").ok()?;
    let lanes = lanes.iter().filter_map(|lane| lane.get::<String>().ok()).collect::<Vec<_>>().join(",");
    let (ucx, path) = (client.get::<String>("ucx-version").ok()?, client.get::<String>("path").ok()?);
    Some(format!("ucx={ucx} lanes={lanes} path={path}"))
}
