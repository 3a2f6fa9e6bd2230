//! Between two hosts, which are two network namespaces. Needs root.

use std::time::Duration;

use nvdsucx_tests::compare::{assert_same_buffers, stream};
use nvdsucx_tests::netns::{Cable, IPV4, IPV6};
use nvdsucx_tests::peer::{Peer, SOON};
use nvdsucx_tests::{Link, Pairing, Transport};

/// `link` with its listening end at end 0 of the cable.
fn across(cable: &Cable, link: &Link, addr: &str) -> Link {
    let mut link = link.clone();
    link.addr = addr.into();
    link.by = match link.pairing {
        Pairing::ServerSink => (cable.at(0), cable.at(1)),
        Pairing::ServerSrc => (cable.at(1), cable.at(0)),
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
fn two_hosts_by_ipv4() {
    let cable = Cable::new();
    // Hosts share no memory.
    for link in Link::all().into_iter().filter(|link| link.transport != Transport::SharedMemory) {
        whole_run(&across(&cable, &link, IPV4[0]));
    }
}

#[test]
fn two_hosts_by_ipv6() {
    let cable = Cable::new();
    for link in Link::both() {
        whole_run(&across(&cable, &link, IPV6[0]));
    }
}

#[test]
fn two_hosts_with_a_server_that_listens_everywhere() {
    let cable = Cable::new();
    for link in Link::both() {
        let everywhere = across(&cable, &link, "0.0.0.0");
        let listening = everywhere.listening().start();
        let connecting = across(&cable, &link, IPV4[0]).connecting(listening.port()).start();
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
        let cable = Cable::new();
        let link = across(&cable, &link, IPV4[0]).sink("peer-timeout=2000").src("peer-timeout=2000");
        let (mut sender, receiver) = link.start_connected();
        flow(&mut sender, &receiver);
        cable.cut();
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
    let cable = Cable::new();
    for link in Link::both() {
        let link =
            across(&cable, &link, "10.77.0.99").sink("connect-timeout=1000").src("connect-timeout=1000");
        let peer = link.connecting(7174).start();
        peer.line("state-set ");
        peer.error(Duration::from_secs(2), &["no connection to 10.77.0.99:7174 within 1000 ms"]);
        peer.stop();
    }
}

#[test]
fn a_cable_plugged_in_late_is_waited_for() {
    for link in Link::both() {
        let cable = Cable::new();
        let link = across(&cable, &link, IPV4[0]);
        let listening = link.listening().start();
        let port = listening.port();
        cable.cut();
        let connecting = link.connecting(port).start();
        connecting.line("state-set ");
        cable.mend();
        let (mut sender, receiver) = match link.pairing {
            Pairing::ServerSink => (listening, connecting),
            Pairing::ServerSrc => (connecting, listening),
        };
        receiver.line_within("element nvdsucx-client-connected", SOON);
        flow(&mut sender, &receiver);
        sender.assert_no_error();
    }
}
