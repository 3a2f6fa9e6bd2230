//! What belongs to a stream besides its buffers: events in order, caps, latency, upstream events, end of stream.

use std::time::Duration;

use nvdsucx_tests::compare::{assert_same_buffers, assert_silent, eventually, stream};
use nvdsucx_tests::link::SCRIPT;
use nvdsucx_tests::peer::{Peer, SOON};
use nvdsucx_tests::{Link, Pairing, Transport};

/// Events that a stream may have at the receiving end without the sender's doing.
const OWN: [&str; 2] = ["latency", "reconfigure"];

fn push(peer: &mut Peer, lines: &[&str]) {
    for line in lines {
        peer.command(&format!("push {line}"));
    }
}

fn end(sender: Peer, receiver: Peer) {
    sender.assert_no_error();
    receiver.assert_no_error();
    sender.stop();
    receiver.stop();
}

/// The sender's stream and the receiver's, once both have come to `last`.
fn streams(sender: &Peer, receiver: &Peer, last: &str) -> (Vec<String>, Vec<String>) {
    receiver.line(last);
    sender.line(last);
    (without_own(stream(sender)), without_own(stream(receiver)))
}

fn without_own(stream: Vec<String>) -> Vec<String> {
    stream.into_iter().filter(|e| !OWN.iter().any(|own| e.starts_with(own))).collect()
}

#[test]
fn events_and_buffers_cross_in_order() {
    for link in Link::all() {
        let (mut sender, receiver) = link.start_connected();
        let lines = [
            "stream-start a/stream",
            "caps application/x-test,a=(int)1",
            "segment time start=1000 time=500 stop=100000000000 position=1000",
            "tags taglist, title=(string)\"first title\", bitrate=(uint)1000;",
            "sticky mine-sticky, x=(int)1",
            "buffer mem=10 pts=1000",
            "gap 2000 1000",
            "custom mine, text=(string)\"a b\\\"c\", fraction=(fraction)1/3",
            "buffer mem=300000 pts=3000",
            "custom mine, n=(int)2",
            "buffer mem=10 pts=4000",
            "tags taglist, title=(string)second;",
            "segment time start=0 rate=2.0 base=77",
            "buffer mem=10 pts=5000",
            "eos",
        ];
        push(&mut sender, &lines);
        let (sent, received) = streams(&sender, &receiver, "event eos");
        assert_eq!(sent, received);
        sender.line("eos");
        receiver.line("eos");
        end(sender, receiver);
    }
}

#[test]
fn events_keep_their_sequence_number() {
    for link in Link::both() {
        let (mut sender, receiver) = link.start_connected();
        push(
            &mut sender,
            &["start application/x-test", "buffer mem=1 pts=0", "custom mine, a=(int)1", "eos"],
        );
        for event in ["segment", "custom-downstream", "eos"] {
            let start = format!("event {event} ");
            assert_eq!(sender.line(&start), receiver.line(&start));
        }
        end(sender, receiver);
    }
}

#[test]
fn a_segment_in_bytes() {
    for link in Link::both() {
        let (mut sender, receiver) = link.start_connected();
        let lines = [
            "stream-start s",
            "caps application/x-test",
            "segment bytes start=100 stop=5000",
            "buffer mem=10",
            "eos",
        ];
        push(&mut sender, &lines);
        let (sent, received) = streams(&sender, &receiver, "event eos");
        assert_eq!(sent, received);
        end(sender, receiver);
    }
}

#[test]
fn caps_of_100_kilobytes() {
    for link in Link::all() {
        let (mut sender, receiver) = link.start_connected();
        let lines = [
            "stream-start s",
            "caps application/x-test filled-with=100000",
            "segment time",
            "buffer count=5 mem=100 pts=0",
            "eos",
        ];
        push(&mut sender, &lines);
        let (sent, received) = streams(&sender, &receiver, "event eos");
        assert_eq!(sent, received);
        end(sender, receiver);
    }
}

