//! The sender, and both sides in one process.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use gst::prelude::*;

use crate::arrivals::Arrivals;
use crate::control::Control;
use crate::receive;
use crate::source::StampedSource;
use crate::{
    Arguments, STUCK_AFTER, check, conclude, find_transport, number, parse_bin, say_listening, stop,
};

pub(crate) fn run(arguments: &Arguments, control: &Arc<Control>) -> anyhow::Result<()> {
    let source = StampedSource::new(&arguments.load, control)?;
    let sink = parse_bin(&arguments.pipeline)?;
    let transport = find_transport(&sink)?;
    let pipeline = gst::Pipeline::new();
    pipeline.add_many([source.upcast_ref::<gst::Element>(), sink.upcast_ref()])?;
    source.link(&sink)?;

    let played = play(&pipeline, &source, &transport, control);
    let sent = played.and_then(|()| source.sent().context("the receiver has finished before the sender"));
    conclude(sent, || stop(&pipeline))
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
    let (mut listening, mut begun) = (false, false);
    let deadline = Instant::now() + STUCK_AFTER;
    while !control.is_finished() {
        // An error after the last frame is only the receiver that leaves.
        check(&bus).or_else(|error| if control.is_finished() { Ok(()) } else { Err(error) })?;
        started.as_ref().map_err(|_| anyhow::anyhow!("the pipeline does not start, and gives no reason"))?;
        listening = listening || say_listening(transport)?;
        if !begun && control.is_ready() && keeps_buffers(transport) {
            begun = true;
            source.begin();
        }
        ensure!(begun || Instant::now() < deadline, "no receiver within {STUCK_AFTER:?}");
    }
    Ok(())
}

/// Whether a first buffer would be kept for the receiver. Those that hold buffers while nobody is connected may notice a client
/// no earlier than with a buffer.
fn keeps_buffers(transport: &gst::Element) -> bool {
    const HOLDS: &str = "wait-for-connection";
    if transport.has_property_with_type(HOLDS, bool::static_type()) && transport.property::<bool>(HOLDS) {
        return true;
    }
    let property = ["num-handles", "num-clients"].into_iter().find(|name| transport.has_property(name));
    property.is_none_or(|name| number(transport, name) > Some(0))
}

/// Source and sink with nothing between them: what this program itself can do.
pub(crate) fn run_alone(arguments: &Arguments, control: &Arc<Control>) -> anyhow::Result<()> {
    let source = StampedSource::new(&arguments.load, control)?;
    let sink = receive::sink()?;
    let pipeline = gst::Pipeline::new();
    pipeline.add_many([source.upcast_ref::<gst::Element>(), &sink])?;
    source.link(&sink)?;
    let arrivals = Arrivals::at(&sink, control, &arguments.load)?;
    let both = play_alone(&pipeline, &source, &arrivals, control).and_then(|()| {
        let sent = source.sent().context("nothing was sent")?;
        Ok(format!("{sent}\n{}", arrivals.summary()?))
    });
    conclude(both, || stop(&pipeline))
}

fn play_alone(
    pipeline: &gst::Pipeline,
    source: &StampedSource,
    arrivals: &Arrivals,
    control: &Control,
) -> anyhow::Result<()> {
    let bus = pipeline.bus().context("the pipeline has no bus")?;
    pipeline.set_state(gst::State::Playing).context("the pipeline does not start")?;
    source.begin();
    while !(arrivals.are_complete() && control.has_looked()) {
        check(&bus)?;
        arrivals.frames()?;
    }
    control.set_finished();
    Ok(())
}
