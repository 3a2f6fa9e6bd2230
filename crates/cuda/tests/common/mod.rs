//! What the tests share. Each uses a part of it.

#![allow(dead_code)]

use cuda::{Context, Place, PlaneCopy, Writing};
use gst::prelude::*;
use gst_video::{VideoFormat, VideoInfo, VideoMeta};
use ucp::Region;

/// A context on the first GPU; without one, says that `test` is skipped.
pub(crate) fn gpu(test: &str) -> Option<Context> {
    gst::init().expect("GStreamer");
    if let Err(error) = cuda::available() {
        eprintln!("{test}: skipped, {error}");
        return None;
    }
    Some(Context::new(0).expect("a context on the first GPU"))
}

/// `len` bytes, others for each `seed`.
pub(crate) fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(len)
    .collect()
}

/// `bytes` in the GPU's memory.
pub(crate) fn on_gpu(context: &Context, bytes: &[u8]) -> Region {
    let mut memory = context.allocate(bytes.len()).expect("memory");
    cuda::upload(bytes, &mut memory).expect("upload");
    memory.into()
}

/// The region's bytes.
pub(crate) fn downloaded(region: &Region) -> Vec<u8> {
    let mut bytes = vec![0; region.len()];
    cuda::download(region, &mut bytes).expect("download");
    bytes
}

/// Frames as the CPU has them.
pub(crate) fn video(format: VideoFormat, width: u32, height: u32) -> VideoInfo {
    VideoInfo::builder(format, width, height).build().expect("video")
}

/// A pool of such frames in the GPU's memory, active.
pub(crate) fn pool(context: &Context, video: &VideoInfo, max: u32) -> gst::BufferPool {
    let mut caps = video.to_caps().expect("caps");
    caps.make_mut().set_features(0, Some(gst::CapsFeatures::new(["memory:CUDAMemory"])));
    let pool = context.pool(&caps, video.size() as u32, 0, max).expect("a pool");
    pool.set_active(true).expect("active");
    pool
}

/// Each plane's start, stride, length of a row, and rows.
pub(crate) fn planes(
    video: &VideoInfo,
    offsets: &[usize],
    strides: &[i32],
) -> Vec<(usize, usize, usize, usize)> {
    let format = video.format_info();
    (0..video.n_planes())
        .map(|plane| {
            let component = format.plane().iter().position(|of| *of == plane).expect("a component") as u8;
            let width =
                video.comp_width(component) as usize * format.pixel_stride()[component as usize] as usize;
            let rows = video.comp_height(component) as usize;
            (offsets[plane as usize], strides[plane as usize] as usize, width, rows)
        })
        .collect()
}

/// What is in the rows of all planes, without what is between them.
pub(crate) fn pixels(frame: &[u8], planes: &[(usize, usize, usize, usize)]) -> Vec<u8> {
    let row = |start, stride, width, row| frame[start + row * stride..][..width].iter().copied();
    planes
        .iter()
        .flat_map(|&(start, stride, width, rows)| (0..rows).flat_map(move |at| row(start, stride, width, at)))
        .collect()
}

/// How the planes of a pool's buffer lie.
pub(crate) fn planes_of(buffer: &gst::BufferRef, video: &VideoInfo) -> Vec<(usize, usize, usize, usize)> {
    let meta = buffer.meta::<VideoMeta>().expect("a video meta");
    planes(video, meta.offset(), meta.stride())
}

/// Writes `frame`, which is as `video` says, to a pool's buffer.
pub(crate) fn write(context: &Context, buffer: &mut gst::BufferRef, frame: &[u8], video: &VideoInfo) {
    let there = planes_of(buffer, video);
    let here = planes(video, video.offset(), video.stride());
    let mut writing =
        Writing::new(buffer.peek_memory_mut(0).expect("a writable memory")).expect("mapped for writing");
    for (from, to) in here.iter().zip(&there) {
        let (start, stride, width, rows) = *to;
        assert!(start + (rows - 1) * stride + width <= writing.len(), "the plane is in the memory");
        assert!(from.0 + (rows - 1) * from.1 + width <= frame.len());
    }
    let at = writing.as_mut_ptr();
    let copies: Vec<_> = here
        .iter()
        .zip(&there)
        .map(|(from, to)| PlaneCopy {
            // SAFETY: within the frame, see above.
            src: Place::Host(unsafe { frame.as_ptr().add(from.0) }.cast_mut()),
            src_pitch: from.1,
            dst: Place::Device(at.wrapping_add(to.0)),
            dst_pitch: to.1,
            width: from.2,
            height: from.3,
        })
        .collect();
    // SAFETY: planes are within the frame and within the mapped memory, see above; nobody else has that.
    unsafe { context.copy_planes(&copies) }.expect("copied");
}
