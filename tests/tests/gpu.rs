//! Frames in a GPU's memory, to it and from it. Without a GPU these tests say so, and pass; `cargo xtask test` then runs them
//! with what stands in for CUDA's driver.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;
use std::{env, fs};

use gst::prelude::*;
use nvdsucx_tests::compare::eventually;
use nvdsucx_tests::environment::{self, CUDA_STAND_IN};
use nvdsucx_tests::peer::{Peer, SOON};
use nvdsucx_tests::{Link, Pairing, Transport};

/// Loading CUDA takes a while, most of all where many do it at once.
const WITHIN: Duration = Duration::from_secs(60);
const FRAMES: usize = 12;

/// How many GPUs there are; 0 is said, with the name of the test that is skipped.
fn gpus(test: &str) -> u32 {
    gst::init().expect("GStreamer");
    let count = cuda::available().and_then(|()| cuda::device_count());
    count.unwrap_or_else(|error| {
        eprintln!("{test}: skipped, {error}");
        0
    })
}

/// Whether there are `count` GPUs.
fn has_gpus(count: u32, test: &str) -> bool {
    let there = gpus(test);
    if there > 0 && there < count {
        eprintln!("{test}: skipped, there is but one GPU");
    }
    there >= count
}

fn source(caps: &str, count: usize) -> String {
    format!(
        "videotestsrc num-buffers={count} pattern=ball ! video/x-raw,{caps},framerate=60/1 ! identity name=pixels"
    )
}

const TO_GPU: &str = "! cudaupload ! video/x-raw(memory:CUDAMemory) !";
const ON_GPU: &str = "! video/x-raw(memory:CUDAMemory) ! identity name=pixels ! fakesink sync=false";
const AT_HOME: &str = "! video/x-raw ! identity name=pixels ! fakesink sync=false";

fn link(pairing: Pairing, head: &str, tail: &str) -> Link {
    Link::new(pairing, Transport::Default).buf_type("nvdsucx-buf-video").head(head).tail(tail)
}

/// `SUM pts=N` of each frame that has passed, and the kind of memory they were in.
fn frames(peer: &Peer, count: usize) -> (Vec<String>, Vec<String>) {
    let lines = peer.wait_for("frames", WITHIN, |lines| {
        let frames: Vec<_> = lines.iter().filter(|line| line.starts_with("pixels ")).cloned().collect();
        (frames.len() >= count).then_some(frames)
    });
    let field = |line: &String, n| line.split(' ').nth(n).expect("a field").to_owned();
    let shown = lines.iter().map(|line| format!("{} {}", field(line, 2), field(line, 4))).collect();
    let mut kinds: Vec<_> = lines.iter().map(|line| field(line, 3)).collect();
    kinds.dedup();
    (shown, kinds)
}

/// Starts both; waits until all frames are there; they are the same. What kind of memory they are in is given.
fn run(link: &Link, case: &str) -> (Peer, Peer, Vec<String>) {
    let (sender, receiver) = link.start();
    receiver.line_within("eos", WITHIN);
    let (sent, _) = frames(&sender, FRAMES);
    let (received, kinds) = frames(&receiver, FRAMES);
    assert_eq!(sent, received, "{case}");
    sender.assert_no_error();
    receiver.assert_no_error();
    (sender, receiver, kinds)
}

const ALL_FORMATS: [&str; 4] = ["NV12", "I420", "RGBA", "P010_10LE"];
/// GStreamer 1.22 itself cuts the rows of frames of odd sizes, when the CPU reads or writes them.
fn sizes() -> [(u32, u32); 2] {
    let odd = gst::version() >= (1, 24, 0, 0);
    [if odd { (321, 241) } else { (320, 240) }, (1920, 1080)]
}

/// All formats and sizes between these two kinds of memory, where both ends share memory and where they do not.
fn every_frame(head: &str, tail: &str, kind: &str) {
    for (format, (width, height)) in
        ALL_FORMATS.iter().flat_map(|format| sizes().into_iter().map(move |size| (format, size)))
    {
        for zero_copy in [true, false] {
            let case = format!("{format} {width}x{height}, zero-copy={zero_copy}");
            let head = format!(
                "{} {head}",
                source(&format!("format={format},width={width},height={height}"), FRAMES)
            );
            let link = link(Pairing::ServerSink, &head, tail).sink(&format!("zero-copy={zero_copy}"));
            let (_sender, _receiver, kinds) = run(&link, &case);
            assert_eq!(kinds, [kind], "{case}");
        }
    }
}

#[test]
fn gpu_to_gpu() {
    if has_gpus(1, "gpu_to_gpu") {
        every_frame(TO_GPU, ON_GPU, "gpu");
    }
}

