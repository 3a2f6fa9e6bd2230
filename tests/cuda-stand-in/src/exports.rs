//! The functions, as `cuda.h` declares them.

use std::ffi::{c_char, c_int, c_uint};

use crate::context::{self, current, new_handle};
use crate::error::{Error, Result, code_of, name_of};
use crate::ffi::{Address, Array, Callback, Copy2d, Copy2dEnd, Handle, IpcHandle, Out, Text, Untyped, text};
use crate::memory::{self, PITCH, Place, Rows, TOTAL};

/// Declares functions: what each is called, its arguments, and what it does.
macro_rules! functions {
    ($($name:ident($($argument:ident: $type:ty),*) => $result:expr;)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name($($argument: $type),*) -> c_int {
            let run = || -> Result<()> { $result };
            code_of(run())
        }
    )*};
}

/// Declares functions that can do nothing, whatever they are given.
macro_rules! unsupported {
    ($($name:ident)*) => { functions! { $($name() => Err(Error::NotSupported);)* } };
}

functions! {
    cuInit(_flags: c_uint) => context::initialize();
    cuDriverGetVersion(version: Out<c_int>) => version.put(13000);
    cuGetErrorName(result: c_int, name: Out<Text>) => name.put(text(name_of(result))?);
    cuGetErrorString(result: c_int, words: Out<Text>) => words.put(text(name_of(result))?);
    // As if from a driver of old, which has but what it is linked with.
    cuGetProcAddress_v2(_name: Text, function: Out<Address>, _version: c_int, _flags: u64, found: Out<c_int>) => {
        function.put(0)?;
        // CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND.
        found.put_if_wanted(1)?;
        Err(Error::NotFound)
    };

    cuDeviceGetCount(count: Out<c_int>) => count.put(context::devices()? as c_int);
    cuDeviceGet(device: Out<c_int>, ordinal: c_int) => device.put(context::device(ordinal)? as c_int);
    cuDeviceGetName(name: Out<c_char>, len: c_int, device: c_int) => {
        name.put_text(len, &format!("Stand-in for a GPU {}", context::device(device)?))
    };
    cuDeviceGetUuid(uuid: Out<[u8; 16]>, device: c_int) => uuid.put(uuid_of(device)?);
    cuDeviceGetUuid_v2(uuid: Out<[u8; 16]>, device: c_int) => uuid.put(uuid_of(device)?);
    cuDeviceGetPCIBusId(name: Out<c_char>, len: c_int, device: c_int) => {
        name.put_text(len, &format!("0000:{:02x}:00.0", bus_of(device)?))
    };
    cuDeviceTotalMem_v2(len: Out<usize>, device: c_int) => context::device(device).and(len.put(TOTAL));
    cuDeviceGetAttribute(value: Out<c_int>, attribute: c_int, device: c_int) => {
        value.put(device_attribute(attribute, device)?)
    };
    cuDeviceCanAccessPeer(can: Out<c_int>, device: c_int, peer: c_int) => {
        can.put((context::device(device)? != context::device(peer)?).into())
    };

    cuDevicePrimaryCtxRetain(context: Out<Handle>, device: c_int) => {
        context.put(context::retain_primary(context::device(device)?))
    };
    cuDevicePrimaryCtxRelease_v2(device: c_int) => context::release_primary(context::device(device)?);
    cuDevicePrimaryCtxGetState(device: c_int, flags: Out<c_uint>, active: Out<c_int>) => {
        flags.put(0)?;
        active.put(context::is_primary_active(context::device(device)?).into())
    };
    cuCtxCreate_v2(context: Out<Handle>, _flags: c_uint, device: c_int) => {
        context.put(context::create(context::device(device)?)?)
    };
    cuCtxDestroy_v2(context: Handle) => context::destroy(context);
    cuCtxPushCurrent_v2(context: Handle) => context::push(context);
    cuCtxPopCurrent_v2(context: Out<Handle>) => context.put_if_wanted(context::pop()?);
    cuCtxSetCurrent(context: Handle) => context::set(context);
    cuCtxGetCurrent(context: Out<Handle>) => context.put(context::top().unwrap_or(0));
    cuCtxGetDevice(device: Out<c_int>) => device.put(current()?.1 as c_int);
    cuCtxGetId(context: Handle, id: Out<u64>) => id.put(context::of_or_current(context)?.0 as u64);
    cuCtxSynchronize() => current().map(drop);
    cuCtxSetFlags(_flags: c_uint) => current().map(drop);
    cuCtxGetLimit(limit: Out<usize>, _which: c_int) => current().and(limit.put(0));
    cuCtxSetLimit(_which: c_int, _limit: usize) => current().map(drop);
    cuCtxEnablePeerAccess(_peer: Handle, _flags: c_uint) => current().map(drop);
    cuCtxDisablePeerAccess(_peer: Handle) => current().map(drop);

    cuMemGetInfo_v2(free: Out<usize>, total: Out<usize>) => {
        free.put(memory::free_bytes()?)?;
        total.put(TOTAL)
    };
    cuMemAlloc_v2(start: Out<Address>, len: usize) => start.put(memory::allocate(len)?);
    cuMemAllocPitch_v2(start: Out<Address>, pitch: Out<usize>, width: usize, height: usize, _element: c_uint) => {
        let row = width.checked_next_multiple_of(PITCH).ok_or(Error::InvalidValue)?;
        start.put(memory::allocate(row.checked_mul(height).ok_or(Error::InvalidValue)?)?)?;
        pitch.put(row)
    };
    cuMemFree_v2(start: Address) => if start == 0 { Ok(()) } else { memory::free(start) };
    cuMemAllocHost_v2(start: Out<Address>, len: usize) => start.put(memory::allocate_pinned(len)?);
    cuMemHostAlloc(start: Out<Address>, len: usize, _flags: c_uint) => start.put(memory::allocate_pinned(len)?);
    cuMemFreeHost(start: Address) => memory::free_pinned(start);
    cuMemHostRegister_v2(_start: Address, _len: usize, _flags: c_uint) => current().map(drop);
    cuMemHostUnregister(_start: Address) => Ok(());
    cuMemGetAddressRange_v2(start: Out<Address>, len: Out<usize>, address: Address) => {
        let range = memory::range(address)?;
        start.put_if_wanted(range.0)?;
        len.put_if_wanted(range.1)
    };
    cuPointerGetAttribute(value: Untyped, attribute: c_int, address: Address) => {
        let (found, len) = memory::attribute(attribute, address)?;
        value.put(found, len);
        Ok(())
    };
    cuPointerGetAttributes(count: c_uint, attributes: Array<c_int>, values: Array<Untyped>, address: Address) => {
        let count = count as usize;
        for (attribute, value) in attributes.get(count).iter().zip(values.get(count)) {
            let found = memory::attribute(*attribute, address);
            let (found, len) = found.unwrap_or_else(|_| memory::attribute_of_unknown(*attribute));
            value.put(found, len);
        }
        Ok(())
    };
    cuPointerSetAttribute(_value: Untyped, _attribute: c_int, _address: Address) => Ok(());

    cuIpcGetMemHandle(handle: Out<IpcHandle>, address: Address) => handle.put(memory::export(address)?);
    // What GStreamer looks for is the name of before CUDA 11.
    cuIpcOpenMemHandle(start: Out<Address>, handle: IpcHandle, _flags: c_uint) => start.put(memory::open(handle)?);
    cuIpcOpenMemHandle_v2(start: Out<Address>, handle: IpcHandle, _flags: c_uint) => {
        start.put(memory::open(handle)?)
    };
    cuIpcCloseMemHandle(start: Address) => memory::close(start);

    cuMemcpyDtoH_v2(to: Address, from: Address, len: usize) => copy(Place::Host(to), Place::Device(from), len);
    cuMemcpyHtoD_v2(to: Address, from: Address, len: usize) => copy(Place::Device(to), Place::Host(from), len);
    cuMemcpyDtoD_v2(to: Address, from: Address, len: usize) => copy(Place::Device(to), Place::Device(from), len);
    cuMemcpy(to: Address, from: Address, len: usize) => copy(Place::Any(to), Place::Any(from), len);
    cuMemcpyDtoHAsync_v2(to: Address, from: Address, len: usize, _stream: Handle) => {
        copy(Place::Host(to), Place::Device(from), len)
    };
    cuMemcpyHtoDAsync_v2(to: Address, from: Address, len: usize, _stream: Handle) => {
        copy(Place::Device(to), Place::Host(from), len)
    };
    cuMemcpyDtoDAsync_v2(to: Address, from: Address, len: usize, _stream: Handle) => {
        copy(Place::Device(to), Place::Device(from), len)
    };
    cuMemcpyAsync(to: Address, from: Address, len: usize, _stream: Handle) => {
        copy(Place::Any(to), Place::Any(from), len)
    };
    cuMemcpy2D_v2(what: Array<Copy2d>) => copy_2d(&what);
    cuMemcpy2DUnaligned_v2(what: Array<Copy2d>) => copy_2d(&what);
    cuMemcpy2DAsync_v2(what: Array<Copy2d>, _stream: Handle) => copy_2d(&what);

    cuMemsetD8_v2(to: Address, value: u8, len: usize) => memory::fill(to, 0, value, len, 1);
    cuMemsetD8Async(to: Address, value: u8, len: usize, _stream: Handle) => memory::fill(to, 0, value, len, 1);
    cuMemsetD2D8_v2(to: Address, pitch: usize, value: u8, len: usize, count: usize) => {
        memory::fill(to, pitch, value, len, count)
    };
    cuMemsetD2D8Async(to: Address, pitch: usize, value: u8, len: usize, count: usize, _stream: Handle) => {
        memory::fill(to, pitch, value, len, count)
    };
    cuMemsetD2D16_v2(to: Address, pitch: usize, value: u16, len: usize, count: usize) => {
        memory::fill(to, pitch, value, len, count)
    };
    cuMemsetD2D16Async(to: Address, pitch: usize, value: u16, len: usize, count: usize, _stream: Handle) => {
        memory::fill(to, pitch, value, len, count)
    };
    cuMemsetD2D32_v2(to: Address, pitch: usize, value: u32, len: usize, count: usize) => {
        memory::fill(to, pitch, value, len, count)
    };
    cuMemsetD2D32Async(to: Address, pitch: usize, value: u32, len: usize, count: usize, _stream: Handle) => {
        memory::fill(to, pitch, value, len, count)
    };

    cuStreamCreate(stream: Out<Handle>, _flags: c_uint) => current().and(stream.put(new_handle()));
    cuStreamDestroy(_stream: Handle) => Ok(());
    cuStreamDestroy_v2(_stream: Handle) => Ok(());
    cuStreamQuery(_stream: Handle) => Ok(());
    cuStreamSynchronize(_stream: Handle) => current().map(drop);
    cuStreamWaitEvent(_stream: Handle, _event: Handle, _flags: c_uint) => Ok(());
    cuStreamAddCallback(stream: Handle, callback: Callback, data: *mut u8, _flags: c_uint) => {
        current()?;
        callback(stream, 0, data);
        Ok(())
    };
    cuEventCreate(event: Out<Handle>, _flags: c_uint) => current().and(event.put(new_handle()));
    cuEventDestroy(_event: Handle) => Ok(());
    cuEventDestroy_v2(_event: Handle) => Ok(());
    cuEventQuery(_event: Handle) => Ok(());
    cuEventRecord(_event: Handle, _stream: Handle) => Ok(());
    cuEventSynchronize(_event: Handle) => Ok(());
}

