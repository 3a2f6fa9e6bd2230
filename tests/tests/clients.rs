//! Many clients of one serversink: at once, and slow ones among quick ones.

use nvdsucx_tests::compare::{assert_same_buffers, eventually, settled};
use nvdsucx_tests::link::{DISCONNECTED, SCRIPT};
use nvdsucx_tests::peer::{Launch, Peer, SOON};
use nvdsucx_tests::{Link, Pairing, Transport};
use std::collections::HashMap;

/// As [`SCRIPT`], of a stream that is live.
const LIVE: &str = "scriptsrc name=source live=true ! identity name=probe silent=true !";
const START: &str = "start application/x-test";

/// A serversink with memory that both ends map, and one over TCP.
fn both() -> [Link; 2] {
    [Transport::Default, Transport::Tcp].map(|transport| {
        let link = Link::new(Pairing::ServerSink, transport);
        if transport == Transport::Tcp { link.sink("zero-copy=false").src("zero-copy=false") } else { link }
    })
}

/// Waits until so many clients are connected in the way that they stay.
fn wait_until_settled(sender: &mut Peer, link: &Link, clients: usize) {
    let path = if link.transport == Transport::Tcp { "messages" } else { "mapped" };
    eventually("settled", 4 * SOON, || {
        let paths = sender.paths();
        (paths.len() == clients && paths.iter().all(|p| p == path)).then_some(())
    });
}

/// What is said of a buffer, but its number and the flags that GStreamer sets on the first of any source.
fn content(line: &str) -> &str {
    &line[line.find(" mem=").expect("each buffer has memories")..]
}

#[test]
fn each_of_64_clients_gets_every_buffer() {
    const PROCESSES: usize = 4;
    const CLIENTS: usize = 64;
    const BUFFERS: usize = 60;
    for link in both() {
        let link = link.sink(&format!("num-conns={CLIENTS}"));
        let mut sender = link.listening().start();
        let source =
            format!("nvdsucxclientsrc port={} connect-timeout=60000 {} ! all.", sender.port(), link.src);
        let sources = vec![source; CLIENTS / PROCESSES].join(" ");
        let pipeline = format!("funnel name=all ! fakesink name=probe sync=false {sources}");
        let receivers: Vec<_> = (0..PROCESSES)
            .map(|n| {
                let launch = Launch::pipeline(&format!("receiver {n}"), &pipeline);
                if link.transport == Transport::Tcp { launch.env("UCX_TLS", "tcp") } else { launch }.start()
            })
            .collect();
        wait_until_settled(&mut sender, &link, CLIENTS);
        // Small ones, and some that do not fit into a ring.
        sender.push(&[START, "buffer count=40 mem=1000", "buffer count=20 mem=20000 seed=77", "eos"]);
        for receiver in &receivers {
            receiver.line_within("eos", 4 * SOON);
            let lines = receiver.lines_with("buffer ");
            let mut times = HashMap::new();
            lines.iter().for_each(|line| *times.entry(content(line)).or_insert(0) += 1);
            for sent in sender.lines_with("buffer ") {
                assert_eq!(times.remove(content(&sent)), Some(CLIENTS / PROCESSES), "{sent}");
            }
            assert!(times.is_empty(), "never sent: {times:?}");
            receiver.assert_no_error();
        }
        sender.line("eos");
        assert_eq!(sender.count("buffer "), BUFFERS);
        assert_eq!((sender.stat("frames"), sender.stat("dropped")), (BUFFERS as u64, 0));
        sender.assert_no_error();
        for receiver in receivers {
            receiver.stop();
        }
        sender.stop();
    }
}

#[test]
fn a_slow_client_costs_the_others_of_a_leaky_sink_nothing() {
    for link in both() {
        // The last is what a live stream begins with.
        for (leaky, head) in [("leaky=upstream", SCRIPT), ("leaky=downstream", SCRIPT), ("", LIVE)] {
            let link = link.clone().head(head).sink(&format!("num-conns=2 max-size-buffers=4 {leaky}"));
            let mut sender = link.listening().start();
            let quick = link.connecting(sender.port()).start();
            let mut slow = link.connecting(sender.port()).start();
            wait_until_settled(&mut sender, &link, 2);
            slow.command("block");
            sender.push(&[START]);
            for round in 1..=50 {
                sender.push(&[&format!("buffer count=2 mem=30000 seed={round}")]);
                quick.lines_until(2 * round, "buffer ");
            }
            assert_same_buffers(&sender, &quick, 100);
            slow.line("blocked");
            sender.lines_until(100, "pushed buffer ");
            assert_eq!(
                (sender.stat("frames"), sender.stat("dropped")),
                (100, 0),
                "each went to one at least"
            );
            slow.command("unblock");
            // What it missed is gone, and the end is not.
            sender.push(&["eos"]);
            slow.line("eos");
            quick.line("eos");
            let got = slow.count("buffer ");
            assert!((4..50).contains(&got), "{got} buffers are not what a window of 4 holds");
            if leaky == "leaky=downstream" {
                let newest = sender.lines_with("buffer ").pop().expect("100 were sent");
                let last = slow.lines_with("buffer ").pop().expect("4 at least");
                assert_eq!(content(&last), content(&newest), "the newest is not dropped");
            }
            for peer in [&sender, &quick, &slow] {
                peer.assert_no_error();
            }
        }
    }
}

#[test]
fn who_is_too_slow_is_disconnected_if_so_asked() {
    for link in both() {
        let link = link.sink("num-conns=2 max-size-buffers=4 leaky=disconnect");
        let mut sender = link.listening().start();
        let quick = link.connecting(sender.port()).start();
        let mut slow = link.connecting(sender.port()).start();
        wait_until_settled(&mut sender, &link, 2);
        slow.block();
        sender.push(&[START]);
        for n in 1..=50 {
            sender.push(&[&format!("buffer mem=30000 seed={n}")]);
            quick.lines_until(n, "buffer ");
        }
        let left = sender.line(DISCONNECTED).replace('\\', "");
        assert!(left.contains("too slow") && left.contains("address=(string)127.0.0.1"), "{left}");
        slow.line("blocked");
        slow.command("unblock");
        slow.error(SOON, &["source=ucx", "too slow"]);
        sender.push(&["eos"]);
        quick.line("eos");
        sender.line("eos");
        assert_same_buffers(&sender, &quick, 50);
        assert_eq!((sender.stat("too-slow"), sender.stat("lost"), sender.stat("dropped")), (1, 0, 0));
        sender.assert_no_error();
        quick.assert_no_error();
    }
}

#[test]
fn a_slow_client_holds_up_the_others_of_a_sink_that_is_not_leaky() {
    for link in both() {
        for window in ["max-size-buffers=4", "max-size-bytes=120000"] {
            let link = link.clone().sink("num-conns=2").sink(window);
            let mut sender = link.listening().start();
            let quick = link.connecting(sender.port()).start();
            let mut slow = link.connecting(sender.port()).start();
            wait_until_settled(&mut sender, &link, 2);
            slow.block();
            sender.push(&[START, "buffer count=100 mem=30000"]);
            slow.line("blocked");
            let got = settled(&quick, "buffer ");
            assert!((4..50).contains(&got), "{window}: {got} buffers went while a client took none");
            slow.command("unblock");
            assert_same_buffers(&sender, &quick, 100);
            assert_same_buffers(&sender, &slow, 100);
            for peer in [&sender, &quick, &slow] {
                peer.assert_no_error();
            }
        }
    }
}
