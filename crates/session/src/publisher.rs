//! The sending end.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use nvdsucx_wire as wire;
use nvdsucx_wire::message::Kind;
use nvdsucx_wire::stream_event::Event;
use wire::{Hello, Latency, Role as WireRole, StickyEvents, StreamEvent};

use crate::doorbell::Doorbell;
use crate::links::{Departure, LinkEvent, LinkId, Links};
use crate::stats::{Counters, PeerCounters};
use crate::transport::{Role, Transport};
use crate::{Config, Error, Frame, Interrupted, Notice, OnDisconnect, Outgoing, SenderConfig, Side, Stats};

/// Items that may wait for the transport thread. What is in flight to the peers is bounded by the window; this only has to
/// keep the thread supplied.
const QUEUE: usize = 16;

/// The sending end of a session. Dropping it says good-bye to the peers.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    transport: Transport,
}

/// What the element's threads and the transport thread share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    doorbell: Arc<Doorbell>,
    counters: Counters,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Outgoing>,
    /// Somebody waits on `changed`.
    waiting: bool,
    flushing: bool,
    /// Nothing is queued, and the peers have taken all.
    idle: bool,
    end: Option<Interrupted>,
    latency: Option<Latency>,
    latency_changed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `ready`; the reason why not, if it cannot be waited for.
    fn wait_until(&self, ready: impl Fn(&State) -> bool) -> Result<MutexGuard<'_, State>, Interrupted> {
        let mut state = self.lock();
        loop {
            if let Some(end) = &state.end {
                return Err(end.clone());
            }
            if ready(&state) {
                return Ok(state);
            }
            if state.flushing {
                return Err(Interrupted::Flushing);
            }
            state.waiting = true;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Wakes those who wait, if any.
    fn wake(&self, state: &mut State) {
        if std::mem::take(&mut state.waiting) {
            self.changed.notify_all();
        }
    }
}

impl Publisher {
    /// Starts the transport thread. Returns once UCX is up and, if it listens, the port is bound; connections come later.
    ///
    /// `notify` is called on the transport thread and must not block.
    ///
    /// # Errors
    /// When UCX cannot be started or the address cannot be bound.
    pub fn start(
        config: Config,
        sender: SenderConfig,
        notify: impl FnMut(Notice) + Send + 'static,
    ) -> Result<Self, Error> {
        let doorbell = Arc::new(Doorbell::new().map_err(|error| Error::Thread(error.to_string()))?);
        let shared = Arc::new(Shared {
            state: Mutex::new(State { idle: true, ..State::default() }),
            changed: Condvar::new(),
            doorbell: Arc::clone(&doorbell),
            counters: Counters::default(),
        });
        let hello = Hello {
            window: Some(wire::Window { frames: sender.window_frames, bytes: sender.window_bytes }),
            ..crate::hello(&config, WireRole::Sender)
        };
        let role_shared = Arc::clone(&shared);
        let transport = Transport::start(config, hello, doorbell, notify, move || Sending {
            shared: role_shared,
            config: sender,
            sticky: StickyEvents::new(),
            peers: HashMap::new(),
            open: false,
            batch: VecDeque::new(),
        })?;
        Ok(Self { shared, transport })
    }

