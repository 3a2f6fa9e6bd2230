//! The publisher on the transport thread: who is connected, what goes to the peers without a ring, and how the others get one.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use nvdsucx_wire as wire;
use nvdsucx_wire::message::Kind;
use nvdsucx_wire::stream_event::Event;
use ucp::{MemoryKind, Region, Segment};
use wire::{EventKind, SharedMemory, StickyEvents, StreamEvent};

use crate::backlog::{Limits, time_of};
use crate::device::{Key, Opened};
use crate::links::{Departure, FAREWELL, LinkEvent, LinkId, Links};
use crate::publisher::{QUEUE, Queued, Shared};
use crate::ring::{self, Writer};
use crate::sharing::Ring;
use crate::transport::Role;
use crate::window::Window;
use crate::{Error, Frame, Interrupted, Notice, OnDisconnect, Outgoing, Overflow, SenderConfig, Side};

/// How often to look what was released, where that is asked for and the rings are in use.
const LOOK: Duration = Duration::from_millis(10);
/// Rings of peers that have left, live on, and hold memory of ours, that are kept at the most.
const MAX_ORPHANS: usize = 256;

pub(crate) struct Sending {
    shared: Arc<Shared>,
    config: SenderConfig,
    sticky: StickyEvents,
    peers: HashMap<LinkId, Receiver>,
    /// The wanted peers have been there.
    open: bool,
    /// Taken from the shared queue and not yet sent.
    batch: VecDeque<Queued>,
    /// The arena's memory, by id.
    memories: HashMap<u32, Segment>,
    /// What the peers are told of a device's memory, by id.
    device_memories: HashMap<u32, SharedMemory>,
    last_memory: u32,
    random: RandomState,
    complained: bool,
    /// Frames that went into rings, as of the last look.
    frames_seen: u64,
    /// Look what was released even if nobody sends.
    looks_on: bool,
    /// The stream is live.
    live: bool,
}

/// A connected peer.
struct Receiver {
    window: Window,
    way: Way,
    /// Memory of a device that it has opened.
    opened: Opened,
}

/// How frames get to a peer.
enum Way {
    /// Over UCX.
    Messages,
    /// The same, until the peer has mapped the ring.
    Offered { writer: Writer, _segment: Segment },
    /// The same, until all that is queued has been sent.
    Mapped(Writer),
    /// Through a ring, by the threads that have something to send.
    Ring,
}

impl Receiver {
    fn is_remote(&self) -> bool {
        !matches!(self.way, Way::Ring)
    }
}

impl Role for Sending {
    fn handle(&mut self, links: &mut Links, event: LinkEvent) {
        match event {
            LinkEvent::Up(id) => self.join(links, id),
            LinkEvent::Control(id, Kind::Ack(ack)) => {
                let Some(peer) = self.peers.get_mut(&id) else { return };
                match peer.window.acknowledge(ack.sequence) {
                    Ok(()) => peer.window.send_late(links, id),
                    Err(()) => links.broke_protocol(id, "it acknowledged what was never sent"),
                }
            }
            LinkEvent::Control(id, Kind::Shared(answer)) => self.answered(links, id, &answer),
            LinkEvent::Control(id, Kind::Opened(answer)) => self.opened(links, id, &answer),
            // What one of several is too slow for is no reason to make less for all of them.
            LinkEvent::Control(_, Kind::Upstream(event))
                if event.kind() == EventKind::Qos && self.peers.len() > 1 => {}
            LinkEvent::Control(_, Kind::Upstream(event)) => links.notify(Notice::Upstream(event)),
            LinkEvent::Control(_, Kind::Pong(_)) => {}
            LinkEvent::Control(id, _) => links.broke_protocol(id, "it sent what only a sender sends"),
            LinkEvent::Frame(id, _) => links.broke_protocol(id, "it sent a frame to a sender"),
            LinkEvent::Refused(notice) => {
                self.shared.counters.refused.add(1);
                notice.into_iter().for_each(|notice| links.notify(notice));
            }
            LinkEvent::Down(id, departure) => self.leave(links, id, departure),
            LinkEvent::Fatal(error) => self.fail(links, error),
            LinkEvent::Received { .. } => {}
        }
    }

