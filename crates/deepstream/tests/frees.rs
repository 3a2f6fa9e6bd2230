//! What is allocated for a buffer's metadata is freed with the buffer.

mod common;

use common::{audio, buffer_with, libraries, video};
use deepstream::DeepStream;
use dsmeta::Batch;

const ROUNDS: usize = 300;

/// Bytes that are allocated in this process.
fn allocated() -> usize {
    // SAFETY: it only reads.
    unsafe { libc::mallinfo2() }.uordblks
}

fn round(deepstream: &'static DeepStream, batches: &[Batch]) {
    for batch in batches {
        let mut buffer = buffer_with(deepstream, batch);
        let writable = buffer.get_mut().expect("the only reference");
        // Sensors are replaced, pools grow.
        deepstream.attach(writable, batch).expect("the same frames");
        deepstream.set_payload(writable, 1, b"one").expect("room");
        deepstream.set_payload(writable, 2, b"two").expect("room");
        let mut copy = buffer.copy();
        assert!(deepstream.remove_payload(copy.get_mut().expect("the only reference")));
        deepstream.read(&copy).expect("good metadata");
    }
}

#[test]
fn deepstream_frees_everything() {
    let Some(deepstream) = libraries("deepstream_frees_everything") else { return };
    let batches = [Batch::Video(video(3)), Batch::Audio(audio(2))];
    let before = allocated();
    let buffer = buffer_with(deepstream, &batches[0]);
    assert!(allocated() > before + (10 << 10), "it is not counted");
    drop(buffer);

    // The allocator keeps some of what was freed, and counts it: until that is settled, nothing is compared.
    for _ in 0..ROUNDS {
        round(deepstream, &batches);
    }
    let before = allocated();
    for _ in 0..ROUNDS {
        round(deepstream, &batches);
    }
    let grown = allocated().saturating_sub(before);
    // The smallest block that could be lost in each round has more.
    assert!(grown < ROUNDS * 16, "{grown} bytes in {ROUNDS} rounds");
}
