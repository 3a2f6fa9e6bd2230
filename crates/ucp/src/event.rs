//! What a worker reports.

use std::ffi::c_void;
use std::fmt;
use std::rc::Rc;
use std::slice;

use ucp_sys::*;

use crate::operation::post_receive;
use crate::worker::WorkerHandle;
use crate::{ConnectionRequest, EndpointId, Region, RegionMut, Status};

/// Something that happened in [`Worker::progress`](crate::Worker::progress).
#[derive(Debug)]
pub enum Event {
    /// A client wants to connect to a listener.
    ConnectionRequest(ConnectionRequest),
    /// An active message arrived.
    Message(Message),
    /// A send came to its end.
    Sent {
        /// What was given to [`Endpoint::send`](crate::Endpoint::send).
        cookie: u64,
        /// What was sent. UCX has let go of it.
        regions: Vec<Region>,
        /// How it ended.
        result: Result<(), Status>,
    },
    /// A rendezvous came to its end.
    Received {
        /// What was given to [`Rendezvous::receive`].
        cookie: u64,
        /// The memory, filled if it went well.
        region: RegionMut,
        /// How it ended.
        result: Result<(), Status>,
    },
    /// An endpoint lost its peer. What the peer had sent before may still arrive.
    Failed {
        /// Which.
        endpoint: EndpointId,
        /// Why.
        status: Status,
    },
}

/// An active message.
#[derive(Debug)]
pub struct Message {
    /// The handler's id that the sender named.
    pub id: u16,
    /// The sender's header.
    pub header: Vec<u8>,
    /// The sender's data.
    pub data: Data,
}

/// Where the data of a message is.
#[derive(Debug)]
pub enum Data {
    /// Here.
    Copied(Vec<u8>),
    /// In UCX's memory.
    Held(HeldData),
    /// Still at the sender.
    Rendezvous(Rendezvous),
}

impl Data {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Copied(bytes) => bytes.len(),
            Self::Held(held) => held.descriptor.len,
            Self::Rendezvous(rendezvous) => rendezvous.0.len,
        }
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// UCX's hold on the data of a message, let go when dropped.
pub(crate) struct Descriptor {
    pub(crate) data: *mut c_void,
    pub(crate) len: usize,
    pub(crate) worker: Rc<WorkerHandle>,
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: the receive callback kept the descriptor by returning UCS_INPROGRESS, nobody has released it or received
        // into it (`Rendezvous::receive` forgets this value), and the worker is alive.
        unsafe { ucp_am_data_release(self.worker.0, self.data) };
    }
}

/// Data that has arrived and lies in UCX's memory until this is dropped.
pub struct HeldData {
    pub(crate) descriptor: Descriptor,
}

impl HeldData {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: UCX keeps `len` bytes there until the descriptor is released.
        unsafe { slice::from_raw_parts(self.descriptor.data.cast::<u8>(), self.descriptor.len) }
    }
}

impl fmt::Debug for HeldData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HeldData").field(&self.descriptor.len).finish()
    }
}

/// Data that waits at its sender to be fetched. Dropping it tells the sender that it is not wanted.
pub struct Rendezvous(pub(crate) Descriptor);

impl Rendezvous {
    /// Fetches the data into the beginning of `region`. [`Event::Received`] with `cookie` gives the region back.
    ///
    /// # Panics
    /// If the region is shorter than the data.
    pub fn receive(self, region: RegionMut, cookie: u64) {
        assert!(
            region.len() >= self.0.len,
            "landing region of {} bytes for {} bytes",
            region.len(),
            self.0.len
        );
        post_receive(self, region, cookie);
    }
}

impl fmt::Debug for Rendezvous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rendezvous").field(&self.0.len).finish()
    }
}
