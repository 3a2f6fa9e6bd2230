//! Callers who are no peers keep no peer away, and cost little.

use std::time::Duration;

use nvdsucx_tests::compare::assert_silent;
use nvdsucx_tests::link::flow;
use nvdsucx_tests::process::{cpu_time, open_files};
use nvdsucx_tests::stranger::{Manners, call};
use nvdsucx_tests::{Link, Pairing, Transport};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

#[test]
fn strangers_who_call_do_not_keep_a_real_peer_away() {
    for link in Link::all() {
        let listening = link.listening().start();
        let port = listening.port();
        let _strangers: Vec<_> =
            [Manners::Silent, Manners::Noise, Manners::Http, Manners::HangUp].map(|m| call(port, m)).into();
        let connecting = link.connecting(port).start();
        let (mut sender, receiver) = match link.pairing {
            Pairing::ServerSink => (listening, connecting),
            Pairing::ServerSrc => (connecting, listening),
        };
        flow(&mut sender, &receiver);
        sender.assert_no_error();
        receiver.assert_no_error();
        sender.stop();
        receiver.stop();
    }
}

#[test]
fn two_hundred_strangers_do_not_keep_a_real_peer_away() {
    for link in Link::both() {
        let listening = link.listening().start();
        let port = listening.port();
        let manners = [Manners::Silent, Manners::Noise, Manners::HangUp];
        let _strangers: Vec<_> = (0..200).map(|n| call(port, manners[n % manners.len()])).collect();
        let connecting = link.connecting(port).start();
        let (mut sender, receiver) = match link.pairing {
            Pairing::ServerSink => (listening, connecting),
            Pairing::ServerSrc => (connecting, listening),
        };
        flow(&mut sender, &receiver);
        sender.stop();
        receiver.stop();
    }
}

#[test]
fn a_flood_of_strangers_takes_no_more_than_its_share() {
    for link in Link::both() {
        let listening = link.listening().start();
        let port = listening.port();
        let before = open_files(listening.pid());
        let mut most = 0;
        let mut strangers = vec![];
        for n in 0..600 {
            let manners = [Manners::Silent, Manners::Noise, Manners::Claim];
            strangers.push(call(port, manners[n % manners.len()]));
            most = most.max(open_files(listening.pid()));
        }
        // Half-open connections, and a few that come with the next round.
        assert!(most <= before + 64 + 8, "{before} open files, then {most}");
        let connecting = link.connecting(port).start();
        let (mut sender, receiver) = match link.pairing {
            Pairing::ServerSink => (listening, connecting),
            Pairing::ServerSrc => (connecting, listening),
        };
        flow(&mut sender, &receiver);
        let server = if link.pairing == Pairing::ServerSink { &mut sender } else { &mut { receiver } };
        assert!(server.stat("refused") > 400);
        server.assert_no_error();
    }
}

#[test]
fn a_server_without_room_for_a_connection_waits_for_it_and_sleeps() {
    let link = Link::new(Pairing::ServerSink, Transport::Default);
    let mut sender = link.listening().start();
    let (pid, port) = (Pid::from_raw(sender.pid() as i32), sender.port());
    // Inherited from us.
    let usual = getrlimit(Resource::Nofile);
    let few = Rlimit { current: Some(open_files(sender.pid()) as u64 + 8), ..usual };
    prlimit(pid, Resource::Nofile, few).expect("a process of ours");
    let strangers: Vec<_> = (0..40).map(|_| call(port, Manners::Silent)).collect();
    sender.line("warning source=ucx message=\"cannot accept connections");
    let before = cpu_time(sender.pid());
    assert_silent(&sender, "error", Duration::from_secs(1));
    let spent = cpu_time(sender.pid()) - before;
    assert!(spent < Duration::from_millis(300), "{spent:?} of a second");
    drop(strangers);
    prlimit(pid, Resource::Nofile, usual).expect("a process of ours");
    let receiver = link.connecting(port).start();
    flow(&mut sender, &receiver);
    sender.assert_no_error();
}
