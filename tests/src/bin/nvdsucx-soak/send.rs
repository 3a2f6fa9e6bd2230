//! A sending process: one session after the other, until it is told to quit.
//!
//! * `caps`: other caps from the next frame on; `burst N`: N frames without a pause;
//! * `eos`: ends the stream, and begins a new session once all is taken; says `done session=N sent=N dropped=N`;
//! * `restart`: stops in the middle and begins a new session.
//!
//! Says `session id=N` at the beginning of each.

use std::io::{self, BufRead as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use gst::prelude::*;
use nvdsucx_tests::payload::Random;

use crate::frame::{Head, Kind};
use crate::{END, say};

/// Longer than any stream may take to end.
const END_WITHIN: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Wishes {
    eos: bool,
    caps: bool,
    restart: bool,
    quit: bool,
    burst: u32,
    /// The pipeline has reached its end.
    ended: bool,
}

#[derive(Debug, Default)]
struct Asked {
    wishes: Mutex<Wishes>,
    changed: Condvar,
}

impl Asked {
    fn lock(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut Wishes)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until something interrupts, or `period` is over.
    fn wait(&self, period: Duration, interrupts: impl Fn(&Wishes) -> bool) -> MutexGuard<'_, Wishes> {
        self.changed.wait_timeout_while(self.lock(), period, |wishes| !interrupts(wishes)).unwrap().0
    }
}

/// Runs the element `sink`, with its properties. `first` is the number of the first session.
pub(crate) fn run(kind: Kind, first: u64, sink: &str) -> Result<(), String> {
    let element = gst::parse::launch(&format!("{sink} name=ucx sync=false")).map_err(|e| e.to_string())?;
    let pipeline = gst::Pipeline::new();
    pipeline.add(&element).map_err(|e| e.to_string())?;
    let pad = gst::Pad::builder(gst::PadDirection::Src).name("src").build();
    pad.set_active(true).map_err(|e| e.to_string())?;
    pad.link(&element.static_pad("sink").ok_or("no sink pad")?).map_err(|e| e.to_string())?;
    let asked = Arc::new(Asked::default());
    let on_bus = Arc::clone(&asked);
    pipeline.bus().ok_or("no bus")?.set_sync_handler(move |_, message| {
        if let gst::MessageView::Eos(_) = message.view() {
            on_bus.change(|wishes| wishes.ended = true);
        }
        crate::tell(message);
        gst::BusSyncReply::Drop
    });
    let (listener, listened) = (Arc::clone(&asked), pipeline.clone());
    thread::spawn(move || listen(&listener, &listened));
    let mut random = Random::new(first);
    for session in first.. {
        if asked.lock().quit {
            break;
        }
        let leaky = random.below(4) == 0;
        element.set_property_from_str("leaky", if leaky { "upstream" } else { "no" });
        Session {
            kind,
            session,
            leaky,
            pad: &pad,
            asked: &asked,
            sent: 0,
            caps: random.below(1000),
            pool: None,
        }
        .run(&pipeline, &element, &mut random)?;
    }
    pipeline.set_state(gst::State::Null).map_err(|e| e.to_string())?;
    Ok(())
}

fn listen(asked: &Asked, pipeline: &gst::Pipeline) {
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("eos", _) => asked.change(|wishes| wishes.eos = true),
            ("caps", _) => asked.change(|wishes| wishes.caps = true),
            ("burst", frames) => asked.change(|wishes| wishes.burst = frames.parse().unwrap_or(0)),
            ("restart", _) => interrupt(asked, pipeline, |wishes| wishes.restart = true),
            _ => break,
        }
    }
    interrupt(asked, pipeline, |wishes| wishes.quit = true);
}

/// Stops the pipeline from this thread, since the other one may be waiting in it.
fn interrupt(asked: &Asked, pipeline: &gst::Pipeline, wish: impl FnOnce(&mut Wishes)) {
    asked.change(wish);
    let begin = Instant::now();
    if let Err(e) = pipeline.set_state(gst::State::Null) {
        say(&format!("error the pipeline does not stop: {e}"));
    }
    crate::say_stopped(begin);
}

struct Session<'a> {
    kind: Kind,
    session: u64,
    leaky: bool,
    pad: &'a gst::Pad,
    asked: &'a Asked,
    sent: u64,
    caps: u32,
    pool: Option<gst::BufferPool>,
}

