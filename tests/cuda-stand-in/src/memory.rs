//! The GPUs' memory: files in the CPU's.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{process, ptr};

use memmap2::{MmapMut, MmapRaw};
use rustix::fs::{MemfdFlags, memfd_create};

use crate::context::{DEVICES, current};
use crate::error::{Error, Result};
use crate::ffi::{Address, Handle, IpcHandle};

/// Of each GPU, in bytes.
pub(crate) const TOTAL: usize = 16 << 30;
/// What rows begin at a multiple of.
pub(crate) const PITCH: usize = 512;
/// Begins each [`IpcHandle`] that is one.
const MAGIC: u64 = u64::from_le_bytes(*b"stand-in");

struct Allocation {
    map: MmapRaw,
    device: usize,
    context: Handle,
    /// In this process, for ever.
    id: u64,
    owner: Owner,
}

enum Owner {
    /// This process; others open it by that.
    Us(File),
    /// Another: what it is opened by, and how often.
    Other { handle: IpcHandle, opened: usize },
}

type Allocations = BTreeMap<Address, Allocation>;

static ALLOCATIONS: Mutex<Allocations> = Mutex::new(BTreeMap::new());
/// The CPU's memory that was asked for here.
static PINNED: Mutex<BTreeMap<Address, MmapMut>> = Mutex::new(BTreeMap::new());

fn allocations() -> MutexGuard<'static, Allocations> {
    ALLOCATIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The allocation that `address` is in, and where it begins.
fn find(allocations: &Allocations, address: Address) -> Option<(Address, &Allocation)> {
    let (start, allocation) = allocations.range(..=address).next_back()?;
    (address - start < allocation.map.len()).then_some((*start, allocation))
}

/// The name of the files, which the kernel's lists of mappings show.
fn file_name(device: usize) -> String {
    format!("cuda-stand-in-{device}")
}

pub(crate) fn allocate(len: usize) -> Result<Address> {
    let (_, device) = current()?;
    if len == 0 {
        return Err(Error::InvalidValue);
    }
    if len > free_bytes()? {
        return Err(Error::OutOfMemory);
    }
    let file = memfd_create(file_name(device), MemfdFlags::CLOEXEC).map_err(|_| Error::OutOfMemory)?;
    let file = File::from(file);
    file.set_len(len as u64).map_err(|_| Error::OutOfMemory)?;
    let map = MmapRaw::map_raw(&file).map_err(|_| Error::OutOfMemory)?;
    insert(&mut allocations(), map, device, Owner::Us(file))
}

fn insert(allocations: &mut Allocations, map: MmapRaw, device: usize, owner: Owner) -> Result<Address> {
    static IDS: AtomicU64 = AtomicU64::new(1);
    let (context, _) = current()?;
    let start = map.as_ptr() as Address;
    let id = IDS.fetch_add(1, Relaxed);
    allocations.insert(start, Allocation { map, device, context, id, owner });
    Ok(start)
}

/// Unmaps what was allocated here.
pub(crate) fn free(start: Address) -> Result<()> {
    current()?;
    let mut allocations = allocations();
    match allocations.get(&start) {
        Some(Allocation { owner: Owner::Us(_), .. }) => drop(allocations.remove(&start)),
        _ => return Err(Error::InvalidValue),
    }
    Ok(())
}

/// Unmaps another process's, if it was opened once more than closed before.
pub(crate) fn close(start: Address) -> Result<()> {
    current()?;
    let mut allocations = allocations();
    match allocations.get_mut(&start) {
        Some(Allocation { owner: Owner::Other { opened, .. }, .. }) if *opened > 1 => *opened -= 1,
        Some(Allocation { owner: Owner::Other { .. }, .. }) => drop(allocations.remove(&start)),
        _ => return Err(Error::InvalidValue),
    }
    Ok(())
}

/// Unmaps what belongs to a context.
pub(crate) fn free_all(context: Handle) {
    allocations().retain(|_, allocation| allocation.context != context);
}

/// Memory of the CPU.
pub(crate) fn allocate_pinned(len: usize) -> Result<Address> {
    current()?;
    let mut map = MmapMut::map_anon(len).map_err(|_| Error::OutOfMemory)?;
    let start = map.as_mut_ptr() as Address;
    PINNED.lock().unwrap_or_else(PoisonError::into_inner).insert(start, map);
    Ok(start)
}