/// What a process has open of memory that stands in for a GPU's: the numbers of the files.
fn allocations(peer: &Peer) -> BTreeSet<String> {
    let maps = fs::read_to_string(format!("/proc/{}/maps", peer.pid())).expect("maps");
    let ours = maps.lines().filter(|line| line.contains("/memfd:cuda-stand-in-"));
    ours.filter_map(|line| line.split_whitespace().nth(4)).map(str::to_owned).collect()
}

#[test]
fn messages_between_processes_go_from_gpu_to_gpu() {
    let test = "messages_between_processes_go_from_gpu_to_gpu";
    if !has_gpus(1, test) {
        return;
    }
    let head = format!("{} {TO_GPU}", source("format=NV12,width=320,height=240", FRAMES));
    for pairing in [Pairing::ServerSink, Pairing::ServerSrc] {
        let link = link(pairing, &head, ON_GPU).sink("zero-copy=false");
        let (mut sender, mut receiver, _) = run(&link, &format!("{pairing:?}"));
        if sender.stat("copied") > 0 {
            eprintln!("{test}: skipped, the UCX here knows no CUDA");
            return;
        }
        for peer in [&mut sender, &mut receiver] {
            let stats = peer.ask("stats", "stats ");
            assert!(stats.contains("cuda_ipc/"), "{stats}");
        }
        // What stands in for the driver shows whether that way was taken, too.
        let both = [&sender, &receiver].map(allocations);
        assert!(
            env::var_os(CUDA_STAND_IN).is_none() || !both[0].is_disjoint(&both[1]),
            "{pairing:?}: {both:?}"
        );
    }
}

#[test]
fn frames_between_gpus_land_in_more_buffers_if_they_wait_for_them() {
    let test = "frames_between_gpus_land_in_more_buffers_if_they_wait_for_them";
    if !has_gpus(1, test) {
        return;
    }
    if env::var_os(CUDA_STAND_IN).is_none() {
        eprintln!("{test}: skipped, only what stands in for CUDA's driver shows where frames land");
        return;
    }
    let head = format!("videotestsrc ! video/x-raw,format=NV12,width=320,height=240 {TO_GPU}");
    let tail = "! video/x-raw(memory:CUDAMemory) ! fakesink sync=false";
    let link = link(Pairing::ServerSink, &head, tail).sink("zero-copy=false").src("num-nvbuf=1");
    let (sender, receiver) = link.start();
    // Whoever allocates something in memory that stands in for a GPU's keeps the file open; who opens it does not.
    let made = |peer: &Peer| -> BTreeSet<String> {
        let files = fs::read_dir(format!("/proc/{}/fd", peer.pid())).expect("open files").flatten();
        files.filter_map(|file| Some(fs::metadata(file.path()).ok()?.ino().to_string())).collect()
    };
    eventually("a second landing buffer", WITHIN, || {
        (allocations(&sender).intersection(&made(&receiver)).count() > 1).then_some(())
    });
    sender.assert_no_error();
    receiver.assert_no_error();
}

#[test]
fn gpu_to_cpu() {
    if has_gpus(1, "gpu_to_cpu") {
        every_frame(TO_GPU, AT_HOME, "cpu");
    }
}

#[test]
fn cpu_to_gpu() {
    if has_gpus(1, "cpu_to_gpu") {
        every_frame("!", ON_GPU, "gpu");
    }
}

#[test]
fn gpu_memory_stays_so_without_a_capsfilter() {
    if !has_gpus(1, "gpu_memory_stays_so_without_a_capsfilter") {
        return;
    }
    let head = format!("{} {TO_GPU}", source("format=NV12,width=320,height=240", FRAMES));
    let tail = "! identity name=pixels ! fakesink sync=false";
    for pairing in [Pairing::ServerSink, Pairing::ServerSrc] {
        let (_sender, _receiver, kinds) = run(&link(pairing, &head, tail), &format!("{pairing:?}"));
        assert_eq!(kinds, ["gpu"]);
    }
}

