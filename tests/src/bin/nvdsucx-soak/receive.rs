//! A receiving process: checks every frame, again and again from connection to connection.
//!
//! * `restart`: stops and starts the pipeline, as at each end of a stream.
//!
//! Says `joined session=N sequence=N` with the first frame of each connection, `at frames=N bytes=N mapped=0|1` now and then,
//! `end session=N first=N frames=N` at the end of a stream, and `wrong …` about what must not be.

use std::collections::VecDeque;
use std::io::{self, BufRead as _};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::frame::{CAPS_NUMBER, Head, Kind};
use crate::{END, say};

/// How often it says how much has come.
const SAY_EVERY: Duration = Duration::from_millis(250);

enum Wish {
    Restart,
    Quit,
}

/// Runs the element `src`, with its properties, and keeps the latest `held` buffers.
pub(crate) fn run(kind: Kind, held: usize, src: &str) -> Result<(), String> {
    let pipeline = gst::parse::launch(&format!("{src} name=ucx ! fakesink name=end sync=false"))
        .map_err(|e| e.to_string())?
        .downcast::<gst::Pipeline>()
        .map_err(|_| "no pipeline")?;
    let (wishes, wished) = channel();
    let at_end: Sender<Wish> = wishes.clone();
    pipeline.bus().ok_or("no bus")?.set_sync_handler(move |_, message| {
        if let gst::MessageView::Eos(_) = message.view() {
            let _ = at_end.send(Wish::Restart);
        }
        crate::tell(message);
        gst::BusSyncReply::Drop
    });
    let element = pipeline.by_name("ucx").ok_or("no element")?;
    let checks = Arc::new(Mutex::new(Checks::new(element, kind, held)));
    let pad = pipeline.by_name("end").and_then(|end| end.static_pad("sink")).ok_or("no pad")?;
    let on_pad = Arc::clone(&checks);
    pad.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        let mut checks = on_pad.lock().unwrap();
        if let Some(buffer) = info.buffer() {
            checks.frame(buffer);
        } else if let Some(event) = info.event() {
            checks.event(event);
        }
        gst::PadProbeReturn::Ok
    });
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if line != "restart" || wishes.send(Wish::Restart).is_err() {
                break;
            }
        }
        let _ = wishes.send(Wish::Quit);
    });
    serve(&pipeline, &wished, &checks)
}

fn serve(pipeline: &gst::Pipeline, wished: &Receiver<Wish>, checks: &Mutex<Checks>) -> Result<(), String> {
    loop {
        pipeline.set_state(gst::State::Playing).map_err(|e| e.to_string())?;
        let wish = wished.recv();
        let begin = Instant::now();
        pipeline.set_state(gst::State::Null).map_err(|e| e.to_string())?;
        crate::say_stopped(begin);
        checks.lock().unwrap().closed();
        if !matches!(wish, Ok(Wish::Restart)) {
            checks.lock().unwrap().let_go(0);
            return Ok(());
        }
    }
}

struct Checks {
    element: gst::Element,
    kind: Kind,
    /// Buffers to keep.
    most_held: usize,
    held: VecDeque<(gst::Buffer, Head)>,
    caps: Option<u32>,
    /// The latest frame, whatever connection it came by.
    last: Option<Head>,
    /// Sequence number of the first frame of this connection.
    first: Option<u64>,
    /// Frames of this connection.
    of_connection: u64,
    /// What the sender said at its end.
    end: Option<(u64, u64)>,
    frames: u64,
    bytes: u64,
    said: Instant,
}

impl Checks {
    fn new(element: gst::Element, kind: Kind, most_held: usize) -> Self {
        Self {
            element,
            kind,
            most_held,
            held: VecDeque::new(),
            caps: None,
            last: None,
            first: None,
            of_connection: 0,
            end: None,
            frames: 0,
            bytes: 0,
            said: Instant::now(),
        }
    }

    fn frame(&mut self, buffer: &gst::Buffer) {
        let Some(head) = self.content(buffer) else { return };
        if buffer.flags().contains(gst::BufferFlags::DISCONT) {
            self.closed();
        }
        if let Some(last) = self.last.filter(|last| last.session == head.session) {
            if head.sequence <= last.sequence {
                say(&format!("wrong: {head:?} after {last:?}"));
            } else if self.first.is_some() && !head.leaky && head.sequence != last.sequence + 1 {
                say(&format!("wrong: {head:?} follows {last:?}"));
            }
        } else if self.first.is_some() {
            say(&format!("wrong: {head:?} without a new connection, after {:?}", self.last));
        }
        if self.caps != Some(head.caps) {
            say(&format!("wrong: {head:?} with the caps number {:?}", self.caps));
        }
        if self.first.is_none() {
            self.first = Some(head.sequence);
            say(&format!("joined session={} sequence={}", head.session, head.sequence));
        }
        self.last = Some(head);
        self.of_connection += 1;
        self.frames += 1;
        self.bytes += buffer.size() as u64;
        if self.said.elapsed() >= SAY_EVERY {
            self.report();
        }
        self.held.push_back((buffer.clone(), head));
        self.let_go(self.most_held);
    }

    fn report(&mut self) {
        let stats = self.element.property::<gst::Structure>("stats");
        let peers = stats.get::<gst::Array>("clients").ok();
        let peer = peers.and_then(|peers| peers.first()?.get::<gst::Structure>().ok());
        let mapped = peer.is_some_and(|peer| peer.get::<&str>("path") == Ok("mapped"));
        say(&format!("at frames={} bytes={} mapped={}", self.frames, self.bytes, u8::from(mapped)));
        self.said = Instant::now();
    }

    fn content(&self, buffer: &gst::BufferRef) -> Option<Head> {
        let checked =
            buffer.map_readable().map_err(|e| e.to_string()).and_then(|map| Head::check(self.kind, &map));
        checked.map_err(|e| say(&format!("wrong: {e}"))).ok()
    }

    /// Drops all but `most` buffers, which must be what they were.
    fn let_go(&mut self, most: usize) {
        while self.held.len() > most
            && let Some((buffer, head)) = self.held.pop_front()
        {
            if self.content(&buffer).is_some_and(|now| now != head) {
                say(&format!("wrong: {head:?} has become another frame while it was held"));
            }
        }
    }

    fn event(&mut self, event: &gst::EventRef) {
        match event.view() {
            gst::EventView::Caps(caps) => {
                let number = caps.caps().structure(0).and_then(|s| s.get::<i32>(CAPS_NUMBER).ok());
                self.caps = number.and_then(|number| number.try_into().ok());
            }
            gst::EventView::CustomDownstreamSticky(_) => {
                let end = event.structure().filter(|s| s.name() == END);
                self.end = end.and_then(|s| s.get("session").ok().zip(s.get("sent").ok()));
            }
            gst::EventView::Eos(_) => self.ended(),
            _ => {}
        }
    }

    /// Everything has arrived, or was dropped by a sender that may.
    fn ended(&mut self) {
        // Who joins late gets the end and nothing else.
        let (Some(first), Some(last)) = (self.first, self.last) else { return };
        match self.end {
            Some((session, sent)) if session == last.session => {
                if !last.leaky && last.sequence + 1 != sent {
                    say(&format!("wrong: the stream ends with {last:?}, of {sent} frames"));
                }
            }
            end => say(&format!("wrong: an end of stream after {last:?}, announced was {end:?}")),
        }
        self.report();
        say(&format!("end session={} first={first} frames={}", last.session, self.of_connection));
    }

    /// The connection is over.
    fn closed(&mut self) {
        self.first = None;
        self.of_connection = 0;
        self.end = None;
    }
}
