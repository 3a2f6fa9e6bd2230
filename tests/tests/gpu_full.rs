//! A GPU without room for a frame. A program of its own: nothing else finds room on that GPU.

use std::env;
use std::time::Duration;

use cuda::Context;
use nvdsucx_tests::environment::CUDA_STAND_IN;
use nvdsucx_tests::{Link, Pairing, Transport};

const WITHIN: Duration = Duration::from_secs(60);
/// Less than a frame takes.
const LEFT: usize = 1 << 20;

/// Takes all memory of the first GPU but little.
fn fill() -> impl Sized {
    let context = Context::new(0).expect("a context on the first GPU");
    let (free, _) = context.free_bytes().expect("free memory");
    context.allocate(usize::try_from(free).expect("a length") - LEFT).expect("what is free")
}

#[test]
fn a_full_gpu_is_an_error_that_says_so() {
    let test = "a_full_gpu_is_an_error_that_says_so";
    gst::init().expect("GStreamer");
    if let Err(error) = cuda::available() {
        return eprintln!("{test}: skipped, {error}");
    }
    if env::var_os(CUDA_STAND_IN).is_none() {
        return eprintln!("{test}: skipped, a real GPU may have other users");
    }
    let _all = fill();
    let frames = "videotestsrc ! video/x-raw,format=NV12,width=1920,height=1080";
    for (head, sink) in [
        (format!("{frames} !"), ""),
        (format!("{frames} ! cudaupload cuda-device-id=1 !"), "zero-copy=false"),
    ] {
        let link = Link::new(Pairing::ServerSink, Transport::Default).buf_type("nvdsucx-buf-video");
        let tail = "! video/x-raw(memory:CUDAMemory) ! fakesink sync=false";
        let (sender, receiver) = link.head(&head).tail(tail).sink(sink).start();
        receiver.error(WITHIN, &["source=ucx", "no landing buffer of", "memory is full", "nvidia-smi"]);
        sender.assert_no_error();
        receiver.stop();
        sender.stop();
    }
}