pub(crate) fn free_pinned(start: Address) -> Result<()> {
    let map = PINNED.lock().unwrap_or_else(PoisonError::into_inner).remove(&start);
    map.map(drop).ok_or(Error::InvalidValue)
}

/// How many bytes are free on the current context's GPU.
pub(crate) fn free_bytes() -> Result<usize> {
    let (_, device) = current()?;
    let mark = format!("/memfd:{} ", file_name(device));
    // By the number of the file, since one that is open in several processes is the same memory.
    let mut used = BTreeMap::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        // Those that we may not look at, or that are gone, have none of ours.
        let maps = fs::read_to_string(process.path().join("maps")).unwrap_or_default();
        used.extend(maps.lines().filter(|line| line.contains(&mark)).filter_map(file_of_mapping));
    }
    Ok(TOTAL.saturating_sub(used.values().sum()))
}

/// The file's number, and the length: `7f00-7f20 rw-s 0 00:01 4711 /memfd:name (deleted)`.
pub(crate) fn file_of_mapping(line: &str) -> Option<(u64, usize)> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let file = words.nth(3)?.parse().ok()?;
    let [start, end] = [start, end].map(|address| usize::from_str_radix(address, 16).ok());
    Some((file, end?.checked_sub(start?)?))
}

/// Where the allocation that `address` is in begins, and how long it is.
pub(crate) fn range(address: Address) -> Result<(Address, usize)> {
    current()?;
    let allocations = allocations();
    let (start, allocation) = find(&allocations, address).ok_or(Error::NotFound)?;
    Ok((start, allocation.map.len()))
}

/// A `CUpointer_attribute` of an address in a GPU's memory, and the length of it in bytes.
pub(crate) fn attribute(attribute: i32, address: Address) -> Result<(u64, usize)> {
    let allocations = allocations();
    let (start, allocation) = find(&allocations, address).ok_or(Error::InvalidValue)?;
    Ok(match attribute {
        // CONTEXT.
        1 => (allocation.context as u64, 8),
        // MEMORY_TYPE: the GPU's.
        2 => (2, 4),
        // DEVICE_POINTER.
        3 => (address as u64, 8),
        // SYNC_MEMOPS, IS_MANAGED.
        6 | 8 => (0, 4),
        // BUFFER_ID.
        7 => (allocation.id, 8),
        // DEVICE_ORDINAL.
        9 => (allocation.device as u64, 4),
        // IS_LEGACY_CUDA_IPC_CAPABLE, MAPPED.
        10 | 13 => (1, 1),
        // RANGE_START_ADDR.
        11 => (start as u64, 8),
        // RANGE_SIZE.
        12 => (allocation.map.len() as u64, 8),
        // ALLOWED_HANDLE_TYPES, MEMPOOL_HANDLE.
        14 | 17 => (0, 8),
        // IS_GPU_DIRECT_RDMA_CAPABLE.
        15 => (0, 1),
        _ => return Err(Error::InvalidValue),
    })
}

/// What [`attribute`] is of an address of which CUDA knows nothing, where several are asked for at once.
pub(crate) fn attribute_of_unknown(attribute: i32) -> (u64, usize) {
    match attribute {
        // DEVICE_ORDINAL: CU_DEVICE_INVALID.
        9 => ((-2_i64) as u64, 4),
        2 | 6 | 8 => (0, 4),
        10 | 13 | 15 => (0, 1),
        _ => (0, 8),
    }
}

/// Names an allocation of this process to others: by the file, which the kernel shows them for as long as it is open here.
pub(crate) fn export(address: Address) -> Result<IpcHandle> {
    current()?;
    let allocations = allocations();
    let (_, allocation) = find(&allocations, address).ok_or(Error::InvalidValue)?;
    let Owner::Us(file) = &allocation.owner else { return Err(Error::InvalidValue) };
    let number = file.metadata().map_err(|_| Error::InvalidValue)?.ino();
    let device = allocation.device as u64;
    Ok(IpcHandle::new([MAGIC, process::id().into(), file.as_raw_fd() as u64, number, device, 0, 0, 0]))
}

