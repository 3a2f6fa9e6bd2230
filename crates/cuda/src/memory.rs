//! Memories of GStreamer that are a GPU's.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::Arc;

use gst::ffi::{GST_MAP_READ, GST_MAP_WRITE, GstMapFlags, GstMapInfo, GstMemory};
use gst::glib::ffi::GFALSE;
use gst::glib::translate::*;
use gst::prelude::*;
use gst_video::{VideoFormat, VideoInfo};
use ucp::{MemoryKind, Region};

use crate::copy::upload_to;
use crate::gstcuda::{CudaMemory, GstCuda, MAP_CUDA, MEMORY_TYPE};
use crate::{Context, Error};

/// Whether `memory` is a GPU's. Asking loads nothing, unless it is.
pub fn is_cuda(memory: &gst::MemoryRef) -> bool {
    let memory = memory.as_mut_ptr();
    // SAFETY: the memory lives, and is only looked at. The name is that of one allocator in GStreamer, but anybody may have taken
    // it; what comes after the start of the structure is known of the library's own alone.
    unsafe {
        gst::ffi::gst_memory_is_type(memory, MEMORY_TYPE.as_ptr()) != GFALSE
            && GstCuda::get().is_ok_and(|library| (library.is_cuda_memory)(memory) != GFALSE)
    }
}

/// A memory that is mapped for the GPU; that it lives as long is for the owner of this to see to.
struct Mapping {
    memory: *mut GstMemory,
    info: GstMapInfo,
}

impl Mapping {
    /// # Safety
    ///
    /// `memory` lives for as long as the mapping, and is a memory of `libgstcuda`'s.
    unsafe fn new(memory: *mut GstMemory, flags: GstMapFlags) -> Result<Self, Error> {
        let mut info = MaybeUninit::uninit();
        // SAFETY: the memory lives; the structure is filled if it is mapped.
        unsafe {
            if gst::ffi::gst_memory_map(memory, info.as_mut_ptr(), flags | MAP_CUDA) == GFALSE {
                return Err(Error::Refused { what: "map GPU memory" });
            }
            Ok(Self { memory, info: info.assume_init() })
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it is mapped, by this, and lives.
        unsafe { gst::ffi::gst_memory_unmap(self.memory, &mut self.info) };
    }
}

/// Keeps an exported memory in place: unmapped first, then freed, then its buffer goes back to its pool.
struct Exported {
    _mapping: Mapping,
    _memory: gst::Memory,
    _buffer: gst::Buffer,
}

// SAFETY: the mapping is not looked at but to be ended, which any thread may do.
unsafe impl Send for Exported {}
// SAFETY: as above.
unsafe impl Sync for Exported {}

/// `memory` of `buffer`, where it is, with all that was queued to write to it done. Both are held until the region is dropped.
pub fn export(buffer: &gst::Buffer, memory: gst::Memory) -> Result<Region, Error> {
    let Some(context) = Context::of(&memory) else {
        return Err(Error::NotCuda { what: "a memory of the buffer" });
    };
    // SAFETY: it is such a memory, and is kept for as long as the mapping.
    let mapping = unsafe { Mapping::new(memory.as_mut_ptr(), GST_MAP_READ) }?;
    match GstCuda::get()?.memory_sync {
        // SAFETY: it is such a memory, and lives.
        Some(sync) => unsafe { sync(memory.as_mut_ptr().cast::<CudaMemory>()) },
        // Before 1.24 memories know no stream to wait for.
        None => context.wait_for_elements()?,
    }
    let (start, len) = (mapping.info.data.cast_const(), mapping.info.size);
    let exported = Exported { _mapping: mapping, _memory: memory, _buffer: buffer.clone() };
    // SAFETY: what is mapped stays so with its keep-alive. While it is mapped for reading, GStreamer lets nobody map it for
    // writing. The GPU's address is what such a mapping gives.
    Ok(unsafe { Region::new(start, len, MemoryKind::Cuda, Arc::new(exported)) })
}

/// A memory of a GPU that is written to, as a frame from a [pool](Context::pool): mapped until this is dropped.
pub struct Writing<'a> {
    mapping: Mapping,
    _memory: PhantomData<&'a mut gst::MemoryRef>,
}

impl<'a> Writing<'a> {
    /// Maps the memory for writing. It has to be done, and awaited, before this is dropped.
    pub fn new(memory: &'a mut gst::MemoryRef) -> Result<Self, Error> {
        if !is_cuda(memory) {
            return Err(Error::NotCuda { what: "the memory to write to" });
        }
        // SAFETY: it is such a memory, and borrowed for as long as the mapping.
        let mapping = unsafe { Mapping::new(memory.as_mut_ptr(), GST_MAP_WRITE) }?;
        Ok(Self { mapping, _memory: PhantomData })
    }