    fn poll(&mut self, links: &mut Links) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut freed = Vec::new();
        let mut busy = self.make_memory(links);
        let mut state = shared.lock();
        let latency = std::mem::take(&mut state.latency_changed).then_some(state.latency).flatten();
        state.collect(&mut freed);
        let broken = std::mem::take(&mut state.broken);
        let too_slow: Vec<_> = state.rings.iter().filter(|ring| ring.too_slow).map(|ring| ring.id).collect();
        self.live = state.latency.is_some_and(|latency| latency.live);
        for orphan in &mut state.orphans {
            // Whatever it says now, it is not served any more.
            let _ = orphan.collect(&mut freed);
        }
        state.orphans.retain(Ring::is_held);
        let frames = state.rings.iter().map(Ring::frames).sum();
        let moved = std::mem::replace(&mut self.frames_seen, frames) != frames || !freed.is_empty();
        let watched = shared.watched.load(Relaxed);
        self.looks_on = (watched && moved) || state.rings.iter().any(Ring::is_late);
        self.batch.append(&mut state.queue);
        drop(state);
        drop(freed);
        for (id, broken) in broken {
            links.broke_protocol(id, &broken.to_string());
        }
        for id in too_slow {
            self.part(links, id);
        }
        if let Some(latency) = latency {
            for &id in self.peers.keys() {
                links.send_control(id, Kind::Latency(latency));
            }
        }
        busy |= latency.is_some();
        while let Some(queued) = self.batch.front() {
            if !queued.in_rings && !self.may_send(&queued.item) || !self.has_room(&queued.item) {
                break;
            }
            busy = true;
            match self.batch.pop_front() {
                Some(Queued { item: Outgoing::Frame(frame), in_rings }) => {
                    self.send_frame(links, frame, in_rings);
                }
                Some(Queued { item: Outgoing::Event(event), .. }) => self.send_event(links, &event),
                None => {}
            }
        }
        let mut state = shared.lock();
        // What could not be sent goes back, where it keeps its order and fills the queue for those who send.
        while let Some(item) = self.batch.pop_back() {
            state.queue.push_front(item);
        }
        if state.switching && state.queue.is_empty() {
            self.switch(links, &mut state);
        }
        let idle = state.queue.is_empty() && self.peers.values().all(|peer| peer.window.is_empty());
        let room = state.queue.len() < QUEUE;
        state.idle = idle;
        let has_time = !links.take_sent(&mut state.sent) && !busy;
        let done = has_time.then(|| std::mem::take(&mut state.sent));
        if room || idle {
            shared.wake(state);
        } else {
            drop(state);
        }
        drop(done);
        busy
    }

    fn deadline(&self) -> Option<Instant> {
        self.looks_on.then(|| Instant::now() + LOOK)
    }
}

impl Sending {
    pub(crate) fn new(shared: Arc<Shared>, config: SenderConfig) -> Self {
        Self {
            shared,
            config,
            sticky: StickyEvents::new(),
            peers: HashMap::new(),
            open: false,
            batch: VecDeque::new(),
            memories: HashMap::new(),
            device_memories: HashMap::new(),
            last_memory: 0,
            random: RandomState::new(),
            complained: false,
            frames_seen: 0,
            looks_on: false,
            live: false,
        }
    }

    fn join(&mut self, links: &mut Links, id: LinkId) {
        let (Some(peer), Some(hello)) = (links.peer(id).cloned(), links.hello_of(id)) else { return };
        let limit = hello.window.unwrap_or(wire::Window { frames: u32::MAX, bytes: u64::MAX });
        let (in_flight, waiting) = self.config.limits();
        let in_flight = Limits {
            frames: in_flight.frames.min(limit.frames.into()).max(1),
            bytes: in_flight.bytes.min(limit.bytes),
            ..in_flight
        };
        let mut window = Window::new(in_flight, waiting, self.shared.counters.join(id, peer.clone()));
        for event in self.sticky.iter() {
            window.send_event(links, id, event.clone());
        }
        let way = self.offer(links, id, &window);
        self.peers.insert(id, Receiver { window, way, opened: Opened::new() });
        self.open |= self.peers.len() >= self.config.wanted_peers;
        let latency = {
            let mut state = self.shared.lock();
            state.remote += 1;
            state.held = self.is_held();
            state.latency
        };
        if let Some(latency) = latency {
            links.send_control(id, Kind::Latency(latency));
        }
        // Not before: what is sent from now on is for it, too.
        links.notify(Notice::Joined(peer));
    }

    fn is_held(&self) -> bool {
        self.config.wait_for_peers && (!self.open || self.peers.is_empty())
    }

