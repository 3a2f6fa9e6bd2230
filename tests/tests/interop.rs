//! Two releases of UCX work together: the system's, and the one in NVDSUCX_UCX_NEW.

use nvdsucx_tests::compare::assert_same_buffers;
use nvdsucx_tests::link::SCRIPT;
use nvdsucx_tests::process::mapped_file;
use nvdsucx_tests::{Link, Pairing, Peer, Transport, UcxRelease, environment};

use UcxRelease::{Newest, System};

const VIDEO: &str = "videotestsrc num-buffers=20 pattern=snow ! \
                     video/x-raw,format=NV12,width=1920,height=1080,framerate=30/1 ! identity name=probe !";
const AUDIO: &str = "audiotestsrc num-buffers=50 ! audio/x-raw,format=S16LE,rate=48000,channels=2 ! \
                     identity name=probe !";

fn pair(ucx: (UcxRelease, UcxRelease), link: &Link) -> (Peer, Peer) {
    let mut link = link.clone();
    link.ucx = ucx;
    let (sender, receiver) = link.start_connected();
    let newest = environment::newest_ucx().canonicalize().expect("it has libucp.so.0 in it");
    for (release, peer) in [(ucx.0, &sender), (ucx.1, &receiver)] {
        let library = mapped_file(peer.pid(), "libucp.so");
        assert_eq!(library.starts_with(&newest), release == Newest, "{release:?} is {}", library.display());
    }
    (sender, receiver)
}

fn end(mut sender: Peer, receiver: Peer, count: usize, mapped: bool) {
    receiver.line("eos");
    assert_same_buffers(&sender, &receiver, count);
    sender.line("eos");
    if mapped {
        sender.wait_until_mapped(1);
    } else {
        assert_eq!(sender.paths(), ["messages"]);
    }
    sender.assert_no_error();
    receiver.assert_no_error();
    sender.stop();
    receiver.stop();
}

/// The sender's release and the receiver's.
fn work_together(sender: UcxRelease, receiver: UcxRelease) {
    let ucx = (sender, receiver);
    for link in Link::all() {
        // It needs all devices, with which different releases do not connect.
        if link.transport == Transport::SharedMemory && sender != receiver {
            continue;
        }
        let mapped = link.transport == Transport::Default;
        let (sender, receiver) = pair(ucx, &link.clone().buf_type("nvdsucx-buf-video").head(VIDEO));
        end(sender, receiver, 20, mapped);

        let (sender, receiver) = pair(ucx, &link.clone().buf_type("nvdsucx-buf-raw-audio").head(AUDIO));
        end(sender, receiver, 50, mapped);

        let (mut sender, receiver) = pair(ucx, &link.buf_type("nvdsucx-buf-text").head(SCRIPT));
        for line in
            ["start text/x-raw,format=utf8", "buffer count=50 mem=20 pts=0", "buffer mem=300000 pts=1", "eos"]
        {
            sender.command(&format!("push {line}"));
        }
        end(sender, receiver, 51, mapped);
    }
}

#[test]
fn a_sender_with_the_newest_ucx_and_a_receiver_with_the_systems() {
    work_together(Newest, System);
}

#[test]
fn a_sender_with_the_systems_ucx_and_a_receiver_with_the_newest() {
    work_together(System, Newest);
}

#[test]
fn both_with_the_newest_ucx() {
    work_together(Newest, Newest);
}

#[test]
fn the_newest_ucx_writes_large_frames_where_they_land_over_tcp() {
    let link = Link::new(Pairing::ServerSink, Transport::Tcp).buf_type("nvdsucx-buf-video").head(VIDEO);
    // With RDMA devices UCX chooses itself, unless it is kept from them.
    let link = link.sink("high-perf=false").src("high-perf=false");
    let link = link.env("UCX_PROTO_INFO", "y").env("UCX_LOG_FILE", "stderr");
    let (sender, receiver) = pair((Newest, Newest), &link);
    receiver.line("eos");
    let lines = sender.stderr();
    let chosen = lines.iter().any(|line| line.contains("write to remote") && line.contains("tcp/"));
    assert!(chosen, "{lines:#?}");
}
