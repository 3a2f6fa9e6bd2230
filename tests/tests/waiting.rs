//! Nothing that an element waits for keeps it from being stopped, and waiting costs nothing.

use std::thread;
use std::time::{Duration, Instant};

use nvdsucx_tests::compare::{assert_same_buffers, eventually, settled};
use nvdsucx_tests::link::CONNECTED;
use nvdsucx_tests::peer::{Launch, Peer, SOON};
use nvdsucx_tests::process::{cpu_time, handles_signal};
use nvdsucx_tests::stranger::DeadPort;
use nvdsucx_tests::{Link, Pairing, Transport};
use rustix::process::Signal;

/// A state change that waits for nobody.
const AT_ONCE: Duration = Duration::from_millis(500);
const STOP_WITHIN: Duration = Duration::from_secs(1);

fn assert_stops(peer: Peer) {
    let took = peer.stop();
    assert!(took < STOP_WITHIN, "the pipeline took {took:?} to stop");
}

/// The state change came back without waiting for anybody.
fn assert_started_at_once(peer: &Peer) {
    let line = peer.line("state-set ");
    let millis: u64 = line.rsplit('=').next().unwrap().parse().unwrap();
    assert!(Duration::from_millis(millis) < AT_ONCE, "{line}");
}

/// The four elements, each without a peer: in a pipeline that has data to send, if it sends.
fn lonely(dead: &DeadPort) -> Vec<(&'static str, Launch)> {
    Link::both()
        .into_iter()
        .flat_map(|link| {
            let link = link.head("videotestsrc ! video/x-raw,width=320,height=240 !");
            let (sink, src) = link.pairing.elements();
            match link.pairing {
                Pairing::ServerSink => [(sink, link.sender(0)), (src, link.receiver(dead.port))],
                Pairing::ServerSrc => [(sink, link.sender(dead.port)), (src, link.receiver(0))],
            }
        })
        .collect()
}

#[test]
fn nobody_to_talk_to_does_not_hold_up_the_start_nor_the_stop() {
    let dead = DeadPort::new();
    for (element, launch) in lonely(&dead) {
        let peer = launch.start();
        assert_started_at_once(&peer);
        if element.starts_with("nvdsucxserver") {
            peer.port();
        }
        eprintln!("{element}");
        assert_stops(peer);
    }
}

#[test]
fn nobody_to_talk_to_does_not_hold_up_paused() {
    let dead = DeadPort::new();
    for (element, launch) in lonely(&dead) {
        let mut peer = launch.start();
        peer.line("state-set PLAYING");
        let line = peer.ask("paused", "state-set PAUSED");
        let millis: u64 = line.rsplit('=').next().unwrap().parse().unwrap();
        assert!(Duration::from_millis(millis) < AT_ONCE, "{element}: {line}");
        assert_stops(peer);
    }
}

#[test]
fn a_pipeline_can_be_started_again_after_a_stop() {
    for link in Link::both() {
        let mut peer = link.listening().start();
        peer.port();
        peer.ask("null", "state-set NULL Ok(Success)");
        let mark = peer.mark();
        peer.command("playing");
        let line = peer.line_after(mark, "port=");
        assert_ne!(line, "port=0");
        let other = link.connecting(line["port=".len()..].parse().unwrap()).start();
        other.line(CONNECTED);
        peer.assert_no_error();
        assert_stops(peer);
    }
}

#[test]
fn a_sink_that_holds_data_until_num_conns_are_there_can_be_stopped() {
    let link = Link::new(Pairing::ServerSink, Transport::Default).sink("num-conns=2");
    let mut sender = link.listening().start();
    let receiver = link.connecting(sender.port()).start();
    receiver.line(CONNECTED);
    sender.command("push start application/x-test");
    sender.command("push buffer count=100 mem=100000 pts=0");
    sender.line("buffer n=0");
    assert!(settled(&sender, "pushed buffer") < 100, "there is only one client");
    assert_eq!(receiver.count("buffer "), 0, "there is only one client");
    assert_stops(sender);
}

/// A pair whose receiver takes one buffer and no more; the sender's window is full.
fn stuck(link: &Link) -> (Peer, Peer) {
    let (mut sender, mut receiver) = link.clone().sink("max-size-buffers=4").start_connected();
    receiver.block();
    sender.command("push start application/x-test");
    sender.command("push buffer count=200 mem=100000 pts=0");
    receiver.line("blocked");
    assert!(settled(&sender, "pushed buffer") < 200, "the receiver takes nothing");
    (sender, receiver)
}

#[test]
fn a_sender_whose_window_is_full_can_be_stopped() {
    for link in Link::all() {
        let (sender, _receiver) = stuck(&link);
        assert_stops(sender);
    }
}

#[test]
fn a_receiver_that_takes_nothing_can_be_stopped() {
    for link in Link::all() {
        let (_sender, receiver) = stuck(&link);
        assert_stops(receiver);
    }
}

