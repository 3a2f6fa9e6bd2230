//! The sending end.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nvdsucx_wire as wire;
use nvdsucx_wire::stream_event::Event;
use ucp::Region;
use wire::{Hello, Latency, Role as WireRole};

use crate::arena::Arena;
use crate::device::Allocations;
use crate::doorbell::Doorbell;
use crate::links::LinkId;
use crate::ring::{Broken, InFlight, Sleep};
use crate::sending::Sending;
use crate::sharing::{Memory, Prepared, Ring};
use crate::stats::Counters;
use crate::transport::Transport;
use crate::{Config, Error, Interrupted, Notice, Outgoing, Overflow, SenderConfig, Stats};

/// Items that may wait for the transport thread. What is in flight to the peers is bounded by the window; this only has to
/// keep the thread supplied.
pub(crate) const QUEUE: usize = 16;

/// The sending end of a session. Dropping it says good-bye to the peers.
///
/// Peers that have mapped our memory get everything through a ring, from the very thread that calls [`send`](Self::send). All
/// others are served by the transport thread, from a queue.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    transport: Transport,
}

/// What the element's threads and the transport thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    pub(crate) doorbell: Arc<Doorbell>,
    pub(crate) counters: Counters,
    pub(crate) arena: Arena,
    pub(crate) allocations: Allocations,
    /// What becomes of a frame that a peer has no room for.
    pub(crate) overflow: Overflow,
    /// Look what was released even if nobody sends.
    pub(crate) watched: AtomicBool,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) queue: VecDeque<Queued>,
    /// What UCX has sent, to be let go of: by the next who sends, or by the transport thread once it has nothing else to do.
    pub(crate) sent: Vec<Region>,
    /// The peers that have a ring.
    pub(crate) rings: Vec<Ring>,
    /// Rings of peers that have left, live on, and hold memory of ours.
    pub(crate) orphans: VecDeque<Ring>,
    /// Rings whose peers do what none of ours does.
    pub(crate) broken: Vec<(LinkId, Broken)>,
    /// Peers without a ring.
    pub(crate) remote: usize,
    /// Frames must wait for peers.
    pub(crate) held: bool,
    /// A peer is to get a ring as soon as the queue is empty.
    pub(crate) switching: bool,
    /// Somebody waits on `changed`.
    waiting: bool,
    /// Somebody sleeps until a peer has read from its ring.
    sleep: Option<Sleep>,
    flushing: bool,
    /// Nothing is queued, and the peers without a ring have taken all.
    pub(crate) idle: bool,
    end: Option<Interrupted>,
    pub(crate) latency: Option<Latency>,
    pub(crate) latency_changed: bool,
}

/// Where an item went that was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// To so many peers that read our memory.
    pub mapped: usize,
    /// It was copied there.
    pub copied: bool,
    /// To the queue of the transport thread, for all other peers.
    pub queued: bool,
    /// So many peers that read our memory had no room and do without it.
    pub missed: usize,
}

/// What the transport thread is to send.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) item: Outgoing,
    /// The rings have it: only for the peers without one.
    pub(crate) in_rings: bool,
}

impl State {
    /// Looks what the peers with a ring have done. What they let go of is put into `freed`, to be dropped without the lock.
    pub(crate) fn collect(&mut self, freed: &mut Vec<InFlight>) {
        for ring in &mut self.rings {
            if let Err(broken) = ring.collect(freed) {
                self.broken.push((ring.id, broken));
            }
        }
        if !self.broken.is_empty() {
            self.rings.retain(|ring| self.broken.iter().all(|(id, _)| *id != ring.id));
        }
    }

    pub(crate) fn end(&mut self, end: Interrupted) {
        self.end.get_or_insert(end);
    }

    /// What becomes of a frame that a peer has no room for, as things stand.
    fn overflow(&self, wanted: Overflow) -> Overflow {
        let live = self.latency.is_some_and(|latency| latency.live);
        wanted.decide(live, self.rings.len() + self.remote)
    }

    /// Whether a frame goes though some have no room for it.
    fn goes_anyway(&self, wanted: Overflow, queue_has_room: bool) -> bool {
        if self.held || self.switching || self.flushing {
            return false;
        }
        match self.overflow(wanted) {
            Overflow::Wait | Overflow::Auto => false,
            // The transport thread decides for the peers without a ring, and waits for none of them.
            Overflow::DropNew | Overflow::DropOld | Overflow::Disconnect => queue_has_room,
        }
    }

