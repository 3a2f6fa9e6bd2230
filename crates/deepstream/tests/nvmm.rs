//! Surfaces in the CPU's memory, which DeepStream's libraries make without a GPU.

#[path = "common/surfaces.rs"]
mod surfaces;

use deepstream::nvmm::{self, Error, FORMATS, MemoryType, Picture, Piece, Pool, PoolConfig, Source};
use gst_video::VideoFormat;
use surfaces::{bytes, caps, frame_pixels, library, picture, pool, push, surface_pixels, video};

const SYSTEM: PoolConfig = PoolConfig { memory: MemoryType::System, gpu: 0, batch_size: 1, buffers: 1 };

fn export(buffer: &gst::Buffer) -> nvmm::Exported {
    // SAFETY: it comes from DeepStream's pool, and nobody writes to it.
    unsafe { nvmm::export(buffer) }.expect("exported")
}

#[test]
fn each_surface_of_a_batch_has_its_own_picture() {
    if !library("each_surface_of_a_batch_has_its_own_picture") {
        return;
    }
    for format in [VideoFormat::Nv12, VideoFormat::I420, VideoFormat::Rgba, VideoFormat::P01010le] {
        for (width, height) in [(320, 240), (321, 241), (17, 9), (1, 1)] {
            let video = video(format, width, height);
            let pool = pool(&video, PoolConfig { batch_size: 4, ..SYSTEM });
            let frames: Vec<_> = (0..3).map(|seed| bytes(video.size(), seed)).collect();
            let mut filling = pool.acquire().expect("a buffer");
            frames.iter().for_each(|frame| push(&mut filling, &video, frame, None));
            let buffer = filling.finish().expect("a batch");

            let exported = export(&buffer);
            assert_eq!((exported.batch.surfaces.len(), exported.batch.filled), (4, 3));
            assert_eq!((exported.batch.memory, exported.regions.len()), (MemoryType::System, 3));
            let surfaces = exported.batch.pictures().iter().zip(&exported.regions);
            for ((surface, region), frame) in surfaces.zip(&frames) {
                assert_eq!((surface.format, surface.width, surface.height), (format, width, height));
                assert_eq!((surface.len, region.kind()), (region.len(), ucp::MemoryKind::Host));
                let got = surface_pixels(&video, surface, region.host_bytes().expect("the CPU's"));
                assert!(got == frame_pixels(&video, frame), "{format} {width}x{height}");
            }
        }
    }
}

#[test]
fn there_are_surfaces_of_every_format_named() {
    if !library("there_are_surfaces_of_every_format_named") {
        return;
    }
    for format in FORMATS {
        let video = video(format, 33, 17);
        let frame = bytes(video.size(), 7);
        let pool = pool(&video, SYSTEM);
        let mut filling = pool.acquire().expect("a buffer");
        push(&mut filling, &video, &frame, None);
        let exported = export(&filling.finish().expect("a batch"));
        let surface = &exported.batch.surfaces[0];
        assert_eq!(nvmm::video_format(surface.color), Some(format));
        let got = surface_pixels(&video, surface, exported.regions[0].host_bytes().expect("the CPU's"));
        assert!(got == frame_pixels(&video, &frame), "{format}");
    }
}

#[test]
fn a_frame_in_pieces_with_strides_of_its_own_is_copied() {
    if !library("a_frame_in_pieces_with_strides_of_its_own_is_copied") {
        return;
    }
    let video = video(VideoFormat::Nv12, 31, 5);
    let parts = [bytes(64 * 5, 1), Vec::new(), bytes(8 + 48 * 3, 2)];
    let pieces = parts.each_ref().map(|part| Piece::from(&part[..]));
    let place = Picture { offsets: vec![0, 64 * 5 + 8], strides: vec![64, 48], color: None };
    let pool = pool(&video, SYSTEM);
    let mut filling = pool.acquire().expect("a buffer");
    filling.push(Source { pieces: &pieces, context: None }, &place).expect("filled");
    let exported = export(&filling.finish().expect("a batch"));
    let got = surface_pixels(
        &video,
        &exported.batch.surfaces[0],
        exported.regions[0].host_bytes().expect("the CPU's"),
    );
    assert!(got == surfaces::pixels(&video, &parts.concat(), &place.offsets, &place.strides));
}