/// Opens another process's allocation. Of those that a process has on a GPU, one context opens all, or none; one that is open
/// already stays where it is.
pub(crate) fn open(handle: IpcHandle) -> Result<Address> {
    let (context, _) = current()?;
    let [magic, process, file, number, device, ..] = handle.words();
    let gpu = usize::try_from(device).ok().filter(|device| *device < DEVICES);
    let (MAGIC, Some(gpu)) = (magic, gpu) else { return Err(Error::InvalidValue) };
    if process == u64::from(process::id()) {
        return Err(Error::InvalidContext);
    }
    let mut allocations = allocations();
    for (start, allocation) in allocations.iter_mut() {
        let Owner::Other { handle: known, opened } = &mut allocation.owner else { continue };
        let [_, its_process, _, _, its_device, ..] = known.words();
        if (its_process, its_device) == (process, device) && allocation.context != context {
            return Err(Error::InvalidHandle);
        }
        if known.words() == handle.words() {
            *opened += 1;
            return Ok(*start);
        }
    }
    let path = format!("/proc/{process}/fd/{file}");
    let file = File::options().read(true).write(true).open(path).map_err(|_| Error::InvalidValue)?;
    // It may be freed, and another file in its place.
    if file.metadata().map_err(|_| Error::InvalidValue)?.ino() != number {
        return Err(Error::InvalidValue);
    }
    let map = MmapRaw::map_raw(&file).map_err(|_| Error::OutOfMemory)?;
    insert(&mut allocations, map, gpu, Owner::Other { handle, opened: 1 })
}

/// Where bytes are.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Host(Address),
    Device(Address),
    /// Either, whichever the address belongs to.
    Any(Address),
}

/// Rows of bytes.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub(crate) place: Place,
    pub(crate) pitch: usize,
}

impl Rows {
    /// The address, where `count` of `len` bytes each can be touched; if it is a GPU's memory, for certain.
    fn checked(self, allocations: &Allocations, len: usize, count: usize) -> Result<Address> {
        if count > 1 && self.pitch < len {
            return Err(Error::InvalidValue);
        }
        let (Place::Host(address) | Place::Device(address) | Place::Any(address)) = self.place;
        let (start, allocation) = match (self.place, find(allocations, address)) {
            (Place::Device(_), None) => return Err(Error::InvalidValue),
            (Place::Host(_), _) | (_, None) => return Ok(address),
            (_, Some(found)) => found,
        };
        let whole = count.checked_sub(1).and_then(|rows| rows.checked_mul(self.pitch)?.checked_add(len));
        let there = allocation.map.len() - (address - start);
        if whole.unwrap_or(0) <= there { Ok(address) } else { Err(Error::InvalidValue) }
    }
}

/// Copies `count` rows of `len` bytes.
pub(crate) fn copy(to: Rows, from: Rows, len: usize, count: usize) -> Result<()> {
    current()?;
    // Nobody can free them meanwhile.
    let allocations = allocations();
    let (to_start, from_start) =
        (to.checked(&allocations, len, count)?, from.checked(&allocations, len, count)?);
    for row in 0..count {
        let (to, from) = (to_start + row * to.pitch, from_start + row * from.pitch);
        // SAFETY: the caller answers for the CPU's memory, as `cuda.h` demands; in a GPU's the row is within an allocation.
        unsafe { ptr::copy(from as *const u8, to as *mut u8, len) };
    }
    Ok(())
}

/// Sets `count` rows of `len` values each of a GPU's memory.
pub(crate) fn fill<T: Copy>(
    address: Address,
    pitch: usize,
    value: T,
    len: usize,
    count: usize,
) -> Result<()> {
    current()?;
    let allocations = allocations();
    let bytes = len.checked_mul(size_of::<T>()).ok_or(Error::InvalidValue)?;
    let start = Rows { place: Place::Device(address), pitch }.checked(&allocations, bytes, count)?;
    for row in 0..count {
        for at in 0..len {
            // SAFETY: within the allocation.
            unsafe { ((start + row * pitch) as *mut T).add(at).write_unaligned(value) };
        }
    }
    Ok(())
}