// What GStreamer's libraries (1.22 to 1.28) and UCX's want to find.
unsupported! {
    cuDestroyExternalMemory cuDestroyExternalSemaphore cuExternalMemoryGetMappedBuffer
    cuExternalMemoryGetMappedMipmappedArray cuGLGetDevices_v2 cuGraphicsGLRegisterBuffer cuGraphicsGLRegisterImage
    cuGraphicsMapResources cuGraphicsResourceGetMappedPointer_v2 cuGraphicsResourceSetMapFlags_v2
    cuGraphicsSubResourceGetMappedArray cuGraphicsUnmapResources cuGraphicsUnregisterResource cuImportExternalMemory
    cuImportExternalSemaphore cuIpcGetEventHandle cuIpcOpenEventHandle cuLaunchKernel cuMemAddressFree
    cuMemAddressReserve cuMemAllocAsync cuMemAllocFromPoolAsync cuMemAllocManaged cuMemCreate
    cuMemExportToShareableHandle cuMemFreeAsync cuMemGetAccess cuMemGetAllocationGranularity
    cuMemGetAllocationPropertiesFromHandle cuMemImportFromShareableHandle cuMemMap cuMemPoolCreate cuMemPoolDestroy
    cuMemPoolExportPointer cuMemPoolExportToShareableHandle cuMemPoolGetAttribute cuMemPoolImportFromShareableHandle
    cuMemPoolImportPointer cuMemPoolSetAccess cuMemPoolSetAttribute cuMemRangeGetAttribute cuMemRelease
    cuMemRetainAllocationHandle cuMemSetAccess cuMemUnmap cuModuleGetFunction cuModuleLoadData cuModuleUnload
    cuSignalExternalSemaphoresAsync cuTexObjectCreate cuTexObjectDestroy cuWaitExternalSemaphoresAsync
}

