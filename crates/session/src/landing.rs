//! The memory that frames land in.

use ucp::{MemoryKind, RegionMut};

/// The payload of a received frame. Dropping it gives its landing buffer back.
#[derive(Debug)]
pub struct Landed {
    region: RegionMut,
    len: usize,
}

impl Landed {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The kind of memory the frame landed in.
    pub fn kind(&self) -> MemoryKind {
        self.region.kind()
    }

    /// The bytes, if the CPU can read them.
    pub fn host_bytes(&self) -> Option<&[u8]> {
        self.region.host_bytes().map(|bytes| &bytes[..self.len])
    }

    /// The bytes, if the CPU can write them.
    pub fn host_bytes_mut(&mut self) -> Option<&mut [u8]> {
        self.region.host_bytes_mut().map(|bytes| &mut bytes[..self.len])
    }
}
