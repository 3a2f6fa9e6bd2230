//! DeepStream's memory between processes: system memory to NVMM, from there to others' NVMM, and back to system memory.
//!
//! A process between sender and receiver has the buffers as NVMM, where no test says otherwise in the CPU's memory: DeepStream's
//! libraries make that without a GPU.

use std::env;
use std::path::Path;

use nvdsucx_tests::link::SCRIPT;
use nvdsucx_tests::peer::{Peer, SOON};
use nvdsucx_tests::{Link, Pairing, Transport};

/// Where DeepStream's libraries are.
const DEEPSTREAM: &str = "NVDSUCX_DEEPSTREAM";

/// Whether there are DeepStream's libraries; if not, says that `test` is skipped.
fn libraries(test: &str) -> bool {
    let there = env::var_os(DEEPSTREAM).is_some();
    if !there {
        eprintln!("{test}: skipped, {DEEPSTREAM} names no folder with DeepStream's libraries");
    }
    there
}

/// A chain of processes, the first and the last of which have the buffers in system memory.
struct Chain {
    sender: Peer,
    relays: Vec<Peer>,
    receiver: Peer,
}

impl Chain {
    /// Starts it, with a relay for each of `relays`, which are properties of its source.
    fn start(transport: Transport, head: &str, relays: &[&str], tail: &str) -> Self {
        let link =
            Link::new(Pairing::ServerSink, transport).buf_type("nvdsucx-buf-video").head(head).tail(tail);
        let sender = link.sender(0).start();
        let mut port = sender.port();
        let mut running = Vec::new();
        for relay in relays {
            let head = format!(
                "nvdsucxclientsrc port={port} nvbuf-memory-type=nvbuf-mem-system {relay} ! video/x-raw(memory:NVMM) ! identity name=probe silent=true !"
            );
            let relay = link.clone().head(&head).sender(0).start();
            port = relay.port();
            running.push(relay);
        }
        let receiver = link.receiver(port).start();
        Self { sender, relays: running, receiver }
    }

    /// Waits until `count` buffers have gone all the way, and the end after them.
    fn finish(&self, count: usize) -> (Vec<String>, Vec<String>) {
        self.receiver.line("eos");
        self.relays.iter().for_each(Peer::assert_no_error);
        self.receiver.assert_no_error();
        for relay in &self.relays {
            let line = relay.line("buffer n=0");
            assert!(line.contains(" mem=72:") || line.contains(" mem=64:"), "no NvBufSurface: {line}");
        }
        (self.sender.lines_until(count, "buffer "), self.receiver.lines_until(count, "buffer "))
    }
}

/// A word of a buffer's description, that begins with `name`.
fn word<'a>(line: &'a str, name: &str) -> &'a str {
    line.split(' ').find(|word| word.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {line}"))
}

/// What each layout of a buffer has.
fn pixels(line: &str) -> Vec<&str> {
    line.split("pixels=").skip(1).map(|rest| rest.split(' ').next().unwrap_or_default()).collect()
}

const TRANSPORTS: [Transport; 2] = [Transport::Default, Transport::Tcp];

#[test]
fn video_goes_to_nvmm_and_back_as_it_was() {
    if !libraries("video_goes_to_nvmm_and_back_as_it_was") {
        return;
    }
    for transport in TRANSPORTS {
        for format in ["NV12", "I420", "RGBA", "P010_10LE"] {
            let head = format!(
                "videotestsrc num-buffers=5 pattern=ball ! video/x-raw,format={format},width=320,height=240 ! \
                 identity name=probe silent=true !"
            );
            // A fakesink knows no layouts, so what arrives is as GStreamer packs it.
            let chain =
                Chain::start(transport, &head, &[""], "! video/x-raw ! fakesink name=probe sync=false");
            let (sent, arrived) = chain.finish(5);
            for (sent, arrived) in sent.iter().zip(&arrived) {
                for name in ["mem=", "pts=", "duration="] {
                    assert_eq!(word(sent, name), word(arrived, name), "{format}");
                }
            }
        }
    }
}

/// Takes any layout.
const CONVERT: &str =
    "! identity name=probe silent=true ! videoconvert ! video/x-raw,format=AYUV ! fakesink sync=false";

