//! Ends that share memory wait for each other without a deadlock, stop at once whatever they wait for, and sleep meanwhile.

use std::thread;
use std::time::{Duration, Instant};

use nvdsucx_tests::compare::{assert_same_buffers, assert_silent, eventually, settled};
use nvdsucx_tests::link::DISCONNECTED;
use nvdsucx_tests::peer::{Launch, Peer, SOON};
use nvdsucx_tests::process::{cpu_time, handles_signal, sleeps};
use nvdsucx_tests::room::Room;
use nvdsucx_tests::{Link, Pairing, Transport};
use rustix::process::Signal;

const START: &str = "start application/x-test";
const STOP_WITHIN: Duration = Duration::from_secs(1);

fn both(room: &Room) -> [Link; 2] {
    Link::both().map(|link| link.by(&room.by()))
}

#[test]
fn a_receiver_that_takes_nothing_makes_the_sender_wait_or_drop() {
    let room = Room::new();
    for link in both(&room) {
        for leaky in [false, true] {
            let link = link.clone().sink(if leaky {
                "max-size-buffers=8 leaky=upstream"
            } else {
                "max-size-buffers=8"
            });
            let (mut sender, mut receiver) = link.start_mapped();
            receiver.block();
            sender.push(&[START, "buffer count=300 mem=1000000 pts=0"]);
            receiver.line("blocked");
            let pushed = settled(&sender, "pushed buffer");
            assert_eq!(pushed == 300, leaky, "pushed {pushed}");
            let made = room.made_by(sender.pid());
            assert!(made < 40_000_000, "{made} bytes for 8 frames of a million");
            receiver.command("unblock");
            sender.push(&["eos"]);
            receiver.line("eos");
            let (frames, dropped) = (sender.stat("frames"), sender.stat("dropped"));
            assert_eq!(frames + dropped, 300);
            assert_eq!(dropped > 250, leaky, "dropped {dropped}");
            assert_eq!(receiver.count("buffer ") as u64, frames);
            sender.line("eos");
            sender.assert_no_error();
            receiver.assert_no_error();
            sender.stop();
            receiver.stop();
        }
    }
    room.assert_empty();
}

#[test]
fn a_pipeline_that_needs_many_frames_at_once_gets_them() {
    let threshold = |frames: usize| {
        format!(
            "! queue min-threshold-buffers={frames} max-size-buffers=1000 max-size-bytes=0 max-size-time=0 \
             ! fakesink name=probe sync=false"
        )
    };
    let cases = [
        ("", 400_000, 100),
        ("max-size-buffers=1", 400_000, 10),
        ("max-size-buffers=3", 400_000, 10),
        // Of these, one or two are not much yet, and one more is too much.
        ("max-size-bytes=1000000", 600_000, 10),
        ("max-size-bytes=1000000", 370_000, 10),
        ("max-size-bytes=1000000", 2_000_000, 10),
    ];
    for (window, len, needed) in cases {
        let link = Link::new(Pairing::ServerSink, Transport::Default).sink(window).tail(&threshold(needed));
        let (mut sender, receiver) = link.start_mapped();
        sender.push(&[START, &format!("buffer count=120 mem={len} pts=0")]);
        sender.push(&["eos"]);
        receiver.line("eos");
        assert_same_buffers(&sender, &receiver, 120);
        sender.line("eos");
        sender.stop();
        receiver.stop();
    }
}

#[test]
fn an_encoder_that_looks_far_ahead() {
    let link = Link::new(Pairing::ServerSink, Transport::Default)
        .buf_type("nvdsucx-buf-video")
        .head("videotestsrc num-buffers=200 ! video/x-raw,format=I420,width=320,height=240 ! identity name=probe !")
        .tail("! x264enc speed-preset=2 rc-lookahead=120 bframes=3 sync-lookahead=60 ! fakesink name=probe sync=false")
        .sink("max-size-buffers=16")
        .blocked();
    let (mut sender, receiver) = link.start_mapped();
    sender.command("unblock");
    receiver.line("eos");
    assert_eq!(receiver.count("buffer "), 200);
    sender.line("eos");
    sender.stop();
    receiver.stop();
}

fn assert_stops(peer: Peer) {
    let took = peer.stop();
    assert!(took < STOP_WITHIN, "the pipeline took {took:?} to stop");
}