    /// Everything is taken.
    fn is_drained(&self) -> bool {
        self.idle && self.rings.iter().all(Ring::is_empty)
    }
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those who wait, if any, when the lock is free.
    pub(crate) fn wake(&self, mut state: MutexGuard<'_, State>) {
        let (waiting, sleep) = (std::mem::take(&mut state.waiting), state.sleep.clone());
        drop(state);
        if waiting {
            self.changed.notify_all();
        }
        if let Some(sleep) = sleep {
            sleep.wake();
        }
    }

    fn wait<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.waiting = true;
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        sleep: &Sleep,
        freed: &mut Vec<InFlight>,
    ) -> MutexGuard<'a, State> {
        state.sleep = Some(sleep.clone());
        drop(state);
        freed.clear();
        sleep.sleep(Duration::ZERO);
        let mut state = self.lock();
        state.sleep = None;
        state
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
        let state = State { idle: true, held: sender.wait_for_peers, ..State::default() };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            doorbell: Arc::clone(&doorbell),
            counters: Counters::default(),
            arena: Arena::new(Arc::clone(&doorbell), !config.zero_copy),
            allocations: Allocations::new(sender.device.clone(), Arc::clone(&doorbell)),
            overflow: sender.overflow,
            watched: AtomicBool::new(false),
        });
        let (in_flight, _) = sender.limits();
        let hello = Hello {
            // It was made of 32 bits.
            window: Some(wire::Window { frames: in_flight.frames as u32, bytes: in_flight.bytes }),
            ..crate::hello(&config, WireRole::Sender)
        };
        let role_shared = Arc::clone(&shared);
        let transport =
            Transport::start(config, hello, doorbell, notify, move || Sending::new(role_shared, sender))?;
        Ok(Self { shared, transport })
    }

    /// Where it listens.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.transport.local_address()
    }

    /// Memory that receivers on this host can read where it is: frames in it need no copy.
    pub fn arena(&self) -> &Arena {
        &self.shared.arena
    }

    /// Sends `item`, or queues it. Frames and gaps block while there is no room for them; other events never do, so that they
    /// can be sent while the pipeline is paused.
    ///
    /// # Errors
    /// Gives the item back when interrupted, to be sent again once the interruption is over.
    pub fn send(&self, mut item: Outgoing) -> Result<Sent, Box<(Interrupted, Outgoing)>> {
        let shared = &*self.shared;
        let is_frame = matches!(item, Outgoing::Frame(_));
        let waits =
            is_frame || matches!(&item, Outgoing::Event(event) if matches!(event.event, Some(Event::Gap(_))));
        if let Outgoing::Frame(frame) = &mut item {
            frame.header.memories = frame.regions.iter().map(|region| region.len() as u64).collect();
        }
        let mut prepared: Option<Prepared> = None;
        // Until it is known that some peer does not reach it where it is.
        let mut reachable = true;
        let mut freed = Vec::new();
        let mut state = shared.lock();
        loop {
            if let Some(end) = &state.end {
                return Err(Box::new((end.clone(), item)));
            }
            if !state.rings.is_empty() && prepared.is_none() {
                // It may have to be copied, which is nothing to do under a lock.
                drop(state);
                let memory = Memory { arena: &shared.arena, allocations: &shared.allocations, reachable };
                match Prepared::new(&item, &memory) {
                    Ok(ready) => prepared = Some(ready),
                    Err(error) => return Err(Box::new((Interrupted::Failed(error), item))),
                }
                state = shared.lock();
                continue;
            }
            if let Some(there) = &prepared
                && !state.rings.iter().all(|ring| ring.reaches(there))
            {
                (prepared, reachable) = (None, false);
                continue;
            }
            state.collect(&mut freed);
            let queue_has_room = state.queue.len() < QUEUE && !state.switching;
            let (full, queued) = match &prepared {
                Some(prepared) if !state.rings.is_empty() => {
                    let full = state.rings.iter_mut().position(|ring| !ring.has_room(prepared, &item));
                    (full, state.remote > 0 || !is_frame)
                }
                _ => (None, true),
            };
            // Where nobody has a ring yet, the queue holds some until all are there.
            let held = state.held && !state.rings.is_empty();
            let ready = !waits || (full.is_none() && !held && (queue_has_room || !queued));
            if ready || state.goes_anyway(shared.overflow, queue_has_room || !queued) {
                let overflow = state.overflow(shared.overflow);
                let copied = prepared.as_ref().is_some_and(Prepared::is_copied);
                let mut sent = Sent { copied, queued, ..Sent::default() };
                // The transport thread has something to do.
                let mut concerned = queued;
                if let Some(prepared) = &prepared {
                    for ring in state.rings.iter_mut().filter(|ring| !ring.too_slow) {
                        let waits_there = is_frame && overflow == Overflow::DropOld;
                        if ready || waits_there || ring.has_room(prepared, &item) {
                            ring.send(prepared, &item);
                            sent.mapped += 1;
                            concerned |= ring.is_late();
                        } else if is_frame && overflow == Overflow::Disconnect {
                            ring.too_slow = true;
                            concerned = true;
                        } else if is_frame {
                            ring.miss();
                            sent.missed += 1;
                        }
                    }
                }
                let in_rings = sent.mapped > 0;
                match &item {
                    Outgoing::Frame(frame) if in_rings => {
                        shared.counters.passed(frame.len() as u64);
                        if copied {
                            shared.counters.copied.add(1);
                        }
                    }
                    Outgoing::Frame(_) if !queued => shared.counters.dropped_slow.add(1),
                    _ => {}
                }
                if queued {
                    state.queue.push_back(Queued { item, in_rings });
                    state.idle = false;
                }
                let done = std::mem::take(&mut state.sent);
                drop(state);
                if concerned {
                    shared.doorbell.ring();
                }
                drop(done);
                return Ok(sent);
            }
            if state.flushing {
                return Err(Box::new((Interrupted::Flushing, item)));
            }
            state = match (full, &prepared) {
                (Some(full), Some(prepared)) => {
                    match state.rings[full].wait_for_room(prepared, &item, &mut freed) {
                        Some(sleep) => shared.sleep(state, &sleep, &mut freed),
                        None => state,
                    }
                }
                _ => shared.wait(state),
            };
        }
    }

    /// Waits until every peer has taken everything sent so far.
    ///
    /// # Errors
    /// When interrupted.
    pub fn drain(&self) -> Result<(), Interrupted> {
        let mut freed = Vec::new();
        let mut state = self.shared.lock();
        loop {
            if let Some(end) = &state.end {
                return Err(end.clone());
            }
            state.collect(&mut freed);
            if state.is_drained() {
                return Ok(());
            }
            if state.flushing {
                return Err(Interrupted::Flushing);
            }
            let full = state.rings.iter_mut().find(|ring| !ring.is_empty());
            state = match full.map(|ring| ring.wait_until_empty(&mut freed)) {
                Some(Some(sleep)) => self.shared.sleep(state, &sleep, &mut freed),
                Some(None) => state,
                None => self.shared.wait(state),
            };
        }
    }

    /// While `true`, calls that would wait return [`Interrupted::Flushing`].
    pub fn set_flushing(&self, flushing: bool) {
        let mut state = self.shared.lock();
        state.flushing = flushing;
        self.shared.wake(state);
    }

    /// Drops the frames (not the events) that are queued and not yet sent.
    pub fn discard(&self) {
        let mut state = self.shared.lock();
        let (events, frames) = std::mem::take(&mut state.queue)
            .into_iter()
            .partition::<VecDeque<_>, _>(|queued| matches!(queued.item, Outgoing::Event(_)));
        state.queue = events;
        self.shared.counters.dropped_flushed.add(frames.len() as u64);
        self.shared.wake(state);
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

    /// While `true`, memory that receivers release comes back soon even if nobody sends: who is to send may wait for it.
    /// Otherwise it is looked for with each frame, and some times in a second.
    pub fn watch_releases(&self, watched: bool) {
        self.shared.watched.store(watched, Relaxed);
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

impl Drop for Publisher {
    fn drop(&mut self) {
        // Whoever waits for memory must not wait for a thread that ends.
        self.shared.arena.close();
    }
}
