//! The receiving end.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nvdsucx_wire as wire;
use wire::{Hello, Role as WireRole, Structured};

use crate::doorbell::Doorbell;
use crate::mapped::{Inlet, Next};
use crate::receiving::Receiving;
use crate::ring::{Broken, Sleep};
use crate::stats::Counters;
use crate::transport::Transport;
use crate::{Config, Error, Incoming, Interrupted, Notice, ReceiverConfig, Stats};

/// Most frames that a sender may have in flight to us, whatever it would like.
const WINDOW_FRAMES: u32 = 4096;
/// Most bytes, unless a single frame may have more.
const WINDOW_BYTES: u64 = 1 << 30;

/// The receiving end of a session. Dropping it says good-bye to the sender.
#[derive(Debug)]
pub struct Subscriber {
    shared: Arc<Shared>,
    transport: Transport,
    busy_poll: Duration,
}

/// What the element's threads and the transport thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Something has changed, for who looks.
    stirred: AtomicBool,
    pub(crate) doorbell: Arc<Doorbell>,
    pub(crate) counters: Counters,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) queue: VecDeque<Entry>,
    /// Since when somebody waits for something in the queue.
    pub(crate) waiting: Option<Instant>,
    /// Somebody waits on `changed`, and has not been woken.
    asleep: bool,
    /// Somebody sleeps until there is something in a ring.
    sleep: Option<Sleep>,
    /// The sender does what none of ours does.
    pub(crate) broken: Option<Broken>,
    /// A frame in a ring is larger than is taken.
    pub(crate) too_large: Option<u64>,
    flushing: bool,
    /// It is known by now whether frames are wanted in a device's memory.
    pub(crate) look_again: bool,
    /// There are frames that find no landing buffer: the transport thread wants to know who waits.
    pub(crate) short: bool,
    /// What comes after the queue.
    pub(crate) end: Option<Interrupted>,
    pub(crate) upstream: Vec<Structured>,
    pub(crate) taken: Taken,
    pub(crate) clock: Clock,
}

/// How far the sender's clock is ahead of ours, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Clock {
    /// There is no answer yet.
    #[default]
    Unknown,
    /// There will be none.
    Silent,
    Known(i64),
}

impl State {
    /// There is nothing to take but what may be in a ring.
    pub(crate) fn is_idle(&self) -> bool {
        !matches!(self.queue.front(), Some(Entry::Item(_)))
    }
}

/// What is in the queue.
#[derive(Debug)]
pub(crate) enum Entry {
    Item(Arrived),
    /// What follows is in the ring, until it is closed.
    Ring(Inlet),
}

/// An item in the queue.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// Which connection it came by, counted.
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
    pub(crate) item: Incoming,
}

/// What the pipeline has taken from the queue and the sender has not been told.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) epoch: u64,
    pub(crate) sequence: Option<u64>,
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    /// It is time to tell.
    pub(crate) enough_frames: u64,
    pub(crate) enough_bytes: u64,
}

impl Taken {
    /// `arrived` is out of the queue: with the pipeline, or dropped.
    pub(crate) fn count(&mut self, arrived: &Arrived) {
        if self.epoch != arrived.epoch {
            return;
        }
        self.sequence = Some(arrived.sequence);
        match &arrived.item {
            Incoming::Frame(frame) => {
                self.frames += 1;
                self.bytes += frame.payload.len() as u64;
            }
            Incoming::Event(event) => self.bytes += wire::event_len(event),
        }
    }

    pub(crate) fn is_enough(&self) -> bool {
        self.frames >= self.enough_frames || self.bytes >= self.enough_bytes
    }
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes who waits, if somebody does: once, and when the lock is free.
    pub(crate) fn wake(&self, mut state: MutexGuard<'_, State>) {
        self.stirred.store(true, SeqCst);
        let (asleep, sleep) = (std::mem::take(&mut state.asleep), state.sleep.clone());
        drop(state);
        if asleep {
            self.changed.notify_all();
        }
        if let Some(sleep) = sleep {
            sleep.wake();
        }
    }

    fn wait<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.asleep = true;
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn end(&self, end: Interrupted) {
        let mut state = self.lock();
        state.end.get_or_insert(end);
        self.wake(state);
    }

    pub(crate) fn set_clock(&self, clock: Clock) {
        let mut state = self.lock();
        state.clock = clock;
        self.wake(state);
    }
}

