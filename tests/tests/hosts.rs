//! Between hosts whose network is slow, loses packets, or goes away for a while. Network namespaces stand for hosts. Needs root.

use std::thread;
use std::time::{Duration, Instant};

use nvdsucx_tests::compare::{assert_resumed, assert_same_buffers, assert_silent, settled};
use nvdsucx_tests::link::{CONNECTED, DISCONNECTED};
use nvdsucx_tests::netns::{IPV4, IPV6, Network, Wire};
use nvdsucx_tests::peer::{Peer, SOON};
use nvdsucx_tests::{Link, Pairing};

const STOP_WITHIN: Duration = Duration::from_secs(1);
/// `peer-timeout` of the tests that wait for it.
const PEER_TIMEOUT: &str = "peer-timeout=2000";
/// When it must have been noticed: the clock begins with the last sign of life, and a busy machine is late.
const NOTICED: Duration = Duration::from_secs(4);
const BUFFERS: usize = 150;

/// `link` from a host to another, its listening end on host 0 at `addr`.
fn between(link: Link, addr: &str, listening: Vec<String>, connecting: Vec<String>) -> Link {
    let by = match link.pairing {
        Pairing::ServerSink => (listening, connecting),
        Pairing::ServerSrc => (connecting, listening),
    };
    Link { addr: addr.into(), by, ..link }
}

fn across(network: &Network, link: Link) -> Link {
    between(link, IPV4[0], network.at(0), network.at(1))
}

/// A sender that has begun to send [`BUFFERS`] buffers, 50 a second, and its receiver, which has some of them.
fn in_mid_stream(link: &Link) -> (Peer, Peer) {
    let (mut sender, receiver) = link.clone().sink("sync=true").start_connected();
    sender.push(&["start application/x-test"]);
    sender.push(&[&format!("buffer count={BUFFERS} mem=100000,1 pts=0 duration=20000000"), "eos"]);
    receiver.lines_until(20, "buffer ");
    (sender, receiver)
}

fn assert_never_lost(sender: &Peer, receiver: &Peer) {
    for peer in [sender, receiver] {
        peer.assert_no_error();
        assert_eq!(peer.lines_with(DISCONNECTED), Vec::<String>::new(), "the connection was lost");
    }
}

fn assert_both_stop(sender: Peer, receiver: Peer) {
    for peer in [sender, receiver] {
        let took = peer.stop();
        assert!(took < STOP_WITHIN, "the pipeline took {took:?} to stop");
    }
}

/// The stream goes to its end, and nothing of it is lost.
fn assert_whole(sender: Peer, receiver: Peer) {
    assert_same_buffers(&sender, &receiver, BUFFERS);
    receiver.line("eos");
    sender.line("eos");
    receiver.assert_no_error();
    sender.assert_no_error();
    assert_both_stop(sender, receiver);
}

/// How a network goes away.
#[derive(Clone, Copy, Debug)]
enum Outage {
    /// The cable of host 0 is pulled.
    Cable,
    /// A firewall drops everything.
    Firewall,
}

impl Outage {
    const ALL: [Self; 2] = [Self::Cable, Self::Firewall];

    fn begin(self, network: &Network) {
        match self {
            Self::Cable => network.cut(0),
            Self::Firewall => network.block(),
        }
    }

    fn end(self, network: &Network) {
        match self {
            Self::Cable => network.mend(0),
            Self::Firewall => network.unblock(),
        }
    }
}

#[test]
fn two_hosts_and_a_cable_pulled_for_three_seconds() {
    for outage in Outage::ALL {
        for link in Link::both() {
            let network = Network::new(2);
            let (sender, receiver) = in_mid_stream(&across(&network, link));
            outage.begin(&network);
            let arrived = settled(&receiver, "buffer ");
            assert_silent(&receiver, "buffer ", Duration::from_millis(2500));
            assert!(arrived < BUFFERS, "all was there already");
            outage.end(&network);
            receiver.lines_until(BUFFERS, "buffer ");
            assert_eq!(receiver.count(DISCONNECTED), 0, "the sender was lost");
            assert_whole(sender, receiver);
        }
    }
}