#[test]
fn odd_sizes_and_strides_go_to_nvmm_and_back() {
    if !libraries("odd_sizes_and_strides_go_to_nvmm_and_back") {
        return;
    }
    for (format, planes) in [
        ("NV12", "3,2000:64,40"),
        ("I420", "0,1100,1500:64,20,30"),
        ("RGBA", "16:200"),
        ("P010_10LE", "0,1700:100,80"),
    ] {
        let mut chain = Chain::start(Transport::Default, SCRIPT, &[""], CONVERT);
        let caps = format!("start video/x-raw,format={format},width=33,height=17,framerate=25/1");
        let buffers =
            format!("buffer count=3 mem=4096 pts=0 duration=40000000 video={format}:33x17:{planes}");
        chain.sender.push(&[&caps, &buffers, "eos"]);
        let (sent, arrived) = chain.finish(3);
        for (sent, arrived) in sent.iter().zip(&arrived) {
            assert_eq!((pixels(sent), pixels(sent).len()), (pixels(arrived), 1), "{format}");
        }
    }
}

/// Three pictures of 33 x 17 in a buffer of three memories, each with padding of its own.
const BATCH: &str = "buffer count=4 mem=2048,4096,3072 pts=0 duration=40000000 \
    video=NV12:33x17:0,1100:64,64 video=NV12:33x17:2048,4096:100,100 video=NV12:33x17:6150,7200:48,36";
const BATCH_CAPS: &str = "start video/x-raw,format=NV12,width=33,height=17,framerate=25/1";

#[test]
fn every_surface_of_a_batch_has_its_own_picture() {
    if !libraries("every_surface_of_a_batch_has_its_own_picture") {
        return;
    }
    for transport in TRANSPORTS {
        let relays = ["nvbuf-batch-size=4", "nvbuf-batch-size=3"];
        let mut chain = Chain::start(transport, SCRIPT, &relays, CONVERT);
        chain.sender.push(&[BATCH_CAPS, BATCH, "eos"]);
        let (sent, arrived) = chain.finish(4);
        for (sent, arrived) in sent.iter().zip(&arrived) {
            let expected = pixels(sent);
            assert!(
                expected.len() == 3 && expected[0] != expected[1] && expected[1] != expected[2],
                "{sent}"
            );
            assert_eq!(pixels(arrived), expected);
            assert_eq!(word(sent, "pts="), word(arrived, "pts="));
        }
    }
}

#[test]
fn surfaces_in_a_gpu_s_memory_go_to_any_other() {
    let test = "surfaces_in_a_gpu_s_memory_go_to_any_other";
    if !libraries(test) {
        return;
    }
    if !Path::new("/dev/nvidiactl").exists() {
        eprintln!("{test}: skipped, there is no GPU");
        return;
    }
    let memory = |name: &str| format!("nvbuf-batch-size=3 nvbuf-memory-type=nvbuf-mem-{name}");
    for (transport, from, to) in [
        (Transport::Default, "cuda-device", "cuda-device"),
        (Transport::Default, "cuda-device", "system"),
        (Transport::Default, "system", "cuda-device"),
        (Transport::Default, "default", "cuda-pinned"),
        (Transport::Default, "cuda-pinned", "cuda-unified"),
        (Transport::Default, "cuda-unified", "default"),
        (Transport::Tcp, "cuda-device", "cuda-device"),
    ] {
        let (from, to) = (memory(from), memory(to));
        let mut chain = Chain::start(transport, SCRIPT, &[&from, &to], CONVERT);
        chain.sender.push(&[BATCH_CAPS, BATCH, "eos"]);
        let (sent, arrived) = chain.finish(4);
        for (sent, arrived) in sent.iter().zip(&arrived) {
            assert_eq!((pixels(arrived), pixels(sent).len()), (pixels(sent), 3), "{from} to {to}");
        }
    }
}

#[test]
fn a_batch_that_is_too_large_is_an_error_that_names_both_sizes() {
    if !libraries("a_batch_that_is_too_large_is_an_error_that_names_both_sizes") {
        return;
    }
    let relays = ["nvbuf-batch-size=3", "nvbuf-batch-size=2"];
    let mut chain = Chain::start(Transport::Default, SCRIPT, &relays, "! fakesink name=probe sync=false");
    chain.sender.push(&[BATCH_CAPS, BATCH]);
    let error = chain.relays[1].line("error ");
    assert!(error.contains("3 pictures") && error.contains("nvbuf-batch-size=2"), "{error}");
}