#[test]
fn elements_after_a_source_share_its_context() {
    let test = "elements_after_a_source_share_its_context";
    if !has_gpus(1, test) {
        return;
    }
    gst::Registry::get().scan_path(&environment::get().plugins);
    for name in ["nvdsucxclientsrc", "nvdsucxserversrc"] {
        let source = gst::ElementFactory::make(name).build().expect("a source");
        // As the next element does before it makes a context of its own, while the source has none yet.
        let ask = || {
            let mut query = gst::query::Context::new(cuda::CONTEXT_TYPE);
            assert!(source.static_pad("src").expect("a pad").query(&mut query));
            let mut told = None;
            let context = query.context_owned().expect("a context");
            assert!(cuda::handle_set_context(&source, &context, 0, &mut told));
            told.expect("a context of the first GPU")
        };
        assert_eq!(ask(), ask());
        assert_eq!(Ok(ask()), cuda::Context::for_element(&source, 0));
    }
    let head = format!("{} {TO_GPU}", source("format=NV12,width=320,height=240", FRAMES));
    let tail = "! video/x-raw(memory:CUDAMemory) ! cudadownload ! video/x-raw ! identity name=pixels ! fakesink sync=false";
    for zero_copy in [true, false] {
        let link = link(Pairing::ServerSink, &head, tail).sink(&format!("zero-copy={zero_copy}"));
        let (_sender, _receiver, kinds) = run(&link, &format!("zero-copy={zero_copy}"));
        assert_eq!(kinds, ["cpu"]);
    }
}

/// A stream that goes on, and both ends once nothing is copied any more.
fn start_endless(tail: &str, more: &str) -> (Link, Peer, Peer) {
    let head = "videotestsrc is-live=true pattern=ball ! video/x-raw,format=NV12,width=640,height=480,framerate=120/1 \
                ! identity name=pixels ! cudaupload ! video/x-raw(memory:CUDAMemory) !";
    let link = link(Pairing::ServerSink, head, tail).src(more);
    let (sender, receiver) = link.start();
    receiver.wait_for("frames", WITHIN, |lines| {
        (lines.iter().filter(|line| line.starts_with("pixels ")).count() > 10).then_some(())
    });
    (link, sender, receiver)
}

/// Waits until `frames` frames go through `sender` of which none is copied.
fn wait_until_nothing_is_copied(sender: &mut Peer) {
    eventually("nothing is copied", WITHIN, || {
        let (copied, frames) = (sender.stat("copied"), sender.stat("frames"));
        eventually("more frames", SOON, || (sender.stat("frames") >= frames + 60).then_some(()));
        (sender.stat("copied") == copied).then_some(())
    });
}

#[test]
fn frames_stay_where_they_are_on_the_gpu() {
    if !has_gpus(1, "frames_stay_where_they_are_on_the_gpu") {
        return;
    }
    let (_, mut sender, receiver) = start_endless(ON_GPU, "");
    wait_until_nothing_is_copied(&mut sender);
    receiver.assert_no_error();
    receiver.stop();
    sender.stop();
}

#[test]
fn frames_of_a_dead_sender_stay_valid_on_the_gpu() {
    if !has_gpus(1, "frames_of_a_dead_sender_stay_valid_on_the_gpu") {
        return;
    }
    let (_, mut sender, mut receiver) = start_endless(ON_GPU, "on-disconnect=eos");
    wait_until_nothing_is_copied(&mut sender);
    let mark = receiver.ask("keep", "keeping");
    receiver.wait_for("frames to keep", WITHIN, |lines| {
        let after = lines.iter().rposition(|line| *line == mark)?;
        (lines[after..].iter().filter(|line| line.starts_with("pixels ")).count() > 5).then_some(())
    });
    sender.kill();
    receiver.line_within("eos", WITHIN);
    let shown = |line: &String| {
        line.split_once(' ').and_then(|(_, rest)| rest.split_once(' ')).map(|(_, rest)| rest.to_owned())
    };
    receiver.ask("kept", "kept-all");
    let kept: Vec<_> = receiver.lines_with("kept n=").iter().filter_map(shown).collect();
    let seen: Vec<_> = receiver.lines_with("pixels ").iter().filter_map(shown).collect();
    assert!(kept.len() > 5, "{kept:?}");
    for frame in kept {
        assert!(seen.contains(&frame), "{frame} has changed");
    }
}

#[test]
fn a_receiver_that_dies_gives_the_memory_back_on_the_gpu() {
    if !has_gpus(1, "a_receiver_that_dies_gives_the_memory_back_on_the_gpu") {
        return;
    }
    let (link, mut sender, receiver) = start_endless(ON_GPU, "");
    let port = sender.port();
    let free = || cuda::Context::new(0).and_then(|context| context.free_bytes()).expect("a GPU").0;
    let mut after = Vec::new();
    let mut receiver = receiver;
    for _ in 0..6 {
        wait_until_nothing_is_copied(&mut sender);
        receiver.kill();
        eventually("gone", SOON, || (sender.stat("lost") == after.len() as u64 + 1).then_some(()));
        after.push(free());
        receiver = link.connecting(port).start();
        receiver.wait_for("frames", WITHIN, |lines| {
            (lines.iter().filter(|line| line.starts_with("pixels ")).count() > 10).then_some(())
        });
    }
    sender.assert_no_error();
    // Other tests come and go at the same time, so the least of the later figures is compared.
    let later = after[2..].iter().max().expect("rounds");
    assert!(later + (256 << 20) > after[0], "{after:?} bytes were free after each round");
}

