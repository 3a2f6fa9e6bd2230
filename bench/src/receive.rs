//! The receiver.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use gst::prelude::*;

use crate::control::Control;
use crate::stamp::{self, Stamp};
use crate::{STUCK_AFTER, TRANSPORT, check, parse_bin, say};

/// What has arrived.
#[derive(Default)]
struct Arrivals {
    frames: u64,
    /// Of the measured frames, in arrival order.
    latencies: Vec<Duration>,
    first: Duration,
    last: Duration,
    cpu_before: Duration,
    cpu: Duration,
    fault: Option<String>,
}

pub(crate) fn run(description: &str, control: &Arc<Control>) -> anyhow::Result<()> {
    let source = parse_bin(description)?;
    let transport = source.by_name(TRANSPORT).context("no element has name=transport")?;
    let sink = gst::ElementFactory::make("fakesink")
        .property("sync", false)
        // It must not wait for a first buffer: the sender waits for us.
        .property("async", false)
        .build()?;
    let pipeline = gst::Pipeline::new();
    pipeline.add_many([source.upcast_ref::<gst::Element>(), &sink])?;
    source.link(&sink)?;
    let pad = sink.static_pad("sink").context("fakesink has no pad")?;
    let arrivals = attach(&pad, control)?;

    let played = play(&pipeline, &transport, &arrivals, control);
    let stopped = pipeline.set_state(gst::State::Null);
    played?;
    stopped.context("the pipeline does not stop")?;
    let summary = arrivals.lock().unwrap_or_else(PoisonError::into_inner).summary()?;
    say(summary)
}

fn play(
    pipeline: &gst::Pipeline,
    transport: &gst::Element,
    arrivals: &Mutex<Arrivals>,
    control: &Control,
) -> anyhow::Result<()> {
    let bus = pipeline.bus().context("the pipeline has no bus")?;
    // When it fails the reason is on the bus.
    let started = pipeline.set_state(gst::State::Playing);
    check(&bus)?;
    started.context("the pipeline does not start, and gives no reason")?;
    control.set_ready();
    let mut moved = (0, Instant::now());
    let mut told = false;
    while !control.is_finished() {
        check(&bus).or_else(|error| if control.is_finished() { Ok(()) } else { Err(error) })?;
        let frames = {
            let arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(fault) = &arrivals.fault {
                bail!("{fault}");
            }
            arrivals.frames
        };
        if frames != moved.0 {
            moved = (frames, Instant::now());
        }
        ensure!(moved.1.elapsed() < STUCK_AFTER, "after {frames} frames nothing came for {STUCK_AFTER:?}");
        if !told
            && frames > 0
            && let Some(peer) = peer(transport)
        {
            told = true;
            say(format_args!("connected {peer}"))?;
        }
    }
    Ok(())
}

fn attach(pad: &gst::Pad, control: &Arc<Control>) -> anyhow::Result<Arc<Mutex<Arrivals>>> {
    let arrivals = Arc::new(Mutex::new(Arrivals::default()));
    let (shared, control) = (arrivals.clone(), control.clone());
    pad.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST, move |_, info| {
        let mut arrivals: MutexGuard<'_, Arrivals> = shared.lock().unwrap_or_else(PoisonError::into_inner);
        match &info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => arrivals.add(buffer, &control),
            Some(gst::PadProbeData::BufferList(list)) => {
                list.iter().for_each(|buffer| arrivals.add(buffer, &control));
            }
            _ => {}
        }
        gst::PadProbeReturn::Ok
    })
    .context("the pad takes no probe")?;
    Ok(arrivals)
}

impl Arrivals {
    fn add(&mut self, buffer: &gst::BufferRef, control: &Control) {
        let now = stamp::now();
        if self.fault.is_some() {
            return;
        }
        // Not mapped: that would merge a buffer of several memories.
        let mut head = [0; stamp::LENGTH];
        let stamp = buffer.copy_to_slice(0, &mut head).ok().and_then(|()| Stamp::read(&head));
        let Some(stamp) = stamp.filter(|stamp| stamp.bytes == buffer.size() as u64) else {
            self.fault = Some(format!("frame {} is damaged: {} bytes", self.frames, buffer.size()));
            return;
        };
        if stamp.sequence != self.frames {
            self.fault = Some(format!("frame {} came where {} was due", stamp.sequence, self.frames));
            return;
        }
        self.frames += 1;
        if stamp.measured {
            if self.latencies.is_empty() {
                (self.first, self.cpu_before) = (now, stamp::cpu_time());
            }
            self.last = now;
            self.latencies.push(now.saturating_sub(stamp.made));
        }
        control.set_received(self.frames);
        if stamp.last {
            self.cpu = stamp::cpu_time().saturating_sub(self.cpu_before);
            control.set_finished();
        }
    }

    /// The last line.
    fn summary(&mut self) -> anyhow::Result<String> {
        let frames = self.latencies.len();
        ensure!(frames > 1, "{frames} frames are not enough for a measurement");
        self.latencies.sort_unstable();
        let percentile = |percent: usize| self.latencies[(frames - 1) * percent / 100].as_secs_f64() * 1e6;
        Ok(format!(
            "done frames={frames} cpu={:.6} seconds={:.6} p50={:.1} p99={:.1} max={:.1}",
            self.cpu.as_secs_f64(),
            (self.last - self.first).as_secs_f64(),
            percentile(50),
            percentile(99),
            percentile(100)
        ))
    }
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
    Some(format!("ucx={} lanes={lanes}", client.get::<String>("ucx-version").ok()?))
}
