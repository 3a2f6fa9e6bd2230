//! Memory that operations read from and land in.

use std::any::Any;
use std::fmt;
use std::slice;
use std::sync::Arc;

/// The kind of memory an address belongs to, as UCX tells them apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MemoryKind {
    /// Memory that the CPU reads and writes.
    #[default]
    Host,
    /// CUDA device memory.
    Cuda,
    /// CUDA managed (unified) memory.
    CudaManaged,
}

/// Bytes to be sent: where they are, of what kind, and what keeps them there.
///
/// Cloning is cheap and shares the memory: one region can be in flight to several peers at once.
#[derive(Clone)]
pub struct Region {
    start: *const u8,
    len: usize,
    kind: MemoryKind,
    _keep_alive: Arc<dyn Any + Send + Sync>,
}

// SAFETY: the memory is only read, and `Region::new` demands that any thread may do so while the keep-alive lives;
// the keep-alive itself is Send and Sync.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// Describes `len` bytes from `start`.
    ///
    /// # Safety
    /// While `keep_alive` lives, the memory must stay mapped at that address, be of the kind named, be initialised if it is
    /// [`MemoryKind::Host`], and not be written to; reading it from any thread must be sound.
    pub unsafe fn new(
        start: *const u8,
        len: usize,
        kind: MemoryKind,
        keep_alive: Arc<dyn Any + Send + Sync>,
    ) -> Self {
        Self { start, len, kind, _keep_alive: keep_alive }
    }

    /// Where the bytes begin. Only the CPU's when the kind is [`MemoryKind::Host`].
    pub fn as_ptr(&self) -> *const u8 {
        self.start
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the region has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The kind of memory.
    pub fn kind(&self) -> MemoryKind {
        self.kind
    }

    /// The bytes, if the CPU can read them.
    pub fn host_bytes(&self) -> Option<&[u8]> {
        // SAFETY: host memory is initialised, and not written to for as long as `self` keeps it (`Region::new` demands it).
        (self.kind == MemoryKind::Host).then(|| unsafe { slice::from_raw_parts(self.start, self.len) })
    }
}

impl Region {
    /// The bytes of `owner`, which is kept.
    pub fn owned_by<T: AsRef<[u8]> + Send + Sync + 'static>(owner: Arc<T>) -> Self {
        let bytes = (*owner).as_ref();
        let (start, len) = (bytes.as_ptr(), bytes.len());
        // SAFETY: the bytes are borrowed from the owner. While the Arc lives nobody can borrow it mutably, so the loan could
        // go on for as long, and nobody may end it or write to the bytes.
        unsafe { Self::new(start, len, MemoryKind::Host, owner) }
    }
}

impl From<Vec<u8>> for Region {
    fn from(bytes: Vec<u8>) -> Self {
        Self::owned_by(Arc::new(bytes))
    }
}

/// Whoever held the memory gives up writing to it.
impl From<RegionMut> for Region {
    fn from(memory: RegionMut) -> Self {
        let RegionMut { start, len, kind, owner } = memory;
        // SAFETY: the owner keeps the memory as `RegionMut::new` demands it, and the only one who could write to it is gone.
        unsafe { Self::new(start, len, kind, owner) }
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region")
            .field("start", &self.start)
            .field("len", &self.len)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Memory for data to land in, owned by whoever holds this value.
pub struct RegionMut {
    start: *mut u8,
    len: usize,
    kind: MemoryKind,
    owner: Arc<dyn Any + Send + Sync>,
}

// SAFETY: the value is the only way to the memory (`RegionMut::new` demands it), and its owner is Send.
unsafe impl Send for RegionMut {}
// SAFETY: a shared reference only reads.
unsafe impl Sync for RegionMut {}

impl RegionMut {
    /// Describes `len` bytes from `start`.
    ///
    /// # Safety
    /// While `owner` lives, the memory must stay mapped at that address, be of the kind named, be initialised if it is
    /// [`MemoryKind::Host`], and be reached by nobody else.
    pub unsafe fn new(
        start: *mut u8,
        len: usize,
        kind: MemoryKind,
        owner: Arc<dyn Any + Send + Sync>,
    ) -> Self {
        Self { start, len, kind, owner }
    }

    /// `len` bytes of zeroed memory of the CPU, page-aligned where they fill at least a page.
    ///
    /// Returns `None` when there is not that much memory.
    pub fn host(len: usize) -> Option<Self> {
        let memory = HostMemory::new(len)?;
        let start = memory.start;
        // SAFETY: the allocation is of `len` zeroed bytes, its own, and freed when `memory` drops.
        Some(unsafe { Self::new(start, len, MemoryKind::Host, Arc::new(memory)) })
    }

    /// Where the memory begins.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.start
    }

    /// Where the memory begins.
    pub fn as_ptr(&self) -> *const u8 {
        self.start
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the region has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The kind of memory.
    pub fn kind(&self) -> MemoryKind {
        self.kind
    }

    /// What owns the memory: to get at what only it knows (a device handle, say), or to keep the memory mapped.
    pub fn owner(&self) -> &Arc<dyn Any + Send + Sync> {
        &self.owner
    }

    /// The bytes, if the CPU can read them.
    pub fn host_bytes(&self) -> Option<&[u8]> {
        // SAFETY: host memory is initialised and exclusively ours for as long as `self` is borrowed.
        (self.kind == MemoryKind::Host).then(|| unsafe { slice::from_raw_parts(self.start, self.len) })
    }

    /// The bytes, if the CPU can write them.
    pub fn host_bytes_mut(&mut self) -> Option<&mut [u8]> {
        // SAFETY: as for `host_bytes`; `self` is borrowed mutably.
        (self.kind == MemoryKind::Host).then(|| unsafe { slice::from_raw_parts_mut(self.start, self.len) })
    }
}

impl fmt::Debug for RegionMut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegionMut")
            .field("start", &self.start)
            .field("len", &self.len)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

struct HostMemory {
    start: *mut u8,
    layout: std::alloc::Layout,
}

// SAFETY: an allocation, reached only through the RegionMut that owns it.
unsafe impl Send for HostMemory {}
// SAFETY: as above.
unsafe impl Sync for HostMemory {}

impl HostMemory {
    fn new(len: usize) -> Option<Self> {
        let align = if len >= 4096 { 4096 } else { 64 };
        let layout = std::alloc::Layout::from_size_align(len.max(1), align).ok()?;
        // SAFETY: the layout's size is not zero.
        let start = unsafe { std::alloc::alloc_zeroed(layout) };
        (!start.is_null()).then_some(Self { start, layout })
    }
}

impl Drop for HostMemory {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { std::alloc::dealloc(self.start, self.layout) };
    }
}
