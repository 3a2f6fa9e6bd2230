//! What the standard input may ask for.
//!
//! * `null`, `ready`, `paused`, `playing`: set the state; answers `state-set STATE RESULT ms=N`;
//! * `push …`: queues for the element `source`, a `scriptsrc`, see `script.rs`;
//! * `flush`: flushes from the element `source`, drops what was queued;
//! * `eos`: sends an end of stream into the pipeline;
//! * `seek NANOSECONDS`: a flushing seek; answers `seek-done true`;
//! * `upstream key-unit|qos|reconfigure|STRUCTURE`: sends an event upstream from the sink pad of `probe`;
//! * `latency`: answers `latency-query …`, asked at the sink pad of `probe`;
//! * `clock`: answers `clock base=N now=N`, of the pipeline;
//! * `stats`, `get PROPERTY`, `set PROPERTY VALUE`: of the nvdsucx element;
//! * `block`, `unblock`: lets nothing pass the sink pad of `probe`; answers `blocking`, and `blocked` once there is something to
//!   hold;
//! * `keep`: keeps every buffer that comes to `probe` or `pixels`, for ever; `kept`: tells what they are now, `kept n=N …` each, and then
//!   `kept-all`;
//! * `where`: answers `looking`, and then `where shared` if all memory of the next buffer at `probe` is System V shared memory,
//!   or `where private`;
//! * `allocation CAPS`: asks the element what buffers it would like; answers `allocation pool=… metas=API,…`;
//! * `take-layouts`: from now on `probe` answers that it understands layouts and crops of video; answers `layouts-taken`;
//! * `release`: answers `release VERSION` of GStreamer;
//! * `stop`: stops the pipeline and the program, answers `stopped result=… ms=N`.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use gst::prelude::*;
use gst_video::{VideoCropMeta, VideoMeta};

use crate::source::ScriptSrc;
use crate::{describe, say, script};

pub(crate) fn execute(pipeline: &gst::Pipeline, line: &str) -> Result<(), String> {
    let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
    match command {
        "null" | "ready" | "paused" | "playing" => set_state(pipeline, state(command)?),
        "push" => source(pipeline)?.push(script::parse(rest)?),
        "flush" => source(pipeline)?.flush(),
        "eos" => {
            pipeline.send_event(gst::event::Eos::new());
        }
        "seek" => {
            let position = rest.parse().map(gst::ClockTime::from_nseconds).map_err(|_| "seek NANOSECONDS")?;
            let done = pipeline.seek_simple(gst::SeekFlags::FLUSH, position).is_ok();
            say(&format!("seek-done {done}"));
        }
        "upstream" => {
            let event = upstream(rest)?;
            let taken = probe(pipeline)?.push_event(event);
            say(&format!("upstream-sent taken={taken}"));
        }
        "latency" => say(&latency(pipeline)?),
        "clock" => {
            let time = |time: Option<gst::ClockTime>| time.map_or(0, gst::ClockTime::nseconds);
            let now = pipeline.clock().map(|clock| clock.time());
            say(&format!("clock base={} now={}", time(pipeline.base_time()), time(now)));
        }
        "stats" => {
            let stats = element(pipeline)?.property::<gst::Structure>("stats");
            say(&format!("stats {stats}"));
        }
        "get" => {
            let value = element(pipeline)?.property_value(rest);
            say(&format!("got {rest}={}", value.serialize().map_err(|e| e.to_string())?));
        }
        "set" => {
            let (name, value) = rest.split_once(' ').ok_or("set PROPERTY VALUE")?;
            element(pipeline)?.set_property_from_str(name, value);
            say("set-done");
        }
        "block" => block(pipeline)?,
        "unblock" => unblock(pipeline)?,
        "allocation" => say(&allocation(pipeline, rest)?),
        "take-layouts" => take_layouts(pipeline)?,
        "release" => {
            let (major, minor, ..) = gst::version();
            say(&format!("release {major}.{minor}"));
        }
        "where" => find_next(pipeline)?,
        "keep" => {
            KEEPING.store(true, Ordering::SeqCst);
            say("keeping");
        }
        "kept" => {
            for (n, (buffer, video)) in KEPT.lock().unwrap().iter().enumerate() {
                let what = video.as_ref().map(|caps| describe::pixels(buffer, caps));
                say(&format!("kept n={n} {}", what.unwrap_or_else(|| describe::buffer(buffer))));
            }
            say("kept-all");
        }
        _ => return Err("no such command".into()),
    }
    Ok(())
}

pub(crate) fn state(name: &str) -> Result<gst::State, String> {
    Ok(match name {
        "null" => gst::State::Null,
        "ready" => gst::State::Ready,
        "paused" => gst::State::Paused,
        "playing" => gst::State::Playing,
        _ => return Err(format!("no state is called {name}")),
    })
}

pub(crate) fn set_state(pipeline: &gst::Pipeline, state: gst::State) {
    let begin = Instant::now();
    let result = pipeline.set_state(state);
    let millis = begin.elapsed().as_millis();
    say(&format!("state-set {} {result:?} ms={millis}", describe::state(state)));
}

fn source(pipeline: &gst::Pipeline) -> Result<ScriptSrc, String> {
    pipeline
        .by_name("source")
        .and_then(|e| e.downcast().ok())
        .ok_or_else(|| "no scriptsrc called `source`".into())
}