#[test]
fn new_caps_in_mid_stream() {
    for link in Link::both() {
        let link = link.buf_type("nvdsucx-buf-video").head(SCRIPT);
        let (mut sender, receiver) = link.start_connected();
        let lines = [
            "start video/x-raw,format=GRAY8,width=64,height=16,framerate=25/1",
            "buffer count=20 mem=1024 pts=0 duration=40000000",
            "caps video/x-raw,format=GRAY8,width=640,height=480,framerate=25/1",
            "buffer count=20 mem=307200 pts=800000000 duration=40000000",
            "caps video/x-raw,format=RGBA,width=16,height=16,framerate=25/1",
            "buffer count=20 mem=1024 pts=1600000000 duration=40000000",
            "eos",
        ];
        push(&mut sender, &lines);
        let (sent, received) = streams(&sender, &receiver, "event eos");
        assert_eq!(sent, received);
        assert_same_buffers(&sender, &receiver, 60);
        end(sender, receiver);
    }
}

const STATE: [&str; 5] = [
    "stream-start late",
    "caps application/x-test,a=(int)1",
    "segment time start=77",
    "tags taglist, title=(string)late;",
    "sticky mine-sticky, x=(int)1",
];

/// The sticky events that come before the first buffer.
fn before_first_buffer(peer: &Peer) -> Vec<String> {
    peer.line("buffer ");
    without_own(stream(peer).into_iter().take_while(|e| e != "buffer").collect())
}

#[test]
fn a_late_joiner_gets_the_sticky_events_first() {
    let link = Link::new(Pairing::ServerSink, Transport::Default);
    let mut sender = link.listening().start();
    let first = link.connecting(sender.port()).start();
    push(&mut sender, &STATE);
    push(&mut sender, &["buffer count=10 mem=10 pts=100 duration=10"]);
    first.lines_until(10, "buffer ");
    // Replaced, so that only the newest is given to who comes later.
    push(&mut sender, &["caps application/x-test,a=(int)2", "buffer mem=10 pts=200"]);
    first.lines_until(11, "buffer ");

    let second = link.connecting(sender.port()).start();
    // That the first has connected it may tell only now.
    sender.lines_until(2, "element nvdsucx-client-connected");
    push(&mut sender, &["buffer count=5 mem=10 pts=300 duration=10"]);
    first.lines_until(16, "buffer ");
    second.lines_until(5, "buffer ");

    let expected = vec![
        "stream-start id=late flags=0x0 group=true",
        "caps application/x-test, a=(int)2",
        "segment Time flags=0x0 rate=1 applied-rate=1 base=0 offset=0 start=77 stop=-1 time=0 position=0 duration=-1",
        "tag taglist, title=(string)late;",
        "custom-downstream-sticky mine-sticky, x=(int)1;",
    ];
    assert_eq!(before_first_buffer(&second), expected);
    assert!(
        second.line("buffer n=0").contains(" pts=300 "),
        "the first buffer is the first that was sent since"
    );
    second.stop();
    end(sender, first);
}

#[test]
fn a_client_that_comes_back_gets_the_sticky_events_again() {
    let link = Link::new(Pairing::ServerSink, Transport::Default);
    let mut sender = link.listening().start();
    let first = link.connecting(sender.port()).start();
    push(&mut sender, &STATE);
    push(&mut sender, &["buffer count=10 mem=10 pts=100 duration=10"]);
    first.lines_until(10, "buffer ");
    let expected = before_first_buffer(&first);
    assert_eq!(expected.len(), STATE.len());
    first.stop();
    sender.line("element nvdsucx-client-disconnected");

    let mark = sender.mark();
    let second = link.connecting(sender.port()).start();
    sender.line_after(mark, "element nvdsucx-client-connected");
    push(&mut sender, &["buffer count=5 mem=10 pts=300 duration=10", "eos"]);
    second.line("eos");
    assert_eq!(before_first_buffer(&second), expected);
    assert_eq!(second.count("buffer "), 5);
    end(sender, second);
}

