//! Nothing of the GPU's memory is lost. Alone in its process, since others would change what is free.

mod common;

use gst::prelude::*;
use gst_video::VideoFormat;

use common::{bytes, downloaded, gpu, on_gpu, video, write};

/// Of each allocation, in bytes.
const LEN: usize = 32 << 20;
const ROUNDS: usize = 100;

#[test]
fn all_memory_comes_back() {
    let Some(context) = gpu("all_memory_comes_back") else { return };
    // Some 32 MiB.
    let video = video(VideoFormat::Rgba, 4096, 2048);
    let frame = bytes(video.size(), 2);
    let data = bytes(LEN, 1);
    let round = || {
        let region = on_gpu(&context, &data);
        assert!(downloaded(&region).starts_with(&data[..100]));
        drop(context.wrap(region, &video));
        let pool = common::pool(&context, &video, 1);
        let mut buffer = pool.acquire_buffer(None).expect("a buffer");
        write(&context, buffer.get_mut().expect("writable"), &frame, &video);
        let region = cuda::export(&buffer, buffer.memory(0).expect("a memory")).expect("exported");
        cuda::handle_of(&region).expect("a handle");
        drop((buffer, region));
        pool.set_active(false).expect("not active");
    };
    let free = || context.free_bytes().expect("free bytes").0;
    // What the driver keeps for itself, it has after the first.
    round();
    let before = free();
    (0..ROUNDS).for_each(|_| round());
    let lost = before.saturating_sub(free());
    // A twentieth of what would be lost if one allocation of each round were. Others may use the GPU.
    assert!(lost < (ROUNDS * LEN / 20) as u64, "{lost} bytes are lost after {ROUNDS} rounds");
}