    /// Offers a ring to a peer that may be able to map it.
    fn offer(&mut self, links: &mut Links, id: LinkId, window: &Window) -> Way {
        if !links.shares_host(id) {
            return Way::Messages;
        }
        let shared = match links.context().share(ring::LEN) {
            Ok(shared) => shared,
            Err(status) => {
                self.complain(
                    links,
                    &format!("memory cannot be shared with receivers on this host: {status}"),
                );
                return Way::Messages;
            }
        };
        let secret = self.random.hash_one(id.0);
        // It is in the memory before the peer can look.
        let writer = Writer::new(shared.mapping, secret, window.limits);
        let ring = Some(describe(0, &shared.segment));
        links.send_control(id, Kind::Share(wire::Share { ring, secret }));
        Way::Offered { writer, _segment: shared.segment }
    }

    /// The peer has mapped its ring, or could not.
    fn answered(&mut self, links: &mut Links, id: LinkId, answer: &wire::Shared) {
        let token = links.hello_of(id).map(|hello| hello.token);
        let Some(peer) = self.peers.get_mut(&id) else { return };
        match std::mem::replace(&mut peer.way, Way::Messages) {
            Way::Offered { writer, .. } if answer.mapped => {
                if !token.is_some_and(|token| writer.is_answered(token)) {
                    return links.broke_protocol(id, "it says that it has mapped what it has not");
                }
                peer.way = Way::Mapped(writer);
                for (memory, segment) in &self.memories {
                    links.send_control(id, Kind::Memory(describe(*memory, segment)));
                }
                for memory in self.device_memories.values() {
                    links.send_control(id, Kind::Memory(memory.clone()));
                }
                self.shared.lock().switching = true;
            }
            Way::Offered { .. } => {
                let peer = links.peer(id).map(|peer| peer.address.clone()).unwrap_or_default();
                links.notify(Notice::Log(format!("{peer} does not map our memory: {}", answer.reason)));
            }
            way => {
                peer.way = way;
                links.broke_protocol(id, "it answered what it was not asked");
            }
        }
    }

    /// Nothing is queued: what comes from now on can take the rings.
    fn switch(&mut self, links: &mut Links, state: &mut crate::publisher::State) {
        for (&id, peer) in &mut self.peers {
            match std::mem::replace(&mut peer.way, Way::Ring) {
                Way::Mapped(writer) => {
                    peer.window.give_up_late(links, id);
                    let event =
                        StreamEvent { event: Some(Event::Ring(wire::Ring {})), ..StreamEvent::default() };
                    peer.window.send_last(links, id, event);
                    let counters = Arc::clone(&peer.window.counters);
                    counters.set_mapped(writer.delays());
                    let (_, waiting) = self.config.limits();
                    state.rings.push(Ring::new(id, writer, waiting, peer.opened.clone(), counters));
                    state.remote -= 1;
                }
                way => peer.way = way,
            }
        }
        state.switching = false;
    }

    /// Makes the memory that somebody waits for, and tells the peers that read it.
    fn make_memory(&mut self, links: &mut Links) -> bool {
        let (wanted, gone) = self.shared.arena.requests();
        let busy = !(wanted.is_empty() && gone.is_empty());
        for block in wanted {
            let made = links.context().share(block * self.shared.arena.blocks_for(block));
            let memory = match made {
                Ok(shared) => {
                    self.last_memory += 1;
                    let description = describe(self.last_memory, &shared.segment);
                    self.tell(links, &Kind::Memory(description));
                    self.memories.insert(self.last_memory, shared.segment);
                    Some(shared.mapping)
                }
                Err(status) => {
                    self.complain(links, &format!("no shared memory for blocks of {block} bytes: {status}"));
                    None
                }
            };
            self.shared.arena.grow(self.last_memory, block, memory);
        }
        for id in gone {
            self.memories.remove(&id);
            self.tell(links, &Kind::MemoryGone(id));
        }
        busy | self.tell_of_devices(links)
    }

