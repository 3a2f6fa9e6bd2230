//! Masks of a segmentation: pictures in a buffer of their own.

use std::mem::size_of;

use gst::glib::translate::from_glib_full;

use super::ffi::{Functions, Mtd, SegmentationData, Video};
use super::{MAX_MASK_SIDE, Mask, MaskFormat, SegmentationKind, Thing};
use crate::Error;

/// The segmentation that `mtd` is: a thing of a meta that lives, and of this kind. `None` if it is none, or its mask
/// cannot be read.
pub(super) fn read(functions: &Functions, mtd: &Mtd, kind: usize) -> Option<Thing> {
    let (segmentation, video) = functions.segmentation.as_ref()?;
    // SAFETY: takes nothing.
    if kind != unsafe { (segmentation.mtd_type)() } {
        return None;
    }
    let [mut x, mut y] = [0; 2];
    let [mut shown_width, mut shown_height] = [0; 2];
    // SAFETY: `mtd` is a segmentation, as was just found. The buffer is the caller's.
    let (buffer, regions) = unsafe {
        let buffer = (segmentation.mask)(mtd, &mut x, &mut y, &mut shown_width, &mut shown_height);
        let buffer: Option<gst::Buffer> = from_glib_full(buffer);
        (buffer?, (segmentation.region_count)(mtd))
    };
    let seen = SegmentationData {
        kind: 0,
        mask: buffer.as_mut_ptr(),
        x,
        y,
        width: shown_width,
        height: shown_height,
        regions,
    };
    let kind = read_kind(functions, mtd, &seen)?;
    let mask = mask_in(video, &buffer)?;
    // SAFETY: as above, and the index is below the count.
    let regions = (0..regions).map(|index| unsafe { (segmentation.region_id)(mtd, index) }).collect();
    Some(Thing::Segmentation { kind, mask, regions, x, y, shown_width, shown_height })
}

/// The kind of the segmentation `mtd`, of which everything else was `seen`.
fn read_kind(functions: &Functions, mtd: &Mtd, seen: &SegmentationData) -> Option<SegmentationKind> {
    // SAFETY: `mtd` is a thing of a meta that lives.
    let (data, len) =
        unsafe { ((functions.base.get_mtd_data)(mtd.meta, mtd.id), (functions.base.mtd_size)(mtd)) };
    if data.is_null() || len < size_of::<SegmentationData>() {
        return None;
    }
    // SAFETY: the thing has at least as many bytes, all of them written, and any bytes make such a structure.
    let kept: SegmentationData = unsafe { data.cast::<SegmentationData>().read_unaligned() };
    // A release that stores it otherwise would be noticed here.
    let same = (kept.mask, kept.x, kept.y, kept.width, kept.height, kept.regions)
        == (seen.mask, seen.x, seen.y, seen.width, seen.height, seen.regions);
    if same { SegmentationKind::try_from(kept.kind).ok() } else { None }
}

/// The picture in `buffer`; `None` if it is no mask.
fn mask_in(video: &Video, buffer: &gst::Buffer) -> Option<Mask> {
    // SAFETY: the buffer lives, and with it its meta.
    let meta = unsafe { (video.get_meta)(buffer.as_mut_ptr()).as_ref() }?;
    let format = MaskFormat::ALL.into_iter().find(|format| *format as i32 == meta.format)?;
    let sides = 1..=MAX_MASK_SIDE;
    if meta.n_planes != 1 || !sides.contains(&meta.width) || !sides.contains(&meta.height) {
        return None;
    }
    let (width, height) = (meta.width as usize, meta.height as usize);
    let (offset, stride) = (meta.offset[0], usize::try_from(meta.stride[0]).ok()?);
    let row_len = width * format.value_len();
    let map = buffer.map_readable().ok()?;
    let mut data = Vec::with_capacity(row_len * height);
    for row in 0..height {
        let start = row.checked_mul(stride)?.checked_add(offset)?;
        data.extend_from_slice(map.get(start..start.checked_add(row_len)?)?);
    }
    Some(Mask { format, width: meta.width, height: meta.height, data })
}

/// A buffer with the picture, whose size was checked.
pub(super) fn buffer_of(video: &Video, mask: &Mask) -> Result<gst::Buffer, Error> {
    let row_len = mask.width as usize * mask.format.value_len();
    // GStreamer's default for these formats.
    let stride = row_len.next_multiple_of(4);
    let mut data = vec![0; stride * mask.height as usize];
    for (to, from) in data.chunks_exact_mut(stride).zip(mask.data.chunks_exact(row_len)) {
        to[..row_len].copy_from_slice(from);
    }
    let mut buffer = gst::Buffer::from_mut_slice(data);
    let writable = buffer.get_mut().ok_or(Error::Refused { what: "a buffer for a mask" })?;
    let strides = [i32::try_from(stride).map_err(|_| Error::Refused { what: "a mask as wide" })?, 0, 0, 0];
    // SAFETY: the buffer has no other owner, and both arrays have four numbers.
    let meta = unsafe {
        (video.add_meta)(
            writable.as_mut_ptr(),
            0,
            mask.format,
            mask.width,
            mask.height,
            1,
            [0; 4].as_ptr(),
            strides.as_ptr(),
        )
    };
    if meta.is_null() { Err(Error::Refused { what: "the size of a mask" }) } else { Ok(buffer) }
}
