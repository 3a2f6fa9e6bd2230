//! The sending end.

use std::net::SocketAddr;

use nvdsucx_wire::Latency;

use crate::{Config, Error, Interrupted, Notice, Outgoing, SenderConfig, Stats};

/// The sending end of a session.
#[derive(Debug)]
pub struct Publisher {}

impl Publisher {
    /// Starts the transport thread. Returns once UCX is up and, if it listens, the port is bound; connections come later.
    pub fn start(config: Config, sender: SenderConfig, notify: impl FnMut(Notice) + Send + 'static) -> Result<Self, Error> {
        let _ = (config, sender, notify);
        todo!()
    }

    /// Where it listens.
    pub fn local_address(&self) -> Option<SocketAddr> {
        todo!()
    }

    /// Queues `item`; blocks while the queue is full. Gives the item back when interrupted, to try again later.
    pub fn send(&self, item: Outgoing) -> Result<(), (Interrupted, Outgoing)> {
        let _ = item;
        todo!()
    }

    /// Waits until every peer has taken everything sent so far.
    pub fn drain(&self) -> Result<(), Interrupted> {
        todo!()
    }

    /// While `true`, calls that would wait return [`Interrupted::Flushing`].
    pub fn set_flushing(&self, flushing: bool) {
        let _ = flushing;
        todo!()
    }

    /// Drops the frames (not the events) that are queued and not yet sent.
    pub fn discard(&self) {
        todo!()
    }

    /// Tells every peer, now and later, the latency of the pipeline.
    pub fn set_latency(&self, latency: Latency) {
        let _ = latency;
        todo!()
    }

    /// Peers connected now.
    pub fn peers(&self) -> usize {
        todo!()
    }

    /// The numbers so far.
    pub fn stats(&self) -> Stats {
        todo!()
    }
}
