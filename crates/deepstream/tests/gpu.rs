//! Surfaces in a GPU's memory. Without a GPU, or DeepStream's libraries, each test says that it is skipped.

#[path = "common/surfaces.rs"]
mod surfaces;

use deepstream::nvmm::{self, Error, Exported, MemoryType, Picture, Piece, Pool, PoolConfig, Source};
use gst_video::{VideoFormat, VideoInfo};
use surfaces::{bytes, caps, frame_pixels, gpu, picture, pool, push, surface_pixels, video};
use ucp::{MemoryKind, Region};

const FORMATS: [VideoFormat; 4] =
    [VideoFormat::Nv12, VideoFormat::I420, VideoFormat::Rgba, VideoFormat::P01010le];
const SIZES: [(u32, u32); 3] = [(320, 240), (321, 241), (1, 1)];

fn config(memory: MemoryType, batch_size: u32) -> PoolConfig {
    PoolConfig { memory, gpu: 0, batch_size, buffers: 1 }
}

fn export(buffer: &gst::Buffer) -> Exported {
    // SAFETY: it comes from DeepStream's pool, and nobody writes to it.
    unsafe { nvmm::export(buffer) }.expect("exported")
}

/// The region's bytes.
fn bytes_of(region: &Region) -> Vec<u8> {
    if let Some(bytes) = region.host_bytes() {
        return bytes.to_vec();
    }
    let mut bytes = vec![0; region.len()];
    cuda::download(region, &mut bytes).expect("download");
    bytes
}

/// The pixels of each picture of a batch.
fn pictures(video: &VideoInfo, exported: &Exported) -> Vec<Vec<u8>> {
    let surfaces = exported.batch.pictures().iter().zip(&exported.regions);
    surfaces.map(|(surface, region)| surface_pixels(video, surface, &bytes_of(region))).collect()
}

#[test]
fn frames_of_the_cpu_arrive_in_surfaces_of_every_memory() {
    let Some(context) = gpu("frames_of_the_cpu_arrive_in_surfaces_of_every_memory") else { return };
    for (memory, kind) in [
        (MemoryType::Device, MemoryKind::Cuda),
        (MemoryType::Default, MemoryKind::Cuda),
        (MemoryType::Pinned, MemoryKind::Host),
        (MemoryType::Unified, MemoryKind::CudaManaged),
        (MemoryType::System, MemoryKind::Host),
    ] {
        for format in FORMATS {
            for (width, height) in SIZES {
                let video = video(format, width, height);
                let pool = pool(&video, config(memory, 3));
                let frames: Vec<_> = (0..2).map(|seed| bytes(video.size(), seed)).collect();
                let mut filling = pool.acquire().expect("a buffer");
                frames.iter().for_each(|frame| push(&mut filling, &video, frame, Some(&context)));
                let exported = export(&filling.finish().expect("a batch"));
                eprintln!("{memory} {format} {width}x{height}: {:?}", exported.batch.surfaces[0].planes);
                assert!(exported.regions.iter().all(|region| region.kind() == kind), "{:?}", exported.batch);
                let expected: Vec<_> = frames.iter().map(|frame| frame_pixels(&video, frame)).collect();
                assert!(pictures(&video, &exported) == expected, "{memory} {format} {width}x{height}");
            }
        }
    }
}

#[test]
fn surfaces_are_copied_from_any_memory_to_any() {
    let Some(context) = gpu("surfaces_are_copied_from_any_memory_to_any") else { return };
    let video = video(VideoFormat::Nv12, 63, 47);
    let frames: Vec<_> = (0..2).map(|seed| bytes(video.size(), seed)).collect();
    let expected: Vec<_> = frames.iter().map(|frame| frame_pixels(&video, frame)).collect();
    let memories = [MemoryType::Device, MemoryType::Pinned, MemoryType::Unified, MemoryType::System];
    for from in memories {
        let source = pool(&video, config(from, 2));
        let mut filling = source.acquire().expect("a buffer");
        frames.iter().for_each(|frame| push(&mut filling, &video, frame, Some(&context)));
        let sent = export(&filling.finish().expect("a batch"));
        for to in memories {
            let target = pool(&video, config(to, 2));
            let mut filling = target.acquire().expect("a buffer");
            let pieces: Vec<_> = sent.regions.iter().map(Piece::from).collect();
            let mut start = 0;
            for (surface, region) in sent.batch.pictures().iter().zip(&sent.regions) {
                let place = Picture {
                    offsets: surface.planes.iter().map(|plane| start + plane.offset as usize).collect(),
                    strides: surface.planes.iter().map(|plane| plane.pitch as usize).collect(),
                    color: Some(surface.color),
                };
                filling.push(Source { pieces: &pieces, context: Some(&context) }, &place).expect("filled");
                start += region.len();
            }
            let arrived = export(&filling.finish().expect("a batch"));
            assert!(pictures(&video, &arrived) == expected, "{from} to {to}");
        }
    }
}

#[test]
fn memory_of_gstreamer_s_own_cuda_goes_to_surfaces() {
    let Some(context) = gpu("memory_of_gstreamer_s_own_cuda_goes_to_surfaces") else { return };
    let video = video(VideoFormat::I420, 31, 17);
    let frame = bytes(video.size(), 5);
    let mut memory = context.allocate(frame.len()).expect("memory");
    cuda::upload(&frame, &mut memory).expect("upload");
    for kind in [MemoryType::Device, MemoryType::System] {
        let pool = pool(&video, config(kind, 1));
        let mut filling = pool.acquire().expect("a buffer");
        let pieces = [Piece::from(&memory)];
        let refused = filling.push(Source { pieces: &pieces, context: None }, &picture(&video));
        assert!(matches!(refused, Err(Error::Frame(_))), "{refused:?}");
        let source = Source { pieces: &pieces, context: Some(&context) };
        filling.push(source, &picture(&video)).expect("filled");
        let exported = export(&filling.finish().expect("a batch"));
        assert!(pictures(&video, &exported) == [frame_pixels(&video, &frame)], "{kind}");
    }
}

#[test]
fn other_processes_can_be_told_of_device_surfaces() {
    let Some(context) = gpu("other_processes_can_be_told_of_device_surfaces") else { return };
    let video = video(VideoFormat::Nv12, 640, 480);
    let pool = pool(&video, config(MemoryType::Device, 2));
    let mut filling = pool.acquire().expect("a buffer");
    for seed in 0..2 {
        push(&mut filling, &video, &bytes(video.size(), seed), Some(&context));
    }
    let exported = export(&filling.finish().expect("a batch"));
    for region in &exported.regions {
        let allocation = cuda::allocation_of(region).expect("an allocation");
        assert!(allocation.len >= region.len());
        cuda::handle_of(region).expect("a handle");
    }
}

#[test]
fn a_gpu_that_is_missing_is_told() {
    if gpu("a_gpu_that_is_missing_is_told").is_none() {
        return;
    }
    let nv12 = caps(&video(VideoFormat::Nv12, 64, 48));
    let missing = PoolConfig { gpu: 1000, ..config(MemoryType::Device, 1) };
    let error = Pool::new(&nv12, missing).expect_err("there are not so many");
    assert!(error.to_string().contains("nvidia-smi"), "{error}");
}
