//! The memory that frames land in: a pool of registered buffers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use ucp::{Context, MemoryKind, RegionMut, Registration};

use crate::doorbell::Doorbell;
use crate::{Allocator, Error, HostAllocator};

/// With as many buffers in a device's memory, and bytes in them, more would not help frames to land sooner.
const ENOUGH_BUFFERS: usize = 8;
const ENOUGH_BYTES: u64 = 128 << 20;

/// The payload of a received frame. Dropping it gives its landing buffer back.
#[derive(Debug)]
pub struct Landed {
    /// Taken only when dropped.
    region: Option<RegionMut>,
    len: usize,
    home: Option<Home>,
}

#[derive(Debug)]
struct Home {
    id: u64,
    returned: Arc<Returned>,
}

impl Landed {
    fn region(&self) -> &RegionMut {
        self.region.as_ref().expect("the region is taken only when dropped")
    }

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
        self.region().kind()
    }

    /// Where the frame begins. Only the CPU's where the [kind](Self::kind) says so.
    pub fn as_ptr(&self) -> *const u8 {
        self.region().as_ptr()
    }

    /// The bytes, if the CPU can read them.
    pub fn host_bytes(&self) -> Option<&[u8]> {
        self.region().host_bytes().map(|bytes| &bytes[..self.len])
    }

    /// The bytes, if the CPU can write them.
    pub fn host_bytes_mut(&mut self) -> Option<&mut [u8]> {
        let len = self.len;
        let region = self.region.as_mut().expect("the region is taken only when dropped");
        region.host_bytes_mut().map(|bytes| &mut bytes[..len])
    }

    /// Forgets all but the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Memory of its own for a small payload; `None` without memory.
    pub(crate) fn copy_of(bytes: &[u8]) -> Option<Self> {
        let mut region = RegionMut::host(bytes.len())?;
        region.host_bytes_mut()?.copy_from_slice(bytes);
        Some(Self { region: Some(region), len: bytes.len(), home: None })
    }
}

impl Drop for Landed {
    fn drop(&mut self) {
        if let (Some(region), Some(home)) = (self.region.take(), &self.home) {
            home.returned.give(home.id, region);
        }
    }
}

/// Buffers that came back, from any thread.
#[derive(Debug)]
struct Returned {
    slots: Mutex<Vec<(u64, RegionMut)>>,
    /// The transport thread found none.
    wanted: AtomicBool,
    doorbell: Arc<Doorbell>,
}

impl Returned {
    fn give(&self, id: u64, region: RegionMut) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).push((id, region));
        if self.wanted.swap(false, SeqCst) {
            self.doorbell.ring();
        }
    }
}

/// A landing buffer under way: taken from the pool, not yet holding a frame.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) id: u64,
    pub(crate) region: RegionMut,
}

/// The transport thread's side of the pool.
pub(crate) struct Landing {
    allocator: Arc<dyn Allocator>,
    returned: Arc<Returned>,
    free: Vec<Slot>,
    registrations: HashMap<u64, Option<Registration>>,
    next_id: u64,
    capacity: usize,
    limit: usize,
    /// What went wrong, the first time, until it is told.
    complaint: Option<String>,
    complained: bool,
}

impl Landing {
    pub(crate) fn new(
        allocator: Arc<dyn Allocator>,
        doorbell: Arc<Doorbell>,
        limit: usize,
        capacity: usize,
    ) -> Self {
        Self {
            allocator,
            returned: Arc::new(Returned {
                slots: Mutex::default(),
                wanted: AtomicBool::new(false),
                doorbell,
            }),
            free: Vec::new(),
            registrations: HashMap::new(),
            next_id: 0,
            capacity,
            limit: if limit == 0 { usize::MAX } else { limit },
            complaint: None,
            complained: false,
        }
    }

    /// A buffer for `len` bytes, if so `for_cpu` to read; `None` while all are in use, or it is not known where frames are
    /// wanted.
    pub(crate) fn take(
        &mut self,
        context: &Context,
        len: usize,
        for_cpu: bool,
    ) -> Result<Option<Slot>, Error> {
        // UCX must not see the key of a device's memory before this thread knows the device: it would take that memory to be
        // out of reach for ever.
        let Some(wanted) = self.allocator.kind() else { return Ok(None) };
        let kind = if for_cpu || !context.knows(wanted) { MemoryKind::Host } else { wanted };
        if let Some(slot) = self.fitting(len, kind) {
            return Ok(Some(slot));
        }
        if self.registrations.len() >= self.limit {
            // Before looking once more, so that none can come back unnoticed.
            self.returned.wanted.store(true, SeqCst);
            if let Some(slot) = self.fitting(len, kind) {
                return Ok(Some(slot));
            }
            // One that is too small makes room for one that is not.
            let Some(slot) = self.free.pop() else { return Ok(None) };
            self.registrations.remove(&slot.id);
        }
        self.make(context, len, kind).map(Some)
    }

