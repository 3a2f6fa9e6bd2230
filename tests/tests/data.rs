//! Buffers come out as they went in.

use nvdsucx_tests::compare::assert_same_buffers;
use nvdsucx_tests::link::SCRIPT;
use nvdsucx_tests::peer::Peer;
use nvdsucx_tests::{Link, Pairing, Transport, payload};

/// Runs `script` (`push` commands of a scripted source) through `link`, and compares the `count` buffers.
fn script(link: &Link, lines: &[&str], count: usize) -> (Peer, Peer) {
    let (mut sender, receiver) = link.start_settled();
    for line in lines {
        sender.command(&format!("push {line}"));
    }
    sender.command("push eos");
    receiver.line("eos");
    assert_same_buffers(&sender, &receiver, count);
    sender.line("eos");
    sender.assert_no_error();
    receiver.assert_no_error();
    (sender, receiver)
}

/// Runs a source that ends by itself through `link`, and compares the `count` buffers.
fn run(link: &Link, count: usize) {
    let (mut sender, receiver) = link.clone().blocked().start_settled();
    sender.command("unblock");
    receiver.line("eos");
    assert_same_buffers(&sender, &receiver, count);
    sender.line("eos");
    sender.stop();
    receiver.assert_no_error();
    receiver.stop();
}

/// Ends both; nothing may have gone wrong.
fn end((sender, receiver): (Peer, Peer)) {
    sender.stop();
    receiver.assert_no_error();
    receiver.stop();
}

fn video(caps: &str, count: usize) {
    for link in Link::all() {
        let head = format!("videotestsrc num-buffers={count} pattern=ball ! {caps} ! identity name=probe !");
        run(&link.buf_type("nvdsucx-buf-video").head(&head), count);
    }
}

#[test]
fn nv12_video_of_odd_size() {
    video("video/x-raw,format=NV12,width=321,height=241,framerate=30/1", 30);
}

#[test]
fn i420_video_of_odd_size() {
    video("video/x-raw,format=I420,width=321,height=241,framerate=30/1", 30);
}

#[test]
fn rgba_video_in_full_hd() {
    video("video/x-raw,format=RGBA,width=1920,height=1080,framerate=30/1", 10);
}

/// 30 x 16 pixels of four bytes, each line followed by 136 bytes of padding.
const PADDED: &str = "buffer count=3 mem=4096 pts=0 duration=40000000 video=RGBA:30x16:0:256";
const PADDED_CAPS: &str = "start video/x-raw,format=RGBA,width=30,height=16,framerate=25/1";

#[test]
fn padded_video_keeps_its_layout_where_downstream_understands_it() {
    for link in Link::all() {
        let tail = "! identity name=probe ! videoconvert ! video/x-raw,format=I420 ! fakesink sync=false";
        let link = link.buf_type("nvdsucx-buf-video").head(SCRIPT).tail(tail);
        let (sender, receiver) = script(&link, &[PADDED_CAPS, PADDED], 3);
        let line = receiver.line("buffer n=0");
        assert!(line.contains("video=Rgba:30x16:[0]:[256]"), "{line}");
        end((sender, receiver));
    }
}

#[test]
fn padded_video_is_repacked_where_downstream_does_not_understand_video_meta() {
    for link in Link::both() {
        // A fakesink answers the allocation query without GstVideoMeta.
        let link = link.buf_type("nvdsucx-buf-video").head(SCRIPT);
        let (mut sender, receiver) = link.start_connected();
        for line in [PADDED_CAPS, PADDED, "eos"] {
            sender.command(&format!("push {line}"));
        }
        receiver.line("eos");
        let packed: Vec<u8> =
            payload::generate(1, 4096).chunks(256).flat_map(|row| row[..120].to_vec()).collect();
        let expected = format!("mem=1920:{:016x}", payload::checksum(&packed));
        let line = receiver.line("buffer n=0");
        assert!(line.contains(&expected), "no {expected} in {line}");
        assert!(!line.contains(":[256]"), "still has the layout of the sender: {line}");
        sender.line("eos");
        end((sender, receiver));
    }
}

#[test]
fn raw_audio() {
    for link in Link::all() {
        let head = "audiotestsrc num-buffers=100 samplesperbuffer=441 ! \
                    audio/x-raw,format=S16LE,rate=44100,channels=2,layout=interleaved ! identity name=probe !";
        run(&link.buf_type("nvdsucx-buf-raw-audio").head(head), 100);
    }
}

#[test]
fn raw_audio_in_buffers_larger_than_raw_buf_size() {
    for link in Link::both() {
        let head = "audiotestsrc num-buffers=10 samplesperbuffer=48000 ! \
                    audio/x-raw,format=F32LE,rate=48000,channels=2,layout=interleaved ! identity name=probe !";
        run(&link.buf_type("nvdsucx-buf-raw-audio").head(head), 10);
    }
}

#[test]
fn text() {
    for link in Link::all() {
        let lines = [
            "start text/x-raw,format=utf8",
            "buffer count=50 mem=11 pts=0 duration=20000000",
            "buffer mem=1 pts=9",
        ];
        end(script(&link.buf_type("nvdsucx-buf-text").head(SCRIPT), &lines, 51));
    }
}