    /// Where it begins, as the GPU sees it. The CPU cannot write there.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.mapping.info.data
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.mapping.info.size
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes its first bytes, and waits until they are there. It has to be no shorter than `from`.
    pub fn upload_head(&mut self, from: &[u8]) -> Result<(), Error> {
        if self.len() < from.len() {
            return Err(Error::Length { from: from.len(), to: self.len() });
        }
        if from.is_empty() {
            return Ok(());
        }
        // SAFETY: it is no shorter, of the GPU's memory, and mapped for writing: nobody else's.
        unsafe { upload_to(from, self.as_mut_ptr()) }
    }
}

/// What a wrapped memory is freed with.
struct Wrapped {
    region: Region,
    context: Context,
}

impl Context {
    /// `region`, which is this GPU's memory, as a read-only memory of GStreamer, with planes as `info` has them. The region is
    /// dropped when the memory is freed, after all is done that elements gave the GPU in this context, in streams that are not
    /// non-blocking.
    ///
    /// `None` if that cannot be: before GStreamer 1.24; if the planes are not within the region; if they are not of one stride,
    /// or rows of one are longer than those of the first, for GStreamer would cut them when the CPU maps the memory. Then it is
    /// to be copied into a memory of a [pool](Self::pool).
    pub fn wrap(&self, region: Region, info: &VideoInfo) -> Option<gst::Memory> {
        let library = GstCuda::get().ok()?;
        let alloc_wrapped = library.alloc_wrapped?;
        if region.kind() != MemoryKind::Cuda || region.is_empty() || !fits_wrapped(info, region.len()) {
            return None;
        }
        let start = region.as_ptr() as u64;
        let wrapped = Box::into_raw(Box::new(Wrapped { region, context: self.clone() }));
        // SAFETY: context and info live; the region has all bytes that the info speaks of, and stays until the memory calls
        // `release`, once. The memory that is made is nobody else's yet.
        unsafe {
            let memory = alloc_wrapped(
                std::ptr::null_mut(),
                self.as_gst_ptr(),
                std::ptr::null_mut(),
                info.to_glib_none().0,
                start,
                wrapped.cast(),
                Some(release),
            );
            if memory.is_null() {
                drop(Box::from_raw(wrapped));
                return None;
            }
            (*memory).mini_object.flags |= gst::ffi::GST_MEMORY_FLAG_READONLY;
            Some(from_glib_full(memory))
        }
    }

    /// A pool of frames in this GPU's memory, not yet active. `size` is replaced by what the GPU needs; the video meta of a
    /// buffer says how its planes lie.
    pub fn pool(&self, caps: &gst::Caps, size: u32, min: u32, max: u32) -> Result<gst::BufferPool, Error> {
        let library = GstCuda::get()?;
        let no_pool = || Error::Pool { caps: caps.to_string() };
        let info = VideoInfo::from_caps(caps).map_err(|_| no_pool())?;
        if !library.refuses_formats && !OLD_FORMATS.contains(&info.format()) {
            return Err(no_pool());
        }
        // SAFETY: the context lives. What it gives is ours.
        let pool: Option<gst::BufferPool> =
            unsafe { from_glib_full((library.buffer_pool_new)(self.as_gst_ptr())) };
        let pool = pool.ok_or_else(no_pool)?;
        let mut config = pool.config();
        config.set_params(Some(caps), size, min, max);
        config.add_option(gst_video::BUFFER_POOL_OPTION_VIDEO_META.as_str());
        pool.set_config(config).map_err(|_| no_pool())?;
        Ok(pool)
    }
}

/// The formats that 1.22 knows; it aborts the process when it is asked for another.
const OLD_FORMATS: [VideoFormat; 22] = [
    VideoFormat::I420,
    VideoFormat::Yv12,
    VideoFormat::I42010le,
    VideoFormat::Y42b,
    VideoFormat::I42210le,
    VideoFormat::I42212le,
    VideoFormat::Nv12,
    VideoFormat::Nv21,
    VideoFormat::P01010le,
    VideoFormat::P016Le,
    VideoFormat::Y444,
    VideoFormat::Y44416le,
    VideoFormat::Bgra,
    VideoFormat::Rgba,
    VideoFormat::Rgbx,
    VideoFormat::Bgrx,
    VideoFormat::Argb,
    VideoFormat::Abgr,
    VideoFormat::Rgb,
    VideoFormat::Bgr,
    VideoFormat::Bgr10a2Le,
    VideoFormat::Rgb10a2Le,
];

