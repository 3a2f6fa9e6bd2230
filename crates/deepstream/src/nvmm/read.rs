//! What an `NvBufSurface` says, read and checked.

use gst_video::VideoFormat;
use ucp::MemoryKind;

use super::raw::{self, Head, Params, PlaneParams};
use super::{Error, MAX_BATCH, MemoryType, video_format};

/// A batch of surfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The number of the GPU that they belong to.
    pub gpu: u32,
    /// Where they are.
    pub memory: MemoryType,
    /// How many of them hold a picture: these come first.
    pub filled: usize,
    /// All of them.
    pub surfaces: Vec<Surface>,
}

/// One surface of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surface {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// DeepStream's number of the format and the colorimetry.
    pub color: i32,
    /// GStreamer's name for the format.
    pub format: VideoFormat,
    /// Where its memory begins.
    pub(super) data: usize,
    /// Length of its memory in bytes.
    pub len: usize,
    /// All of them are within its memory.
    pub planes: Vec<Plane>,
}

/// A plane of a surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plane {
    /// Length of a row, in pixels; may be more than the picture has.
    pub width: u32,
    /// Number of rows; may be more than the picture has.
    pub height: u32,
    /// From one row to the next, in bytes.
    pub pitch: u32,
    /// Where it begins in the surface's memory.
    pub offset: u32,
    /// Bytes of a pixel.
    pub bytes_per_pixel: u32,
}

impl Batch {
    /// The surfaces that hold a picture.
    pub fn pictures(&self) -> &[Surface] {
        &self.surfaces[..self.filled]
    }

    /// What UCX calls the memory.
    pub(super) fn kind(&self) -> Result<MemoryKind, Error> {
        self.memory.kind().ok_or(Error::Memory(self.memory))
    }
}

/// Reads the `NvBufSurface` of `len` bytes at `head`.
///
/// # Safety
///
/// If it has a length that is known, it is an `NvBufSurface` of that release, and has as many surfaces as it says, for as long
/// as this runs. What the surfaces say of themselves may be anything.
pub(super) unsafe fn batch(head: *const u8, len: usize) -> Result<Batch, Error> {
    let stride = raw::params_size(len).ok_or_else(|| Error::Release(format!("of {len} bytes")))?;
    let wrong = |what: String| Err(Error::Surface(what));
    if !head.cast::<Head>().is_aligned() {
        return wrong("is not aligned".to_owned());
    }
    // SAFETY: as demanded, and it is aligned.
    let head = unsafe { head.cast::<Head>().read() };
    if head.batch_size == 0 || head.batch_size > MAX_BATCH {
        return wrong(format!("has {} surfaces, where 1 to {MAX_BATCH} are taken", head.batch_size));
    }
    if head.filled > head.batch_size {
        return wrong(format!("has {} of {} surfaces filled", head.filled, head.batch_size));
    }
    let list = head.list.cast::<Params>();
    if list.is_null() || !list.is_aligned() {
        return wrong("has no surfaces".to_owned());
    }
    let Some(memory) = MemoryType::from_number(head.memory) else {
        return wrong(format!("is in memory of type {}, which is not known", head.memory));
    };
    let read = |index: u32| {
        // SAFETY: as demanded: so many stand there, so far apart.
        let params = unsafe { list.byte_add(index as usize * stride).read() };
        surface(&params).map_err(|what| Error::Surface(format!("has a surface {index} {what}")))
    };
    let surfaces = (0..head.batch_size).map(read).collect::<Result<_, _>>()?;
    Ok(Batch { gpu: head.gpu, memory, filled: head.filled as usize, surfaces })
}

fn surface(params: &Params) -> Result<Surface, String> {
    if params.layout != raw::PITCH_LINEAR {
        return Err("in block-linear layout: have nvvideoconvert make another".to_owned());
    }
    let format = video_format(params.format)
        .ok_or_else(|| format!("of color format {}, which GStreamer does not know", params.format))?;
    if params.width == 0 || params.height == 0 {
        return Err(format!("of {} x {} pixels", params.width, params.height));
    }
    if params.data.is_null() || params.data_size == 0 {
        return Err("without memory".to_owned());
    }
    let len = params.data_size as usize;
    if (params.data as usize).checked_add(len).is_none() {
        return Err(format!("of {len} bytes from {:p}", params.data));
    }
    let count = params.planes.count as usize;
    let expected = gst_video::VideoFormatInfo::from_format(format).n_planes() as usize;
    if count != expected || count > raw::PLANES {
        return Err(format!("with {count} planes, where {format} has {expected}"));
    }
    let planes = (0..count).map(|index| plane(&params.planes, index, len)).collect::<Result<_, _>>()?;
    Ok(Surface {
        width: params.width,
        height: params.height,
        color: params.format,
        format,
        data: params.data as usize,
        len,
        planes,
    })
}

fn plane(params: &PlaneParams, index: usize, len: usize) -> Result<Plane, String> {
    let plane = Plane {
        width: params.width[index],
        height: params.height[index],
        pitch: params.pitch[index],
        offset: params.offset[index],
        bytes_per_pixel: params.bytes_per_pixel[index],
    };
    let row = u64::from(plane.width) * u64::from(plane.bytes_per_pixel);
    let rows = u64::from(plane.pitch) * u64::from(plane.height);
    let fits = row <= u64::from(plane.pitch)
        && row > 0
        && rows > 0
        && rows.checked_add(plane.offset.into()).is_some_and(|end| end <= len as u64);
    if fits {
        Ok(plane)
    } else {
        Err(format!("of {len} bytes with a plane {index} that does not fit: {plane:?}"))
    }
}
