//! Pictures into surfaces.

use std::ops::Range;
use std::slice;

use cuda::{Context, Place, PlaneCopy};
use gst_video::VideoInfo;
use std::marker::PhantomData;
use ucp::{MemoryKind, Region, RegionMut};

use super::raw::{Head, PLANES, Params};
use super::{Batch, Error, Pool, Surface, raw, video_format};

/// Bytes of a frame, or a part of them.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    start: *const u8,
    len: usize,
    kind: MemoryKind,
    _bytes: PhantomData<&'a [u8]>,
}

impl Piece<'_> {
    fn place(&self, offset: usize) -> Place {
        let at = self.start.wrapping_add(offset).cast_mut();
        if self.kind == MemoryKind::Host { Place::Host(at) } else { Place::Device(at) }
    }
}

impl<'a> From<&'a [u8]> for Piece<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self { start: bytes.as_ptr(), len: bytes.len(), kind: MemoryKind::Host, _bytes: PhantomData }
    }
}

impl<'a> From<&'a Region> for Piece<'a> {
    fn from(region: &'a Region) -> Self {
        Self { start: region.as_ptr(), len: region.len(), kind: region.kind(), _bytes: PhantomData }
    }
}

impl<'a> From<&'a RegionMut> for Piece<'a> {
    fn from(region: &'a RegionMut) -> Self {
        Self { start: region.as_ptr(), len: region.len(), kind: region.kind(), _bytes: PhantomData }
    }
}

/// Bytes of a frame, one piece after the other, and a GPU's context if any of them, or the surfaces, are not the CPU's.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The bytes.
    pub pieces: &'a [Piece<'a>],
    /// What copies are made with that the CPU cannot make.
    pub context: Option<&'a Context>,
}

/// Where a picture is in a [`Source`]. It is of the format and the size that the surfaces are.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// Where each plane begins, in the bytes of all pieces together.
    pub offsets: Vec<usize>,
    /// From one row of each plane to the next, in bytes.
    pub strides: Vec<usize>,
    /// DeepStream's number of format and colorimetry, where it is known to be another than the pool's.
    pub color: Option<i32>,
}

/// A buffer that pictures are put into. Its surfaces are filled in order.
#[derive(Debug)]
pub struct Filling<'a> {
    pool: &'a Pool,
    buffer: gst::Buffer,
    batch: Batch,
    colors: Vec<i32>,
}

impl<'a> Filling<'a> {
    pub(super) fn new(pool: &'a Pool, buffer: gst::Buffer, batch: Batch) -> Self {
        Self { pool, buffer, batch, colors: Vec::new() }
    }

    /// Copies a picture into the next surface, and waits until it is there.
    pub fn push(&mut self, source: Source<'_>, picture: &Picture) -> Result<(), Error> {
        let slot = self.colors.len();
        let surface =
            self.batch.surfaces.get(slot).ok_or_else(|| {
                Error::Frame(format!("{} pictures for a batch of {slot} surfaces", slot + 1))
            })?;
        let copies = copies(self.pool.info(), surface, self.batch.kind()?, source, picture)?;
        if copies.iter().all(|copy| matches!((copy.src, copy.dst), (Place::Host(_), Place::Host(_)))) {
            for copy in &copies {
                // SAFETY: `copies` has checked that all rows are within the source and the surface. The source is borrowed, and
                // nobody else has the buffer.
                unsafe { copy_rows(copy) };
            }
        } else {
            let context = source.context.ok_or_else(|| {
                Error::Frame(format!("{} memory, with no GPU to copy it by", self.pool.config().memory))
            })?;
            // SAFETY: as above.
            unsafe { context.copy_planes(&copies) }?;
        }
        let same = |color: &i32| video_format(*color) == Some(surface.format);
        self.colors.push(picture.color.filter(same).unwrap_or(self.pool.color()));
        Ok(())
    }

