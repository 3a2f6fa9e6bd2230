//! GStreamer's library for CUDA, `libgstcuda-1.0.so.0`.

use std::ffi::{c_int, c_void};
use std::sync::OnceLock;

use gst::ffi::{
    GstAllocator, GstBufferPool, GstContext, GstElement, GstMapFlags, GstMemory, GstObject, GstQuery,
};
use gst::glib::ffi::{GDestroyNotify, GFALSE, gboolean};
use gst_video::ffi::GstVideoInfo;
use libloading::os::unix::Library;

use crate::driver::{CuContext, CuDevice, CuDevicePtr, Driver};
use crate::{Error, library};

const NAME: &str = "libgstcuda-1.0.so.0";
const HINT: &str =
    "install GStreamer's libraries from gst-plugins-bad (Debian: libgstreamer-plugins-bad1.0-0)";

/// `GST_CUDA_MEMORY_TYPE_NAME`.
pub(crate) const MEMORY_TYPE: &std::ffi::CStr = c"gst.cuda.memory";

/// `GST_MAP_CUDA`: the GPU's address, not a copy for the CPU.
pub(crate) const MAP_CUDA: GstMapFlags = 1 << 17;

/// `GstCudaContext`, which begins with a `GstObject`; that is all that is looked at.
pub(crate) type CudaContext = GstObject;

/// The part of `GstCudaMemory` that is the same in all releases, and used.
#[repr(C)]
pub(crate) struct CudaMemory {
    pub(crate) memory: GstMemory,
    pub(crate) context: *mut CudaContext,
}

type AllocWrapped = unsafe extern "C" fn(
    *mut GstAllocator,
    *mut CudaContext,
    *mut c_void,
    *const GstVideoInfo,
    CuDevicePtr,
    *mut c_void,
    GDestroyNotify,
) -> *mut GstMemory;

/// Declares [`GstCuda`]: for each function its name here, its symbol, its type.
macro_rules! functions {
    ($($name:ident = $symbol:literal: $type:ty;)*) => {
        /// The library, loaded.
        pub(crate) struct GstCuda {
            $(pub(crate) $name: $type,)*
            /// Since 1.24.
            pub(crate) alloc_wrapped: Option<AllocWrapped>,
            /// Since 1.24, as are streams of memories.
            pub(crate) memory_sync: Option<unsafe extern "C" fn(*mut CudaMemory)>,
            /// Whether it says that it does not know a format. Before 1.24 it aborts the process.
            pub(crate) refuses_formats: bool,
        }

        impl GstCuda {
            fn find(library: &'static Library) -> Result<Self, Error> {
                let lacks = |symbol| Error::Symbol { library: NAME, symbol, hint: "install GStreamer 1.22 or newer" };
                // SAFETY: the types are those of the library's headers, the same from 1.22 on.
                unsafe { Ok(Self {
                    $($name: library::function::<$type>(library, concat!($symbol, "\0"))
                        .ok_or_else(|| lacks($symbol))?,)*
                    alloc_wrapped: library::function(library, "gst_cuda_allocator_alloc_wrapped\0"),
                    memory_sync: library::function(library, "gst_cuda_memory_sync\0"),
                    // Came with the release that refuses them.
                    refuses_formats:
                        library::function::<unsafe extern "C" fn()>(library, "gst_cuda_allocator_virtual_alloc\0").is_some(),
                }) }
            }
        }
    };
}

functions! {
    load_library = "gst_cuda_load_library": unsafe extern "C" fn() -> gboolean;
    memory_init_once = "gst_cuda_memory_init_once": unsafe extern "C" fn();
    is_cuda_memory = "gst_is_cuda_memory": unsafe extern "C" fn(*mut GstMemory) -> gboolean;
    context_new_wrapped = "gst_cuda_context_new_wrapped": unsafe extern "C" fn(CuContext, CuDevice) -> *mut CudaContext;
    context_get_handle = "gst_cuda_context_get_handle": unsafe extern "C" fn(*mut CudaContext) -> *mut c_void;
    context_new_cuda_context = "gst_context_new_cuda_context": unsafe extern "C" fn(*mut CudaContext) -> *mut GstContext;
    buffer_pool_new = "gst_cuda_buffer_pool_new": unsafe extern "C" fn(*mut CudaContext) -> *mut GstBufferPool;
    handle_set_context = "gst_cuda_handle_set_context":
        unsafe extern "C" fn(*mut GstElement, *mut GstContext, c_int, *mut *mut CudaContext) -> gboolean;
    handle_context_query = "gst_cuda_handle_context_query":
        unsafe extern "C" fn(*mut GstElement, *mut GstQuery, *mut CudaContext) -> gboolean;
}

impl GstCuda {
    /// The library, loaded and ready, once; so is the driver.
    pub(crate) fn get() -> Result<&'static Self, Error> {
        static LIBRARY: OnceLock<Result<GstCuda, Error>> = OnceLock::new();
        let load = || {
            // It says better why it cannot be loaded.
            Driver::get()?;
            gst::assert_initialized();
            let functions = Self::find(library::open(NAME, HINT)?)?;
            // SAFETY: they can be called any number of times, once GStreamer is initialised.
            unsafe {
                if (functions.load_library)() == GFALSE {
                    return Err(Error::Refused { what: "load CUDA's driver" });
                }
                (functions.memory_init_once)();
            }
            Ok(functions)
        };
        LIBRARY.get_or_init(load).as_ref().map_err(Clone::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_installed_library_has_the_functions() {
        match library::open(NAME, HINT) {
            Ok(library) => assert_eq!(GstCuda::find(library).err(), None),
            Err(error) => eprintln!("the_installed_library_has_the_functions: skipped, {error}"),
        }
    }
}
