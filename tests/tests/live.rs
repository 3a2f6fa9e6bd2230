//! Live pipelines: time and quality across the hop, where clocks differ.

use nvdsucx_tests::compare::eventually;
use nvdsucx_tests::link::DISCONNECTED;
use nvdsucx_tests::peer::{Peer, SOON};
use nvdsucx_tests::{Link, Pairing, Transport};

const MILLISECOND: i64 = 1_000_000;
/// How far the receiver's clock is ahead of the sender's, in seconds.
const AHEAD: i64 = 1000;

/// A live sender of video, whose running time is well on when the receiver comes, which maps it to its own.
fn mapped(link: &Link) -> Link {
    let head =
        "videotestsrc is-live=true ! video/x-raw,width=64,height=64,framerate=50/1 ! identity name=probe !";
    let mut link = link.clone().buf_type("nvdsucx-buf-video").head(head);
    link.sink = "buf-type=nvdsucx-buf-video wait-for-connection=false async=false".into();
    link.src("timestamp-mode=map latency=200").tail("! fakesink name=probe sync=true")
}

/// Base time and time of its pipeline's clock, in nanoseconds.
fn clock(peer: &mut Peer) -> [i64; 2] {
    let answer = peer.ask("clock", "clock ");
    ["base", "now"].map(|name| number(&answer, name).expect("the pipeline has a clock"))
}

fn number(line: &str, name: &str) -> Option<i64> {
    let rest = line.split(&format!(" {name}=")).nth(1)?;
    rest.split(' ').next()?.parse().ok()
}

/// What the segment before the last buffers adds to a timestamp to make running time of it, in nanoseconds.
fn shift(receiver: &Peer) -> i64 {
    let segment = receiver.lines_with("event segment ").pop().expect("a stream has a segment");
    let field = |name| number(&segment, name).expect("segments have it");
    field("base") - field("start") - field("offset")
}

#[test]
fn the_same_moment_has_the_receivers_running_time() {
    for link in Link::both_ways() {
        let link = mapped(&link);
        let listening = link.listening().start();
        let port = listening.port();
        listening.line("pipeline P");
        let connecting = link.connecting(port).start();
        let (mut sender, mut receiver) = match link.pairing {
            Pairing::ServerSink => (listening, connecting),
            Pairing::ServerSrc => (connecting, listening),
        };
        receiver.lines_until(20, "buffer ");
        let expected = clock(&mut sender)[0] - clock(&mut receiver)[0];
        let off = shift(&receiver) - expected;
        assert!(off.abs() < MILLISECOND, "{off} ns off");
        sender.assert_no_error();
        receiver.assert_no_error();
        sender.stop();
        receiver.stop();
    }
}

#[test]
fn clocks_of_two_hosts_may_differ() {
    assert!(rustix::process::geteuid().is_root(), "time namespaces need root: run these tests as root");
    // Seconds since boot are not the same on two hosts.
    let other = format!("unshare --time --monotonic {AHEAD} --fork --kill-child");
    let other: Vec<_> = other.split(' ').map(String::from).collect();
    for link in Link::both_ways() {
        let mut link = mapped(&link);
        link.by.1 = other.clone();
        let (mut sender, mut receiver) = link.start();
        receiver.lines_until(50, "buffer ");
        let ([base, _], [own, _]) = (clock(&mut sender), clock(&mut receiver));
        let off = shift(&receiver) - (base + AHEAD * 1000 * MILLISECOND - own);
        assert!(off.abs() < 5 * MILLISECOND, "{off} ns off");
        // What the clocks of different hosts say of the way of a frame means nothing, and is not told.
        if receiver.paths() == ["mapped"] {
            assert!(!receiver.ask("stats", "stats ").contains("latency-p50"));
        }
        for peer in [&sender, &receiver] {
            peer.assert_no_error();
            assert_eq!(peer.count(DISCONNECTED), 0);
        }
        sender.stop();
        receiver.stop();
    }
}

#[test]
fn the_latency_is_the_senders_and_what_the_way_may_take() {
    for link in Link::both() {
        let (sender, mut receiver) = mapped(&link).start();
        receiver.line("buffer ");
        eventually("the latency", SOON, || {
            let answer = receiver.ask("latency", "latency-query ");
            let min = number(&answer, "min")?;
            // A frame's time is the test source's own latency; the sender's sink asks for as much again
            // (`processing-deadline`), and lets buffers go that late.
            (answer.contains("live=true") && (min - 240 * MILLISECOND).abs() < MILLISECOND).then_some(())
        });
        sender.stop();
        receiver.stop();
    }
}

#[test]
fn stats_tell_how_long_frames_take() {
    for transport in [Transport::Default, Transport::Tcp] {
        for pairing in [Pairing::ServerSink, Pairing::ServerSrc] {
            let mut link = Link::new(pairing, transport);
            if transport == Transport::Tcp {
                link = link.sink("zero-copy=false");
            }
            let (mut sender, mut receiver) = link.start_settled();
            sender.push(&["start application/x-test"]);
            for n in 1..=50 {
                sender.push(&["buffer mem=100000"]);
                receiver.lines_until(n, "buffer ");
            }
            let told = |peer: &mut Peer| {
                let stats = peer.ask("stats", "stats ").replace('\\', "");
                ["latency-p50", "latency-p99"].map(|name| {
                    let rest = stats.split(&format!("{name}=(guint64)")).nth(1)?;
                    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
                })
            };
            let [Some(p50), Some(p99)] = told(&mut sender) else { panic!("the sender does not tell") };
            assert!(p50 > 1000 && p50 <= p99 && p99 < 10_000_000_000, "{p50} and {p99} ns");
            let at_receiver = told(&mut receiver);
            let expected = (transport == Transport::Default).then_some(p50);
            assert_eq!(at_receiver[0], expected, "where memory is shared both see the same");
            sender.stop();
            receiver.stop();
        }
    }
}

#[test]
fn the_log_shows_a_buffers_way() {
    for link in Link::both_ways() {
        let link = link.env("GST_DEBUG", "nvdsucx-frame:6");
        let mapped = !link.sink.contains("zero-copy=false");
        let (mut sender, receiver) = if mapped { link.start_mapped() } else { link.start_connected() };
        sender.push(&["start application/x-test", "buffer mem=50000,7 pts=123", "eos"]);
        receiver.line("eos");
        sender.line("eos");
        let (sent, received) = if mapped {
            ("shared with 1 (copied), missed by 0", "in shared memory")
        } else {
            ("shared with 0 (where it is), queued for the others, missed by 0", "by message")
        };
        let logged = |peer: &Peer, words: &[&str]| {
            eventually("a line in the log", SOON, || {
                peer.stderr().iter().any(|line| words.iter().all(|word| line.contains(word))).then_some(())
            });
        };
        logged(&sender, &["nvdsucx-frame", "sent pts=0:00:00.000000123", "size=50007 memories=2", sent]);
        logged(&receiver, &["nvdsucx-frame", "received pts=0:00:00.000000123", "size=50007", received]);
        sender.stop();
        receiver.stop();
    }
}
