//! The subscriber on the transport thread: who is connected, which of its memory is mapped, and what it is told. How its frames
//! get into the queue is in `frames.rs`.

mod frames;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nvdsucx_wire as wire;
use nvdsucx_wire::message::Kind;
use ucp::{Access, Data, Maker};
use wire::FrameArrival;

use crate::clock::{self, Answers};
use crate::departed::Departed;
use crate::landing::Landing;
use crate::links::{Departure, FAREWELL, LinkEvent, LinkId, Links, earliest};
use crate::mapped::{Bounds, Inlet, Memories, Memory};
use crate::ring::{EndFlag, Reader};
use crate::stats::PeerCounters;
use crate::subscriber::{Clock, Entry, Shared, Taken};
use crate::transport::Role;
use crate::{Device, Error, Incoming, Interrupted, Landed, Notice, OnDisconnect, ReceiverConfig, monotonic};

/// Allocations of a device that wait to be opened, at most.
const MAX_UNOPENED: usize = 1024;
/// How long the pipeline waits for a frame, while it holds every landing buffer itself, before there are more of them.
const PATIENCE: Duration = Duration::from_millis(50);

pub(crate) struct Receiving {
    shared: Arc<Shared>,
    max_frame_size: usize,
    max_held: u64,
    /// What a sender may have in flight.
    limit: wire::Window,
    landing: Landing,
    device: Option<Arc<dyn Device>>,
    /// Memory of a device that may be opened once it is known whether frames are wanted there.
    unopened: Vec<wire::SharedMemory>,
    sender: Option<Sender>,
    departed: Departed,
    /// Senders there have been.
    epoch: u64,
    /// Frames that wait for a landing buffer, in order of arrival.
    waiting: VecDeque<(FrameArrival, Data)>,
    /// Frames that land now, by cookie.
    fetching: HashMap<u64, Fetch>,
    last_cookie: u64,
    measure_clock: bool,
}

struct Fetch {
    epoch: u64,
    arrival: FrameArrival,
    slot: u64,
    len: usize,
}

/// The connected sender and its stream.
struct Sender {
    id: LinkId,
    counters: Arc<PeerCounters>,
    /// Sequence number of the first of `pending`.
    next: u64,
    /// What has arrived and not been queued: something before it is missing.
    pending: VecDeque<Option<Incoming>>,
    /// Frames and bytes that have arrived and not been acknowledged.
    frames: u64,
    bytes: u64,
    /// It has sent the end of the stream.
    ended: bool,
    discontinuity: bool,
    /// Its memory as far as we have mapped it.
    memories: Memories,
    /// The process that made its shared memory.
    maker: Option<Maker>,
    /// Its ring, until the stream goes there.
    ring: Option<Inlet>,
    /// Once the stream is there: whether it is at its end.
    end_in_ring: Option<EndFlag>,
    clock: Answers,
    /// When to ask next what its clock shows.
    ask_clock: Option<Instant>,
    /// When it was asked, by our clock.
    asked_clock: Option<u64>,
}

impl Sender {
    fn has_ended(&self) -> bool {
        self.end_in_ring.as_ref().map_or(self.ended, EndFlag::is_set)
    }

    /// What has arrived and not been taken is no more than it may be. A sender counts payloads alone, and lets one frame of
    /// any size through.
    fn keeps_to(&self, limit: &wire::Window, max_frame_size: u64) -> bool {
        self.frames <= limit.frames.into() && self.bytes <= limit.bytes.saturating_add(max_frame_size)
    }
}

impl Receiving {
    pub(crate) fn new(shared: Arc<Shared>, config: ReceiverConfig, limit: wire::Window) -> Self {
        let landing =
            Landing::new(config.allocator, Arc::clone(&shared.doorbell), config.buffers, config.initial_size);
        Self {
            shared,
            max_frame_size: config.max_frame_size,
            max_held: config.max_held,
            limit,
            landing,
            device: config.device,
            unopened: Vec::new(),
            sender: None,
            departed: Departed::default(),
            epoch: 0,
            waiting: VecDeque::new(),
            fetching: HashMap::new(),
            last_cookie: 0,
            measure_clock: config.measure_clock,
        }
    }
}

