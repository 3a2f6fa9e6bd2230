//! Memory that is not the CPU's. What the session has to know of it, it is told by a [`Device`].
//!
//! A receiver on the same host opens an allocation of the sender's GPU memory once, and then reads the frames where they are.
//! The sender does not count on it: until a receiver says that it has opened an allocation, and where it cannot, what is in it
//! is copied to the CPU's memory first.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nvdsucx_wire::Span;
use ucp::{MemoryKind, Region};

use crate::doorbell::Doorbell;

/// How long receivers keep an allocation open that no frame is in.
const IDLE: Duration = Duration::from_secs(10);
/// Most allocations that receivers are told of at a time.
const MAX_ALLOCATIONS: usize = 256;

/// What a device's library can do with its memory. Called from any thread.
///
/// Errors are for people: the cause, in the library's words.
pub trait Device: fmt::Debug + Send + Sync {
    /// Which allocation `region` is in.
    fn allocation(&self, region: &Region) -> Result<Allocation, String>;

    /// The key by which another process of this host opens the allocation that `region` is in.
    fn key(&self, region: &Region) -> Result<Vec<u8>, String>;

    /// Opens another process's allocation of `len` bytes; `None` as long as it is not known whether frames are wanted in this
    /// memory ([`Subscriber::look_again`](crate::Subscriber::look_again)). The key comes from that process and is not to be
    /// trusted.
    fn open(&self, key: &[u8], len: usize) -> Result<Option<Arc<dyn DeviceMemory>>, String>;

    /// Copies `region` to `to`, which is as long, and waits until it is there.
    fn download(&self, region: &Region, to: &mut [u8]) -> Result<(), String>;

    /// `regions`, one after the other, in memory of this process's own.
    fn duplicate(&self, regions: &[Region]) -> Result<Region, String>;

    /// Prepares this thread for handing the device's memory to UCX. Called again and again.
    fn enter(&self) -> Result<(), String>;
}

/// Memory of a device in another process, open until the last region of it is gone.
pub trait DeviceMemory: fmt::Debug + Send + Sync {
    /// `len` bytes from `offset`; `None` if that is outside.
    fn region(self: Arc<Self>, offset: usize, len: usize) -> Option<Region>;
}

/// An allocation of device memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// Its own, in this process, for ever.
    pub id: u64,
    /// Where it begins.
    pub start: usize,
    /// Length in bytes.
    pub len: usize,
}

impl Allocation {
    /// Whether `region` is in it.
    pub(crate) fn has(&self, region: &Region) -> bool {
        region.kind() != MemoryKind::Host && self.span(0, region).is_some()
    }

    fn span(&self, memory: u32, region: &Region) -> Option<Span> {
        let offset = (region.as_ptr() as usize).checked_sub(self.start)?;
        let fits = offset.checked_add(region.len())? <= self.len;
        fits.then_some(Span { memory, offset: offset as u64, len: region.len() as u64 })
    }
}

/// The allocations that the sender's frames are in.
#[derive(Debug)]
pub(crate) struct Allocations {
    device: Option<Arc<dyn Device>>,
    known: Mutex<Vec<Known>>,
    doorbell: Arc<Doorbell>,
}

#[derive(Debug)]
struct Known {
    allocation: Allocation,
    state: Announced,
    used: Instant,
}

#[derive(Debug)]
enum Announced {
    /// The transport thread has yet to tell the receivers.
    Wanted(Region),
    /// They know it by that number.
    As(u32),
    /// It cannot be shared.
    Never,
}

impl Allocations {
    pub(crate) fn new(device: Option<Arc<dyn Device>>, doorbell: Arc<Doorbell>) -> Self {
        Self { device, known: Mutex::default(), doorbell }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where `region` is, as receivers know it. If they do not know yet, they are told.
    pub(crate) fn locate(&self, region: &Region) -> Option<Span> {
        let allocation = self.device.as_ref()?.allocation(region).ok()?;
        let mut known = self.lock();
        if let Some(known) = known.iter_mut().find(|known| known.allocation == allocation) {
            known.used = Instant::now();
            return match known.state {
                Announced::As(memory) => allocation.span(memory, region),
                Announced::Wanted(_) | Announced::Never => None,
            };
        }
        if known.len() < MAX_ALLOCATIONS {
            let state = Announced::Wanted(region.clone());
            known.push(Known { allocation, state, used: Instant::now() });
            drop(known);
            self.doorbell.ring();
        }
        None
    }

    /// `region` in memory of the CPU.
    pub(crate) fn download(&self, region: &Region, to: &mut [u8]) -> Result<(), String> {
        match (region.host_bytes(), &self.device) {
            (Some(bytes), _) => to.copy_from_slice(bytes),
            (None, Some(device)) => device.download(region, to)?,
            (None, None) => return Err("memory of a device that the session does not know".to_owned()),
        }
        Ok(())
    }

    pub(crate) fn enter(&self) -> Result<(), String> {
        self.device.as_ref().map_or(Ok(()), |device| device.enter())
    }

    /// For the transport thread: the keys of allocations that the receivers are to be told of, each with a number from
    /// `next`, and the numbers of those that no frame was in for long; `holds` tells whether a receiver has one there still.
    pub(crate) fn changes(
        &self,
        mut next: impl FnMut() -> u32,
        holds: impl Fn(&Allocation) -> bool,
    ) -> (Vec<Key>, Vec<u32>) {
        let mut known = self.lock();
        if known.is_empty() {
            return Default::default();
        }
        let mut gone = Vec::new();
        known.retain(|known| {
            let stays = known.used.elapsed() < IDLE || holds(&known.allocation);
            if let (false, Announced::As(memory)) = (stays, &known.state) {
                gone.push(*memory);
            }
            stays
        });
        let mut keys = Vec::new();
        for known in known.iter_mut() {
            let Announced::Wanted(region) = &known.state else { continue };
            let Some(device) = &self.device else { continue };
            let Allocation { start, len, .. } = known.allocation;
            let key = device.key(region);
            let memory = next();
            known.state = if key.is_ok() { Announced::As(memory) } else { Announced::Never };
            keys.push(Key { memory, address: start as u64, len: len as u64, key });
        }
        (keys, gone)
    }
}

/// What receivers are told of an allocation; or why it cannot be shared.
pub(crate) struct Key {
    pub(crate) memory: u32,
    pub(crate) address: u64,
    pub(crate) len: u64,
    pub(crate) key: Result<Vec<u8>, String>,
}

/// The allocations that a receiver has opened.
pub(crate) type Opened = HashSet<u32>;