    /// Tells the peers that read our memory which of a device's they may open.
    fn tell_of_devices(&mut self, links: &mut Links) -> bool {
        let shared = Arc::clone(&self.shared);
        let next = || {
            self.last_memory += 1;
            self.last_memory
        };
        let (keys, gone) = shared.allocations.changes(next, |allocation| {
            shared.lock().rings.iter().any(|ring| ring.holds(|region| allocation.has(region)))
        });
        let busy = !(keys.is_empty() && gone.is_empty());
        for Key { memory, address, len, key } in keys {
            match key {
                Ok(key) => {
                    let memory = SharedMemory { id: memory, address, len, key, device: true };
                    self.tell(links, &Kind::Memory(memory.clone()));
                    self.device_memories.insert(memory.id, memory);
                }
                Err(reason) => self.complain(
                    links,
                    &format!(
                        "receivers on this host get copies, since the GPU's memory cannot be shared: {reason}"
                    ),
                ),
            }
        }
        for id in gone {
            self.device_memories.remove(&id);
            self.tell(links, &Kind::MemoryGone(id));
            for peer in self.peers.values_mut() {
                peer.opened.remove(&id);
            }
            for ring in &mut shared.lock().rings {
                ring.opened.remove(&id);
            }
        }
        busy
    }

    /// A peer has opened memory of a device, or cannot.
    fn opened(&mut self, links: &mut Links, id: LinkId, answer: &wire::Opened) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if !answer.reason.is_empty() {
            let peer = links.peer(id).map(|peer| peer.address.clone()).unwrap_or_default();
            let text =
                format!("{peer} gets copies, since it cannot open our GPU's memory: {}", answer.reason);
            return self.complain(links, &text);
        }
        // It may be gone by now.
        if self.device_memories.contains_key(&answer.memory) {
            peer.opened.insert(answer.memory);
            if let Some(ring) = self.shared.lock().rings.iter_mut().find(|ring| ring.id == id) {
                ring.opened.insert(answer.memory);
            }
        }
    }

    /// Tells the peers that read our memory.
    fn tell(&self, links: &mut Links, kind: &Kind) {
        for (&id, peer) in &self.peers {
            if matches!(peer.way, Way::Mapped(_) | Way::Ring) {
                links.send_control(id, kind.clone());
            }
        }
    }

    fn complain(&mut self, links: &mut Links, text: &str) {
        if !std::mem::replace(&mut self.complained, true) {
            links.notify(Notice::Log(text.to_owned()));
        }
    }

    fn leave(&mut self, links: &mut Links, id: LinkId, departure: Departure) {
        let Some(Receiver { window, way, .. }) = self.peers.remove(&id) else { return };
        let ring = {
            let mut state = self.shared.lock();
            let ring = state.rings.iter().position(|ring| ring.id == id).map(|at| state.rings.remove(at));
            state.broken.retain(|(broken, _)| *broken != id);
            state.remote -= usize::from(!matches!(way, Way::Ring));
            state.held = self.is_held();
            self.shared.wake(state);
            ring
        };
        let all_taken = ring.as_ref().is_none_or(Ring::is_taken);
        if let Some(ring) = ring.filter(Ring::is_held) {
            // It lives on, or is only stopped, and may show our frames for as long as it likes.
            let mut state = self.shared.lock();
            state.orphans.push_back(ring);
            let oldest = (state.orphans.len() > MAX_ORPHANS).then(|| state.orphans.pop_front());
            drop(state);
            drop(oldest);
        }
        // Who has taken the end of the stream can go as it likes.
        let done = self.sticky.iter().any(|event| matches!(event.event, Some(Event::Eos(_))))
            && window.is_empty()
            && all_taken;
        let orderly = departure.orderly || done;
        self.shared.counters.leave(id, orderly);
        let Departure { peer, reason, .. } = departure;
        links.notify(Notice::Left { peer: peer.clone(), reason: reason.clone(), orderly });
        // A client that goes is no loss to a server; without its server a client is alone.
        if done || (orderly && links.config().side == Side::Listen) {
            return;
        }
        match links.config().on_disconnect {
            OnDisconnect::Fail => {
                self.fail(links, Error::Disconnected { peer: peer.address, cause: reason });
            }
            OnDisconnect::Eos => self.end(Interrupted::Eos),
            OnDisconnect::Reconnect => {
                links.notify(Notice::Warning(format!("lost {}: {reason}", peer.address)));
                links.reconnect();
            }
        }
    }

    /// Disconnects a peer that is too slow.
    fn part(&mut self, links: &mut Links, id: LinkId) {
        let Some(peer) = links.peer(id).cloned() else { return };
        let reason = "the receiver was too slow, and such are to be disconnected (`leaky`)".to_owned();
        links.say_bye(id, &reason, Instant::now() + FAREWELL);
        self.shared.counters.too_slow.add(1);
        // To a server it is as if it had left.
        self.leave(links, id, Departure { peer, reason, orderly: true });
    }

    fn fail(&self, links: &mut Links, error: Error) {
        self.end(Interrupted::Failed(error.clone()));
        links.notify(Notice::Failed(error));
    }

    fn end(&self, end: Interrupted) {
        let mut state = self.shared.lock();
        state.end(end);
        self.shared.wake(state);
    }

    /// Whether it is time for `item`.
    fn may_send(&self, item: &Outgoing) -> bool {
        match item {
            Outgoing::Frame(_) => !self.is_held(),
            // Part of the state that every peer gets when it joins.
            Outgoing::Event(event) => {
                !self.is_held() || wire::is_sticky(event) || matches!(event.event, Some(Event::Flush(_)))
            }
        }
    }

    /// What becomes of a frame that a peer has no room for, as things stand.
    fn overflow(&self) -> Overflow {
        self.config.overflow.decide(self.live, self.peers.len())
    }

    /// Whether the peers without a ring may have `item` now: there is room, or none is waited for.
    fn has_room(&self, item: &Outgoing) -> bool {
        let Outgoing::Frame(frame) = item else { return true };
        let (len, time) = (frame.len() as u64, time_of(item));
        let mut windows = self.peers.values().filter(|peer| peer.is_remote()).map(|peer| &peer.window);
        self.overflow() != Overflow::Wait || windows.all(|window| window.has_room(len, time))
    }

    fn send_frame(&mut self, links: &mut Links, mut frame: Frame, in_rings: bool) {
        let len = frame.len() as u64;
        if self.peers.values().any(Receiver::is_remote)
            && let Err(reason) = self.bring_home(links, &mut frame)
        {
            return self.fail(links, Error::Device(reason));
        }
        let overflow = self.overflow();
        let mut item = Outgoing::Frame(frame);
        let time = time_of(&item);
        let takes = |peer: &Receiver| {
            peer.is_remote() && (overflow == Overflow::DropOld || peer.window.has_room(len, time))
        };
        if !in_rings {
            // Before it goes: who gets it may look at the numbers.
            let counters = &self.shared.counters;
            if self.peers.values().any(takes) {
                counters.passed(len);
            } else if self.peers.is_empty() {
                counters.dropped_unconnected.add(1);
            } else {
                counters.dropped_slow.add(1);
            }
        }
        let mut too_slow = Vec::new();
        for (&id, peer) in self.peers.iter_mut().filter(|(_, peer)| peer.is_remote()) {
            if peer.window.has_room(len, time) {
                peer.window.send(links, id, &mut item);
            } else if overflow == Overflow::DropOld {
                peer.window.wait(&item);
            } else if overflow == Overflow::Disconnect {
                too_slow.push(id);
            } else {
                peer.window.counters.dropped.add(1);
            }
        }
        for id in too_slow {
            self.part(links, id);
        }
    }

    /// Brings a frame that is in a device's memory to where UCX can send it from.
    fn bring_home(&self, links: &Links, frame: &mut Frame) -> Result<(), String> {
        let kinds = frame.regions.iter().map(Region::kind);
        if kinds.clone().all(|kind| kind == MemoryKind::Host) {
            return Ok(());
        }
        // UCX gathers memory of one kind only, and a long header is the CPU's.
        let all_alike = kinds.clone().all(|kind| kind == frame.regions[0].kind());
        if all_alike
            && kinds.clone().all(|kind| links.context().knows(kind))
            && links.fits_inline(&frame.header)
        {
            return self.shared.allocations.enter();
        }
        for region in &mut frame.regions {
            let mut bytes = vec![0; region.len()];
            self.shared.allocations.download(region, &mut bytes)?;
            *region = Region::from(bytes);
        }
        Ok(())
    }

    fn send_event(&mut self, links: &mut Links, event: &StreamEvent) {
        self.sticky.update(event);
        let flush = matches!(event.event, Some(Event::Flush(_)));
        for (&id, peer) in self.peers.iter_mut().filter(|(_, peer)| peer.is_remote()) {
            let window = &mut peer.window;
            if flush {
                window.counters.dropped.add(window.late.drop_frames());
                window.send_late(links, id);
            }
            if window.late.is_empty() {
                window.send_event(links, id, event.clone());
            } else {
                window.late.push_event(Outgoing::Event(event.clone()));
            }
        }
    }
}

/// For a peer's ears.
fn describe(id: u32, segment: &Segment) -> SharedMemory {
    let (address, len, key) = (segment.address(), segment.len() as u64, segment.key().to_vec());
    SharedMemory { id, address, len, key, device: false }
}
