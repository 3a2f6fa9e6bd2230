//! Running time across the hop: `timestamp-mode=map`.
#![allow(missing_docs)]

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, Once};
use std::thread;
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;

/// Far longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(20);
/// What `latency` of the sources is: enough for a machine that does other things, too.
const LATENCY: gst::ClockTime = gst::ClockTime::from_mseconds(100);
/// In nanoseconds.
const MILLISECOND: i64 = 1_000_000;

fn init() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        gst::init().unwrap();
        gstnvdsucx::plugin_register_static().unwrap();
    });
}

/// A pipeline that stops when it is dropped.
struct Pipeline(gst::Pipeline);

impl Pipeline {
    fn play(description: &str) -> Self {
        init();
        let pipeline = gst::parse::launch(description).unwrap().downcast::<gst::Pipeline>().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        Self(pipeline)
    }

    fn element(&self, name: &str) -> gst::Element {
        self.0.by_name(name).unwrap()
    }

    fn port(&self, name: &str) -> i32 {
        self.element(name).property("port")
    }

    /// The moment, by this host's clock, at which running time is 0.
    fn zero(&self) -> i64 {
        self.0.base_time().unwrap().nseconds().cast_signed()
    }

    fn running_time(&self) -> gst::ClockTime {
        self.0.current_running_time().unwrap_or_default()
    }

    /// Timestamps, each with the moment at which the sink called `name` shows the buffer.
    fn shown(&self, name: &str) -> Receiver<(i64, i64)> {
        let (sender, receiver) = channel();
        let sender = Mutex::new(sender);
        let sink = self.element(name);
        sink.set_property("signal-handoffs", true);
        sink.connect("handoff", false, move |values| {
            let buffer = values[1].get::<gst::Buffer>().unwrap();
            let now = gst::SystemClock::obtain().time().nseconds().cast_signed();
            let pts = buffer.pts().unwrap().nseconds().cast_signed();
            let _ = sender.lock().unwrap().send((pts, now));
            None::<glib::Value>
        });
        receiver
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.0.set_state(gst::State::Null).unwrap();
    }
}

/// Waits without sleeping for long.
fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !happened() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::yield_now();
    }
}

/// How long after its moment at the sender, whose running time was 0 at `zero`, a buffer is shown; of 50 buffers the one in the
/// middle, in nanoseconds.
fn delay(shown: &Receiver<(i64, i64)>, zero: i64) -> i64 {
    let one = |_| {
        let (pts, now) = shown.recv_timeout(DEADLINE).expect("buffers are shown");
        now - (zero + pts)
    };
    let mut delays: Vec<_> = (0..50).map(one).collect();
    delays.sort_unstable();
    delays[25]
}

fn sender(audio: i32, video: i32) -> Pipeline {
    Pipeline::play(&format!(
        "audiotestsrc is-live=true samplesperbuffer=480 ! audio/x-raw,rate=48000,channels=1 \
         ! nvdsucxserversink name=audio port={audio} buf-type=nvdsucx-buf-raw-audio wait-for-connection=false async=false \
         videotestsrc is-live=true ! video/x-raw,width=64,height=64,framerate=50/1 \
         ! nvdsucxserversink name=video port={video} wait-for-connection=false async=false"
    ))
}

fn receiver(audio: i32, video: i32, more: &str) -> Pipeline {
    let latency = LATENCY.mseconds();
    Pipeline::play(&format!(
        "nvdsucxclientsrc port={audio} buf-type=nvdsucx-buf-raw-audio timestamp-mode=map latency={latency} {more} \
         ! fakesink name=audio sync=true \
         nvdsucxclientsrc port={video} timestamp-mode=map latency={latency} {more} ! fakesink name=video sync=true"
    ))
}