    /// One that is free and good for that.
    fn fitting(&mut self, len: usize, kind: MemoryKind) -> Option<Slot> {
        let mut returned = self.returned.slots.lock().unwrap_or_else(PoisonError::into_inner);
        self.free.extend(returned.drain(..).map(|(id, region)| Slot { id, region }));
        let fit =
            self.free.iter().rposition(|slot| slot.region.len() >= len && slot.region.kind() == kind)?;
        Some(self.free.swap_remove(fit))
    }

    fn make(&mut self, context: &Context, len: usize, kind: MemoryKind) -> Result<Slot, Error> {
        self.capacity = self.capacity.max(len.next_multiple_of(4096));
        let region = match kind {
            kind if Some(kind) == self.allocator.kind() => self.allocator.allocate(self.capacity)?,
            _ => HostAllocator.allocate(self.capacity)?,
        };
        // Without it the transports register the memory as data lands in it.
        let registration = context.register(&region).inspect_err(|status| {
            if !std::mem::replace(&mut self.complained, true) {
                self.complaint =
                    Some(format!("landing buffers are not registered ahead: {status}; check `ulimit -l`"));
            }
        });
        let id = self.next_id;
        self.next_id += 1;
        self.registrations.insert(id, registration.ok());
        Ok(Slot { id, region })
    }

    /// Puts a buffer back that no frame landed in.
    pub(crate) fn put_back(&mut self, slot: Slot) {
        self.free.push(slot);
    }

    /// The buffer, with a frame of `len` bytes in it.
    pub(crate) fn landed(&self, slot: Slot, len: usize) -> Landed {
        let home = Home { id: slot.id, returned: Arc::clone(&self.returned) };
        Landed { region: Some(slot.region), len, home: Some(home) }
    }

    /// Something the user should know, once.
    pub(crate) fn take_complaint(&mut self) -> Option<String> {
        self.complaint.take()
    }

    /// Buffers there may be at most.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// How many bytes as many buffers have together.
    fn bytes(&self) -> u64 {
        (self.capacity as u64).saturating_mul(self.limit as u64)
    }

    /// Whether frames land in all of them, `under_way`, in a device's memory. That is a matter of microseconds, in most of which
    /// no byte moves: with more of them at a time all land sooner.
    pub(crate) fn is_too_small_for(&self, under_way: usize) -> bool {
        under_way == self.limit
            && (self.limit < ENOUGH_BUFFERS || self.bytes() < ENOUGH_BYTES)
            && self.allocator.kind().is_some_and(|kind| kind != MemoryKind::Host)
    }

    /// Whether twice as many buffers have at most `bytes` together.
    pub(crate) fn may_grow(&self, bytes: u64) -> bool {
        self.bytes().saturating_mul(2) <= bytes
    }

    /// Allows twice as many buffers.
    pub(crate) fn grow(&mut self) {
        self.limit = self.limit.saturating_mul(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says that it is a device.
    #[derive(Debug)]
    struct Gpu;

    impl Allocator for Gpu {
        fn kind(&self) -> Option<MemoryKind> {
            Some(MemoryKind::Cuda)
        }

        fn allocate(&self, len: usize) -> Result<RegionMut, Error> {
            HostAllocator.allocate(len)
        }
    }

    /// How many buffers of so many bytes there are, at first 4, where frames land in all of them at a time.
    fn enough(allocator: Arc<dyn Allocator>, bytes: usize) -> usize {
        let doorbell = Arc::new(Doorbell::new().unwrap());
        let mut landing = Landing::new(allocator, doorbell, 4, bytes);
        while landing.is_too_small_for(landing.limit()) {
            landing.grow();
        }
        landing.limit()
    }

    #[test]
    fn a_buffer_that_comes_back_is_told_of_only_if_there_was_none() {
        let context = Context::new("landing", &[]).unwrap();
        let doorbell = Arc::new(Doorbell::new().unwrap());
        let mut landing = Landing::new(Arc::new(HostAllocator), Arc::clone(&doorbell), 2, 4096);
        let land = |landing: &mut Landing| {
            let slot = landing.take(&context, 4096, true).unwrap();
            slot.map(|slot| landing.landed(slot, 4096))
        };
        drop(land(&mut landing).expect("a buffer"));
        assert!(!doorbell.answer());
        let (first, second) =
            (land(&mut landing).expect("a buffer"), land(&mut landing).expect("a second one"));
        assert!(land(&mut landing).is_none());
        drop(first);
        assert!(doorbell.answer());
        drop(second);
        assert!(!doorbell.answer(), "one is enough");
        assert!(land(&mut landing).is_some());
    }

    #[test]
    fn frames_land_in_as_many_buffers_as_speed_needs() {
        let video = |width: usize, height: usize| width * height * 3 / 2;
        assert_eq!(enough(Arc::new(Gpu), video(1920, 1080)), 64);
        assert_eq!(enough(Arc::new(Gpu), video(3840, 2160)), 16);
        assert_eq!(enough(Arc::new(Gpu), video(7680, 4320)), 8);
        assert_eq!(enough(Arc::new(HostAllocator), video(1920, 1080)), 4);
    }
}
