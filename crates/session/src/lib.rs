//! Connections and the data path of the nvdsucx elements, without GStreamer.
//!
//! A [`Publisher`] sends frames and events to its peers, a [`Subscriber`] receives them. Each starts one transport thread,
//! which owns everything of UCX, and talks to it through a queue and a doorbell; when nothing is to be done all of them
//! sleep. Listening and connecting are independent of sending and receiving: [`Side`].
//!
//! A frame is regions of memory with what keeps them alive, never bytes that were copied for the session's sake; it lands
//! in memory that the receiver's [`Allocator`] gave.

mod config;
mod connector;
mod door;
mod doorbell;
mod error;
mod frame;
mod handshake;
mod landing;
mod links;
mod notice;
mod publisher;
mod receiving;
mod stats;
mod subscriber;
mod transport;

pub use config::{Allocator, Config, HostAllocator, OnDisconnect, ReceiverConfig, SenderConfig, Side};
pub use error::{Error, Interrupted};
pub use frame::{Frame, Incoming, Landed, Outgoing, ReceivedFrame};
pub use notice::{Notice, Peer};
pub use publisher::Publisher;
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
        ..wire::Hello::default()
    }
}