    /// Where it listens.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.transport.local_address()
    }

    /// Queues `item`. Frames and gaps block while the queue is full; other events never do, so that they can be sent while
    /// the pipeline is paused.
    ///
    /// # Errors
    /// Gives the item back when interrupted, to be sent again once the interruption is over.
    pub fn send(&self, item: Outgoing) -> Result<(), Box<(Interrupted, Outgoing)>> {
        let waits = match &item {
            Outgoing::Frame(_) => true,
            Outgoing::Event(event) => matches!(event.event, Some(Event::Gap(_))),
        };
        let mut state = match self.shared.wait_until(|state| !waits || state.queue.len() < QUEUE) {
            Ok(state) => state,
            Err(interrupted) => return Err(Box::new((interrupted, item))),
        };
        state.queue.push_back(item);
        state.idle = false;
        drop(state);
        self.shared.doorbell.ring();
        Ok(())
    }

    /// Waits until every peer has taken everything sent so far.
    ///
    /// # Errors
    /// When interrupted.
    pub fn drain(&self) -> Result<(), Interrupted> {
        self.shared.wait_until(|state| state.idle).map(drop)
    }

    /// While `true`, calls that would wait return [`Interrupted::Flushing`].
    pub fn set_flushing(&self, flushing: bool) {
        let mut state = self.shared.lock();
        state.flushing = flushing;
        self.shared.wake(&mut state);
    }

    /// Drops the frames (not the events) that are queued and not yet sent.
    pub fn discard(&self) {
        let mut state = self.shared.lock();
        let before = state.queue.len();
        state.queue.retain(|item| matches!(item, Outgoing::Event(_)));
        self.shared.counters.dropped.add((before - state.queue.len()) as u64);
        self.shared.wake(&mut state);
        drop(state);
        self.shared.doorbell.ring();
    }

    /// Tells every peer, now and later, the latency of the pipeline.
    pub fn set_latency(&self, latency: Latency) {
        let mut state = self.shared.lock();
        state.latency = Some(latency);
        state.latency_changed = true;
        drop(state);
        self.shared.doorbell.ring();
    }

    /// Peers connected now.
    pub fn peers(&self) -> usize {
        self.shared.counters.peers()
    }

    /// The numbers so far.
    pub fn stats(&self) -> Stats {
        self.shared.counters.read()
    }
}

/// The publisher on the transport thread.
struct Sending {
    shared: Arc<Shared>,
    config: SenderConfig,
    sticky: StickyEvents,
    peers: HashMap<LinkId, Window>,
    /// The wanted peers have been there.
    open: bool,
    /// Taken from the shared queue and not yet sent.
    batch: VecDeque<Outgoing>,
}

impl Role for Sending {
    fn handle(&mut self, links: &mut Links, event: LinkEvent) {
        match event {
            LinkEvent::Up(id) => self.join(links, id),
            LinkEvent::Control(id, Kind::Ack(ack)) => {
                let Some(window) = self.peers.get_mut(&id) else { return };
                if window.acknowledge(ack.sequence).is_err() {
                    links.broke_protocol(id, "it acknowledged what was never sent");
                }
            }
            LinkEvent::Control(_, Kind::Upstream(event)) => links.notify(Notice::Upstream(event)),
            LinkEvent::Control(id, _) => links.broke_protocol(id, "it sent what only a sender sends"),
            LinkEvent::Frame(id, _) => links.broke_protocol(id, "it sent a frame to a sender"),
            LinkEvent::Down(id, departure) => self.leave(links, id, departure),
            LinkEvent::Fatal(error) => self.fail(links, error),
            LinkEvent::Received { .. } => {}
        }
    }

    fn poll(&mut self, links: &mut Links) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        let latency = std::mem::take(&mut state.latency_changed).then_some(state.latency).flatten();
        self.batch.append(&mut state.queue);
        drop(state);
        if let Some(latency) = latency {
            for &id in self.peers.keys() {
                links.send_control(id, Kind::Latency(latency));
            }
        }
        let mut busy = latency.is_some();
        while let Some(item) = self.batch.front() {
            if !self.may_send(item) {
                break;
            }
            busy = true;
            match self.batch.pop_front() {
                Some(Outgoing::Frame(frame)) => self.send_frame(links, frame),
                Some(Outgoing::Event(event)) => self.send_event(links, &event),
                None => {}
            }
        }
        let mut state = shared.lock();
        // What could not be sent goes back, where it keeps its order and fills the queue for those who send.
        while let Some(item) = self.batch.pop_back() {
            state.queue.push_front(item);
        }
        let idle = state.queue.is_empty() && self.peers.values().all(Window::is_empty);
        let room = state.queue.len() < QUEUE;
        state.idle = idle;
        if room || idle {
            shared.wake(&mut state);
        }
        busy
    }
}

impl Sending {
    fn join(&mut self, links: &mut Links, id: LinkId) {
        let (Some(peer), Some(hello)) = (links.peer(id), links.hello_of(id)) else { return };
        let limit = hello.window.unwrap_or(wire::Window { frames: u32::MAX, bytes: u64::MAX });
        let mut window = Window {
            frames: self.config.window_frames.min(limit.frames).max(1),
            bytes: self.config.window_bytes.min(limit.bytes),
            next: 0,
            sent: VecDeque::new(),
            in_flight_bytes: 0,
            in_flight_frames: 0,
            counters: self.shared.counters.join(id, peer.clone()),
        };
        for event in self.sticky.iter() {
            window.send_event(links, id, event.clone());
        }
        self.peers.insert(id, window);
        let latency = self.shared.lock().latency;
        if let Some(latency) = latency {
            links.send_control(id, Kind::Latency(latency));
        }
        self.open |= self.peers.len() >= self.config.wanted_peers;
    }

