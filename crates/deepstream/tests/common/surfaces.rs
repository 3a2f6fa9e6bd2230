//! What the tests of surfaces share. Each uses a part of it.

#![allow(dead_code)]

use std::env;

use cuda::Context;
use deepstream::FOLDER;
use deepstream::nvmm::{self, Filling, Picture, Piece, Pool, PoolConfig, Source, Surface};
use gst_video::{VideoFormat, VideoInfo};

/// Names the folder with what stands in for CUDA's driver, if that is the driver here.
const CUDA_STAND_IN: &str = "NVDSUCX_CUDA_STAND_IN";

/// Whether DeepStream's library for surfaces is there; if it is not, says that `test` is skipped.
pub(crate) fn library(test: &str) -> bool {
    gst::init().expect("GStreamer");
    match nvmm::available() {
        Ok(()) => true,
        Err(error) => {
            assert!(env::var_os(FOLDER).is_none(), "{error}");
            assert!(error.to_string().contains(FOLDER), "{error}");
            eprintln!("{test}: skipped, {error}");
            false
        }
    }
}

/// A context on the first GPU; without one, or without DeepStream's libraries, says that `test` is skipped.
pub(crate) fn gpu(test: &str) -> Option<Context> {
    gst::init().expect("GStreamer");
    // First of all: what stands beside DeepStream's libraries may be an empty driver.
    if let Err(error) = cuda::available() {
        eprintln!("{test}: skipped, {error}");
        return None;
    }
    if env::var_os(CUDA_STAND_IN).is_some() {
        eprintln!(
            "{test}: skipped, DeepStream's libraries need CUDA's runtime, and that more than the stand-in for the driver has"
        );
        return None;
    }
    library(test).then(|| Context::new(0).expect("a context on the first GPU"))
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

/// Video as the CPU has it.
pub(crate) fn video(format: VideoFormat, width: u32, height: u32) -> VideoInfo {
    VideoInfo::builder(format, width, height).build().expect("video")
}

/// The caps of such video in DeepStream's memory.
pub(crate) fn caps(video: &VideoInfo) -> gst::Caps {
    let mut caps = video.to_caps().expect("caps");
    caps.make_mut().set_features(0, Some(gst::CapsFeatures::new([nvmm::FEATURE])));
    caps
}

pub(crate) fn pool(video: &VideoInfo, config: PoolConfig) -> Pool {
    Pool::new(&caps(video), config).expect("a pool")
}

/// Where GStreamer puts the planes.
pub(crate) fn picture(video: &VideoInfo) -> Picture {
    Picture {
        offsets: video.offset().to_vec(),
        strides: video.stride().iter().map(|stride| *stride as usize).collect(),
        color: None,
    }
}

/// Puts a frame of the CPU's into the next surface.
pub(crate) fn push(filling: &mut Filling<'_>, video: &VideoInfo, frame: &[u8], context: Option<&Context>) {
    let pieces = [Piece::from(frame)];
    filling.push(Source { pieces: &pieces, context }, &picture(video)).expect("filled");
}

/// The pixels of a frame, row by row, with the planes where `offsets` and `strides` say.
pub(crate) fn pixels(video: &VideoInfo, frame: &[u8], offsets: &[usize], strides: &[usize]) -> Vec<u8> {
    let format = video.format_info();
    let mut pixels = Vec::new();
    for plane in 0..video.n_planes() as usize {
        let of_plane =
            || (0..format.n_components() as usize).filter(|c| format.plane()[*c] as usize == plane);
        let width =
            of_plane().map(|c| video.comp_width(c as u8) as usize * format.pixel_stride()[c] as usize);
        let rows = of_plane().map(|c| video.comp_height(c as u8) as usize).max().expect("a component");
        let width = width.max().expect("a component");
        for row in 0..rows {
            let start = offsets[plane] + row * strides[plane];
            pixels.extend_from_slice(&frame[start..start + width]);
        }
    }
    pixels
}

/// The pixels of a frame of the CPU's.
pub(crate) fn frame_pixels(video: &VideoInfo, frame: &[u8]) -> Vec<u8> {
    let picture = picture(video);
    pixels(video, frame, &picture.offsets, &picture.strides)
}

/// The pixels of a surface, whose memory was brought to `bytes`.
pub(crate) fn surface_pixels(video: &VideoInfo, surface: &Surface, bytes: &[u8]) -> Vec<u8> {
    let offsets: Vec<_> = surface.planes.iter().map(|plane| plane.offset as usize).collect();
    let strides: Vec<_> = surface.planes.iter().map(|plane| plane.pitch as usize).collect();
    pixels(video, bytes, &offsets, &strides)
}
