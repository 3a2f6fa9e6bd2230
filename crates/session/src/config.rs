//! What a user sets.

use std::sync::Arc;
use std::time::Duration;

use nvdsucx_wire::BufferType;
use ucp::{MemoryKind, RegionMut};

use crate::backlog::Limits;
use crate::{Device, Error, Key};

/// Which side of the connection is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Bind and wait for peers.
    Listen,
    /// Connect to a listening peer, again and again until [`Config::connect_timeout`].
    Connect,
}

/// What happens when a peer is gone without the stream having ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDisconnect {
    /// The session fails: [`Error::Disconnected`](crate::Error::Disconnected).
    Fail,
    /// A receiver gets an end of stream, a sender stops sending as if it were at its end.
    Eos,
    /// A listener waits for the next peer, a client connects again.
    Reconnect,
}

/// Settings of both directions.
#[derive(Clone, Debug)]
pub struct Config {
    /// Listen or connect.
    pub side: Side,
    /// IPv4 or IPv6 literal, or host name.
    pub address: String,
    /// TCP port of the connection manager; 0 lets the system choose one to listen on.
    pub port: u16,
    /// Must be equal at both ends.
    pub buffer_type: BufferType,
    /// `false` keeps UCX to TCP (and CUDA copies): no RDMA, no shared memory.
    pub high_performance: bool,
    /// Let peers on this host read our memory, and read theirs.
    pub zero_copy: bool,
    /// How long a client tries to connect; `None` means for ever.
    pub connect_timeout: Option<Duration>,
    /// The longest pause between two attempts to connect.
    pub longest_pause: Duration,
    /// Silence after which a connected peer counts as lost; `None` means never.
    pub peer_timeout: Option<Duration>,
    /// What happens when a peer is lost.
    pub on_disconnect: OnDisconnect,
    /// How long threads look for more before they sleep: the transport thread, and who waits for a frame. While they look, each
    /// takes all of a CPU.
    pub busy_poll: Duration,
    /// Most peers at once (listening senders; everything else has one).
    pub max_peers: usize,
    /// What peers have to prove that they have, and we to them; `None` lets in whoever comes.
    pub key: Option<Key>,
    /// Name of the element, for the thread's name and the log.
    pub name: String,
}

/// What a sender does when a peer has no room for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// It waits, and with it all peers.
    Wait,
    /// That peer does without the frame.
    DropNew,
    /// The frame waits for that peer. Half of the window is for what does; if it is full the oldest of it is dropped.
    DropOld,
    /// That peer is disconnected.
    Disconnect,
    /// [`DropNew`](Self::DropNew) where the stream is live and there are other peers, who would lose frames by the wait;
    /// otherwise [`Wait`](Self::Wait).
    Auto,
}

impl Overflow {
    /// What it means for so many peers.
    pub(crate) fn decide(self, live: bool, peers: usize) -> Self {
        match self {
            Self::Auto if live && peers > 1 => Self::DropNew,
            Self::Auto => Self::Wait,
            decided => decided,
        }
    }
}

/// Settings of the sending end.
#[derive(Clone, Debug)]
pub struct SenderConfig {
    /// Most frames in flight to each peer, at least 1.
    pub window_frames: u32,
    /// Most bytes in flight to each peer; one frame of any size is always let through.
    pub window_bytes: u64,
    /// Most time in flight to each peer, by the frames' timestamps; `None` for any.
    pub window_time: Option<Duration>,
    /// Peers that must be connected before the first frame goes out.
    pub wanted_peers: usize,
    /// What becomes of a frame that a peer has no room for.
    pub overflow: Overflow,
    /// What knows the memory that is not the CPU's; without it there must be none in frames.
    pub device: Option<Arc<dyn Device>>,
    /// Hold frames until `wanted_peers` are there (and later, while nobody is there) instead of dropping them.
    pub wait_for_peers: bool,
}

impl SenderConfig {
    /// What may be in flight to a peer, and what may wait for it here.
    pub(crate) fn limits(&self) -> (Limits, Limits) {
        let time =
            self.window_time.map_or(u64::MAX, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        let all = Limits { frames: self.window_frames.into(), bytes: self.window_bytes, time };
        if self.overflow != Overflow::DropOld {
            return (all, all);
        }
        let Limits { frames, bytes, .. } = all;
        let waiting = Limits { frames: (frames / 2).max(1), bytes: bytes / 2, time: time / 2 };
        (Limits { frames: frames.div_ceil(2), ..waiting }, waiting)
    }
}

/// Settings of the receiving end.
#[derive(Clone)]
pub struct ReceiverConfig {
    /// Gives the memory that frames land in.
    pub allocator: Arc<dyn Allocator>,
    /// What opens the memory of senders on this host that is not the CPU's.
    pub device: Option<Arc<dyn Device>>,
    /// Landing buffers made and registered ahead; 0: as many as are needed.
    pub buffers: usize,
    /// Size of a landing buffer before the first frame tells, in bytes.
    pub initial_size: usize,
    /// Frames larger than this, in bytes, end the session with an error.
    pub max_frame_size: usize,
    /// Bytes of our own memory that the pipeline may hold frames in before the sender has to wait; one frame always goes.
    pub max_held: u64,
    /// Find out how the sender's clock differs from ours: [`Subscriber::clock_difference`](crate::Subscriber::clock_difference).
    pub measure_clock: bool,
}

/// Where frames land. Called on the transport thread.
pub trait Allocator: Send + Sync {
    /// Kind of memory that [`allocate`](Self::allocate) gives from now on. Frames that have landed stay where they are. `None`:
    /// it is not known yet, and frames wait ([`Subscriber::look_again`](crate::Subscriber::look_again)).
    fn kind(&self) -> Option<MemoryKind>;
    /// `len` bytes.
    fn allocate(&self, len: usize) -> Result<RegionMut, Error>;
}

/// Landing buffers in the memory of the CPU.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostAllocator;

impl Allocator for HostAllocator {
    fn kind(&self) -> Option<MemoryKind> {
        Some(MemoryKind::Host)
    }

    fn allocate(&self, len: usize) -> Result<RegionMut, Error> {
        RegionMut::host(len).ok_or(Error::OutOfMemory(len))
    }
}
