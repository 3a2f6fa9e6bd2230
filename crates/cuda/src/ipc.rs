//! Allocations that another process of this host opens.

use std::sync::Arc;

use ucp::{MemoryKind, Region};

use crate::driver::{Attribute, CuContext, CuDevicePtr, Driver, IpcHandle, LAZY_ENABLE_PEER_ACCESS};
use crate::{Context, Entered, Error};

/// Length of what names an allocation to other processes, in bytes.
pub const HANDLE_LEN: usize = 64;

/// An allocation of a GPU's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// Its own, in this process, for ever.
    pub id: u64,
    /// Where it begins.
    pub start: usize,
    /// Length in bytes.
    pub len: usize,
}

/// Which allocation `region` is in.
pub fn allocation_of(region: &Region) -> Result<Allocation, Error> {
    let (driver, at) = device_ptr(region)?;
    let id = driver.attribute(Attribute::BufferId, at)?;
    let _entered = Entered::new(driver.context_at(at)?)?;
    let (start, len) = driver.range(at)?;
    Ok(Allocation { id, start: start as usize, len })
}

/// What other processes of this host open the allocation with that `region` is in ([`Opened::open`]).
pub fn handle_of(region: &Region) -> Result<[u8; HANDLE_LEN], Error> {
    let (driver, at) = device_ptr(region)?;
    // Drivers before 11.3 do not know the question; they refuse to make the handle.
    if driver.attribute(Attribute::IsLegacyIpcCapable, at) == Ok(0) {
        return Err(Error::NotShareable);
    }
    let _entered = Entered::new(driver.context_at(at)?)?;
    let (start, _) = driver.range(at)?;
    let mut handle = IpcHandle([0; HANDLE_LEN]);
    // SAFETY: writes to the variable. Any address may be asked about.
    unsafe { driver.ipc_get_mem_handle(&mut handle, start) }?;
    Ok(handle.0)
}

fn device_ptr(region: &Region) -> Result<(&'static Driver, CuDevicePtr), Error> {
    if region.kind() == MemoryKind::Host {
        return Err(Error::NotCuda { what: "a region of the CPU's memory" });
    }
    Ok((Driver::get()?, region.as_ptr() as CuDevicePtr))
}

/// Another process's allocation, open until this and all regions of it are gone.
#[derive(Debug)]
pub struct Opened {
    start: CuDevicePtr,
    len: usize,
    /// The primary one.
    context: CuContext,
}

impl Opened {
    /// Opens an allocation of at least `len` bytes, for the GPU of `context`. Handle and length come from the other process and
    /// are not trusted.
    ///
    /// A process cannot open its own allocations.
    pub fn open(context: &Context, handle: &[u8; HANDLE_LEN], len: usize) -> Result<Arc<Self>, Error> {
        let driver = Driver::get()?;
        let context = context.primary()?;
        let _entered = Entered::new(context)?;
        let mut start = 0;
        // SAFETY: writes to the variable. The driver refuses handles that are none.
        unsafe { driver.ipc_open_mem_handle(&mut start, IpcHandle(*handle), LAZY_ENABLE_PEER_ACCESS) }?;
        // Closes it, if it is too short.
        let opened = Self { start, len, context };
        let (base, whole) = driver.range(start)?;
        let there = start.checked_sub(base).map_or(0, |offset| whole.saturating_sub(offset as usize));
        if len > there {
            return Err(Error::TooShort { len: there, claimed: len });
        }
        Ok(Arc::new(opened))
    }

    /// `len` bytes from `offset`; `None` if they are not all in the allocation.
    ///
    /// The other process can write to them; when it does not is for the protocol to say.
    pub fn region(self: &Arc<Self>, offset: usize, len: usize) -> Option<Region> {
        if offset.checked_add(len)? > self.len {
            return None;
        }
        let start = (self.start as usize).checked_add(offset)? as *const u8;
        // SAFETY: it stays open as long as the region. It is not the CPU's memory, so that nobody has a reference to what may
        // change there.
        Some(unsafe { Region::new(start, len, MemoryKind::Cuda, Arc::clone(self) as _) })
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let (Ok(driver), Ok(_entered)) = (Driver::get(), Entered::new(self.context)) {
            // SAFETY: it was opened in this context, and nobody has a region of it any more. It fails only if the context is
            // lost, and the mapping with it.
            let _ = unsafe { driver.ipc_close_mem_handle(self.start) };
        }
    }
}
