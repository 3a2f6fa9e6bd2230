//! The receiving end.

use std::net::SocketAddr;

use nvdsucx_wire::Structured;

use crate::{Config, Error, Incoming, Interrupted, Notice, ReceiverConfig, Stats};

/// The receiving end of a session.
#[derive(Debug)]
pub struct Subscriber {}

impl Subscriber {
    /// Starts the transport thread. Returns once UCX is up and, if it listens, the port is bound; connections come later.
    pub fn start(config: Config, receiver: ReceiverConfig, notify: impl FnMut(Notice) + Send + 'static) -> Result<Self, Error> {
        let _ = (config, receiver, notify);
        todo!()
    }

    /// Where it listens.
    pub fn local_address(&self) -> Option<SocketAddr> {
        todo!()
    }

    /// The next item of the stream; blocks until there is one.
    pub fn receive(&self) -> Result<Incoming, Interrupted> {
        todo!()
    }

    /// While `true`, calls that would wait return [`Interrupted::Flushing`].
    pub fn set_flushing(&self, flushing: bool) {
        let _ = flushing;
        todo!()
    }

    /// Sends an upstream event to the sender, if one is connected.
    pub fn send_upstream(&self, event: Structured) {
        let _ = event;
        todo!()
    }

    /// The numbers so far.
    pub fn stats(&self) -> Stats {
        todo!()
    }
}