#[test]
fn two_hosts_and_an_outage_longer_than_peer_timeout_is_an_error() {
    for outage in Outage::ALL {
        for link in Link::both() {
            let network = Network::new(2);
            let link = across(&network, link).sink(PEER_TIMEOUT).src(PEER_TIMEOUT);
            let (sender, receiver) = in_mid_stream(&link.sink("on-disconnect=error"));
            outage.begin(&network);
            let begin = Instant::now();
            for peer in [&receiver, &sender] {
                let left = NOTICED.saturating_sub(begin.elapsed());
                peer.error(left, &["source=ucx", "lost 10.77.0.", "2000 ms", "peer-timeout"]);
            }
            assert_both_stop(sender, receiver);
        }
    }
}

#[test]
fn two_hosts_and_an_outage_longer_than_peer_timeout_is_the_end_with_on_disconnect_eos() {
    for outage in Outage::ALL {
        for link in Link::both() {
            let network = Network::new(2);
            let all = format!("{PEER_TIMEOUT} on-disconnect=eos");
            let (sender, receiver) = in_mid_stream(&across(&network, link).sink(&all).src(&all));
            outage.begin(&network);
            receiver.line_within("eos", NOTICED);
            sender.wait_for("the sink takes no more", NOTICED, |lines| {
                lines
                    .iter()
                    .any(|l| l.starts_with("pushed buffer ") && l.ends_with("result=Eos"))
                    .then_some(())
            });
            receiver.assert_no_error();
            sender.assert_no_error();
            assert_both_stop(sender, receiver);
        }
    }
}

#[test]
fn two_hosts_and_an_outage_while_the_sender_waits_at_its_end() {
    for outage in Outage::ALL {
        for link in Link::both() {
            let network = Network::new(2);
            let all = format!("{PEER_TIMEOUT} on-disconnect=reconnect");
            let (mut sender, receiver) = across(&network, link).sink(&all).src(&all).start_connected();
            sender.push(&["start application/x-test", "buffer count=10 mem=100000 pts=0"]);
            receiver.lines_until(10, "buffer ");
            outage.begin(&network);
            sender.push(&["buffer count=5 mem=100000 pts=0", "eos"]);
            for peer in [&receiver, &sender] {
                peer.line_within(DISCONNECTED, NOTICED);
            }
            outage.end(&network);
            // The five were lost with the connection; the end of the stream is said to whoever comes.
            for peer in [&receiver, &sender] {
                peer.line("eos");
                peer.assert_no_error();
            }
            assert_eq!(receiver.count("buffer "), 10);
            assert_both_stop(sender, receiver);
        }
    }
}

fn assert_goes_on_after(outage: Outage, network: &Network, link: &Link, at_least: Duration) {
    let all = format!("{PEER_TIMEOUT} on-disconnect=reconnect");
    let link = link.clone().sink(&all).src(&all);
    let (sender, receiver) = in_mid_stream(&link);
    outage.begin(network);
    let begin = Instant::now();
    for peer in [&receiver, &sender] {
        peer.line_within(DISCONNECTED, NOTICED.saturating_sub(begin.elapsed()));
    }
    assert_silent(&receiver, "buffer ", at_least.saturating_sub(begin.elapsed()));
    let marks = (sender.mark(), receiver.mark());
    outage.end(network);
    sender.line_after(marks.0, CONNECTED);
    receiver.line_after(marks.1, CONNECTED);
    receiver.line("eos");
    sender.line("eos");
    assert_resumed(&sender, &receiver);
    sender.assert_no_error();
    receiver.assert_no_error();
    assert_both_stop(sender, receiver);
}

#[test]
fn two_hosts_go_on_after_an_outage_longer_than_peer_timeout() {
    for outage in Outage::ALL {
        for link in Link::both() {
            let network = Network::new(2);
            assert_goes_on_after(outage, &network, &across(&network, link), Duration::ZERO);
        }
    }
}

