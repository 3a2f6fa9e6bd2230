//! What travels.

use nvdsucx_wire::{FrameHeader, StreamEvent};
use ucp::Region;

pub use crate::landing::Landed;
pub use crate::mapped::{Copied, Mapped, Release};

/// A frame on its way out: what describes it and where its bytes are.
///
/// `header.sequence` and `header.memories` are filled in by the session.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Timestamps, flags, metadata.
    pub header: FrameHeader,
    /// The memories of the frame, in order. None of them is copied.
    pub regions: Vec<Region>,
}

impl Frame {
    /// Length of all memories together, in bytes.
    pub fn len(&self) -> usize {
        self.regions.iter().map(Region::len).sum()
    }

    /// Whether the frame has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a [`Publisher`](crate::Publisher) sends, in order.
#[derive(Clone, Debug)]
pub enum Outgoing {
    /// A frame.
    Frame(Frame),
    /// An event; its `sequence` is filled in by the session. Sticky ones are kept for peers that join later.
    Event(StreamEvent),
}

/// What a [`Subscriber`](crate::Subscriber) receives, in order.
#[derive(Debug)]
pub enum Incoming {
    /// A frame that has landed.
    Frame(ReceivedFrame),
    /// An event of the stream.
    Event(StreamEvent),
}

/// Where the bytes of a received frame are.
#[derive(Debug)]
pub enum Payload {
    /// All memories, one after the other, in memory of our own.
    Landed(Landed),
    /// The same, of a frame that is small or was copied.
    Copied(Copied),
    /// In the sender's memory.
    Mapped(Mapped),
}

impl Payload {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Landed(landed) => landed.len(),
            Self::Copied(copied) => copied.as_ref().len(),
            Self::Mapped(mapped) => mapped.regions().iter().map(Region::len).sum(),
        }
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A frame that has arrived. Dropping `payload` gives its memory back.
#[derive(Debug)]
pub struct ReceivedFrame {
    /// Timestamps, flags, metadata. The lengths in `memories` add up to the payload's.
    pub header: FrameHeader,
    /// The bytes.
    pub payload: Payload,
    /// The first frame after the connection was lost and made again.
    pub discontinuity: bool,
}