#[test]
fn a_paused_receiver_holds_up_the_sender_and_both_can_be_stopped() {
    for link in Link::both_ways() {
        let link = link.sink("max-size-buffers=4");
        let (mut sender, mut receiver) = link.start_connected();
        sender.command("push start application/x-test");
        sender.command("push buffer count=2 mem=10 pts=0");
        receiver.line("pipeline PLAYING");
        // A sink that is paused while it still holds the buffer it prerolled with takes more, whatever the source.
        receiver.line("buffer n=1");
        receiver.ask("paused", "state-set PAUSED");
        sender.command("push buffer count=200 mem=100000 pts=0");
        assert!(settled(&sender, "pushed buffer") < 200, "the receiver is paused");
        // It goes on where it was.
        receiver.command("playing");
        assert_same_buffers(&sender, &receiver, 202);
        receiver.ask("paused", "state-set PAUSED");
        sender.command("push buffer count=200 mem=100000 pts=0");
        settled(&sender, "pushed buffer");
        assert_stops(receiver);
        assert_stops(sender);
    }
}

#[test]
fn a_sink_that_waits_at_its_end_for_the_peer_can_be_stopped() {
    for link in Link::both_ways() {
        let (mut sender, mut receiver) = link.start_connected();
        receiver.block();
        sender.command("push start application/x-test");
        sender.command("push buffer count=3 mem=1000 pts=0");
        sender.command("push eos");
        receiver.line("blocked");
        sender.line("event eos");
        assert_stops(sender);
    }
}

#[test]
fn an_interrupt_ends_gst_launch_at_once() {
    let dead = DeadPort::new();
    let source = "videotestsrc ! video/x-raw,width=320,height=240";
    let pipelines = [
        format!("{source} ! nvdsucxserversink port=0"),
        format!("{source} ! nvdsucxclientsink port={}", dead.port),
        "nvdsucxserversrc port=0 ! fakesink".to_owned(),
        format!("nvdsucxclientsrc port={} ! fakesink", dead.port),
    ];
    for pipeline in pipelines {
        let mut launch = Launch::program("gst-launch-1.0", "gst-launch-1.0");
        for word in pipeline.split_whitespace() {
            launch = launch.arg(word);
        }
        let mut peer = launch.start();
        peer.wait_for("the pipeline is set up", SOON, |lines| {
            lines.iter().any(|l| l.contains("PREROLL") || l.contains("PLAYING")).then_some(())
        });
        eventually("a handler for the interrupt", SOON, || {
            handles_signal(peer.pid(), Signal::INT.as_raw()).then_some(())
        });
        let begin = Instant::now();
        peer.signal(Signal::INT);
        peer.wait_exit(SOON);
        let took = begin.elapsed();
        // The program itself needs some of it.
        assert!(took < Duration::from_millis(1500), "{pipeline} went on for {took:?}");
        peer.assert_clean();
    }
}

#[test]
fn idle_elements_use_less_than_a_hundredth_of_a_core() {
    let dead = DeadPort::new();
    let mut peers = vec![];
    for (element, launch) in lonely(&dead) {
        let peer = launch.start();
        peer.line("state-set PLAYING");
        peers.push((format!("{element}, alone"), peer));
    }
    for link in Link::both() {
        // With shared memory: zero_copy_waiting.rs.
        let link = link.sink("zero-copy=false");
        let (sink, src) = link.pairing.elements();
        let (mut sender, receiver) = link.start_connected();
        sender.command("push start application/x-test");
        sender.command("push buffer count=20 mem=100000 pts=0");
        receiver.lines_until(20, "buffer ");
        peers.push((format!("{sink}, connected"), sender));
        peers.push((format!("{src}, connected"), receiver));
    }

    // A rate has to be measured over some time.
    const PERIOD: Duration = Duration::from_secs(5);
    let before: Vec<_> = peers.iter().map(|(_, peer)| cpu_time(peer.pid())).collect();
    thread::sleep(PERIOD);
    let used: Vec<_> = peers
        .iter()
        .zip(before)
        .map(|((name, peer), before)| (name, cpu_time(peer.pid()) - before))
        .collect();
    for (name, used) in &used {
        assert!(*used < PERIOD / 100, "{name}: {used:?} in {PERIOD:?}; all: {used:?}");
    }
}

#[test]
fn the_connecting_end_may_be_started_first() {
    for link in Link::both() {
        let dead = DeadPort::new();
        let port = dead.port;
        let connecting = link.connecting(port).start();
        assert_started_at_once(&connecting);
        drop(dead);
        let listening = match link.pairing {
            Pairing::ServerSink => link.sender(port),
            Pairing::ServerSrc => link.receiver(port),
        }
        .start();
        let (mut sender, receiver) = match link.pairing {
            Pairing::ServerSink => (listening, connecting),
            Pairing::ServerSrc => (connecting, listening),
        };
        sender.command("push start application/x-test");
        sender.command("push buffer count=10 mem=1000 pts=0");
        sender.command("push eos");
        receiver.line("eos");
        assert_same_buffers(&sender, &receiver, 10);
        sender.assert_no_error();
        receiver.assert_no_error();
        assert_stops(sender);
        assert_stops(receiver);
    }
}

#[test]
fn a_server_can_be_restarted_at_once_on_the_same_port() {
    for link in Link::both() {
        let first = link.listening().start();
        let port = first.port();
        let client = link.connecting(port).start();
        client.line(CONNECTED);
        assert_stops(first);
        let again = match link.pairing {
            Pairing::ServerSink => link.sender(port),
            Pairing::ServerSrc => link.receiver(port),
        }
        .start();
        let client = link.connecting(port).start();
        client.line(CONNECTED);
        again.assert_no_error();
        assert_stops(again);
    }
}
