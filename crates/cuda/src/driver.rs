//! CUDA's driver, `libcuda.so.1`.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

use libloading::os::unix::Library;

use crate::{Error, library};

const NAME: &str = "libcuda.so.1";
const HINT: &str =
    "install NVIDIA's driver, or give the container the GPU (--gpus, or NVIDIA_DRIVER_CAPABILITIES=all)";

/// `CUresult`.
type CuResult = c_int;
/// `cuGetErrorName`, `cuGetErrorString`.
type Describe = unsafe extern "C" fn(CuResult, *mut *const c_char) -> CuResult;
/// `CUcontext`, a handle. It is never followed here.
pub(crate) type CuContext = usize;
/// `CUstream`, a handle.
pub(crate) type CuStream = usize;
/// `CUdevice`.
pub(crate) type CuDevice = c_int;
/// `CUdeviceptr`.
pub(crate) type CuDevicePtr = u64;

/// `CU_STREAM_LEGACY`: waits for what the context's other streams were given before, but for non-blocking ones.
pub(crate) const DEFAULT_STREAM: CuStream = 1;
/// `CU_STREAM_PER_THREAD`: a stream of the context that only this thread uses.
pub(crate) const OWN_STREAM: CuStream = 2;

/// `CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS`.
pub(crate) const LAZY_ENABLE_PEER_ACCESS: c_uint = 1;

/// What can be asked of an address: `CUpointer_attribute`.
#[derive(Clone, Copy)]
#[repr(i32)]
pub(crate) enum Attribute {
    Context = 1,
    BufferId = 7,
    DeviceOrdinal = 9,
    IsLegacyIpcCapable = 10,
}

/// `CUipcMemHandle`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct IpcHandle(pub(crate) [u8; 64]);

/// One end of a [`Copy2d`].
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Copy2dEnd {
    pub(crate) x: usize,
    pub(crate) y: usize,
    /// `CUmemorytype`: 1 for the CPU's, 2 for the GPU's.
    pub(crate) kind: c_uint,
    pub(crate) host: *mut c_void,
    pub(crate) device: CuDevicePtr,
    pub(crate) array: *mut c_void,
    pub(crate) pitch: usize,
}

/// `CUDA_MEMCPY2D`.
#[repr(C)]
pub(crate) struct Copy2d {
    pub(crate) src: Copy2dEnd,
    pub(crate) dst: Copy2dEnd,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

const _: () = assert!(size_of::<Copy2d>() == 128);

/// Declares [`Driver`]: for each function its name here, its symbol, its arguments.
macro_rules! functions {
    ($($name:ident = $symbol:literal($($argument:ident: $type:ty),*);)*) => {
        /// The driver, loaded and initialised.
        pub(crate) struct Driver {
            $($name: unsafe extern "C" fn($($type),*) -> CuResult,)*
            error_name: Describe,
            error_text: Describe,
        }

        impl Driver {
            fn find(library: &'static Library) -> Result<Self, Error> {
                let lacks = |symbol| Error::Symbol { library: NAME, symbol, hint: "update NVIDIA's driver" };
                // SAFETY: the types are those of cuda.h; a symbol's meaning never changes.
                unsafe { Ok(Self {
                    $($name: library::function(library, concat!($symbol, "\0")).ok_or_else(|| lacks($symbol))?,)*
                    error_name: library::function(library, "cuGetErrorName\0").ok_or_else(|| lacks("cuGetErrorName"))?,
                    error_text: library::function(library, "cuGetErrorString\0").ok_or_else(|| lacks("cuGetErrorString"))?,
                }) }
            }

            $(
                /// Safety: what CUDA's documentation demands.
                pub(crate) unsafe fn $name(&self, $($argument: $type),*) -> Result<(), Error> {
                    // SAFETY: as for this function.
                    let result = unsafe { (self.$name)($($argument),*) };
                    if result == 0 { Ok(()) } else { Err(self.error($symbol, result)) }
                }
            )*
        }
    };
}

functions! {
    init = "cuInit"(flags: c_uint);
    device_get_count = "cuDeviceGetCount"(count: *mut c_int);
    device_get = "cuDeviceGet"(device: *mut CuDevice, ordinal: c_int);
    device_get_name = "cuDeviceGetName"(name: *mut c_char, len: c_int, device: CuDevice);
    device_get_uuid = "cuDeviceGetUuid"(uuid: *mut [u8; 16], device: CuDevice);
    primary_ctx_retain = "cuDevicePrimaryCtxRetain"(context: *mut CuContext, device: CuDevice);

    ctx_push_current = "cuCtxPushCurrent_v2"(context: CuContext);
    ctx_pop_current = "cuCtxPopCurrent_v2"(context: *mut CuContext);
    ctx_set_current = "cuCtxSetCurrent"(context: CuContext);
    stream_synchronize = "cuStreamSynchronize"(stream: CuStream);

    mem_get_info = "cuMemGetInfo_v2"(free: *mut usize, total: *mut usize);
    mem_alloc = "cuMemAlloc_v2"(start: *mut CuDevicePtr, len: usize);
    mem_free = "cuMemFree_v2"(start: CuDevicePtr);
    memcpy_dtoh = "cuMemcpyDtoH_v2"(to: *mut c_void, from: CuDevicePtr, len: usize);
    memcpy_htod = "cuMemcpyHtoD_v2"(to: CuDevicePtr, from: *const c_void, len: usize);
    memcpy_2d_async = "cuMemcpy2DAsync_v2"(copy: *const Copy2d, stream: CuStream);

    pointer_get_attribute = "cuPointerGetAttribute"(value: *mut c_void, attribute: c_int, at: CuDevicePtr);
    mem_get_address_range = "cuMemGetAddressRange_v2"(start: *mut CuDevicePtr, len: *mut usize, at: CuDevicePtr);
    ipc_get_mem_handle = "cuIpcGetMemHandle"(handle: *mut IpcHandle, at: CuDevicePtr);
    ipc_open_mem_handle = "cuIpcOpenMemHandle_v2"(start: *mut CuDevicePtr, handle: IpcHandle, flags: c_uint);
    ipc_close_mem_handle = "cuIpcCloseMemHandle"(start: CuDevicePtr);
}

impl Driver {
    /// The driver, loaded and initialised, once.
    pub(crate) fn get() -> Result<&'static Self, Error> {
        static DRIVER: OnceLock<Result<Driver, Error>> = OnceLock::new();
        let load = || {
            let driver = Self::find(library::open(NAME, HINT)?)?;
            // SAFETY: can be called any number of times.
            unsafe { driver.init(0) }?;
            Ok(driver)
        };
        DRIVER.get_or_init(load).as_ref().map_err(Clone::clone)
    }

