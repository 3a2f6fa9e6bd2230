//! Nothing of the GPU's memory is lost with surfaces. In a process of its own, where nobody else takes any.

#[path = "common/surfaces.rs"]
mod surfaces;

use deepstream::nvmm::{self, MemoryType, PoolConfig};
use gst_video::VideoFormat;
use surfaces::{bytes, gpu, pool, push, video};

#[test]
fn nothing_of_the_gpu_s_memory_is_lost() {
    let Some(context) = gpu("nothing_of_the_gpu_s_memory_is_lost") else { return };
    let video = video(VideoFormat::Rgba, 2048, 2048);
    let frame = bytes(video.size(), 3);
    let config = PoolConfig { memory: MemoryType::Device, gpu: 0, batch_size: 4, buffers: 1 };
    let round = || {
        let pool = pool(&video, config);
        let mut filling = pool.acquire().expect("a buffer");
        push(&mut filling, &video, &frame, Some(&context));
        let buffer = filling.finish().expect("a batch");
        // SAFETY: it comes from DeepStream's pool, and nobody writes to it.
        let exported = unsafe { nvmm::export(&buffer) }.expect("exported");
        drop((pool, buffer, exported));
    };
    round();
    let (before, _) = context.free_bytes().expect("free bytes");
    (0..8).for_each(|_| round());
    let (after, _) = context.free_bytes().expect("free bytes");
    // A round takes 64 MiB.
    assert!(before.saturating_sub(after) < 32 << 20, "{before} bytes were free, now {after}");
}
