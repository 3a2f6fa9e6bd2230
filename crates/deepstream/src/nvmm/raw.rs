//! DeepStream's structures for surfaces. They are the same in all releases as far as they are here; after that they differ in
//! length, and the length of the first tells that of the second.

use std::ffi::c_void;
use std::mem::{offset_of, size_of};

/// Most planes of a surface.
pub(super) const PLANES: usize = 4;

/// The beginning of NvBufSurface.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) gpu: u32,
    pub(super) batch_size: u32,
    pub(super) filled: u32,
    pub(super) contiguous: u8,
    pub(super) memory: i32,
    pub(super) list: *mut c_void,
}

/// The beginning of NvBufSurfaceParams, of which the list of an NvBufSurface is made.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Params {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) pitch: u32,
    pub(super) format: i32,
    pub(super) layout: i32,
    pub(super) descriptor: u64,
    pub(super) data_size: u32,
    pub(super) data: *mut u8,
    pub(super) planes: PlaneParams,
}

/// NvBufSurfacePlaneParams.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct PlaneParams {
    pub(super) count: u32,
    pub(super) width: [u32; PLANES],
    pub(super) height: [u32; PLANES],
    pub(super) pitch: [u32; PLANES],
    pub(super) offset: [u32; PLANES],
    pub(super) size: [u32; PLANES],
    pub(super) bytes_per_pixel: [u32; PLANES],
    pub(super) reserved: [*mut c_void; 16],
}

const _: () = {
    assert!(size_of::<Head>() == 32 && offset_of!(Head, memory) == 16 && offset_of!(Head, filled) == 8);
    assert!(size_of::<Params>() == 280 && offset_of!(Params, data_size) == 32);
    assert!(offset_of!(Params, data) == 40 && offset_of!(Params, planes) == 48);
    assert!(size_of::<PlaneParams>() == 232 && offset_of!(PlaneParams, reserved) == 104);
};

/// `NVBUF_LAYOUT_PITCH`.
pub(super) const PITCH_LINEAR: i32 = 0;

/// Size of NvBufSurfaceParams, in bytes, where NvBufSurface has `head` bytes; `None` in releases that are not known.
pub(super) fn params_size(head: usize) -> Option<usize> {
    match head {
        // 6.1 to 6.3.
        64 => Some(384),
        // 8.0 to 9.1.
        72 => Some(416),
        _ => None,
    }
}
