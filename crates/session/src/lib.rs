//! Connections and the data path of the nvdsucx elements, without GStreamer.
//!
//! A [`Publisher`] sends frames and events to its peers, a [`Subscriber`] receives them. Each starts one transport thread,
//! which owns everything of UCX, and talks to it through a queue and a doorbell; when nothing is to be done all of them
//! sleep. Listening and connecting are independent of sending and receiving: [`Side`].
//!
//! A frame is regions of memory with what keeps them alive. It goes one of two ways. Where both sides can map the same memory
//! (one host, one user, one IPC namespace) it stays where it is, if it is in memory of the sender's [`Arena`], and is copied
//! there once if it is not; the receiver reads it there. Elsewhere UCX carries it, from where it is into memory that the
//! receiver's [`Allocator`] gave.

mod admission;
mod arena;
mod backlog;
mod clock;
mod config;
mod connector;
mod delay;
mod departed;
mod device;
mod door;
mod doorbell;
mod error;
mod frame;
mod handshake;
mod host;
mod key;
mod landing;
mod links;
mod mapped;
mod notice;
mod proof;
mod publisher;
mod receiving;
mod ring;
mod sending;
mod sharing;
mod stats;
mod strangers;
mod subscriber;
mod transport;
mod ucx;
mod window;

pub use arena::{Arena, Block};
pub use config::{
    Allocator, Config, HostAllocator, OnDisconnect, Overflow, ReceiverConfig, SenderConfig, Side,
};
pub use delay::{Delay, monotonic};
pub use device::{Allocation, Device, DeviceMemory};
pub use error::{Error, Interrupted};
pub use frame::{Copied, Frame, Incoming, Landed, Mapped, Outgoing, Payload, ReceivedFrame, Release};
pub use key::Key;
pub use notice::{Notice, Peer};
pub use publisher::{Publisher, Sent};
pub use stats::{PeerStats, Stats};
pub use subscriber::Subscriber;

pub use nvdsucx_wire as wire;
pub use ucp::{MemoryKind, Region, RegionMut};

/// What every peer is told of us.
fn hello(config: &Config, role: wire::Role) -> wire::Hello {
    wire::Hello {
        version: wire::VERSION,
        oldest_version: wire::OLDEST_VERSION,

        role: role.into(),
        buffer_type: config.buffer_type.into(),
        software: concat!("nvdsucx ", env!("CARGO_PKG_VERSION")).to_owned(),
        ucx_version: ucp::version(),
        host: if config.zero_copy && config.high_performance { host::identity() } else { String::new() },
        ..wire::Hello::default()
    }
}