fn probe(pipeline: &gst::Pipeline) -> Result<gst::Pad, String> {
    pipeline
        .by_name("probe")
        .and_then(|e| e.static_pad("sink"))
        .ok_or_else(|| "no element called `probe`".into())
}

fn element(pipeline: &gst::Pipeline) -> Result<gst::Element, String> {
    pipeline.by_name("ucx").ok_or_else(|| "no element called `ucx`".into())
}

fn upstream(what: &str) -> Result<gst::Event, String> {
    Ok(match what {
        "key-unit" => gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true).count(7).build(),
        "qos" => {
            gst::event::Qos::new(gst::QOSType::Underflow, 1.5, 20_000_000, gst::ClockTime::from_mseconds(40))
        }
        "reconfigure" => gst::event::Reconfigure::new(),
        structure => gst::event::CustomUpstream::new(structure.parse().map_err(|_| "not a structure")?),
    })
}

fn latency(pipeline: &gst::Pipeline) -> Result<String, String> {
    let mut query = gst::query::Latency::new();
    let answered = probe(pipeline)?.peer_query(&mut query);
    let (live, min, max) = query.result();
    let max = max.map_or_else(|| "-".into(), |m| m.nseconds().to_string());
    Ok(format!("latency-query answered={answered} live={live} min={} max={max}", min.nseconds()))
}

fn allocation(pipeline: &gst::Pipeline, caps: &str) -> Result<String, String> {
    let caps: gst::Caps = caps.parse().map_err(|_| "not caps")?;
    let mut query = gst::query::Allocation::new(Some(&caps), true);
    let pad = element(pipeline)?.static_pad("sink").ok_or("no sink")?;
    if !pad.query(&mut query) {
        return Err("nobody answers the query".into());
    }
    let metas: Vec<_> = query.allocation_metas().map(|(api, _)| api.name()).collect();
    let pool = query.allocation_pools().any(|(pool, ..)| pool.is_some());
    Ok(format!("allocation pool={pool} metas={}", metas.join(",")))
}

fn take_layouts(pipeline: &gst::Pipeline) -> Result<(), String> {
    probe(pipeline)?.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, |_, info| {
        let Some(gst::QueryViewMut::Allocation(query)) = info.query_mut().map(gst::QueryRef::view_mut) else {
            return gst::PadProbeReturn::Ok;
        };
        query.add_allocation_meta::<VideoMeta>(None);
        query.add_allocation_meta::<VideoCropMeta>(None);
        gst::PadProbeReturn::Handled
    });
    say("layouts-taken");
    Ok(())
}

static BLOCK: Mutex<Option<gst::PadProbeId>> = Mutex::new(None);

fn block(pipeline: &gst::Pipeline) -> Result<(), String> {
    let what = gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER;
    let id = probe(pipeline)?.add_probe(what, |_, _| {
        say("blocked");
        gst::PadProbeReturn::Ok
    });
    *BLOCK.lock().unwrap() = id;
    say("blocking");
    Ok(())
}

fn unblock(pipeline: &gst::Pipeline) -> Result<(), String> {
    let id = BLOCK.lock().unwrap().take().ok_or("not blocked")?;
    probe(pipeline)?.remove_probe(id);
    Ok(())
}

static KEPT: Mutex<Vec<(gst::Buffer, Option<gst::Caps>)>> = Mutex::new(vec![]);
static KEEPING: AtomicBool = AtomicBool::new(false);

/// Keeps a buffer that has come to `probe`, or to `pixels`, where it is of `video`, if that was asked for.
pub(crate) fn keep(buffer: &gst::Buffer, video: Option<gst::Caps>) {
    if KEEPING.load(Ordering::SeqCst) {
        KEPT.lock().unwrap().push((buffer.clone(), video));
    }
}

/// Lets go of what was kept.
pub(crate) fn forget() {
    KEEPING.store(false, Ordering::SeqCst);
    KEPT.lock().unwrap().clear();
}

/// Says where the memory of the next buffer is.
fn find_next(pipeline: &gst::Pipeline) -> Result<(), String> {
    probe(pipeline)?.add_probe(gst::PadProbeType::BUFFER, |_, info| {
        let Some(buffer) = info.buffer() else { return gst::PadProbeReturn::Ok };
        let shared = buffer.n_memory() > 0
            && buffer.iter_memories().all(|memory| memory.map_readable().is_ok_and(|map| is_shared(&map)));
        say(if shared { "where shared" } else { "where private" });
        gst::PadProbeReturn::Remove
    });
    say("looking");
    Ok(())
}

/// Whether the kernel names a System V segment for these addresses.
fn is_shared(bytes: &[u8]) -> bool {
    let range = bytes.as_ptr_range();
    let (start, end) = (range.start as usize, range.end as usize);
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    maps.lines().filter(|line| line.contains("/SYSV")).any(|line| {
        let number = |text: &str| usize::from_str_radix(text, 16).ok();
        let bounds = line.split(' ').next().and_then(|range| range.split_once('-'));
        let bounds = bounds.and_then(|(from, to)| number(from).zip(number(to)));
        bounds.is_some_and(|(from, to)| from <= start && end <= to)
    })
}