#[test]
fn upstream_events_reach_the_senders_upstream() {
    for link in Link::all() {
        let (mut sender, mut receiver) = link.start_connected();
        push(&mut sender, &["start application/x-test", "buffer mem=10 pts=0"]);
        receiver.line("buffer ");
        for (command, event) in [
            ("key-unit", "upstream custom-upstream GstForceKeyUnit"),
            ("qos", "upstream qos GstEventQOS, type=(GstQOSType)underflow, proportion=(double)1.5"),
            ("reconfigure", "upstream reconfigure"),
            ("mine, x=(int)5", "upstream custom-upstream mine, x=(int)5"),
        ] {
            let mark = sender.mark();
            receiver.ask(&format!("upstream {command}"), "upstream-sent taken=true");
            let line = sender.line_after(mark, event);
            if command == "key-unit" {
                assert!(line.contains("all-headers=(boolean)true, count=(uint)7"), "{line}");
            }
        }
        end(sender, receiver);
    }
}

#[test]
fn a_latency_query_is_answered_with_the_senders_latency() {
    for link in Link::both() {
        let link = link.head("scriptsrc name=source live=true min-latency=40000000 ! identity name=probe !");
        let (mut sender, mut receiver) = link.start_connected();
        push(&mut sender, &["start application/x-test", "buffer mem=10 pts=0"]);
        receiver.line("buffer ");
        let answer = eventually("the sender's latency", SOON, || {
            let answer = receiver.ask("latency", "latency-query ");
            answer.contains("live=true min=40000000").then_some(answer)
        });
        assert!(answer.contains("answered=true"), "{answer}");
        receiver.line("latency-message");
        end(sender, receiver);
    }
}

const VIDEO: &str = "videotestsrc num-buffers=10 ! video/x-raw,format=NV12,width=320,height=240,framerate=30/1 ! \
                     identity name=probe !";

#[test]
fn a_capsfilter_after_the_source_is_accepted() {
    for link in Link::both() {
        let tail =
            "! video/x-raw,format=NV12,width=320,height=240,framerate=30/1 ! fakesink name=probe sync=false";
        let (sender, receiver) = link.buf_type("nvdsucx-buf-video").head(VIDEO).tail(tail).start();
        receiver.line("eos");
        assert_same_buffers(&sender, &receiver, 10);
        end(sender, receiver);
    }
}

#[test]
fn a_capsfilter_that_does_not_fit_is_an_error_that_names_both() {
    for link in Link::both() {
        let tail = "! video/x-raw,format=NV12,width=640,height=480 ! fakesink name=probe sync=false";
        let (_sender, receiver) = link.buf_type("nvdsucx-buf-video").head(VIDEO).tail(tail).start();
        receiver.error(SOON, &["source=ucx", "640", "320"]);
        receiver.stop();
    }
}

#[test]
fn the_sink_is_at_its_end_only_when_the_peer_has_taken_the_last_buffer() {
    for link in Link::both_ways() {
        let (mut sender, mut receiver) = link.start_connected();
        receiver.block();
        push(&mut sender, &["start application/x-test", "buffer count=3 mem=1000 pts=0", "eos"]);
        receiver.line("blocked");
        sender.line("event eos");
        assert_silent(&sender, "eos", Duration::from_millis(700));
        receiver.command("unblock");
        sender.line("eos");
        receiver.line("eos");
        assert_same_buffers(&sender, &receiver, 3);
        end(sender, receiver);
    }
}

#[test]
fn a_receiver_that_comes_in_time_still_gets_an_end_of_stream_sent_before() {
    for link in Link::both() {
        let (mut sender, receiver) = link.start();
        push(&mut sender, &["start application/x-test", "eos"]);
        receiver.line("eos");
        sender.line("eos");
        end(sender, receiver);
    }
}

/// Waits until both play. GStreamer can get stuck when a flush meets a pipeline that is on its way from PAUSED to PLAYING,
/// whatever its elements are.
fn both_play(sender: &Peer, receiver: &Peer) {
    for peer in [sender, receiver] {
        peer.line("pipeline PLAYING");
    }
}

