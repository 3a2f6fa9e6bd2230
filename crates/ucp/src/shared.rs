//! Memory that processes of one host share.
//!
//! The owner lets UCX make it ([`Context::share`]), as far as the transports in use can share memory, and hands the packed
//! remote key to its peers, who map it ([`Endpoint::map`]). UCX makes a System V segment. Nobody can cut it short under
//! those that have it mapped, and it is marked for removal from the start: it goes with the last process that uses it,
//! however that ends. Every [`Mapping`], the owner's and the peers', is an attachment of its own: it outlives UCX's
//! objects and the other processes.
//!
//! Peers look the segment up in the key by themselves. `ucp_ep_rkey_unpack` is not fit for it: endpoints that connect by
//! socket address find the memory unreachable unless `CM_USE_ALL_DEVICES` is set; it takes no length; and where the segment
//! is gone, since its owner was killed, say, UCX 1.13 frees what it has not set and crashes.

use std::ffi::c_void;
use std::fmt;
use std::mem;
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ucp_sys::*;

use crate::{Context, Endpoint, MemoryKind, Region, RegionMut, Status};

/// Longest key that is looked at, in bytes. Those of UCX have some 20, more with several network cards.
const KEY_LIMIT: usize = 4096;

/// Memory that [`Context::share`] made.
#[derive(Debug)]
pub struct Shared {
    /// UCX's side of it.
    pub segment: Segment,
    /// Ours.
    pub mapping: Mapping,
}

/// Shared memory as UCX knows it. Peers can map it while this or any mapping of it lives.
#[derive(Debug)]
pub struct Segment {
    handle: ucp_mem_h,
    context: Context,
    key: Vec<u8>,
    address: u64,
    len: usize,
}

/// What a mapping is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The memory is only read.
    Read,
    /// The memory is read and written.
    ReadWrite,
}

/// Shared memory, mapped until this is dropped.
///
/// Other processes may write to it at any time. What is read is some bytes, never more than that: what they say must be
/// checked after it was copied out. Threads and processes that want more of each other agree through the atomics on who
/// uses which bytes when.
pub struct Mapping {
    id: i32,
    start: *mut u8,
    len: usize,
    writable: bool,
}

// SAFETY: the attachment is this value's own, and belongs to the process, not to a thread.
unsafe impl Send for Mapping {}
// SAFETY: as above; what is written through a shared reference is written in the way it is from other processes.
unsafe impl Sync for Mapping {}

impl Context {
    /// Makes memory that other processes of this host can map: `len` bytes, rounded up to pages, zeroed.
    ///
    /// # Errors
    /// [`Status::UNSUPPORTED`] where UCX has no System V shared memory: `UCX_TLS` leaves it out, or the system does, or no
    /// more of it (`sysctl kernel.shmmni kernel.shmall`). [`Status::NO_MEMORY`] for more than the machine has.
    pub fn share(&self, len: usize) -> Result<Shared, Status> {
        if len == 0 {
            return Err(Status::INVALID_PARAM);
        }
        // What the system refuses for System V, UCX goes on to allocate elsewhere, and fills /dev/shm with zeroes to see
        // whether it fits. Of the lengths that the system refuses, these are the ones that would bring the machine down.
        if len > memory() {
            return Err(Status::NO_MEMORY);
        }
        // SAFETY: all zeroes are valid for the plain C struct; only the masked fields are read.
        let mut params: ucp_mem_map_params_t = unsafe { mem::zeroed() };
        params.field_mask = u64::from(UCP_MEM_MAP_PARAM_FIELD_LENGTH | UCP_MEM_MAP_PARAM_FIELD_FLAGS);
        params.length = len;
        params.flags = UCP_MEM_MAP_ALLOCATE;
        let mut handle = ptr::null_mut();
        // SAFETY: the context is alive and the parameters valid for the call.
        Status::check(unsafe { ucp_mem_map(self.handle(), &raw const params, &raw mut handle) })?;
        let mut segment = Segment { handle, context: self.clone(), key: Vec::new(), address: 0, len: 0 };

        // SAFETY: all zeroes are valid for the plain C struct.
        let mut attr: ucp_mem_attr_t = unsafe { mem::zeroed() };
        attr.field_mask = u64::from(UCP_MEM_ATTR_FIELD_ADDRESS | UCP_MEM_ATTR_FIELD_LENGTH);
        // SAFETY: the memory is mapped.
        Status::check(unsafe { ucp_mem_query(handle, &raw mut attr) })?;
        segment.address = attr.address as u64;
        segment.len = attr.length;
        segment.key = pack(self, handle)?;

        // Without shared memory, UCX made it from other memory, which no key leads to.
        let mapping = Mapping::attach(&segment.key, segment.address, segment.len, Access::ReadWrite)
            .map_err(|_| Status::UNSUPPORTED)?;
        mapping.keep_to_user();
        // It is the same memory, if UCX's keys are what they are taken for.
        let word = mapping.atomic_u64(0).ok_or(Status::UNSUPPORTED)?;
        // SAFETY: UCX's memory is a page at least, aligned to one, and lives as long as the segment.
        let theirs = unsafe { AtomicU64::from_ptr(attr.address.cast()) };
        theirs.store(u64::MAX, Ordering::Relaxed);
        if word.swap(0, Ordering::Relaxed) != u64::MAX || theirs.load(Ordering::Relaxed) != 0 {
            return Err(Status::UNSUPPORTED);
        }
        Ok(Shared { segment, mapping })
    }
}