impl Role for Receiving {
    fn handle(&mut self, links: &mut Links, event: LinkEvent) {
        match event {
            LinkEvent::Up(id) => self.join(links, id),
            LinkEvent::Frame(id, frame) => self.frame(links, id, frame),
            LinkEvent::Control(id, Kind::Event(event)) => self.event(links, id, event),
            LinkEvent::Control(_, Kind::Latency(latency)) => links.notify(Notice::Latency(latency)),
            LinkEvent::Control(id, Kind::Pong(pong)) => self.clock_told(links, id, pong),
            LinkEvent::Control(id, Kind::Share(share)) => self.share(links, id, &share),
            LinkEvent::Control(id, Kind::Memory(memory)) => self.map(links, id, &memory),
            LinkEvent::Control(id, Kind::MemoryGone(memory)) => {
                if let Some(sender) = self.sender.as_ref().filter(|sender| sender.id == id) {
                    sender.memories.remove(memory);
                    self.unopened.retain(|unopened| unopened.id != memory);
                }
            }
            LinkEvent::Control(id, _) => links.broke_protocol(id, "it sent what only a receiver sends"),
            LinkEvent::Received { cookie, region, result } => self.received(links, cookie, region, result),
            LinkEvent::Refused(notice) => {
                self.shared.counters.refused.add(1);
                notice.into_iter().for_each(|notice| links.notify(notice));
            }
            LinkEvent::Down(id, departure) => self.leave(links, id, departure),
            LinkEvent::Fatal(error) => self.shared.end(Interrupted::Failed(error)),
        }
    }

    fn poll(&mut self, links: &mut Links) -> bool {
        self.departed.clear_up();
        let mut busy = self.land_waiting(links);
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        let upstream = std::mem::take(&mut state.upstream);
        let (broken, too_large) = (state.broken.take(), state.too_large.take());
        let look_again = std::mem::take(&mut state.look_again);
        state.short = !self.waiting.is_empty();
        // What lands now is told of with what has landed.
        let tell = state.taken.is_enough() || state.is_idle() && self.fetching.is_empty();
        let taken = &mut state.taken;
        let ack = tell.then(|| taken.sequence.take()).flatten().filter(|_| taken.epoch == self.epoch);
        let (frames, bytes) = if ack.is_some() {
            (std::mem::take(&mut taken.frames), std::mem::take(&mut taken.bytes))
        } else {
            (0, 0)
        };
        drop(state);
        if let Some(size) = too_large {
            self.too_large(links, size);
        }
        if look_again && let Some(id) = self.sender.as_ref().map(|sender| sender.id) {
            for memory in std::mem::take(&mut self.unopened) {
                self.open(links, id, memory);
            }
        }
        let Some(sender) = &mut self.sender else { return busy };
        if let Some(broken) = broken {
            links.broke_protocol(sender.id, &broken.to_string());
            return true;
        }
        let now = links.now();
        if sender.ask_clock.take_if(|due| *due <= now).is_some() {
            let asked = monotonic();
            sender.asked_clock = Some(asked);
            links.send_control(sender.id, Kind::Ping(wire::Ping { id: asked, time: 0 }));
        }
        for event in upstream {
            links.send_control(sender.id, Kind::Upstream(event));
            busy = true;
        }
        if let Some(sequence) = ack {
            sender.frames = sender.frames.saturating_sub(frames);
            sender.bytes = sender.bytes.saturating_sub(bytes);
            sender.counters.in_flight.set(sender.frames);
            links.send_control(sender.id, Kind::Ack(wire::Ack { sequence }));
            busy = true;
        }
        busy
    }

    fn deadline(&self) -> Option<Instant> {
        let ask_clock = self.sender.as_ref().and_then(|sender| sender.ask_clock);
        let due = earliest(ask_clock, self.departed.due());
        if self.waiting.is_empty() || !self.fetching.is_empty() {
            return due;
        }
        let state = self.shared.lock();
        earliest(due, state.waiting.filter(|_| state.is_idle()).map(|since| since + PATIENCE))
    }
}