/// Whether memory of `len` bytes with planes as in `info` can be [wrapped](Context::wrap).
pub fn can_wrap(info: &VideoInfo, len: usize) -> bool {
    GstCuda::get().is_ok_and(|library| library.alloc_wrapped.is_some()) && fits_wrapped(info, len)
}

/// Whether planes as in `info` are in `len` bytes, and GStreamer's own copy for the CPU has all of them: that is as many rows
/// as fit into the frame, of the stride and the length of the first plane's.
fn fits_wrapped(info: &VideoInfo, len: usize) -> bool {
    let format = info.format_info();
    let Some((stride, width)) = row(info, 0) else { return false };
    let fits = |plane: u32| {
        let component = format.plane().iter().position(|of| *of == plane)?;
        let (own_stride, own_width) = row(info, component)?;
        let start = info.offset()[plane as usize];
        let rows = info.comp_height(component as u8) as usize;
        let end = rows.checked_sub(1)?.checked_mul(own_stride)?.checked_add(own_width)?.checked_add(start)?;
        // Without gaps between its rows, all of the frame is copied.
        let copied = stride == width || (own_stride == stride && start % stride + own_width <= width);
        Some(own_width <= own_stride && end <= info.size() && copied)
    };
    info.size() <= len
        && info.size().is_multiple_of(stride)
        && (0..info.n_planes()).all(|plane| fits(plane) == Some(true))
}

/// From one row of a component's plane to the next, and the length of a row, in bytes.
fn row(info: &VideoInfo, component: usize) -> Option<(usize, usize)> {
    let format = info.format_info();
    let plane = *format.plane().get(component)? as usize;
    let stride = usize::try_from(*info.stride().get(plane)?).ok()?;
    let pixel = usize::try_from(*format.pixel_stride().get(component)?).ok()?;
    let width = (info.comp_width(component as u8) as usize).checked_mul(pixel)?;
    (stride != 0 && width != 0).then_some((stride, width))
}

/// What GStreamer calls when a wrapped memory is freed.
unsafe extern "C" fn release(wrapped: *mut c_void) {
    // SAFETY: it is what `wrap` has made, and is given back once.
    let wrapped = unsafe { Box::from_raw(wrapped.cast::<Wrapped>()) };
    // Elements may have queued reads that they did not wait for. It fails only if the context is lost, and all reads with it.
    let _ = wrapped.context.wait_for_elements();
    drop(wrapped.region);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_what_gstreamer_can_copy_to_the_cpu() {
        gst::init().unwrap();
        let packed = |format, width, height| VideoInfo::builder(format, width, height).build().unwrap();
        for format in [VideoFormat::Nv12, VideoFormat::I420, VideoFormat::P01010le, VideoFormat::Rgba] {
            let info = packed(format, 64, 48);
            assert!(fits_wrapped(&info, info.size()), "{format}");
            assert!(!fits_wrapped(&info, info.size() - 1), "{format}, too few bytes");
        }
        // As from a pool of the GPU's: one stride for all.
        let info = VideoInfo::builder(VideoFormat::I420, 60, 48)
            .stride(&[512, 512, 512])
            .offset(&[0, 512 * 48, 512 * 72])
            .size(512 * 96)
            .build()
            .unwrap();
        assert!(fits_wrapped(&info, 512 * 96));
    }

    #[test]
    fn does_not_wrap_what_gstreamer_would_cut() {
        gst::init().unwrap();
        let info = |format, width, strides: &[i32], offsets: &[usize], size| {
            VideoInfo::builder(format, width, 48).stride(strides).offset(offsets).size(size).build().unwrap()
        };
        // The second plane has one more byte in a row than the first.
        let odd = info(VideoFormat::Nv12, 63, &[64, 64], &[0, 64 * 48], 64 * 72);
        assert!(!fits_wrapped(&odd, 64 * 72));
        // Gaps, and different strides.
        let strides = info(VideoFormat::I420, 60, &[64, 32, 32], &[0, 64 * 48, 64 * 48 + 32 * 24], 64 * 72);
        assert!(!fits_wrapped(&strides, 64 * 72));
        // A plane begins in the middle of a row, as in GStreamer 1.22 with an odd number of rows.
        let middle = info(VideoFormat::I420, 60, &[64, 64, 64], &[0, 64 * 48, 64 * 72 + 32], 64 * 98);
        assert!(!fits_wrapped(&middle, 64 * 98));
        // The last row is not whole.
        let short = info(VideoFormat::Rgba, 60, &[256], &[0], 256 * 47 + 240);
        assert!(!fits_wrapped(&short, 256 * 48));
        // The second plane goes on after the frame's end.
        let beyond = info(VideoFormat::Nv12, 64, &[64, 64], &[0, 64 * 60], 64 * 72);
        assert!(!fits_wrapped(&beyond, 1 << 20));
    }
}