// Of `libnvcuvid.so.1`.
unsupported! {
    cuvidCreateDecoder cuvidCreateVideoParser cuvidCtxLock cuvidCtxLockCreate cuvidCtxLockDestroy cuvidCtxUnlock
    cuvidDecodePicture cuvidDestroyDecoder cuvidDestroyVideoParser cuvidGetDecoderCaps cuvidMapVideoFrame64
    cuvidParseVideoData cuvidUnmapVideoFrame64
}

/// Of `libnvidia-ml.so.1`, as is the next.
#[unsafe(no_mangle)]
extern "C" fn nvmlInit_v2() -> c_int {
    // NVML_ERROR_DRIVER_NOT_LOADED.
    9
}

#[unsafe(no_mangle)]
extern "C" fn nvmlErrorString(_result: c_int) -> Text {
    c"there is no NVIDIA driver".as_ptr()
}

fn uuid_of(device: c_int) -> Result<[u8; 16]> {
    let mut uuid = *b"cuda-stand-in-0\0";
    uuid[14] += context::device(device)? as u8;
    Ok(uuid)
}

fn bus_of(device: c_int) -> Result<c_int> {
    Ok(0x10 + context::device(device)? as c_int)
}

/// A `CUdevice_attribute`.
fn device_attribute(attribute: c_int, device: c_int) -> Result<c_int> {
    let bus = bus_of(device)?;
    Ok(match attribute {
        // MAX_THREADS_PER_BLOCK.
        1 => 1024,
        // TEXTURE_ALIGNMENT.
        14 => PITCH as c_int,
        // MULTIPROCESSOR_COUNT.
        16 => 132,
        // PCI_BUS_ID.
        33 => bus,
        // UNIFIED_ADDRESSING.
        41 => 1,
        // TEXTURE_PITCH_ALIGNMENT.
        51 => 32,
        // COMPUTE_CAPABILITY_MAJOR.
        75 => 9,
        _ => 0,
    })
}

fn copy(to: Place, from: Place, len: usize) -> Result<()> {
    let row = |place| Rows { place, pitch: 0 };
    memory::copy(row(to), row(from), len, 1)
}

fn copy_2d(what: &Array<Copy2d>) -> Result<()> {
    let [Copy2d { from, to, width, height }] = *what.get(1) else { return Err(Error::InvalidValue) };
    let rows = |end: Copy2dEnd| {
        if end.pitch < end.x + width {
            return Err(Error::InvalidValue);
        }
        let offset = end.y * end.pitch + end.x;
        let place = match end.kind {
            1 => Place::Host(end.host + offset),
            2 => Place::Device(end.device + offset),
            4 => Place::Any(end.device + offset),
            _ => return Err(Error::NotSupported),
        };
        Ok(Rows { place, pitch: end.pitch })
    };
    memory::copy(rows(to)?, rows(from)?, width, height)
}