/// The receiver takes one buffer and no more; the sender waits for room.
fn stuck(link: &Link) -> (Peer, Peer) {
    let (mut sender, mut receiver) = link.clone().sink("max-size-buffers=4").start_playing();
    receiver.block();
    sender.push(&["buffer count=200 mem=100000 pts=0 duration=1000"]);
    receiver.line("blocked");
    assert!(settled(&sender, "pushed buffer") < 10, "the receiver takes nothing");
    (sender, receiver)
}

#[test]
fn either_end_stops_at_once_whatever_it_waits_for() {
    let room = Room::new();
    for link in both(&room) {
        let (sender, receiver) = stuck(&link);
        assert_stops(sender);
        assert_stops(receiver);

        let (sender, receiver) = stuck(&link);
        assert_stops(receiver);
        assert_stops(sender);

        // The receiver waits for the first buffer, then for the next.
        for lines in [&[START][..], &[START, "buffer count=3 mem=100000 pts=0"]] {
            let (mut sender, receiver) = link.start_mapped();
            sender.push(lines);
            settled(&receiver, "buffer ");
            assert_stops(receiver);
            assert_stops(sender);
        }

        // The sender waits at its end.
        let (mut sender, mut receiver) = link.start_mapped();
        receiver.block();
        sender.push(&[START, "buffer count=3 mem=100000 pts=0", "eos"]);
        receiver.line("blocked");
        sender.line("event eos");
        assert_silent(&sender, "eos", Duration::from_millis(500));
        assert_stops(sender);
        assert_stops(receiver);
    }
    room.assert_empty();
}

#[test]
fn the_sender_is_at_its_end_when_the_last_buffer_is_taken() {
    for link in Link::both() {
        let (mut sender, mut receiver) = link.start_mapped();
        receiver.block();
        sender.push(&[START, "buffer count=3 mem=100000 pts=0", "eos"]);
        receiver.line("blocked");
        sender.line("event eos");
        assert_silent(&sender, "eos", Duration::from_millis(500));
        receiver.command("unblock");
        sender.line("eos");
        receiver.line("eos");
        assert_same_buffers(&sender, &receiver, 3);
        sender.stop();
        receiver.assert_no_error();
        receiver.stop();
    }
}

#[test]
fn a_flush_gives_back_what_was_not_taken() {
    let room = Room::new();
    for link in both(&room) {
        let (mut sender, mut receiver) = stuck(&link);
        for peer in [&sender, &receiver] {
            peer.line("pipeline PLAYING");
        }
        let mut made = vec![];
        for n in 0..10 {
            sender.ask("flush", "flushed");
            receiver.command("unblock");
            let mark = receiver.mark();
            sender.push(&["segment time start=7", &format!("buffer mem={} pts=7", 200 + n)]);
            receiver.wait_for("what comes after the flush", SOON, |lines| {
                let last = |line: &&String| {
                    line.starts_with("buffer ") && line.contains(&format!(" mem={}:", 200 + n))
                };
                lines[mark..].iter().find(last).map(drop)
            });
            made.push(room.made_by(sender.pid()));
            receiver.block();
            let mark = receiver.mark();
            sender.push(&["buffer count=100 mem=1000000 pts=7 duration=1000"]);
            receiver.line_after(mark, "blocked");
            settled(&sender, "pushed buffer");
        }
        assert!(made.iter().max() < Some(&60_000_000), "{made:?}");
        sender.assert_no_error();
        receiver.assert_no_error();
        assert_stops(sender);
        receiver.stop();
    }
    room.assert_empty();
}