    fn error(&self, symbol: &'static str, result: CuResult) -> Error {
        let words = |describe: Describe| {
            let mut words = ptr::null();
            // SAFETY: gives a text that stays, or NULL.
            unsafe {
                describe(result, &mut words);
                (!words.is_null()).then(|| CStr::from_ptr(words).to_string_lossy().into_owned())
            }
        };
        Error::Call {
            what: symbol.strip_suffix("_v2").unwrap_or(symbol),
            name: words(self.error_name).unwrap_or_else(|| format!("error {result}")),
            text: words(self.error_text).unwrap_or_else(|| "the driver has no text for it".to_owned()),
        }
    }

    pub(crate) fn device_count(&self) -> Result<u32, Error> {
        let mut count = 0;
        // SAFETY: writes to the variable.
        unsafe { self.device_get_count(&mut count) }?;
        Ok(count.try_into().unwrap_or(0))
    }

    /// The GPU of that number.
    pub(crate) fn device(&self, ordinal: u32) -> Result<CuDevice, Error> {
        let count = self.device_count()?;
        if count == 0 {
            return Err(Error::NoDevice);
        }
        let none = Error::NoSuchDevice { device: ordinal, count };
        let ordinal =
            if ordinal < count { c_int::try_from(ordinal).map_err(|_| none)? } else { return Err(none) };
        let mut device = 0;
        // SAFETY: writes to the variable.
        unsafe { self.device_get(&mut device, ordinal) }?;
        Ok(device)
    }

    pub(crate) fn attribute(&self, attribute: Attribute, at: CuDevicePtr) -> Result<u64, Error> {
        // Attributes have 1 to 8 bytes.
        let mut value = 0u64;
        // SAFETY: writes to the variable. Any address may be asked about.
        unsafe { self.pointer_get_attribute((&raw mut value).cast(), attribute as c_int, at) }?;
        Ok(value)
    }

    /// The context that an address belongs to.
    pub(crate) fn context_at(&self, at: CuDevicePtr) -> Result<CuContext, Error> {
        match self.attribute(Attribute::Context, at)? {
            // From a memory pool, or mapped by hand: every context of the GPU reaches it.
            0 => self.primary_context(self.attribute(Attribute::DeviceOrdinal, at)? as u32),
            context => Ok(context as CuContext),
        }
    }

    /// The context that a GPU has anyway, kept for as long as the process lives.
    pub(crate) fn primary_context(&self, device: u32) -> Result<CuContext, Error> {
        static KEPT: Mutex<Vec<(u32, CuContext)>> = Mutex::new(Vec::new());
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, context)) = kept.iter().find(|(of, _)| *of == device) {
            return Ok(*context);
        }
        let mut context = 0;
        // SAFETY: writes to the variable.
        unsafe { self.primary_ctx_retain(&mut context, self.device(device)?) }?;
        kept.push((device, context));
        Ok(context)
    }

    /// The allocation that an address is in: start and length. Its context is current.
    pub(crate) fn range(&self, at: CuDevicePtr) -> Result<(CuDevicePtr, usize), Error> {
        let (mut start, mut len) = (0, 0);
        // SAFETY: writes to the variables. Any address may be asked about.
        unsafe { self.mem_get_address_range(&mut start, &mut len, at) }?;
        Ok((start, len))
    }
}