    fn leave(&mut self, links: &mut Links, id: LinkId, departure: Departure) {
        let Some(window) = self.peers.remove(&id) else { return };
        // Who has taken the end of the stream can go as it likes.
        let done =
            self.sticky.iter().any(|event| matches!(event.event, Some(Event::Eos(_)))) && window.is_empty();
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

    fn fail(&self, links: &mut Links, error: Error) {
        self.end(Interrupted::Failed(error.clone()));
        links.notify(Notice::Failed(error));
    }

    fn end(&self, end: Interrupted) {
        let mut state = self.shared.lock();
        state.end.get_or_insert(end);
        self.shared.wake(&mut state);
    }

    fn may_send(&self, item: &Outgoing) -> bool {
        let held = self.config.wait_for_peers && (!self.open || self.peers.is_empty());
        match item {
            Outgoing::Frame(frame) => {
                let len = frame.len() as u64;
                !held && self.peers.values().all(|window| window.has_room(len))
            }
            // Part of the state that every peer gets when it joins.
            Outgoing::Event(event) => {
                !held || wire::is_sticky(event) || matches!(event.event, Some(Event::Flush(_)))
            }
        }
    }

    fn send_frame(&mut self, links: &mut Links, mut frame: Frame) {
        if self.peers.is_empty() {
            self.shared.counters.dropped.add(1);
            return;
        }
        frame.header.memories = frame.regions.iter().map(|region| region.len() as u64).collect();
        let len = frame.len() as u64;
        for (&id, window) in &mut self.peers {
            window.send_frame(links, id, &mut frame, len);
        }
        self.shared.counters.frames.add(1);
        self.shared.counters.bytes.add(len);
    }

    fn send_event(&mut self, links: &mut Links, event: &StreamEvent) {
        self.sticky.update(event);
        for (&id, window) in &mut self.peers {
            window.send_event(links, id, event.clone());
        }
    }
}

/// What is in flight to one peer.
struct Window {
    frames: u32,
    bytes: u64,
    /// Sequence number of the next frame or event.
    next: u64,
    /// Sequence number and length of the frames not yet acknowledged; of events only those in between.
    sent: VecDeque<(u64, Option<u64>)>,
    in_flight_frames: u32,
    in_flight_bytes: u64,
    counters: Arc<PeerCounters>,
}

impl Window {
    fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    fn has_room(&self, len: u64) -> bool {
        self.in_flight_frames == 0
            || (self.in_flight_frames < self.frames && self.in_flight_bytes + len <= self.bytes)
    }

    fn send_frame(&mut self, links: &mut Links, to: LinkId, frame: &mut Frame, len: u64) {
        frame.header.sequence = self.next;
        links.send_frame(to, &frame.header, &frame.regions);
        self.sent.push_back((self.next, Some(len)));
        self.next += 1;
        self.in_flight_frames += 1;
        self.in_flight_bytes += len;
        self.counters.frames.add(1);
        self.counters.bytes.add(len);
        self.counters.in_flight.set(self.in_flight_frames.into());
    }

    fn send_event(&mut self, links: &mut Links, to: LinkId, mut event: StreamEvent) {
        event.sequence = self.next;
        links.send_control(to, Kind::Event(event));
        self.sent.push_back((self.next, None));
        self.next += 1;
    }

    /// The peer has taken everything up to `sequence`.
    fn acknowledge(&mut self, sequence: u64) -> Result<(), ()> {
        if sequence >= self.next {
            return Err(());
        }
        while let Some((_, len)) = self.sent.front().copied().filter(|(sent, _)| *sent <= sequence) {
            self.sent.pop_front();
            if let Some(len) = len {
                self.in_flight_frames -= 1;
                self.in_flight_bytes -= len;
            }
        }
        self.counters.in_flight.set(self.in_flight_frames.into());
        Ok(())
    }
}