impl Receiving {
    fn join(&mut self, links: &mut Links, id: LinkId) {
        let (Some(peer), Some(hello)) = (links.peer(id).cloned(), links.hello_of(id)) else { return };
        let window = hello.window.unwrap_or(self.limit);
        self.epoch += 1;
        self.sender = Some(Sender {
            id,
            counters: self.shared.counters.join(id, peer.clone()),
            next: 0,
            pending: VecDeque::new(),
            frames: 0,
            bytes: 0,
            ended: false,
            discontinuity: self.epoch > 1,
            memories: Memories::default(),
            maker: None,
            ring: None,
            end_in_ring: None,
            clock: Answers::default(),
            ask_clock: self.measure_clock.then(Instant::now),
            asked_clock: None,
        });
        self.shared.set_clock(Clock::Unknown);
        // A quarter of the window at a time: few messages, and the sender never waits for one.
        self.shared.lock().taken = Taken {
            epoch: self.epoch,
            enough_frames: (u64::from(window.frames.min(self.limit.frames)) / 4).max(1),
            enough_bytes: (window.bytes.min(self.limit.bytes) / 4).max(1),
            ..Taken::default()
        };
        links.notify(Notice::Joined(peer));
    }

    fn leave(&mut self, links: &mut Links, id: LinkId, departure: Departure) {
        if self.sender.as_ref().is_none_or(|sender| sender.id != id) {
            return;
        }
        // What has arrived in whole can still be delivered; what waits at the sender is lost.
        for (arrival, data) in std::mem::take(&mut self.waiting) {
            if let Data::Held(held) = data
                && let Some(landed) = Landed::copy_of(held.bytes())
            {
                self.landed(links, arrival, landed);
            }
        }
        let Some(sender) = self.sender.take() else { return };
        self.unopened.clear();
        self.close_ring();
        if !sender.clock.are_enough() {
            self.shared.set_clock(Clock::Silent);
        }
        let ended = sender.has_ended();
        let orderly = departure.orderly || ended;
        self.shared.counters.leave(id, orderly);
        if let Some(maker) = sender.maker.filter(|_| !departure.orderly) {
            self.departed.add(maker);
        }
        let Departure { peer, reason, .. } = departure;
        links.notify(Notice::Left { peer: peer.clone(), reason: reason.clone(), orderly });
        if ended {
            return;
        }
        match links.config().on_disconnect {
            OnDisconnect::Fail => {
                let cause = format!("{reason}, before the end of its stream");
                self.fail(links, Error::Disconnected { peer: peer.address, cause });
            }
            OnDisconnect::Eos => self.shared.end(Interrupted::Eos),
            OnDisconnect::Reconnect => {
                links.notify(Notice::Warning(format!("lost {}: {reason}", peer.address)));
                links.reconnect();
            }
        }
    }

    /// The sender has answered what its clock shows.
    fn clock_told(&mut self, links: &mut Links, id: LinkId, pong: wire::Ping) {
        let Some(sender) = self.sender.as_mut().filter(|sender| sender.id == id) else { return };
        let now = monotonic();
        let Some(asked) = sender.asked_clock.take_if(|asked| *asked == pong.id) else {
            return links.broke_protocol(id, "it answered what it was not asked");
        };
        if pong.time == 0 {
            return self.shared.set_clock(Clock::Silent);
        }
        sender.clock.add(asked, pong.time, now);
        let enough = sender.clock.are_enough();
        sender.ask_clock = Some(Instant::now() + if enough { clock::INTERVAL } else { Duration::ZERO });
        if let Some(difference) = sender.clock.difference().filter(|_| enough) {
            self.shared.set_clock(Clock::Known(difference));
        }
    }