/// The memory that the machine has, in bytes.
fn memory() -> usize {
    // SAFETY: it only asks.
    let (pages, page) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    let known = |number| usize::try_from(number).unwrap_or(0);
    known(pages).saturating_mul(known(page))
}

fn pack(context: &Context, handle: ucp_mem_h) -> Result<Vec<u8>, Status> {
    let (mut packed, mut len) = (ptr::null_mut(), 0);
    // SAFETY: the context is alive and the memory mapped.
    Status::check(unsafe { ucp_rkey_pack(context.handle(), handle, &raw mut packed, &raw mut len) })?;
    // SAFETY: UCX gives `len` bytes, until they are released.
    let key = unsafe { slice::from_raw_parts(packed.cast::<u8>(), len) }.to_vec();
    // SAFETY: packed above, and not used any more.
    unsafe { ucp_rkey_buffer_release(packed) };
    if key.len() > KEY_LIMIT { Err(Status::UNSUPPORTED) } else { Ok(key) }
}

impl Segment {
    /// The packed remote key, for peers to map the memory by.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// What else peers need to map it.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: mapped in `Context::share`, and the context is alive. A failure leaves nothing to do.
        unsafe { ucp_mem_unmap(self.context.handle(), self.handle) };
    }
}

impl Endpoint {
    /// Maps the first `len` bytes of memory that the peer made with [`Context::share`], on this host and in the same IPC
    /// namespace; the caller sees to that. Elsewhere the key may happen to name other memory, or it is forged: write
    /// nothing before the memory has shown what only the peer could have put there.
    ///
    /// # Errors
    /// [`Status::UNSUPPORTED`] where UCX has no System V shared memory here. [`Status::INVALID_PARAM`] when it is no key for
    /// this address, [`Status::UNREACHABLE`] when there is no such segment (any more) or it is somebody else's, and
    /// [`Status::INVALID_ADDR`] when it is shorter than `len`.
    pub fn map(&self, key: &[u8], address: u64, len: usize, access: Access) -> Result<Mapping, Status> {
        if !self.context().can_share() {
            return Err(Status::UNSUPPORTED);
        }
        Mapping::attach(key, address, len, access)
    }
}

/// The System V segment in a packed remote key: the `address` that the memory has in the process that made it tells the
/// right entry. The key is not trusted.
fn segment_id(key: &[u8], address: u64) -> Option<i32> {
    if key.len() > KEY_LIMIT {
        return None;
    }
    // A bitmap of memory domains, and the kind of memory, which is 0 for the CPU's. Then for each domain the length of its
    // entry, and the entry. What else may follow is not of interest. UCX's integers are in the order of the host.
    let (domains, rest) = key.split_first_chunk::<8>()?;
    let (&0, mut rest) = rest.split_first()? else { return None };
    for _ in 0..u64::from_ne_bytes(*domains).count_ones() {
        let (&len, after) = rest.split_first()?;
        let entry;
        (entry, rest) = after.split_at_checked(len.into())?;
        // That of a System V segment: its id and its address in the process that made it.
        if let Some((id, at)) = entry.split_first_chunk::<4>()
            && at == address.to_ne_bytes()
        {
            return Some(i32::from_ne_bytes(*id));
        }
    }
    None
}