#[test]
fn an_interrupt_ends_gst_launch_and_the_stream() {
    let source = "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=100/1";
    for link in Link::both() {
        let link = link.buf_type("nvdsucx-buf-video");
        // The sender is interrupted.
        let launch = |end: &str| {
            let words = format!("gst-launch-1.0 -e -v {end}");
            let mut words = words.split_whitespace();
            let program = words.next().expect("the program");
            words.fold(Launch::program(end, program), Launch::arg).start()
        };
        let (sink, src) = link.pairing.elements();
        let interrupt = |mut peer: Peer| {
            eventually("a handler for the interrupt", SOON, || {
                handles_signal(peer.pid(), Signal::INT.as_raw()).then_some(())
            });
            let begin = Instant::now();
            peer.signal(Signal::INT);
            let status = peer.wait_exit(SOON);
            let took = begin.elapsed();
            assert!(took < Duration::from_millis(1500), "it went on for {took:?}");
            assert!(status.success(), "{status}");
            peer.assert_clean();
        };
        let port = |peer: &Peer| -> u16 {
            peer.wait_for("a port", SOON, |lines| {
                let line =
                    lines.iter().find(|line| line.contains("ucx: port = ") && !line.ends_with(" 0"))?;
                line.rsplit(' ').next()?.parse().ok()
            })
        };
        let (launched, mut receiver) = match link.pairing {
            Pairing::ServerSink => {
                let sender = launch(&format!("{source} ! {sink} name=ucx port=0"));
                let receiver = link.receiver(port(&sender)).start();
                (sender, receiver)
            }
            Pairing::ServerSrc => {
                let receiver = link.listening().start();
                (launch(&format!("{source} ! {sink} name=ucx port={}", receiver.port())), receiver)
            }
        };
        receiver.wait_until_mapped(1);
        receiver.lines_until(20, "buffer ");
        interrupt(launched);
        receiver.line("eos");
        receiver.assert_no_error();
        receiver.stop();

        // The receiver is interrupted, once while frames come and once while none do.
        for head in [
            format!("{source} ! identity name=probe !"),
            "scriptsrc name=source ! identity name=probe !".into(),
        ] {
            let link = link.clone().head(&head);
            let (mut sender, launched) = match link.pairing {
                Pairing::ServerSink => {
                    let sender = link.listening().start();
                    let receiver = launch(&format!("{src} name=ucx port={} ! fakesink", sender.port()));
                    (sender, receiver)
                }
                Pairing::ServerSrc => {
                    let receiver = launch(&format!("{src} name=ucx port=0 ! fakesink"));
                    (link.sender(port(&receiver)).start(), receiver)
                }
            };
            sender.wait_until_mapped(1);
            if head.starts_with("videotestsrc") {
                sender.lines_until(20, "buffer ");
            }
            interrupt(launched);
            sender.line(DISCONNECTED);
            sender.stop();
        }
    }
}

#[test]
fn who_is_to_look_is_not_woken() {
    let live = "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=100/1 ! identity name=probe !";
    for link in Link::both() {
        let link = link.buf_type("nvdsucx-buf-video").head(live);
        let settings = [
            ("busy-poll=0", false),
            ("busy-poll=10000000", true),
            ("busy-poll=10000000 zero-copy=false", true),
        ];
        for (busy_poll, looks) in settings {
            let (sender, receiver) = link.clone().src(busy_poll).start();
            let so_far = || (receiver.count("buffer "), sleeps(receiver.pid(), ":src"));
            receiver.lines_until(20, "buffer ");
            let (frames, slept) = so_far();
            receiver.lines_until(frames + 100, "buffer ");
            let (frames, slept) = (so_far().0 - frames, so_far().1 - slept);
            assert_eq!(slept < frames as u64 / 2, looks, "{busy_poll}: {slept} sleeps for {frames} frames");
            // Whatever it looks for.
            assert_stops(receiver);
            sender.stop();
        }
    }
}

#[test]
fn idle_ends_sleep() {
    let mut peers = vec![];
    // Who looks for more does not begin again at every sign of life, or whenever it asks for the sender's clock.
    let settings = ["", "busy-poll=20000 peer-timeout=3000", "busy-poll=20000 timestamp-mode=map"];
    for link in Link::both().into_iter().flat_map(|link| settings.map(|setting| link.clone().src(setting))) {
        let (mut sender, receiver) = link.start_mapped();
        sender.push(&[START, "buffer count=20 mem=100000 pts=0"]);
        receiver.lines_until(20, "buffer ");
        peers.extend([sender, receiver]);
        // And where the sender waits for room.
        let (sender, receiver) = stuck(&link);
        peers.extend([sender, receiver]);
    }
    // A rate has to be measured over some time.
    const PERIOD: Duration = Duration::from_secs(4);
    let before: Vec<_> = peers.iter().map(|peer| cpu_time(peer.pid())).collect();
    thread::sleep(PERIOD);
    let used: Vec<_> = peers.iter().zip(before).map(|(peer, before)| cpu_time(peer.pid()) - before).collect();
    assert!(used.iter().all(|used| *used < PERIOD / 100), "{used:?} in {PERIOD:?}");
}