impl Subscriber {
    /// Starts the transport thread. Returns once UCX is up and, if it listens, the port is bound; connections come later.
    ///
    /// `notify` is called on the transport thread and must not block. Failures come from [`receive`](Self::receive), after
    /// all that arrived before, and not as [`Notice::Failed`].
    ///
    /// # Errors
    /// When UCX cannot be started or the address cannot be bound.
    pub fn start(
        config: Config,
        receiver: ReceiverConfig,
        notify: impl FnMut(Notice) + Send + 'static,
    ) -> Result<Self, Error> {
        let doorbell = Arc::new(Doorbell::new().map_err(|error| Error::Thread(error.to_string()))?);
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            stirred: AtomicBool::new(false),
            doorbell: Arc::clone(&doorbell),
            counters: Counters::default(),
        });
        let window =
            wire::Window { frames: WINDOW_FRAMES, bytes: WINDOW_BYTES.max(receiver.max_frame_size as u64) };
        // A stream has one source.
        let config = Config { max_peers: 1, ..config };
        let busy_poll = config.busy_poll;
        let hello = Hello { window: Some(window), ..crate::hello(&config, WireRole::Receiver) };
        let role_shared = Arc::clone(&shared);
        let transport = Transport::start(config, hello, doorbell, notify, move || {
            Receiving::new(role_shared, receiver, window)
        })?;
        Ok(Self { shared, transport, busy_poll })
    }

    /// Where it listens.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.transport.local_address()
    }

    /// The next item of the stream; blocks until there is one.
    ///
    /// # Errors
    /// When interrupted, or at the end of the session, after the last item.
    pub fn receive(&self) -> Result<Incoming, Interrupted> {
        let mut looking = self.busy_poll;
        let mut state = self.shared.lock();
        loop {
            if state.flushing {
                return Err(Interrupted::Flushing);
            }
            match state.queue.front_mut() {
                Some(Entry::Ring(inlet)) => match inlet.next() {
                    Ok(Next::Item(item)) => {
                        if let Incoming::Frame(frame) = &item {
                            self.shared.counters.passed(frame.payload.len() as u64);
                        }
                        return Ok(item);
                    }
                    Ok(Next::Nothing) if inlet.closed => drop(state.queue.pop_front()),
                    Ok(Next::Nothing) => {
                        if let Some(sleep) = inlet.wait() {
                            state = self.sleep(state, &sleep, std::mem::take(&mut looking));
                        }
                    }
                    Ok(Next::TooLarge(size)) => {
                        state.too_large = Some(size);
                        self.give_up(&mut state);
                    }
                    Err(broken) => {
                        state.broken = Some(broken);
                        self.give_up(&mut state);
                    }
                },
                Some(Entry::Item(_)) => {
                    if let Some(Entry::Item(arrived)) = state.queue.pop_front() {
                        state.waiting = None;
                        return Ok(self.take(state, arrived));
                    }
                }
                None => state = self.wait(state, std::mem::take(&mut looking))?,
            }
        }
    }

    /// Waits until there is something in the queue, or something else happens; or, awake, for as long as `looking`.
    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        looking: Duration,
    ) -> Result<MutexGuard<'a, State>, Interrupted> {
        if let Some(end) = &state.end {
            return Err(end.clone());
        }
        if !looking.is_zero() {
            self.shared.stirred.store(false, SeqCst);
            drop(state);
            let until = Instant::now() + looking;
            while !self.shared.stirred.load(SeqCst) && Instant::now() < until {
                std::hint::spin_loop();
            }
            return Ok(self.shared.lock());
        }
        if state.waiting.is_none() {
            state.waiting = Some(Instant::now());
            if state.short {
                self.shared.doorbell.ring();
            }
        }
        Ok(self.shared.wait(state))
    }

    fn sleep<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        sleep: &Sleep,
        looking: Duration,
    ) -> MutexGuard<'a, State> {
        state.sleep = Some(sleep.clone());
        drop(state);
        sleep.sleep(looking);
        let mut state = self.shared.lock();
        state.sleep = None;
        state
    }

    /// The stream in the ring cannot go on; the transport thread does the rest.
    fn give_up(&self, state: &mut State) {
        state.queue.pop_front();
        self.shared.doorbell.ring();
    }

    fn take(&self, mut state: MutexGuard<'_, State>, arrived: Arrived) -> Incoming {
        if let Incoming::Frame(frame) = &arrived.item {
            self.shared.counters.passed(frame.payload.len() as u64);
        }
        state.taken.count(&arrived);
        let tell = state.taken.is_enough() || state.is_idle();
        drop(state);
        if tell {
            self.shared.doorbell.ring();
        }
        arrived.item
    }

    /// While `true`, [`receive`](Self::receive) returns [`Interrupted::Flushing`].
    pub fn set_flushing(&self, flushing: bool) {
        let mut state = self.shared.lock();
        state.flushing = flushing;
        state.waiting = None;
        self.shared.wake(state);
    }

    /// How far the monotonic clock of the sender's host is ahead of ours, in nanoseconds: 0 on one host. `None`: the sender
    /// does not say. Waits for its answer, which comes soon after it has connected. To be asked for in
    /// [`ReceiverConfig::measure_clock`].
    ///
    /// # Errors
    /// When interrupted.
    pub fn clock_difference(&self) -> Result<Option<i64>, Interrupted> {
        let mut state = self.shared.lock();
        loop {
            if state.flushing {
                return Err(Interrupted::Flushing);
            }
            match (state.clock, &state.end) {
                (Clock::Known(difference), _) => return Ok(Some(difference)),
                (Clock::Silent, _) | (_, Some(_)) => return Ok(None),
                (Clock::Unknown, None) => {
                    state = self.shared.wait(state);
                }
            }
        }
    }

    /// Sends an upstream event to the sender, if one is connected.
    pub fn send_upstream(&self, event: Structured) {
        self.shared.lock().upstream.push(event);
        self.shared.doorbell.ring();
    }

    /// Asks the [`Device`](crate::Device) again for the sender's memory that it has neither opened nor refused to, and the
    /// [`Allocator`](crate::Allocator) for the kind of memory that it did not know.
    pub fn look_again(&self) {
        self.shared.lock().look_again = true;
        self.shared.doorbell.ring();
    }

    /// Senders connected now: one or none.
    pub fn peers(&self) -> usize {
        self.shared.counters.peers()
    }

    /// The numbers so far.
    pub fn stats(&self) -> Stats {
        self.shared.counters.read()
    }
}