/// What the system says of a segment.
pub(crate) fn stat(id: i32) -> Option<libc::shmid_ds> {
    // SAFETY: all zeroes are valid for the plain C struct.
    let mut stat: libc::shmid_ds = unsafe { mem::zeroed() };
    // SAFETY: IPC_STAT only fills the struct in.
    (unsafe { libc::shmctl(id, libc::IPC_STAT, &raw mut stat) } == 0).then_some(stat)
}

impl Mapping {
    fn attach(key: &[u8], address: u64, len: usize, access: Access) -> Result<Self, Status> {
        let id = segment_id(key, address).ok_or(Status::INVALID_PARAM)?;
        let writable = access == Access::ReadWrite;
        let flags = if writable { 0 } else { libc::SHM_RDONLY };
        // SAFETY: the system picks a place where nothing is mapped.
        let start = unsafe { libc::shmat(id, ptr::null(), flags) };
        if start.addr() == usize::MAX {
            return Err(Status::UNREACHABLE);
        }
        let mapping = Self { id, start: start.cast(), len, writable };
        // Now that it is attached, its id cannot become another's.
        let stat = stat(id).ok_or(Status::UNREACHABLE)?;
        // UCX marks its segments for removal (SHM_DEST). One that is to stay is none of a peer's.
        if stat.shm_perm.mode & 0o1000 == 0 {
            return Err(Status::UNREACHABLE);
        }
        if len == 0 || len > stat.shm_segsz {
            return Err(Status::INVALID_ADDR);
        }
        Ok(mapping)
    }

    /// Bars the members of the user's group, whom UCX admits.
    fn keep_to_user(&self) {
        if let Some(mut stat) = self.stat() {
            stat.shm_perm.mode &= !0o066;
            // SAFETY: IPC_SET only reads the struct.
            unsafe { libc::shmctl(self.id, libc::IPC_SET, &raw mut stat) };
        }
    }

    /// What the system says of it.
    pub(crate) fn stat(&self) -> Option<libc::shmid_ds> {
        stat(self.id)
    }

    /// How often the memory is mapped now, in all processes, UCX's own mapping included: 1 is only this. `None` if the system
    /// does not say.
    pub fn mappings(&self) -> Option<u64> {
        Some(self.stat()?.shm_nattch)
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bytes. It always has some.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where it begins, on a page.
    pub fn as_ptr(&self) -> *const u8 {
        self.start
    }

    /// `len` bytes at `offset`, if it has them.
    fn at(&self, offset: usize, len: usize) -> Option<*mut u8> {
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.len);
        // SAFETY: the offset is inside the attachment, or at its end.
        inside.then(|| unsafe { self.start.add(offset) })
    }

    /// An atomic in it. `None` if it is out of bounds or misaligned, or the mapping is for reading only.
    pub fn atomic_u64(&self, offset: usize) -> Option<&AtomicU64> {
        let at = self.at(offset, size_of::<u64>())?.cast::<u64>();
        // SAFETY: it is mapped for as long as `self`, writable and aligned; every process uses it as an atomic or as bytes
        // that may be anything.
        (self.writable && at.is_aligned()).then(|| unsafe { AtomicU64::from_ptr(at) })
    }

    /// An atomic in it. `None` if it is out of bounds or misaligned, or the mapping is for reading only.
    pub fn atomic_u32(&self, offset: usize) -> Option<&AtomicU32> {
        let at = self.at(offset, size_of::<u32>())?.cast::<u32>();
        // SAFETY: as for `atomic_u64`.
        (self.writable && at.is_aligned()).then(|| unsafe { AtomicU32::from_ptr(at) })
    }

    /// Copies bytes out. `false` if it does not have them.
    pub fn read(&self, offset: usize, to: &mut [u8]) -> bool {
        let Some(at) = self.at(offset, to.len()) else { return false };
        // SAFETY: the bytes are mapped and readable, and `to` is memory of our own. If another process writes them at the
        // same time, any mixture of old and new may come.
        unsafe { ptr::copy_nonoverlapping(at, to.as_mut_ptr(), to.len()) };
        true
    }

