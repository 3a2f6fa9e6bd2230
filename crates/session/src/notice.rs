//! What a session tells its owner, unasked.

use nvdsucx_wire::{Latency, Structured};

use crate::Error;

/// Something happened. Notices are given on the transport thread: the receiver of one must not block.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// A peer is connected and understood.
    Joined(Peer),
    /// A peer is gone.
    Left {
        /// Which.
        peer: Peer,
        /// Why, in words.
        reason: String,
        /// It said good-bye, or the stream had ended.
        orderly: bool,
    },
    /// Something worth a warning; the session goes on.
    Warning(String),
    /// Something for the log only.
    Log(String),
    /// The session has failed; nothing more will come. Also returned by whatever call waits.
    Failed(Error),
    /// To a sender: an upstream event from a receiver.
    Upstream(Structured),
    /// To a receiver: the latency of the sender's pipeline changed.
    Latency(Latency),
}

/// A connected peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Address and port.
    pub address: String,
    /// What it calls itself.
    pub software: String,
    /// Its release of UCX.
    pub ucx_version: String,
    /// The lanes in use, as UCX names them: `tcp/eth0`.
    pub lanes: Vec<String>,
}