#[test]
fn an_encoded_stream_that_is_decoded_at_the_other_end() {
    for link in Link::all() {
        let head = "videotestsrc num-buffers=60 ! video/x-raw,width=320,height=240,framerate=30/1 ! \
                    x264enc key-int-max=15 bframes=2 ! h264parse ! identity name=probe !";
        let tail = "! identity name=probe ! h264parse ! avdec_h264 ! fakesink sync=false";
        run(&link.buf_type("nvdsucx-buf-any").head(head).tail(tail), 60);
    }
}

#[test]
fn an_element_that_paces_by_the_clock() {
    for link in Link::both() {
        let head = "videotestsrc num-buffers=30 is-live=true ! video/x-raw,width=64,height=48,framerate=30/1 ! \
                    identity name=probe !";
        let mut link = link.head(head).tail("! fakesink name=probe sync=true");
        link.sink = "buf-type=nvdsucx-buf-any".into();
        run(&link, 30);
    }
}

#[test]
fn buffers_of_every_size_and_number_of_memories() {
    for link in Link::all() {
        let lines = [
            "start application/x-test",
            "buffer pts=0",
            "buffer mem=0",
            "buffer mem=1",
            "buffer mem=64",
            "buffer mem=8192",
            "buffer mem=8193",
            "buffer mem=307200",
            "buffer mem=10,20,30",
            "buffer mem=0,5,0",
            "buffer mem=0,0",
            "buffer mem=100000,1,300000",
            "buffer mem=10x15",
            "buffer count=200 mem=1000",
            "buffer count=20 mem=500000",
        ];
        end(script(&link, &lines, 232));
    }
}

#[test]
fn a_buffer_of_100_megabytes() {
    for link in Link::all() {
        let lines = ["start application/x-test", "buffer mem=1", "buffer mem=104857600", "buffer mem=2"];
        end(script(&link, &lines, 3));
    }
}

#[test]
fn every_timestamp_offset_and_flag() {
    for link in Link::all() {
        let mut lines = vec!["start application/x-test".to_owned()];
        lines.push("buffer mem=5 pts=0 dts=0 duration=0 offset=0 offset-end=0".into());
        lines.push("buffer mem=5 pts=1 dts=2 duration=3 offset=4 offset-end=5".into());
        lines.push("buffer mem=5 pts=18446744073709551614 offset=18446744073709551614".into());
        lines.push("buffer mem=5 dts=7".into());
        lines.push("buffer mem=5 duration=7".into());
        lines.push("buffer mem=5 offset-end=7".into());
        // LIVE to DELTA_UNIT, SYNC_AFTER and NON_DROPPABLE, some of the media's own; TAG_MEMORY (14) is GStreamer's.
        for bit in (4..=13).chain(15..=16).chain(20..=24) {
            lines.push(format!("buffer mem=5 flags={:#x}", 1 << bit));
        }
        lines.push("buffer mem=5 flags=0x2140".into());
        let count = lines.len() - 1;
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        end(script(&link, &lines, count));
    }
}

#[test]
fn buffers_without_any_timestamp_get_none() {
    for link in Link::both() {
        end(script(
            &link,
            &["start application/x-test", "buffer count=5 mem=5", "buffer dts=1", "buffer mem=1"],
            7,
        ));
    }
}

#[test]
fn two_clients_both_get_every_buffer() {
    for transport in [Transport::Tcp, Transport::Default, Transport::SharedMemory] {
        let link = Link::new(Pairing::ServerSink, transport).sink("num-conns=2");
        let mut sender = link.listening().start();
        let port = sender.port();
        let receivers = [link.connecting(port).start(), link.connecting(port).start()];
        sender.command("push start application/x-test");
        sender.command("push buffer count=100 mem=3000 pts=0 duration=10000000");
        sender.command("push buffer count=10 mem=300000,5");
        sender.command("push eos");
        for receiver in &receivers {
            receiver.line("eos");
            assert_same_buffers(&sender, receiver, 110);
        }
        sender.line("eos");
        sender.stop();
        for receiver in receivers {
            receiver.assert_no_error();
            receiver.stop();
        }
    }
}

#[test]
fn a_downstream_that_holds_more_buffers_than_num_nvbuf() {
    for link in Link::all() {
        let tail = "! queue min-threshold-buffers=40 max-size-buffers=100 max-size-bytes=0 max-size-time=0 \
                    ! fakesink name=probe sync=false";
        let lines = ["start application/x-test", "buffer count=60 mem=400000 pts=0 duration=40000000"];
        end(script(&link.tail(tail), &lines, 60));
    }
}

#[test]
fn an_upstream_that_pushes_the_same_memory_again() {
    // imagefreeze gives the same memory out for each frame; what is received must not change under it.
    for link in Link::both() {
        let head = "videotestsrc num-buffers=1 ! video/x-raw,format=RGBA,width=640,height=480 ! \
                    imagefreeze num-buffers=50 ! identity name=probe !";
        run(&link.buf_type("nvdsucx-buf-video").head(head), 50);
    }
}