#[test]
fn two_receivers_one_on_the_gpu_and_one_not() {
    if !has_gpus(1, "two_receivers_one_on_the_gpu_and_one_not") {
        return;
    }
    let head = format!("{} {TO_GPU}", source("format=NV12,width=322,height=242", FRAMES));
    let there = link(Pairing::ServerSink, &head, ON_GPU).sink("num-conns=2");
    let home = Link { tail: AT_HOME.into(), ..there.clone() };
    let sender = there.listening().start();
    let receivers = [there.connecting(sender.port()).start(), home.connecting(sender.port()).start()];
    let (sent, _) = {
        receivers.iter().for_each(|receiver| drop(receiver.line_within("eos", WITHIN)));
        frames(&sender, FRAMES)
    };
    for (receiver, kind) in receivers.iter().zip(["gpu", "cpu"]) {
        assert_eq!(frames(receiver, FRAMES), (sent.clone(), vec![kind.to_owned()]));
    }
}

#[test]
fn between_two_gpus() {
    if !has_gpus(2, "between_two_gpus") {
        return;
    }
    for zero_copy in [true, false] {
        let head = format!(
            "{} ! cudaupload cuda-device-id=0 !",
            source("format=NV12,width=1920,height=1080", FRAMES)
        );
        let link =
            link(Pairing::ServerSink, &head, ON_GPU).sink(&format!("zero-copy={zero_copy}")).src("gpu-id=1");
        let (_sender, _receiver, kinds) = run(&link, &format!("zero-copy={zero_copy}"));
        assert_eq!(kinds, ["gpu"]);
    }
}

#[test]
fn two_pipelines_on_two_gpus_in_one_process() {
    if !has_gpus(2, "two_pipelines_on_two_gpus_in_one_process") {
        return;
    }
    // The second pair of elements is in the same two processes, on the other GPU.
    let head =
        format!("{} ! cudaupload cuda-device-id=0 !", source("format=NV12,width=640,height=480", FRAMES));
    let first = link(Pairing::ServerSink, &head, ON_GPU).src("gpu-id=0");
    let second =
        Link { head: head.replace("cuda-device-id=0", "cuda-device-id=1"), ..first.clone().src("gpu-id=1") };
    for link in [&first, &second] {
        let (_sender, _receiver, kinds) = run(link, "one after the other");
        assert_eq!(kinds, ["gpu"]);
    }
    let senders = [first.listening().start(), second.listening().start()];
    let ports = [senders[0].port(), senders[1].port()];
    let both = format!(
        "nvdsucxclientsrc port={} buf-type=nvdsucx-buf-video gpu-id=0 ! video/x-raw(memory:CUDAMemory) ! identity name=pixels \
         ! fakesink sync=false async=false nvdsucxclientsrc port={} buf-type=nvdsucx-buf-video gpu-id=1 \
         ! video/x-raw(memory:CUDAMemory) ! fakesink sync=false async=false",
        ports[0], ports[1]
    );
    let receiver = nvdsucx_tests::Launch::pipeline("receiver", &both).start();
    receiver.line_within("eos", WITHIN);
    assert_eq!(frames(&receiver, FRAMES).0, frames(&senders[0], FRAMES).0);
    receiver.assert_no_error();
}

#[test]
fn a_gpu_that_is_not_there_is_an_error() {
    if !has_gpus(1, "a_gpu_that_is_not_there_is_an_error") {
        return;
    }
    let head = format!("{} {TO_GPU}", source("format=NV12,width=320,height=240", FRAMES));
    let (_sender, receiver) = link(Pairing::ServerSink, &head, ON_GPU).src("gpu-id=77").start();
    let error = receiver.line_within("error ", WITHIN);
    assert!(error.contains("there is no GPU 77, only "), "{error}");
}

#[test]
fn without_a_gpu_frames_come_to_the_cpu_and_an_error_says_what_is_missing() {
    let hidden = |tail| {
        let head = format!("{} !", source("format=NV12,width=321,height=241", FRAMES));
        link(Pairing::ServerSink, &head, tail).env("CUDA_VISIBLE_DEVICES", "")
    };
    let (_sender, _receiver, kinds) = run(&hidden("! identity name=pixels ! fakesink sync=false"), "at home");
    assert_eq!(kinds, ["cpu"]);
    let (_sender, receiver) = hidden(ON_GPU).start();
    let error = receiver.line_within("error ", WITHIN);
    assert!(error.contains("only video/x-raw(memory:CUDAMemory) (") && error.contains("cu"), "{error}");
}