    /// The buffer, with as many surfaces filled as were.
    pub fn finish(mut self) -> Result<gst::Buffer, Error> {
        let refused = || Error::Surface("cannot be written to".to_owned());
        {
            let mut mapped = self.buffer.make_mut().map_writable().map_err(|_| refused())?;
            let stride = raw::params_size(mapped.len()).ok_or_else(refused)?;
            let head = mapped.as_mut_ptr().cast::<Head>();
            // SAFETY: it was read as what it is when it came from the pool, and has more surfaces than there are colours.
            unsafe {
                (*head).filled = self.colors.len() as u32;
                let list = (*head).list.cast::<Params>();
                for (slot, color) in self.colors.iter().enumerate() {
                    (*list.byte_add(slot * stride)).format = *color;
                }
            }
        }
        Ok(self.buffer)
    }
}

/// The copies that bring `picture` into `surface`, which is memory of `kind`.
fn copies(
    info: &VideoInfo,
    surface: &Surface,
    kind: MemoryKind,
    source: Source<'_>,
    picture: &Picture,
) -> Result<Vec<PlaneCopy>, Error> {
    let planes = surface.planes.len();
    if picture.offsets.len() != planes || picture.strides.len() != planes || planes > PLANES {
        return Err(Error::Frame(format!(
            "{} planes, where {} has {planes}",
            picture.offsets.len(),
            info.format()
        )));
    }
    // The CPU reaches unified memory, too.
    let by_cpu = source.pieces.iter().all(|piece| piece.kind == MemoryKind::Host) && kind != MemoryKind::Cuda;
    (0..planes)
        .map(|index| {
            let (width, height) = plane_size(info, index);
            let (offset, stride) = (picture.offsets[index], picture.strides[index]);
            let plane = &surface.planes[index];
            let src = find(source.pieces, offset, stride, width, height).ok_or_else(|| {
                Error::Frame(format!(
                    "a plane {index} at {offset} with rows {stride} apart, which is not all there"
                ))
            })?;
            let fits = width <= plane.pitch as usize && height <= plane.height as usize;
            if !fits {
                return Err(Error::Frame(format!(
                    "a plane {index} of {height} rows of {width} bytes: {plane:?}"
                )));
            }
            let at = (surface.data + plane.offset as usize) as *mut u8;
            let dst = if kind == MemoryKind::Host || by_cpu { Place::Host(at) } else { Place::Device(at) };
            Ok(PlaneCopy { src, src_pitch: stride, dst, dst_pitch: plane.pitch as usize, width, height })
        })
        .collect()
}

/// The place where such rows begin, if all of them are in one piece.
fn find(pieces: &[Piece<'_>], offset: usize, stride: usize, width: usize, height: usize) -> Option<Place> {
    if stride < width {
        return None;
    }
    let len = stride.checked_mul(height.checked_sub(1)?)?.checked_add(width)?;
    let wanted: Range<usize> = offset..offset.checked_add(len)?;
    let mut start = 0_usize;
    for piece in pieces {
        let end = start.checked_add(piece.len)?;
        if wanted.start >= start && wanted.end <= end {
            return Some(piece.place(offset - start));
        }
        start = end;
    }
    None
}

/// Length of a row in bytes, and number of rows, of a plane as pictures have it.
fn plane_size(info: &VideoInfo, plane: usize) -> (usize, usize) {
    let format = info.format_info();
    let components = (0..format.n_components() as usize).filter(|of| format.plane()[*of] as usize == plane);
    components.fold((0, 0), |(width, height), component| {
        let pixel = usize::try_from(format.pixel_stride()[component]).unwrap_or(0);
        let row = info.comp_width(component as u8) as usize * pixel;
        (width.max(row), height.max(info.comp_height(component as u8) as usize))
    })
}

/// # Safety
///
/// Both ends are the CPU's; all rows are there, and nobody else reaches those that are written.
unsafe fn copy_rows(copy: &PlaneCopy) {
    let (Place::Host(from), Place::Host(to)) = (copy.src, copy.dst) else { return };
    for row in 0..copy.height {
        // SAFETY: as demanded.
        unsafe {
            let from = slice::from_raw_parts(from.add(row * copy.src_pitch).cast_const(), copy.width);
            to.add(row * copy.dst_pitch).copy_from_nonoverlapping(from.as_ptr(), copy.width);
        }
    }
}