#[test]
fn what_is_not_all_there_is_not_copied() {
    if !library("what_is_not_all_there_is_not_copied") {
        return;
    }
    let video = video(VideoFormat::I420, 32, 16);
    let frame = bytes(video.size(), 1);
    let pool = pool(&video, SYSTEM);
    let good = picture(&video);
    let mut filling = pool.acquire().expect("a buffer");
    let mut refused = |frame: &[u8], offsets: &[usize], strides: &[usize]| {
        let wrong = Picture { offsets: offsets.to_vec(), strides: strides.to_vec(), color: None };
        let pieces = [Piece::from(frame)];
        let result = filling.push(Source { pieces: &pieces, context: None }, &wrong);
        assert!(matches!(result, Err(Error::Frame(_))), "{wrong:?}: {result:?}");
    };
    refused(&frame[..frame.len() - 1], &good.offsets, &good.strides);
    refused(&[], &good.offsets, &good.strides);
    refused(&frame, &good.offsets[..2], &good.strides);
    refused(&frame, &good.offsets, &[]);
    refused(&frame, &[0, good.offsets[1], usize::MAX], &good.strides);
    refused(&frame, &good.offsets, &[32, 16, 15]);
    refused(&frame, &good.offsets, &[usize::MAX, 16, 16]);

    push(&mut filling, &video, &frame, None);
    let pieces = [Piece::from(&frame[..])];
    let more = filling.push(Source { pieces: &pieces, context: None }, &good);
    assert!(more.is_err_and(|error| error.to_string().contains("2 pictures")));
}

#[test]
fn buffers_come_back_and_say_anew_what_is_in_them() {
    if !library("buffers_come_back_and_say_anew_what_is_in_them") {
        return;
    }
    let video = video(VideoFormat::Nv12, 64, 48);
    let frame = bytes(video.size(), 1);
    let pool = pool(&video, PoolConfig { batch_size: 2, ..SYSTEM });
    let usual = {
        let exported = export(&pool.acquire().expect("a buffer").finish().expect("empty"));
        assert_eq!((exported.batch.filled, exported.regions.len()), (0, 0));
        exported.batch.surfaces[0].color
    };
    // NV12_709_ER, and a number that is no NV12.
    let colors = [34, 19];
    let mut filling = pool.acquire().expect("a buffer");
    for color in colors {
        let pieces = [Piece::from(&frame[..])];
        let place = Picture { color: Some(color), ..picture(&video) };
        filling.push(Source { pieces: &pieces, context: None }, &place).expect("filled");
    }
    let exported = export(&filling.finish().expect("a batch"));
    assert_eq!(exported.batch.filled, 2);
    assert_eq!(exported.batch.surfaces.iter().map(|surface| surface.color).collect::<Vec<_>>(), [34, usual]);
    let at = exported.regions[0].as_ptr();
    // What is held stays; the pool makes another.
    let mut filling = pool.acquire().expect("another");
    push(&mut filling, &video, &frame, None);
    assert_ne!(export(&filling.finish().expect("a batch")).regions[0].as_ptr(), at);
    drop(exported);
    let mut seen = Vec::new();
    let held: Vec<_> = (0..2)
        .map(|_| {
            let mut filling = pool.acquire().expect("one that came back");
            push(&mut filling, &video, &frame, None);
            let exported = export(&filling.finish().expect("a batch"));
            assert_eq!((exported.batch.filled, exported.batch.surfaces[0].color), (1, usual));
            seen.push(exported.regions[0].as_ptr());
            exported
        })
        .collect();
    assert!(seen.contains(&at), "the pool took it back");
    // Those that are out when it goes stay good.
    drop(pool);
    let got = held[0].regions[0].host_bytes().expect("the CPU's");
    assert!(surface_pixels(&video, &held[0].batch.surfaces[0], got) == frame_pixels(&video, &frame));
}

#[test]
fn pools_that_cannot_be_are_refused() {
    if !library("pools_that_cannot_be_are_refused") {
        return;
    }
    let nv12 = video(VideoFormat::Nv12, 64, 48);
    for other in [VideoFormat::Y42b, VideoFormat::I42012le, VideoFormat::Yuy2, VideoFormat::V210] {
        let error = Pool::new(&caps(&video(other, 64, 48)), SYSTEM).expect_err("a format without surfaces");
        assert!(error.to_string().contains(other.to_str().as_str()), "{error}");
    }
    assert!(Pool::new(&caps(&nv12), PoolConfig { batch_size: 0, ..SYSTEM }).is_err());
    assert!(Pool::new(&caps(&nv12), PoolConfig { batch_size: u32::MAX, ..SYSTEM }).is_err());
    assert!(Pool::new(&gst::Caps::new_empty_simple("audio/x-raw"), SYSTEM).is_err());
    let jetson = Pool::new(&caps(&nv12), PoolConfig { memory: MemoryType::SurfaceArray, ..SYSTEM });
    assert_eq!(jetson.err(), Some(Error::Memory(MemoryType::SurfaceArray)));
    if cuda::available().is_err() {
        let device = Pool::new(&caps(&nv12), PoolConfig { memory: MemoryType::Device, ..SYSTEM });
        let error = device.expect_err("there is no GPU").to_string();
        assert!(error.contains("CUDA device") && error.contains("nvidia-smi"), "{error}");
    }
}
