//! Runs one pipeline and tells on its standard output what goes on, a line each:
//!
//! * `buffer …`, `event …`, `upstream …`: what passes the sink pad of the element called `probe`, see `describe.rs`;
//! * `pixels n=N …`: a sum of the pixels of each frame that passes the sink pad of the element called `pixels`, and the kind of
//!   memory they are in;
//! * `meta n=N …`: each meta of the buffer that is told next, see `metas/text.rs`;
//! * `error …`, `warning …`, `eos`, `element …`, `latency-message`, `pipeline PAUSED`: messages on the bus;
//! * `port=N`: a listening element has announced its port;
//! * answers to commands, which are read from the standard input, see `commands.rs`.
//!
//! With `GST_TRACERS=leaks` GStreamer logs at the end which objects are still there.
//!
//! With `--block` the pipeline starts as after the command `block`. The end of the standard input stops the pipeline.

mod commands;
mod describe;
mod layouts;
mod metas;
mod script;
mod source;

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{io, thread};

use gst::prelude::*;

const USAGE: &str = "usage: nvdsucx-peer [--block] [--state null|ready|paused|playing] PIPELINE";

/// Prints one line. Several threads do, and nobody reads half a line.
fn say(line: &str) {
    static OUTPUT: Mutex<()> = Mutex::new(());
    let _guard = OUTPUT.lock().unwrap();
    let mut stdout = io::stdout().lock();
    // Nobody may be listening any more, which is no reason to panic inside GStreamer's callbacks.
    let _ = stdout.write_all(format!("{line}\n").as_bytes()).and_then(|()| stdout.flush());
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("nvdsucx-peer: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut args = std::env::args().skip(1);
    let mut state = gst::State::Playing;
    let mut description = args.next().ok_or(USAGE)?;
    let blocked = description == "--block";
    if blocked {
        description = args.next().ok_or(USAGE)?;
    }
    if description == "--state" {
        state = commands::state(&args.next().ok_or(USAGE)?)?;
        description = args.next().ok_or(USAGE)?;
    }

    gst::init().map_err(|e| e.to_string())?;
    metas::register();
    gst::Element::register(None, "scriptsrc", gst::Rank::NONE, source::ScriptSrc::static_type())
        .map_err(|e| e.to_string())?;
    let pipeline = gst::parse::launch(&description).map_err(|e| format!("{description}: {e}"))?;
    let pipeline = pipeline.downcast::<gst::Pipeline>().map_err(|_| "more than one element is needed")?;

    pipeline.connect_deep_notify(Some("port"), |_, object, _| {
        say(&format!(
            "port={}",
            object.property_value("port").transform::<i32>().map_or(-1, |p| p.get().unwrap())
        ));
    });
    if let Some(probe) = pipeline.by_name("probe") {
        watch(&probe.static_pad("sink").ok_or("the element `probe` has no pad `sink`")?);
    }
    if let Some(pixels) = pipeline.by_name("pixels") {
        watch_pixels(&pixels.static_pad("sink").ok_or("the element `pixels` has no pad `sink`")?);
    }
    let bus = pipeline.bus().expect("a pipeline has a bus");
    let for_latency = pipeline.downgrade();
    let listening = bus.clone();
    let listener = thread::spawn(move || listen(&listening, &for_latency));

    if blocked {
        commands::execute(&pipeline, "block")?;
    }
    commands::set_state(&pipeline, state);
    for line in io::stdin().lock().lines() {
        let line = line.map_err(|e| e.to_string())?;
        if line.trim() == "stop" {
            break;
        }
        if let Err(e) = commands::execute(&pipeline, line.trim()) {
            return Err(format!("`{line}`: {e}"));
        }
    }
    stop(&pipeline);
    commands::forget();
    let elements: Vec<_> = pipeline.iterate_recurse().into_iter().flatten().map(|e| e.downgrade()).collect();
    drop(pipeline);
    // A thread may be at work for an element that was stopped.
    let deadline = Instant::now() + LAST_WORK;
    while elements.iter().any(|element| element.upgrade().is_some()) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    // Since it stopped the bus takes nothing.
    bus.set_flushing(false);
    let _ = bus.post(gst::message::Application::new(gst::Structure::new_empty(END)));
    drop(bus);
    listener.join().map_err(|_| "nobody listened to the bus")?;
    log_leaks();
    Ok(())
}

/// How long an element may live on after its pipeline.
const LAST_WORK: Duration = Duration::from_secs(5);
/// The last message on the bus.
const END: &str = "end";

/// Has the tracer log which objects live on, if there is one that knows.
fn log_leaks() {
    for tracer in gst::active_tracers().iter().filter(|tracer| tracer.type_().name() == "GstLeaksTracer") {
        tracer.emit_by_name::<()>("log-live-objects", &[]);
    }
}

/// Stops the pipeline; the process goes down with it if it does not.
fn stop(pipeline: &gst::Pipeline) {
    static STOPPED: AtomicBool = AtomicBool::new(false);
    thread::spawn(|| {
        thread::sleep(Duration::from_secs(30));
        if !STOPPED.load(Ordering::SeqCst) {
            eprintln!("nvdsucx-peer: the pipeline does not stop");
            std::process::abort();
        }
    });
    let begin = Instant::now();
    let result = pipeline.set_state(gst::State::Null);
    STOPPED.store(true, Ordering::SeqCst);
    say(&format!("stopped result={result:?} ms={}", begin.elapsed().as_millis()));
}

/// Prints what passes `pad`.
fn watch(pad: &gst::Pad) {
    let count = AtomicU64::new(0);
    let what = gst::PadProbeType::BUFFER
        | gst::PadProbeType::EVENT_DOWNSTREAM
        | gst::PadProbeType::EVENT_FLUSH
        | gst::PadProbeType::EVENT_UPSTREAM;
    pad.add_probe(what, move |_, info| {
        if let Some(buffer) = info.buffer() {
            commands::keep(buffer, None);
            let n = count.fetch_add(1, Ordering::SeqCst);
            for meta in metas::lines(buffer) {
                say(&format!("meta n={n} {meta}"));
            }
            say(&format!("buffer n={n} {}", describe::buffer(buffer)));
        } else if let Some(event) = info.event() {
            let kind = if event.type_().is_downstream() && info.mask.intersects(downstream()) {
                "event"
            } else {
                "upstream"
            };
            say(&format!("{kind} {}", describe::event(event)));
        }
        gst::PadProbeReturn::Ok
    });
}

/// Prints what frames of raw video that pass `pad` show.
fn watch_pixels(pad: &gst::Pad) {
    let count = AtomicU64::new(0);
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if let (Some(buffer), Some(caps)) = (info.buffer(), pad.current_caps()) {
            commands::keep(buffer, Some(caps.clone()));
            let n = count.fetch_add(1, Ordering::SeqCst);
            say(&format!("pixels n={n} {}", describe::pixels(buffer, &caps)));
        }
        gst::PadProbeReturn::Ok
    });
}

fn downstream() -> gst::PadProbeType {
    gst::PadProbeType::EVENT_DOWNSTREAM
}

/// Prints the messages on `bus`, and does what an application does with them.
fn listen(bus: &gst::Bus, pipeline: &gst::glib::WeakRef<gst::Pipeline>) {
    for message in bus.iter_timed(gst::ClockTime::NONE) {
        if let Some(line) = describe::message(&message) {
            say(&line);
        }
        if matches!(message.view(), gst::MessageView::Application(m) if m.structure().is_some_and(|s| s.name() == END))
        {
            return;
        }
        let Some(pipeline) = pipeline.upgrade() else { continue };
        match message.view() {
            gst::MessageView::Latency(_) => {
                let _ = pipeline.recalculate_latency();
            }
            gst::MessageView::StateChanged(change) if message.src() == Some(pipeline.upcast_ref()) => {
                say(&format!("pipeline {}", describe::state(change.current())));
            }
            _ => {}
        }
    }
}
