//! The receiving end.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use nvdsucx_wire as wire;
use wire::{Hello, Role as WireRole, Structured};

use crate::doorbell::Doorbell;
use crate::receiving::Receiving;
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
}

/// What the element's threads and the transport thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    pub(crate) doorbell: Arc<Doorbell>,
    pub(crate) counters: Counters,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) queue: VecDeque<Entry>,
    /// Since when somebody waits on `changed`.
    pub(crate) waiting: Option<Instant>,
    flushing: bool,
    /// There are frames that find no landing buffer: the transport thread wants to know who waits.
    pub(crate) short: bool,
    /// What comes after the queue.
    pub(crate) end: Option<Interrupted>,
    pub(crate) upstream: Vec<Structured>,
    pub(crate) taken: Taken,
}

/// An item in the queue.
#[derive(Debug)]
pub(crate) struct Entry {
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
    /// `entry` is out of the queue: with the pipeline, or dropped.
    pub(crate) fn count(&mut self, entry: &Entry) {
        if self.epoch != entry.epoch {
            return;
        }
        self.sequence = Some(entry.sequence);
        match &entry.item {
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

    /// Wakes who waits, if somebody does.
    pub(crate) fn wake(&self, state: &mut State) {
        if state.waiting.is_some() {
            self.changed.notify_all();
        }
    }

    pub(crate) fn end(&self, end: Interrupted) {
        let mut state = self.lock();
        state.end.get_or_insert(end);
        self.wake(&mut state);
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
            doorbell: Arc::clone(&doorbell),
            counters: Counters::default(),
        });
        let window =
            wire::Window { frames: WINDOW_FRAMES, bytes: WINDOW_BYTES.max(receiver.max_frame_size as u64) };
        // A stream has one source.
        let config = Config { max_peers: 1, ..config };
        let hello = Hello { window: Some(window), ..crate::hello(&config, WireRole::Receiver) };
        let role_shared = Arc::clone(&shared);
        let transport = Transport::start(config, hello, doorbell, notify, move || {
            Receiving::new(role_shared, receiver, window)
        })?;
        Ok(Self { shared, transport })
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
        let mut state = self.shared.lock();
        loop {
            if state.flushing {
                return Err(Interrupted::Flushing);
            }
            if let Some(entry) = state.queue.pop_front() {
                state.waiting = None;
                return Ok(self.take(state, entry));
            }
            if let Some(end) = &state.end {
                return Err(end.clone());
            }
            if state.waiting.is_none() {
                state.waiting = Some(Instant::now());
                if state.short {
                    self.shared.doorbell.ring();
                }
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn take(&self, mut state: MutexGuard<'_, State>, entry: Entry) -> Incoming {
        if let Incoming::Frame(frame) = &entry.item {
            self.shared.counters.frames.add(1);
            self.shared.counters.bytes.add(frame.payload.len() as u64);
        }
        state.taken.count(&entry);
        let tell = state.taken.is_enough() || state.queue.is_empty();
        drop(state);
        if tell {
            self.shared.doorbell.ring();
        }
        entry.item
    }

    /// While `true`, [`receive`](Self::receive) returns [`Interrupted::Flushing`].
    pub fn set_flushing(&self, flushing: bool) {
        let mut state = self.shared.lock();
        state.flushing = flushing;
        state.waiting = None;
        self.shared.changed.notify_all();
    }

    /// Sends an upstream event to the sender, if one is connected.
    pub fn send_upstream(&self, event: Structured) {
        self.shared.lock().upstream.push(event);
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