#[test]
fn sound_and_picture_of_two_connections_are_in_step() {
    for more in ["", "zero-copy=false"] {
        let sender = sender(0, 0);
        // The receiver comes late, so that the pipelines' running times are different.
        wait_until("the sender is under way", || sender.running_time() > gst::ClockTime::from_mseconds(500));
        let receiver = receiver(sender.port("audio"), sender.port("video"), more);
        let (audio, video) = (receiver.shown("audio"), receiver.shown("video"));
        let (audio, video) = (delay(&audio, sender.zero()), delay(&video, sender.zero()));
        assert!((audio - video).abs() < 5 * MILLISECOND, "{more}: {audio} and {video} ns");
        // As late as the receiving pipeline's latency says, which is no less than that of either way.
        let mut query = gst::query::Latency::new();
        assert!(receiver.0.query(&mut query));
        let (live, min, _) = query.result();
        assert!(live && min >= LATENCY, "{min}");
        let off = video - min.nseconds().cast_signed();
        assert!((-MILLISECOND..40 * MILLISECOND).contains(&off), "{more}: {video} instead of {min}");
    }
}

#[test]
fn running_time_goes_on_when_the_sender_starts_again() {
    let first = sender(0, 0);
    let ports = (first.port("audio"), first.port("video"));
    let receiver = receiver(ports.0, ports.1, "on-disconnect=reconnect");
    let shown = receiver.shown("video");
    let before = delay(&shown, first.zero());
    wait_until("it is under way", || first.running_time() > gst::ClockTime::from_mseconds(500));
    drop(first);
    while shown.recv_timeout(Duration::from_millis(400)).is_ok() {}
    let second = sender(ports.0, ports.1);
    let after = delay(&shown, second.zero());
    assert!((before - after).abs() < 20 * MILLISECOND, "{before} ns before, {after} ns after");
}

#[test]
fn running_time_goes_on_when_the_sender_was_paused() {
    let sender = sender(0, 0);
    let receiver = receiver(sender.port("audio"), sender.port("video"), "");
    let shown = receiver.shown("video");
    let before = delay(&shown, sender.zero());
    sender.0.set_state(gst::State::Paused).unwrap();
    while shown.recv_timeout(Duration::from_millis(400)).is_ok() {}
    sender.0.set_state(gst::State::Playing).unwrap();
    shown.recv_timeout(DEADLINE).expect("it goes on");
    let after = delay(&shown, sender.zero());
    assert!((before - after).abs() < 20 * MILLISECOND, "{before} ns before, {after} ns after");
}

#[test]
fn a_late_sink_tells_the_sender_in_the_senders_time() {
    for mode in ["keep", "map"] {
        let sender = Pipeline::play(
            "videotestsrc is-live=true ! video/x-raw,width=64,height=64,framerate=50/1 ! identity name=before \
             ! nvdsucxserversink name=video port=0 wait-for-connection=false async=false",
        );
        let (heard, quality) = channel();
        let (sent, frames) = channel();
        let pad = sender.element("before").static_pad("src").unwrap();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let _ = sent.send(info.buffer().and_then(|buffer| buffer.pts()));
            gst::PadProbeReturn::Ok
        });
        pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
            if let Some(gst::EventView::Qos(qos)) = info.event().map(|event| event.view()) {
                let (kind, proportion, jitter, time) = qos.get();
                let _ = heard.send((kind, proportion, jitter, time));
            }
            gst::PadProbeReturn::Ok
        });
        wait_until("the sender is under way", || sender.running_time() > gst::ClockTime::from_mseconds(300));
        // Everything is a second too late.
        let _receiver = Pipeline::play(&format!(
            "nvdsucxclientsrc port={} timestamp-mode={mode} ! fakesink sync=true qos=true ts-offset=-1000000000",
            sender.port("video")
        ));
        let (kind, _, jitter, time) = quality.recv_timeout(DEADLINE).expect("quality of service");
        assert_eq!(kind, gst::QOSType::Underflow, "{mode}");
        assert!(jitter > 0, "{mode}: {jitter}");
        // The segment starts at 0: a frame's timestamp is its running time.
        assert!(frames.try_iter().any(|frame| frame == time), "{mode}: {time:?} is no frame's");
    }
}

#[test]
fn the_source_is_live_where_it_maps_time() {
    init();
    for (mode, expected) in
        [("keep", gst::StateChangeSuccess::Async), ("map", gst::StateChangeSuccess::NoPreroll)]
    {
        let pipeline =
            gst::parse::launch(&format!("nvdsucxserversrc port=0 timestamp-mode={mode} ! fakesink"));
        let pipeline = Pipeline(pipeline.unwrap().downcast().unwrap());
        assert_eq!(pipeline.0.set_state(gst::State::Paused), Ok(expected), "{mode}");
    }
}
