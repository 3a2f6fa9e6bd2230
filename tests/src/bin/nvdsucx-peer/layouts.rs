//! The pixels of a layout. A buffer can have several.

use gst_video::{VideoInfo, VideoMeta};
use nvdsucx_tests::payload::checksum;

/// `pixels=SUM`: of the rows that the layout has in `buffer`, without what is between them.
pub(crate) fn pixels(buffer: &gst::BufferRef, meta: &VideoMeta) -> String {
    rows(buffer, meta).map_or_else(|| "no-pixels".into(), |rows| format!("pixels={:016x}", checksum(&rows)))
}

fn rows(buffer: &gst::BufferRef, meta: &VideoMeta) -> Option<Vec<u8>> {
    let video = VideoInfo::builder(meta.format(), meta.width(), meta.height()).build().ok()?;
    let format = video.format_info();
    // Not by mapping the buffer, which makes one memory of several.
    let mut bytes = Vec::with_capacity(buffer.size());
    for memory in buffer.iter_memories() {
        bytes.extend_from_slice(&memory.map_readable().ok()?);
    }
    let mut rows = Vec::with_capacity(video.size());
    for (plane, (offset, stride)) in meta.offset().iter().zip(meta.stride()).enumerate() {
        let component = format.plane().iter().position(|of| *of as usize == plane)?;
        let pixel = usize::try_from(format.pixel_stride()[component]).ok().filter(|pixel| *pixel > 0)?;
        let width = video.comp_width(component as u8) as usize * pixel;
        let stride = usize::try_from(*stride).ok()?;
        for row in 0..video.comp_height(component as u8) as usize {
            rows.extend(bytes.get(offset + row * stride..)?.get(..width)?);
        }
    }
    Some(rows)
}