#[test]
fn two_hosts_go_on_after_a_cable_was_out_for_a_minute() {
    thread::scope(|scope| {
        for link in Link::both() {
            scope.spawn(|| {
                let network = Network::new(2);
                let link = match link.pairing {
                    Pairing::ServerSink => link.src("connect-timeout=0"),
                    Pairing::ServerSrc => link.sink("connect-timeout=0"),
                };
                let link = across(&network, link);
                assert_goes_on_after(Outage::Cable, &network, &link, Duration::from_secs(60));
            });
        }
    });
}

#[test]
fn two_hosts_go_on_after_an_outage_when_they_use_ipv6() {
    for link in Link::both() {
        let network = Network::new(2);
        let link = between(link, IPV6[0], network.at(0), network.at(1));
        assert_goes_on_after(Outage::Cable, &network, &link, Duration::ZERO);
    }
}

#[test]
fn two_hosts_can_be_stopped_while_the_cable_is_out() {
    for outage in Outage::ALL {
        for link in Link::both() {
            let network = Network::new(2);
            let link = across(&network, link).sink("max-size-buffers=4");
            let (sender, receiver) = in_mid_stream(&link);
            outage.begin(&network);
            // The window is full.
            settled(&receiver, "buffer ");
            settled(&sender, "pushed buffer ");
            assert_both_stop(sender, receiver);
        }
    }
}

#[test]
fn two_hosts_can_be_stopped_while_they_look_for_each_other() {
    for outage in Outage::ALL {
        for link in Link::both() {
            let network = Network::new(2);
            let all = format!("{PEER_TIMEOUT} on-disconnect=reconnect");
            let (sender, receiver) = in_mid_stream(&across(&network, link).sink(&all).src(&all));
            outage.begin(&network);
            for peer in [&receiver, &sender] {
                peer.line_within(DISCONNECTED, NOTICED);
            }
            assert_both_stop(sender, receiver);
        }
    }
}

#[test]
fn two_hosts_with_a_firewall_between_them_do_not_find_each_other() {
    for link in Link::both() {
        let network = Network::new(2);
        let link = across(&network, link);
        let listening = link.listening().start();
        let port = listening.port();
        network.block();
        let connecting =
            link.sink("connect-timeout=1000").src("connect-timeout=1000").connecting(port).start();
        connecting.line("state-set ");
        let what = format!("no connection to 10.77.0.1:{port} within 1000 ms");
        connecting.error(Duration::from_secs(2), &["source=ucx", &what]);
        listening.assert_no_error();
        assert_both_stop(listening, connecting);
    }
}

#[test]
fn two_hosts_with_a_firewall_that_lets_only_the_front_door_through() {
    for link in Link::both() {
        let network = Network::new(2);
        let link = across(&network, link);
        let listening = link.listening().start();
        let port = listening.port();
        network.block_but(port);
        let connecting =
            link.sink("connect-timeout=5000").src("connect-timeout=5000").connecting(port).start();
        connecting.error(SOON, &["source=ucx", "UCX could not connect; a firewall may block its ports"]);
        listening.assert_no_error();
        assert_both_stop(listening, connecting);
    }
}

#[test]
fn two_hosts_can_be_stopped_while_ucx_connects() {
    for link in Link::both() {
        let network = Network::new(2);
        let link = across(&network, link);
        let listening = link.listening().start();
        let port = listening.port();
        network.block_but(port);
        let connecting = link.connecting(port).start();
        // That was the first attempt; the second one begins at once.
        listening.line("warning source=ucx message=\"10.77.0.2:");
        connecting.assert_no_error();
        assert_both_stop(listening, connecting);
    }
}

#[test]
fn two_hosts_whose_largest_packet_changes_in_mid_stream() {
    for link in Link::both() {
        let network = Network::new(2);
        let (sender, receiver) = in_mid_stream(&across(&network, link));
        for (mtu, buffers) in [(1280, 60), (9000, 90), (1500, BUFFERS)] {
            network.set_mtu(mtu);
            receiver.lines_until(buffers, "buffer ");
        }
        assert_never_lost(&sender, &receiver);
        assert_whole(sender, receiver);
    }
}

