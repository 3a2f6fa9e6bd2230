//! Between two containers of one host, which are two network namespaces. Needs root. Between hosts: hosts.rs.

use std::time::Duration;

use nvdsucx_tests::compare::{assert_same_buffers, stream};
use nvdsucx_tests::netns::{IPV4, IPV6, Network};
use nvdsucx_tests::peer::{Peer, SOON};
use nvdsucx_tests::{Link, Pairing, Transport};

/// `link` with its listening end on host 0.
fn across(network: &Network, link: &Link, addr: &str) -> Link {
    let mut link = link.clone();
    link.addr = addr.into();
    link.by = match link.pairing {
        Pairing::ServerSink => (network.in_container_at(0), network.in_container_at(1)),
        Pairing::ServerSrc => (network.in_container_at(1), network.in_container_at(0)),
    };
    link
}

fn flow(sender: &mut Peer, receiver: &Peer) {
    sender.command("push start application/x-test");
    sender.command("push buffer count=10 mem=300000,1 pts=0");
    assert_same_buffers(sender, receiver, 10);
}

fn whole_run(link: &Link) {
    let (mut sender, receiver) = link.start_connected();
    flow(&mut sender, &receiver);
    sender.command("push eos");
    receiver.line("eos");
    sender.line("eos");
    assert!(stream(&receiver).iter().any(|e| e.starts_with("eos")));
    sender.assert_no_error();
    receiver.assert_no_error();
    sender.stop();
    receiver.stop();
}

#[test]
fn two_ends_by_ipv4() {
    let network = Network::new(2);
    // UCX's own shared memory wants one network.
    let links = Link::all().into_iter().filter(|link| link.transport != Transport::SharedMemory);
    for link in links.chain(Link::both_ways()) {
        whole_run(&across(&network, &link, IPV4[0]));
    }
}

#[test]
fn two_ends_by_ipv6() {
    let network = Network::new(2);
    for link in Link::both_ways() {
        whole_run(&across(&network, &link, IPV6[0]));
    }
}

#[test]
fn two_ends_with_a_server_that_listens_everywhere() {
    let network = Network::new(2);
    for link in Link::both() {
        let everywhere = across(&network, &link, "0.0.0.0");
        let listening = everywhere.listening().start();
        let connecting = across(&network, &link, IPV4[0]).connecting(listening.port()).start();
        let (mut sender, receiver) = match link.pairing {
            Pairing::ServerSink => (listening, connecting),
            Pairing::ServerSrc => (connecting, listening),
        };
        flow(&mut sender, &receiver);
        sender.stop();
    }
}

#[test]
fn one_host_by_name() {
    for mut link in Link::both() {
        link.addr = "localhost".into();
        whole_run(&link);
    }
}

#[test]
fn a_cut_cable_is_an_error_at_both_ends_after_peer_timeout() {
    for link in Link::both() {
        let network = Network::new(2);
        let link = across(&network, &link, IPV4[0]).sink("peer-timeout=2000").src("peer-timeout=2000");
        let (mut sender, receiver) = link.start_connected();
        flow(&mut sender, &receiver);
        network.cut(0);
        sender.command("push buffer count=100 mem=300000 pts=0");
        let within = Duration::from_secs(4);
        receiver.error(within, &["source=ucx", "lost 10.77.0."]);
        match link.pairing {
            Pairing::ServerSink => drop(sender.line_within("element nvdsucx-client-disconnected", within)),
            Pairing::ServerSrc => drop(sender.error(within, &["source=ucx", "lost 10.77.0."])),
        }
        let took = sender.stop().max(receiver.stop());
        assert!(took < Duration::from_secs(1), "took {took:?} to stop");
    }
}

#[test]
fn a_host_that_does_not_answer_is_an_error_after_connect_timeout() {
    let network = Network::new(2);
    for link in Link::both() {
        let link =
            across(&network, &link, "10.77.0.99").sink("connect-timeout=1000").src("connect-timeout=1000");
        let peer = link.connecting(7174).start();
        peer.line("state-set ");
        peer.error(Duration::from_secs(2), &["no connection to 10.77.0.99:7174 within 1000 ms"]);
        peer.stop();
    }
}

#[test]
fn a_cable_plugged_in_late_is_waited_for() {
    for link in Link::both() {
        let network = Network::new(2);
        let link = across(&network, &link, IPV4[0]);
        let listening = link.listening().start();
        let port = listening.port();
        network.cut(0);
        let connecting = link.connecting(port).start();
        connecting.line("state-set ");
        network.mend(0);
        let (mut sender, receiver) = match link.pairing {
            Pairing::ServerSink => (listening, connecting),
            Pairing::ServerSrc => (connecting, listening),
        };
        receiver.line_within("element nvdsucx-client-connected", SOON);
        flow(&mut sender, &receiver);
        sender.assert_no_error();
    }
}