#[test]
fn a_flush_crosses_and_what_comes_after_it_arrives() {
    for link in Link::both_ways() {
        let (mut sender, receiver) = link.start_connected();
        push(&mut sender, &["start application/x-test", "buffer count=10 mem=1000 pts=0 duration=1000"]);
        receiver.lines_until(10, "buffer ");
        both_play(&sender, &receiver);
        sender.ask("flush", "flushed");
        push(
            &mut sender,
            &["segment time start=5000000 time=5000000", "buffer count=10 mem=1000 pts=5000000", "eos"],
        );
        let (sent, received) = streams(&sender, &receiver, "event eos");
        assert_eq!(sent, received);
        assert_eq!(received.iter().filter(|e| e.starts_with("flush-stop")).count(), 1);
        end(sender, receiver);
    }
}

#[test]
fn a_flush_gets_through_while_the_receiver_takes_nothing() {
    for link in Link::both_ways() {
        let (mut sender, mut receiver) = link.start_connected();
        push(&mut sender, &["start application/x-test", "buffer count=2 mem=10 pts=0 duration=1000"]);
        receiver.lines_until(2, "buffer ");
        both_play(&sender, &receiver);
        receiver.block();
        push(&mut sender, &["buffer count=500 mem=100000 pts=2000 duration=1000"]);
        receiver.line("blocked");
        sender.ask("flush", "flushed");
        receiver.command("unblock");
        push(&mut sender, &["segment time start=7", "buffer mem=1 pts=7", "eos"]);
        receiver.line("eos");
        let last = receiver.lines_with("buffer ").pop().expect("at least the last");
        assert!(last.contains("mem=1:"), "{last}");
        sender.line("eos");
        end(sender, receiver);
    }
}

#[test]
fn a_seek_at_the_sender_crosses_as_flush_and_segment() {
    for link in Link::both() {
        // A seek into the pipeline: audiotestsrc answers it, with a flush and a new segment.
        let head = "audiotestsrc samplesperbuffer=480 ! audio/x-raw,rate=48000 ! \
                    identity name=probe !";
        let mut link = link.buf_type("nvdsucx-buf-raw-audio").head(head);
        // Paced by the clock: there is no end to it.
        link.sink = "buf-type=nvdsucx-buf-raw-audio".into();
        let (mut sender, receiver) = link.start_connected();
        both_play(&sender, &receiver);
        sender.ask("seek 60000000000", "seek-done true");
        receiver.line("event flush-stop");
        receiver.wait_for("buffers behind the segment of the seek", SOON, |lines| {
            let segment = |l: &&String| l.starts_with("event segment ") && l.contains("start=60000000000");
            let behind = lines.iter().skip_while(|l| !segment(l)).find(|l| l.starts_with("buffer "))?;
            assert!(behind.contains(" pts=60000000000 "), "{behind}");
            Some(())
        });
        end(sender, receiver);
    }
}

#[test]
fn a_whole_run_leaves_nothing_on_the_standard_error() {
    let audio = "audiotestsrc num-buffers=10 ! audio/x-raw,rate=48000 ! identity name=probe !";
    let text = "fakesrc num-buffers=10 sizetype=fixed sizemax=10 format=time ! text/x-raw,format=utf8 ! \
                identity name=probe !";
    let other = "fakesrc num-buffers=10 sizetype=fixed sizemax=10 format=time ! application/x-test ! \
                 identity name=probe !";
    let kinds = [
        ("nvdsucx-buf-video", VIDEO),
        ("nvdsucx-buf-raw-audio", audio),
        ("nvdsucx-buf-text", text),
        ("nvdsucx-buf-any", other),
    ];
    for link in Link::all() {
        for (buf_type, head) in kinds {
            let (sender, receiver) = link.clone().buf_type(buf_type).head(head).start();
            receiver.line("eos");
            sender.line("eos");
            assert_eq!(sender.stderr(), Vec::<String>::new(), "sender of {buf_type}");
            assert_eq!(receiver.stderr(), Vec::<String>::new(), "receiver of {buf_type}");
            end(sender, receiver);
        }
    }
}
