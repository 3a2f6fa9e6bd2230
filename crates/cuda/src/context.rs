//! CUDA contexts.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::sync::Arc;

use gst::glib::translate::*;
use gst::prelude::*;
use ucp::{MemoryKind, RegionMut};

use crate::driver::{CuContext, CuDevicePtr, DEFAULT_STREAM, Driver};
use crate::gstcuda::{CudaMemory, GstCuda};
use crate::{Error, is_cuda};

/// A CUDA context of GStreamer's (`GstCudaContext`): what allocations and copies belong to. Clones are the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    object: gst::Object,
    handle: CuContext,
}

impl Context {
    /// The primary one of the GPU `device`, counted from 0, which CUDA's runtime and UCX use as well. It takes some hundred
    /// megabytes of the GPU's memory, once in a process, and stays for as long as that lives.
    pub fn new(device: u32) -> Result<Self, Error> {
        let driver = Driver::get()?;
        let number = driver.device(device)?;
        let primary = driver.primary_context(device)?;
        // SAFETY: the context stays. Gives a reference that is ours, or NULL.
        let object: Option<gst::Object> =
            unsafe { from_glib_full((GstCuda::get()?.context_new_wrapped)(primary, number)) };
        Self::from_object(object.ok_or(Error::Refused { what: "take the GPU's CUDA context" })?)
    }

    /// The one of a memory of the GPU.
    pub fn of(memory: &gst::MemoryRef) -> Option<Self> {
        if !is_cuda(memory) {
            return None;
        }
        let memory: *const CudaMemory = memory.as_ptr().cast();
        // SAFETY: it is such a memory, which lives, and keeps its context.
        let object: Option<gst::Object> = unsafe { from_glib_none((*memory).context) };
        Self::from_object(object?).ok()
    }

    /// `object` is a `GstCudaContext`.
    pub(crate) fn from_object(object: gst::Object) -> Result<Self, Error> {
        // SAFETY: it is such an object, and lives.
        let handle = unsafe { (GstCuda::get()?.context_get_handle)(object.as_ptr()) };
        if handle.is_null() {
            return Err(Error::Refused { what: "tell the handle of its CUDA context" });
        }
        Ok(Self { object, handle: handle as CuContext })
    }

    /// GStreamer's object, a `GstCudaContext`, without a reference to it.
    pub fn as_gst_ptr(&self) -> *mut gst::ffi::GstObject {
        self.object.as_ptr()
    }

    /// The number of its GPU.
    pub fn device(&self) -> u32 {
        self.object.property("cuda-device-id")
    }

    /// The name of its GPU.
    pub fn name(&self) -> Result<String, Error> {
        let driver = Driver::get()?;
        let mut name = [0u8; 256];
        // SAFETY: writes a text of at most that length, NUL included.
        unsafe { driver.device_get_name(name.as_mut_ptr().cast(), 256, driver.device(self.device())?) }?;
        Ok(CStr::from_bytes_until_nul(&name).map(CStr::to_string_lossy).unwrap_or_default().into_owned())
    }

    /// What its GPU is known by in all processes, whatever its number there.
    pub fn uuid(&self) -> Result<[u8; 16], Error> {
        let driver = Driver::get()?;
        let mut uuid = [0; 16];
        // SAFETY: writes to the variable.
        unsafe { driver.device_get_uuid(&mut uuid, driver.device(self.device())?) }?;
        Ok(uuid)
    }

    /// That of the same GPU in which memory of other processes is opened.
    ///
    /// Of all the contexts of a process, CUDA lets a single one open what another process has on a GPU; UCX takes the primary
    /// one. The others of the same GPU reach the memory as well.
    pub(crate) fn primary(&self) -> Result<CuContext, Error> {
        Driver::get()?.primary_context(self.device())
    }

    /// Makes it current on this thread, until what is returned is dropped.
    pub fn enter(&self) -> Result<Entered<'_>, Error> {
        Entered::new(self.handle)
    }

    /// Makes it current on this thread, for good, as UCX wants it: a clone of it has to be kept for as long. Can be called again
    /// and again.
    pub fn make_current(&self) -> Result<(), Error> {
        // Unless that one is active UCX takes other processes' memory on the GPU to be out of reach, for ever.
        self.primary()?;
        // SAFETY: the context lives. Should it end nevertheless, CUDA refuses it.
        unsafe { Driver::get()?.ctx_set_current(self.handle) }
    }

    /// Waits until all is done that elements gave the GPU in this context. What UCX has it copy is not waited for: its streams
    /// are non-blocking, GStreamer's are not.
    pub(crate) fn wait_for_elements(&self) -> Result<(), Error> {
        let _entered = self.enter()?;
        // SAFETY: only waits.
        unsafe { Driver::get()?.stream_synchronize(DEFAULT_STREAM) }
    }

    /// `len` bytes of the GPU's memory, at least one, by `cuMemAlloc`. What is in them is not defined.
    pub fn allocate(&self, len: usize) -> Result<RegionMut, Error> {
        let _entered = self.enter()?;
        let mut start = 0;
        // SAFETY: writes to the variable.
        unsafe { Driver::get()?.mem_alloc(&mut start, len.max(1)) }?;
        let owner = Arc::new(Owned { start, context: self.clone() });
        // SAFETY: the memory has that many bytes and is nobody else's; it is freed with its owner.
        Ok(unsafe { RegionMut::new(start as *mut u8, len, MemoryKind::Cuda, owner) })
    }

    /// How many bytes of its GPU's memory are free, and how many there are.
    pub fn free_bytes(&self) -> Result<(u64, u64), Error> {
        let _entered = self.enter()?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: writes to the variables.
        unsafe { Driver::get()?.mem_get_info(&mut free, &mut total) }?;
        Ok((free as u64, total as u64))
    }
}

/// A context that is current on this thread until this is dropped.
#[must_use = "the context is current only until this is dropped"]
#[derive(Debug)]
pub struct Entered<'a> {
    /// The context; and it stays on its thread.
    _context: PhantomData<(&'a Context, *mut ())>,
}

impl Entered<'_> {
    pub(crate) fn new(context: CuContext) -> Result<Self, Error> {
        // SAFETY: CUDA refuses contexts that are none.
        unsafe { Driver::get()?.ctx_push_current(context) }?;
        Ok(Self { _context: PhantomData })
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if let Ok(driver) = Driver::get() {
            let mut popped = 0;
            // SAFETY: it was pushed on this thread. It fails only if the context is lost; then, so are others.
            let _ = unsafe { driver.ctx_pop_current(&mut popped) };
        }
    }
}

/// An allocation.
struct Owned {
    start: CuDevicePtr,
    context: Context,
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let (Ok(driver), Ok(_entered)) = (Driver::get(), self.context.enter()) {
            // SAFETY: it is freed once, and was reached by those only who have held this. It fails only if the context is
            // lost, and the memory with it.
            let _ = unsafe { driver.mem_free(self.start) };
        }
    }
}