#[test]
fn further_views_of_a_picture_are_left_out_where_there_is_no_room() {
    if !libraries("further_views_of_a_picture_are_left_out_where_there_is_no_room") {
        return;
    }
    let mut chain = Chain::start(Transport::Default, SCRIPT, &[""], CONVERT);
    chain.sender.push(&[BATCH_CAPS, BATCH, "eos"]);
    let (sent, arrived) = chain.finish(4);
    assert_eq!(pixels(&arrived[0]), pixels(&sent[0])[..1]);
}

#[test]
fn without_the_libraries_nvmm_is_not_offered_and_the_log_says_what_to_install() {
    let link = Link::new(Pairing::ServerSink, Transport::Default).buf_type("nvdsucx-buf-video");
    let head = "videotestsrc num-buffers=5 ! video/x-raw,format=NV12 ! identity name=probe silent=true !";
    let link = link.head(head).env(DEEPSTREAM, "/nowhere").env("GST_DEBUG", "nvdsucx*:4");
    let nvmm = link.clone().tail("! video/x-raw(memory:NVMM) ! fakesink name=probe");
    let mut receiver = nvmm.receiver(1).start();
    assert!(!receiver.wait_exit(SOON).success());
    let log = receiver.stderr().join("\n");
    assert!(log.contains("/nowhere/libnvdsbufferpool.so") && log.contains("install DeepStream"), "{log}");
    // All else works.
    let (_sender, receiver) = link.tail("! fakesink name=probe sync=false").start();
    receiver.lines_until(5, "buffer ");
    receiver.line("eos");
    receiver.assert_no_error();
}

#[test]
fn what_is_no_batch_is_not_sent_from_nvmm() {
    let (mut sender, receiver) = Link::new(Pairing::ServerSink, Transport::Default).start_connected();
    sender.push(&["start application/x-other(memory:NVMM)", "buffer mem=72"]);
    let error = sender.line("error ");
    assert!(error.contains("NvBufAudio has 72 bytes"), "{error}");
    assert_eq!(receiver.count("buffer "), 0);
}

#[test]
fn audio_goes_through_batches() {
    if !libraries("audio_goes_through_batches") {
        return;
    }
    for transport in TRANSPORTS {
        let head = "audiotestsrc num-buffers=20 samplesperbuffer=441 ! \
                    audio/x-raw,format=F32LE,rate=44100,channels=2,layout=interleaved ! identity name=probe silent=true !";
        let tail = "! audio/x-raw ! fakesink name=probe sync=false";
        let link =
            Link::new(Pairing::ServerSink, transport).buf_type("nvdsucx-buf-nv-audio").head(head).tail(tail);
        let sender = link.sender(0).start();
        let relay = format!(
            "nvdsucxclientsrc port={} buf-type=nvdsucx-buf-nv-audio ! audio/x-raw(memory:NVMM) ! identity name=probe silent=true !",
            sender.port()
        );
        let relay = link.clone().head(&relay).sender(0).start();
        let receiver = link.receiver(relay.port()).start();
        receiver.line("eos");
        let (sent, arrived) = (sender.lines_until(20, "buffer "), receiver.lines_until(20, "buffer "));
        for (sent, arrived) in sent.iter().zip(&arrived) {
            assert_eq!(
                (word(sent, "mem="), word(sent, "pts=")),
                (word(arrived, "mem="), word(arrived, "pts="))
            );
        }
        assert!(relay.line("buffer n=0").contains(" mem=24:"));
        receiver.assert_no_error();
    }
}

#[test]
fn a_reason_is_given_where_there_is_no_gpu_for_the_memory_wanted() {
    if !libraries("a_reason_is_given_where_there_is_no_gpu_for_the_memory_wanted") {
        return;
    }
    let link = Link::new(Pairing::ServerSink, Transport::Default).buf_type("nvdsucx-buf-video");
    let head = "videotestsrc num-buffers=5 ! video/x-raw,format=NV12 ! identity name=probe silent=true !";
    let tail = "! video/x-raw(memory:NVMM) ! fakesink name=probe";
    let (_sender, receiver) = link
        .head(head)
        .tail(tail)
        .src("nvbuf-memory-type=nvbuf-mem-cuda-device")
        .env("CUDA_VISIBLE_DEVICES", "")
        .start();
    let error = receiver.line("error ");
    assert!(error.contains("nvbuf-memory-type=nvbuf-mem-system"), "{error}");
}