#[test]
fn two_hosts_on_100_megabit() {
    const COUNT: usize = 20;
    for link in Link::both() {
        let network = Network::new(2);
        network.slow_down();
        let (mut sender, receiver) = across(&network, link).start_connected();
        let begin = Instant::now();
        sender.push(&["start application/x-test", &format!("buffer count={COUNT} mem=1000000 pts=0"), "eos"]);
        receiver.line("eos");
        let took = begin.elapsed();
        assert!(took > Duration::from_millis(1400), "20 MB in {took:?} is more than the cable can carry");
        assert_same_buffers(&sender, &receiver, COUNT);
        assert_never_lost(&sender, &receiver);
        assert_both_stop(sender, receiver);
    }
}

#[test]
fn two_hosts_20_milliseconds_apart() {
    for link in Link::both() {
        let mut wire = Wire::new();
        wire.delay(0.02);
        let link = between(link, IPV4[0], wire.at(0), wire.at(1));
        let begin = Instant::now();
        let (sender, receiver) = in_mid_stream(&link);
        // To and fro three times at least: TCP, the greeting, UCX.
        let took = begin.elapsed();
        assert!(took > Duration::from_millis(120), "connected within {took:?}");
        assert_never_lost(&sender, &receiver);
        assert_whole(sender, receiver);
    }
}

#[test]
fn two_hosts_that_lose_one_packet_in_a_hundred() {
    for link in Link::both() {
        let mut wire = Wire::new();
        wire.lose(0.01);
        let link = between(link, IPV4[0], wire.at(0), wire.at(1));
        let (sender, receiver) = in_mid_stream(&link);
        receiver.lines_until(BUFFERS, "buffer ");
        assert!(wire.lost() > 10, "{} packets lost", wire.lost());
        assert_never_lost(&sender, &receiver);
        assert_whole(sender, receiver);
    }
}

#[test]
fn three_hosts_and_one_of_two_clients_cut_off() {
    let network = Network::new(3);
    let link = across(&network, Link::new(Pairing::ServerSink, nvdsucx_tests::Transport::Default));
    let link = link.sink(&format!("{PEER_TIMEOUT} num-conns=2 sync=true")).src(PEER_TIMEOUT);
    let mut sender = link.listening().start();
    let elsewhere = Link { by: (network.at(0), network.at(2)), ..link.clone() };
    let stays = link.connecting(sender.port()).start();
    let goes = elsewhere.connecting(sender.port()).start();
    sender.push(&["start application/x-test"]);
    sender.push(&[&format!("buffer count={BUFFERS} mem=100000,1 pts=0 duration=20000000"), "eos"]);
    for client in [&stays, &goes] {
        client.lines_until(20, "buffer ");
    }
    network.cut(2);
    sender.line_within(DISCONNECTED, NOTICED);
    goes.error(NOTICED, &["source=ucx", "lost 10.77.0.1"]);
    stays.lines_until(BUFFERS, "buffer ");
    assert_eq!(stays.count(DISCONNECTED), 0, "the client that stays has nothing to do with it");
    assert!(goes.count("buffer ") < BUFFERS, "it was cut off in mid-stream");
    let took = goes.stop();
    assert!(took < STOP_WITHIN, "the pipeline took {took:?} to stop");
    assert_whole(sender, stays);
}

#[test]
fn three_hosts_and_two_clients_that_get_the_same() {
    let network = Network::new(3);
    let link = across(&network, Link::new(Pairing::ServerSink, nvdsucx_tests::Transport::Default));
    let mut sender = link.clone().sink("num-conns=2").listening().start();
    let elsewhere = Link { by: (network.at(0), network.at(2)), ..link.clone() };
    let clients = [&link, &elsewhere].map(|link| link.connecting(sender.port()).start());
    sender.push(&["start application/x-test", "buffer count=50 mem=100000,1 pts=0", "eos"]);
    sender.line("eos");
    for client in &clients {
        client.line("eos");
        assert_same_buffers(&sender, client, 50);
        assert_never_lost(&sender, client);
    }
    for client in clients {
        client.stop();
    }
    sender.lines_until(2, DISCONNECTED);
    sender.stop();
}
