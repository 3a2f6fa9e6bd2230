//! Connections and the data path of the nvdsucx elements, without GStreamer.

mod config;
mod error;
mod frame;
mod landing;
mod notice;
mod publisher;
mod stats;
mod subscriber;

pub use config::{Allocator, Config, HostAllocator, OnDisconnect, ReceiverConfig, SenderConfig, Side};
pub use error::{Error, Interrupted};
pub use frame::{Frame, Incoming, Landed, Outgoing, ReceivedFrame};
pub use notice::{Notice, Peer};
pub use publisher::Publisher;
pub use stats::{PeerStats, Stats};
pub use subscriber::Subscriber;

pub use nvdsucx_wire as wire;
pub use ucp::{MemoryKind, Region, RegionMut};