impl Session<'_> {
    fn run(
        mut self,
        pipeline: &gst::Pipeline,
        element: &gst::Element,
        random: &mut Random,
    ) -> Result<(), String> {
        self.asked.change(|wishes| *wishes = Wishes { quit: wishes.quit, ..Wishes::default() });
        pipeline.set_state(gst::State::Playing).map_err(|e| e.to_string())?;
        say(&format!("session id={}", self.session));
        self.pad.push_event(gst::event::StreamStart::builder(&format!("soak/{}", self.session)).build());
        let mut len = self.take_caps()?;
        self.pad.push_event(gst::event::Segment::new(&gst::FormattedSegment::<gst::ClockTime>::new()));
        let ended = loop {
            let pause = {
                let mut wishes = self.asked.lock();
                let bursts = wishes.burst > 0;
                wishes.burst = wishes.burst.saturating_sub(1);
                if bursts { Duration::ZERO } else { Duration::from_secs(1) / self.kind.rate() }
            };
            let (stop, eos, caps) = {
                let mut wishes = self.asked.wait(pause, |w| w.restart || w.quit);
                (wishes.restart || wishes.quit, wishes.eos, std::mem::take(&mut wishes.caps))
            };
            if stop || eos {
                break eos && !stop;
            }
            if caps {
                self.caps += 1;
                len = self.take_caps()?;
            }
            let buffer = self.buffer(len.unwrap_or_else(|| self.kind.any_len(random)), random)?;
            match self.pad.push(buffer) {
                Ok(_) => self.sent += 1,
                Err(gst::FlowError::Flushing) => break false,
                Err(e) => return Err(format!("a buffer is not taken: {e}")),
            }
        };
        if ended {
            self.end(element);
        }
        if let Some(pool) = self.pool.take() {
            let _ = pool.set_active(false);
        }
        let begin = Instant::now();
        pipeline.set_state(gst::State::Null).map_err(|e| e.to_string())?;
        crate::say_stopped(begin);
        Ok(())
    }

    /// Ends the stream, and waits until all is taken.
    fn end(&self, element: &gst::Element) {
        let count =
            gst::Structure::builder(END).field("session", self.session).field("sent", self.sent).build();
        self.pad.push_event(gst::event::CustomDownstreamSticky::new(count));
        self.pad.push_event(gst::event::Eos::new());
        if self.asked.wait(END_WITHIN, |w| w.ended || w.restart || w.quit).ended {
            let stats = element.property::<gst::Structure>("stats");
            let dropped = stats.get::<u64>("dropped").unwrap_or(u64::MAX);
            say(&format!("done session={} sent={} dropped={dropped}", self.session, self.sent));
        }
    }

    /// Sends the caps, and asks what buffers are wanted. Returns the length of frames, if they tell.
    fn take_caps(&mut self) -> Result<Option<usize>, String> {
        let (caps, len) = self.kind.caps(self.caps);
        let caps: gst::Caps = caps.parse().map_err(|_| "not caps")?;
        self.pad.push_event(gst::event::Caps::new(&caps));
        if let Some(pool) = self.pool.take() {
            let _ = pool.set_active(false);
        }
        self.pool = len.and_then(|len| self.offered_pool(&caps, len));
        Ok(len)
    }

    fn offered_pool(&self, caps: &gst::Caps, len: usize) -> Option<gst::BufferPool> {
        let mut query = gst::query::Allocation::new(Some(caps), true);
        if !self.pad.peer_query(&mut query) {
            return None;
        }
        let (pool, size, min, _) = query.allocation_pools().next()?;
        let pool = pool?;
        let mut config = pool.config();
        config.set_params(Some(caps), size.max(len as u32), min, 0);
        pool.set_config(config).ok()?;
        pool.set_active(true).ok()?;
        Some(pool)
    }

    /// The next frame: in memory that the sink has offered, or elsewhere, in one or two pieces.
    fn buffer(&self, len: usize, random: &mut Random) -> Result<gst::Buffer, String> {
        let Self { session, sent: sequence, caps, leaky, kind, .. } = *self;
        let head = Head { session, sequence, caps, leaky };
        let pooled = self.pool.as_ref().filter(|_| random.below(2) == 0);
        let mut buffer = match pooled.and_then(|pool| pool.acquire_buffer(None).ok()) {
            Some(mut buffer) => {
                let writable = buffer.make_mut();
                writable.set_size(len);
                head.fill(kind, &mut writable.map_writable().map_err(|e| e.to_string())?);
                buffer
            }
            None => {
                let mut bytes = vec![0; len];
                head.fill(kind, &mut bytes);
                let mut buffer = gst::Buffer::new();
                let at = if random.below(4) == 0 { len / 8 * 4 } else { len };
                for part in [&bytes[..at], &bytes[at..]].into_iter().filter(|part| !part.is_empty()) {
                    buffer.make_mut().append_memory(gst::Memory::from_slice(part.to_vec()));
                }
                buffer
            }
        };
        buffer.make_mut().set_pts(gst::ClockTime::from_mseconds(sequence * 10));
        Ok(buffer)
    }
}