    /// The sender offers a ring: what it holds is proved to be its memory before anything is written there.
    fn share(&mut self, links: &mut Links, id: LinkId, share: &wire::Share) {
        let Some(sender) = self.sender.as_mut().filter(|sender| sender.id == id) else { return };
        if sender.ring.is_some() || sender.end_in_ring.is_some() {
            return links.broke_protocol(id, "it offered a second ring");
        }
        let mapped = match (&share.ring, links.token(id)) {
            (Some(ring), Some(token)) => links.map(id, ring, Access::ReadWrite).and_then(|memory| {
                Reader::new(memory, share.secret, token).ok_or("it is other memory".to_owned())
            }),
            _ => Err("it was not named".to_owned()),
        };
        let (mapped, reason) = match mapped {
            Ok(reader) => {
                let window = links.hello_of(id).and_then(|hello| hello.window).unwrap_or(self.limit);
                let bounds = Bounds {
                    frames: window.frames.into(),
                    bytes: window.bytes,
                    max_frame_size: self.max_frame_size as u64,
                    max_held: self.max_held,
                };
                let counters = Arc::clone(&sender.counters);
                let memories = sender.memories.clone();
                sender.maker = reader.maker();
                sender.ring = Some(Inlet::new(reader, memories, bounds, self.device.clone(), counters));
                (true, String::new())
            }
            Err(reason) => (false, reason),
        };
        links.send_control(id, Kind::Shared(wire::Shared { mapped, reason }));
    }

    /// Frames will be in that memory of the sender.
    fn map(&mut self, links: &mut Links, id: LinkId, memory: &wire::SharedMemory) {
        let Some(sender) = self.sender.as_ref().filter(|sender| sender.id == id) else { return };
        if memory.device {
            return self.open(links, id, memory.clone());
        }
        let mapping = links.map(id, memory, Access::Read);
        if let Err(reason) = &mapping {
            let text = format!("{} bytes of the sender's memory cannot be mapped: {reason}", memory.len);
            links.notify(Notice::Log(text));
        }
        if !sender.memories.add(memory.id, mapping.ok().map(Arc::new).map(Memory::Shared)) {
            return links.broke_protocol(id, "it has too much memory mapped, or the same twice");
        }
        self.shared.wake(self.shared.lock());
    }

    /// Frames will be in that memory of a device, if we can open it.
    fn open(&mut self, links: &mut Links, id: LinkId, memory: wire::SharedMemory) {
        let Some(sender) = self.sender.as_ref().filter(|sender| sender.id == id) else { return };
        let opened = match (&self.device, usize::try_from(memory.len)) {
            (Some(device), Ok(len)) => device.open(&memory.key, len),
            (None, _) => Err("it uses no GPU".to_owned()),
            (_, Err(error)) => Err(error.to_string()),
        };
        let (opened, reason) = match opened {
            Ok(Some(memory)) => (Some(Memory::Device(memory)), String::new()),
            Ok(None) if self.unopened.len() < MAX_UNOPENED => return self.unopened.push(memory),
            Ok(None) => (None, "it is told of too much of it".to_owned()),
            Err(reason) => (None, reason),
        };
        if !sender.memories.add(memory.id, opened) {
            return links.broke_protocol(id, "it has too much memory opened, or the same twice");
        }
        links.send_control(id, Kind::Opened(wire::Opened { memory: memory.id, reason }));
    }

    /// Nothing more comes into the ring.
    fn close_ring(&self) {
        let mut state = self.shared.lock();
        for entry in &mut state.queue {
            if let Entry::Ring(inlet) = entry {
                inlet.closed = true;
            }
        }
        self.shared.wake(state);
    }

    fn too_large(&mut self, links: &mut Links, size: u64) {
        let peer = self.sender.as_ref().and_then(|sender| links.peer(sender.id));
        let peer = peer.map(|peer| peer.address.clone()).unwrap_or_default();
        self.fail(links, Error::FrameTooLarge { peer, size, limit: self.max_frame_size as u64 });
    }

    /// The session is at its end; the sender is told.
    fn fail(&mut self, links: &mut Links, error: Error) {
        if let Some(sender) = self.sender.take() {
            self.close_ring();
            self.shared.counters.leave(sender.id, false);
            links.say_bye(sender.id, &error.to_string(), Instant::now() + FAREWELL);
        }
        self.waiting.clear();
        self.shared.end(Interrupted::Failed(error));
    }
}