    /// Appends `len` bytes from `offset`. `false` if it does not have them.
    pub fn read_into(&self, offset: usize, len: usize, to: &mut Vec<u8>) -> bool {
        let Some(at) = self.at(offset, len) else { return false };
        to.reserve(len);
        // SAFETY: as for `read`; the vector has room for `len` more bytes, which are written before they count.
        unsafe {
            ptr::copy_nonoverlapping(at, to.as_mut_ptr().add(to.len()), len);
            to.set_len(to.len() + len);
        }
        true
    }

    /// Copies bytes in. `false` if it does not have the place, or the mapping is for reading only.
    pub fn write(&self, offset: usize, from: &[u8]) -> bool {
        if !self.writable {
            return false;
        }
        let Some(at) = self.at(offset, from.len()) else { return false };
        // SAFETY: the bytes are mapped and writable. `from` may lie in the same mapping, if its owner let others see it as a
        // region, hence the copy that allows for it.
        unsafe { ptr::copy(from.as_ptr(), at, from.len()) };
        true
    }

    /// Cuts it into as many blocks of `block` bytes as fit, which keep it together: from now on they are the only way to
    /// its bytes in this process. None if it is for reading only.
    ///
    /// Peers that have mapped the memory see what is written to the blocks; they have promised not to write there.
    pub fn into_blocks(self, block: usize) -> Vec<RegionMut> {
        if !self.writable || block == 0 {
            return Vec::new();
        }
        let (start, count) = (self.start, self.len / block);
        let owner = Arc::new(self);
        // SAFETY: the blocks do not overlap and lie in the mapping, which is initialised, lives as long as one of them and
        // cannot be reached otherwise: it was given up, and as an owner it is only kept.
        let cut = |n| unsafe {
            RegionMut::new(start.add(n * block), block, MemoryKind::Host, Arc::clone(&owner) as _)
        };
        (0..count).map(cut).collect()
    }

    /// The bytes from `offset` as a region, which keeps the mapping. `None` if it does not have them.
    ///
    /// Only for bytes that nobody writes to while the region lives: the peer has promised it.
    pub fn region(self: &Arc<Self>, offset: usize, len: usize) -> Option<Region> {
        let at = self.at(offset, len)?;
        // SAFETY: the bytes are mapped and initialised while the Arc lives, and not written to by the promise above.
        Some(unsafe { Region::new(at, len, MemoryKind::Host, Arc::clone(self) as _) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: attached in `attach`, and detached only here.
        unsafe { libc::shmdt(self.start.cast::<c_void>()) };
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, start, len, writable } = self;
        f.debug_struct("Mapping")
            .field("id", id)
            .field("start", start)
            .field("len", len)
            .field("writable", writable)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As UCX 1.13 packs it: domains 0, 1, 2 and 4, of which the third is System V.
    fn key() -> Vec<u8> {
        let mut key = vec![0x17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12];
        key.extend(7_i32.to_ne_bytes());
        key.extend(0x7f00_1234_5000_u64.to_ne_bytes());
        key.push(0);
        key
    }

    #[test]
    fn the_segment_is_found_in_a_key() {
        assert_eq!(segment_id(&key(), 0x7f00_1234_5000), Some(7));
        // UCX 1.22 puts the device behind it.
        assert_eq!(segment_id(&[key(), vec![0xff]].concat(), 0x7f00_1234_5000), Some(7));
    }

    #[test]
    fn a_key_that_is_none_names_no_segment() {
        assert_eq!(segment_id(&key(), 0x7f00_1234_6000), None);
        assert_eq!(segment_id(&[0xff; KEY_LIMIT], u64::MAX), None);
        assert_eq!(segment_id(&[key(), vec![0; KEY_LIMIT]].concat(), 0x7f00_1234_5000), None);
        for len in 0..key().len() - 1 {
            assert_eq!(segment_id(&key()[..len], 0x7f00_1234_5000), None, "cut to {len} bytes");
        }
        let mut cuda = key();
        cuda[8] = 1;
        assert_eq!(segment_id(&cuda, 0x7f00_1234_5000), None);
    }
}
