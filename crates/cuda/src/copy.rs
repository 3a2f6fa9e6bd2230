//! Copies within a GPU's memory, to it and from it.

use std::ffi::c_void;
use std::ptr;

use ucp::{MemoryKind, Region, RegionMut};

use crate::driver::{Copy2d, Copy2dEnd, CuDevicePtr, DEFAULT_STREAM, Driver, OWN_STREAM};
use crate::{Context, Entered, Error};

/// Copies `region`, which is in a GPU's memory, to the CPU, and waits until it is there. Both have to be of the same length.
pub fn download(region: &Region, to: &mut [u8]) -> Result<(), Error> {
    check(region.kind(), region.len(), to.len())?;
    download_head(region, to)
}

/// Copies the first bytes of `region`, which is in a GPU's memory, to the CPU, and waits until they are there. It has to be no
/// shorter than `to`.
pub fn download_head(region: &Region, to: &mut [u8]) -> Result<(), Error> {
    check(region.kind(), region.len().min(to.len()), to.len())?;
    if to.is_empty() {
        return Ok(());
    }
    let driver = Driver::get()?;
    let from = region.as_ptr() as CuDevicePtr;
    let _entered = Entered::new(driver.context_at(from)?)?;
    // SAFETY: the region is of the GPU's memory, no shorter, and stays. All is there when this returns.
    unsafe { driver.memcpy_dtoh(to.as_mut_ptr().cast(), from, to.len()) }
}

/// Copies `from` to a GPU's memory, and waits until it is there. Both have to be of the same length.
pub fn upload(from: &[u8], to: &mut RegionMut) -> Result<(), Error> {
    check(to.kind(), from.len(), to.len())?;
    if from.is_empty() {
        return Ok(());
    }
    // SAFETY: both are as long; the region is of the GPU's memory, and nobody else's.
    unsafe { upload_to(from, to.as_mut_ptr()) }
}

/// # Safety
///
/// At `to` are at least as many bytes of the GPU's memory, which are nobody else's.
pub(crate) unsafe fn upload_to(from: &[u8], to: *mut u8) -> Result<(), Error> {
    let driver = Driver::get()?;
    let at = to as CuDevicePtr;
    let _entered = Entered::new(driver.context_at(at)?)?;
    // SAFETY: as for this function. What the copy may leave to be done when it returns is in the same stream.
    unsafe {
        driver.memcpy_htod(at, from.as_ptr().cast(), from.len())?;
        driver.stream_synchronize(DEFAULT_STREAM)
    }
}

fn check(kind: MemoryKind, from: usize, to: usize) -> Result<(), Error> {
    if kind == MemoryKind::Host {
        return Err(Error::NotCuda { what: "a region of the CPU's memory" });
    }
    if from == to { Ok(()) } else { Err(Error::Length { from, to }) }
}

/// Where the bytes of a plane are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the CPU's memory.
    Host(*mut u8),
    /// In a GPU's memory.
    Device(*mut u8),
}

/// A copy of rows of bytes.
#[derive(Clone, Copy, Debug)]
pub struct PlaneCopy {
    /// Where the rows are.
    pub src: Place,
    /// From one row to the next, in bytes: no less than `width`.
    pub src_pitch: usize,
    /// Where they go.
    pub dst: Place,
    /// From one row to the next, in bytes: no less than `width`.
    pub dst_pitch: usize,
    /// Length of a row in bytes.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
}

impl PlaneCopy {
    fn raw(&self) -> Copy2d {
        let end = |place, pitch| {
            let (kind, host, device) = match place {
                Place::Host(start) => (1, start.cast::<c_void>(), 0),
                Place::Device(start) => (2, ptr::null_mut(), start as CuDevicePtr),
            };
            Copy2dEnd { x: 0, y: 0, kind, host, device, array: ptr::null_mut(), pitch }
        };
        Copy2d {
            src: end(self.src, self.src_pitch),
            dst: end(self.dst, self.dst_pitch),
            width: self.width,
            height: self.height,
        }
    }
}

impl Context {
    /// `regions`, which are in memory that this GPU reaches, one after the other in its own.
    pub fn duplicate(&self, regions: &[Region]) -> Result<Region, Error> {
        let mut copy = self.allocate(regions.iter().map(Region::len).sum())?;
        let mut at = copy.as_mut_ptr();
        let mut planes = Vec::with_capacity(regions.len());
        for region in regions {
            check(region.kind(), region.len(), region.len())?;
            let (src, dst, len) =
                (Place::Device(region.as_ptr().cast_mut()), Place::Device(at), region.len());
            planes.push(PlaneCopy { src, src_pitch: len, dst, dst_pitch: len, width: len, height: 1 });
            at = at.wrapping_add(len);
        }
        // SAFETY: the regions are of the GPU's memory, and stay; the copy is as long as they are together, and nobody else's.
        unsafe { self.copy_planes(&planes) }?;
        Ok(copy.into())
    }

    /// Copies planes, all at once, and waits until all is there, or one has failed and the others are done. Other threads'
    /// copies are not waited for.
    ///
    /// # Safety
    ///
    /// All rows of all planes are in memory of the kind named: what is read is initialised and not written to meanwhile, what is
    /// written is not reached by anybody else.
    pub unsafe fn copy_planes(&self, planes: &[PlaneCopy]) -> Result<(), Error> {
        let driver = Driver::get()?;
        let _entered = self.enter()?;
        let mut queued = Ok(());
        for plane in planes.iter().filter(|plane| plane.width != 0 && plane.height != 0) {
            // SAFETY: as for this function; the structure is needed only for the call.
            queued = unsafe { driver.memcpy_2d_async(&plane.raw(), OWN_STREAM) };
            if queued.is_err() {
                break;
            }
        }
        // SAFETY: only waits.
        let done = unsafe { driver.stream_synchronize(OWN_STREAM) };
        queued.and(done)
    }
}
