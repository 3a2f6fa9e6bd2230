//! What goes wrong is noticed in time, said clearly, and harms nobody else.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use nvdsucx_tests::compare::{assert_silent, eventually};
use nvdsucx_tests::link::{CONNECTED, DISCONNECTED, flow};
use nvdsucx_tests::peer::{Peer, SOON};
use nvdsucx_tests::process::{open_files, threads};
use nvdsucx_tests::stranger::{DeadPort, Manners, serve};
use nvdsucx_tests::{Link, Pairing, Transport};
use rustix::process::Signal;

/// A kernel tells the other side of a killed process's connections at once.
const KILL_NOTICED: Duration = Duration::from_secs(3);

fn listening_at(link: &Link, port: u16) -> Peer {
    match link.pairing {
        Pairing::ServerSink => link.sender(port),
        Pairing::ServerSrc => link.receiver(port),
    }
    .start()
}

#[test]
fn a_killed_sender_is_an_error_that_names_it() {
    for link in Link::all() {
        let (mut sender, receiver) = link.start_connected();
        flow(&mut sender, &receiver);
        sender.kill();
        receiver.error(KILL_NOTICED, &["source=ucx", "lost 127.0.0.1"]);
        // GStreamer's base class ends the stream after an error; on the bus the order tells.
        let first = receiver.lines().into_iter().find(|l| l.starts_with("error ") || l == "eos");
        assert!(first.is_some_and(|l| l.starts_with("error ")), "a crash is no end of stream");
        receiver.stop();
    }
}

#[test]
fn a_sender_that_is_stopped_before_the_end_of_its_stream_is_an_error() {
    for link in Link::both() {
        let (mut sender, receiver) = link.start_connected();
        flow(&mut sender, &receiver);
        sender.stop();
        receiver.error(
            KILL_NOTICED,
            &["source=ucx", "lost 127.0.0.1", "stopped", "before the end of its stream"],
        );
        receiver.stop();
    }
}

#[test]
fn a_killed_receiver_is_an_error_of_the_clientsink_that_names_it() {
    for transport in [Transport::Tcp, Transport::Default, Transport::SharedMemory] {
        let (mut sender, receiver) = Link::new(Pairing::ServerSrc, transport).start_connected();
        flow(&mut sender, &receiver);
        receiver.kill();
        sender.error(KILL_NOTICED, &["source=ucx", "lost 127.0.0.1"]);
        sender.stop();
    }
}

#[test]
fn a_serversink_goes_on_when_one_of_two_clients_is_killed() {
    for transport in [Transport::Tcp, Transport::Default, Transport::SharedMemory] {
        let link = Link::new(Pairing::ServerSink, transport).sink("num-conns=2");
        let mut sender = link.listening().start();
        let stays = link.connecting(sender.port()).start();
        let dies = link.connecting(sender.port()).start();
        flow(&mut sender, &stays);
        dies.lines_until(10, "buffer ");
        dies.kill();
        sender.line_within(DISCONNECTED, KILL_NOTICED);
        sender.command("push buffer count=50 mem=100000 pts=0");
        sender.command("push eos");
        stays.line("eos");
        assert_eq!(stays.count("buffer "), 60);
        sender.line("eos");
        sender.assert_no_error();
        sender.stop();
        stays.stop();
    }
}

#[test]
fn a_client_killed_in_the_middle_of_the_flow_does_not_stall_a_serversink() {
    let link = Link::new(Pairing::ServerSink, Transport::Default).sink("num-conns=2");
    let mut sender = link.listening().start();
    let stays = link.connecting(sender.port()).start();
    let mut dies = link.connecting(sender.port()).start();
    dies.block();
    sender.command("push start application/x-test");
    sender.command("push buffer count=200 mem=100000 pts=0");
    dies.line("blocked");
    dies.kill();
    sender.command("push eos");
    stays.line("eos");
    assert_eq!(stays.count("buffer "), 200);
    sender.assert_no_error();
    sender.stop();
}

#[test]
fn a_serversink_serves_a_new_client_after_its_only_one_was_killed() {
    let link = Link::new(Pairing::ServerSink, Transport::Default);
    let mut sender = link.listening().start();
    let first = link.connecting(sender.port()).start();
    flow(&mut sender, &first);
    first.kill();
    sender.line_within(DISCONNECTED, KILL_NOTICED);
    let second = link.connecting(sender.port()).start();
    second.line(CONNECTED);
    sender.command("push buffer count=5 mem=1000 pts=0");
    sender.command("push eos");
    second.line("eos");
    assert_eq!(second.count("buffer "), 5);
    sender.assert_no_error();
    sender.stop();
}

#[test]
fn a_silent_sender_is_an_error_after_peer_timeout() {
    for link in Link::both() {
        let (mut sender, receiver) = link.src("peer-timeout=2000").start_connected();
        flow(&mut sender, &receiver);
        sender.signal(Signal::STOP);
        let error = receiver.error(Duration::from_secs(4), &["source=ucx", "lost 127.0.0.1", "2000 ms"]);
        assert!(error.contains("peer-timeout"), "no word of what to set: {error}");
        receiver.stop();
    }
}

#[test]
fn a_silent_receiver_is_an_error_of_the_clientsink_after_peer_timeout() {
    let link = Link::new(Pairing::ServerSrc, Transport::Default).sink("peer-timeout=2000");
    let (mut sender, receiver) = link.start_connected();
    flow(&mut sender, &receiver);
    receiver.signal(Signal::STOP);
    sender.command("push buffer count=1000 mem=100000 pts=0");
    sender.error(Duration::from_secs(4), &["source=ucx", "lost 127.0.0.1"]);
    sender.stop();
}

#[test]
fn a_silent_client_is_dropped_by_the_serversink_after_peer_timeout() {
    let link = Link::new(Pairing::ServerSink, Transport::Default).sink("peer-timeout=2000 num-conns=2");
    let mut sender = link.listening().start();
    let stays = link.connecting(sender.port()).start();
    let sleeps = link.connecting(sender.port()).start();
    flow(&mut sender, &stays);
    sleeps.signal(Signal::STOP);
    sender.command("push buffer count=300 mem=100000 pts=0");
    sender.command("push eos");
    sender.line_within(DISCONNECTED, Duration::from_secs(4));
    stays.line("eos");
    assert_eq!(stays.count("buffer "), 310);
    sender.assert_no_error();
    sender.stop();
}

#[test]
fn a_peer_that_is_only_idle_is_not_taken_for_lost() {
    for link in Link::both() {
        let link = link.sink("peer-timeout=1000").src("peer-timeout=1000");
        let (mut sender, receiver) = link.start_connected();
        flow(&mut sender, &receiver);
        assert_silent(&receiver, "error", Duration::from_secs(3));
        sender.command("push buffer count=10 mem=1000 pts=0");
        receiver.lines_until(20, "buffer ");
        sender.assert_no_error();
        sender.stop();
    }
}

#[test]
fn a_port_in_use_is_an_error_that_names_it() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    for link in Link::both() {
        let server = listening_at(&link, port);
        server.error(SOON, &["source=ucx", &format!("cannot listen on 127.0.0.1:{port}"), "in use"]);
        server.stop();
    }
}

#[test]
fn an_address_that_is_not_ours_is_an_error_that_names_it() {
    for mut link in Link::both() {
        link.addr = "203.0.113.7".into();
        let server = link.listening().start();
        server.error(SOON, &["source=ucx", "cannot listen on 203.0.113.7"]);
        server.stop();
    }
}

fn connecting_with(link: &Link, properties: &str, port: u16) -> Peer {
    link.clone().sink(properties).src(properties).connecting(port).start()
}

/// `connect-timeout` is honoured, counted from when the element was started.
fn assert_gives_up(peer: &Peer, parts: &[&str]) {
    peer.line("state-set ");
    let begin = Instant::now();
    peer.error(SOON, parts);
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(2), "gave up only after {took:?}");
}

#[test]
fn nobody_listening_is_an_error_after_connect_timeout_that_names_the_address() {
    for link in Link::all() {
        let dead = DeadPort::new();
        let peer = connecting_with(&link, "connect-timeout=1000", dead.port);
        assert_gives_up(
            &peer,
            &["source=ucx", &format!("no connection to 127.0.0.1:{} within 1000 ms", dead.port)],
        );
        peer.stop();
    }
}

#[test]
fn a_host_that_is_not_found_is_an_error_that_names_it() {
    for mut link in Link::both() {
        link.addr = "no-such-host.invalid".into();
        for peer in [link.connecting(7174).start(), link.listening().start()] {
            peer.error(SOON, &["source=ucx", "host `no-such-host.invalid` not found"]);
            peer.stop();
        }
    }
}

#[test]
fn a_server_that_is_no_peer_is_an_error_after_connect_timeout() {
    for link in Link::both() {
        for manners in [Manners::Silent, Manners::Noise, Manners::Http, Manners::HangUp] {
            let (port, _) = serve(manners);
            let peer = connecting_with(&link, "connect-timeout=1000", port);
            assert_gives_up(
                &peer,
                &["source=ucx", &format!("no connection to 127.0.0.1:{port} within 1000 ms")],
            );
            peer.stop();
        }
    }
}

#[test]
fn a_client_of_a_server_that_is_no_peer_can_be_stopped() {
    for link in Link::both() {
        let (port, calls) = serve(Manners::Silent);
        let peer = link.connecting(port).start();
        eventually("called", SOON, || (calls.load(std::sync::atomic::Ordering::SeqCst) > 0).then_some(()));
        let took = peer.stop();
        assert!(took < Duration::from_secs(1), "took {took:?} to stop");
    }
}

/// The bus message, error or warning, in which an end says why it does not work with the other.
fn complaint(peer: &Peer) -> String {
    peer.wait_for("an error or warning", SOON, |lines| {
        lines.iter().find(|l| l.starts_with("error ") || l.starts_with("warning ")).cloned()
    })
}

#[test]
fn different_buf_types_are_refused_and_both_ends_name_both() {
    for link in Link::both() {
        let mut link = link;
        link.sink = "buf-type=nvdsucx-buf-text".into();
        link.src = "buf-type=nvdsucx-buf-raw-audio".into();
        let (sender, receiver) = link.start();
        let connecting = if link.pairing == Pairing::ServerSink { &receiver } else { &sender };
        connecting.error(SOON, &["source=ucx", "127.0.0.1"]);
        for peer in [&sender, &receiver] {
            let complaint = complaint(peer);
            assert!(complaint.contains("text") && complaint.contains("raw-audio"), "{complaint}");
        }
        sender.stop();
        receiver.stop();
    }
}

#[test]
fn two_senders_and_two_receivers_do_not_work_together_and_say_so() {
    let [server_sink, server_src] = Link::both();
    let cases = [
        (server_sink.sender(0), "send", (&server_src, Pairing::ServerSrc)),
        (server_src.receiver(0), "receive", (&server_sink, Pairing::ServerSink)),
    ];
    for (listening, word, (link, _)) in cases {
        let listening = listening.start();
        let connecting = link.connecting(listening.port()).start();
        let error = connecting.error(SOON, &["source=ucx", "127.0.0.1", word]);
        assert!(error.contains("refused"), "{error}");
        let complaint = complaint(&listening);
        assert!(complaint.contains(word), "{complaint}");
        connecting.stop();
        listening.stop();
    }
}

#[test]
fn a_serversrc_refuses_a_second_sender_and_keeps_the_first() {
    let link = Link::new(Pairing::ServerSrc, Transport::Default);
    let (mut sender, receiver) = link.start_connected();
    let second = link.clone().sink("connect-timeout=1000").connecting(receiver.port()).start();
    second.error(SOON, &["source=ucx", "refused"]);
    flow(&mut sender, &receiver);
    receiver.assert_no_error();
    sender.stop();
}

#[test]
fn clients_that_come_and_go_leave_nothing_behind() {
    for link in Link::both() {
        // With shared memory: zero_copy_lifetime.rs.
        let link = link.sink("on-disconnect=reconnect zero-copy=false").src("on-disconnect=reconnect");
        let mut server = link.listening().start();
        let mut usage = vec![];
        for round in 0..20 {
            let mark = server.mark();
            let mut client = link.connecting(server.port()).start();
            client.line(CONNECTED);
            let (sender, receiver) = match link.pairing {
                Pairing::ServerSink => (&mut server, &client),
                Pairing::ServerSrc => (&mut client, &server),
            };
            if round == 0 || link.pairing == Pairing::ServerSrc {
                sender.command("push start application/x-test");
            }
            let before = receiver.count("buffer ");
            sender.command("push buffer count=5 mem=100000 pts=0");
            receiver.lines_until(before + 5, "buffer ");
            client.stop();
            server.line_after(mark, DISCONNECTED);
            usage.push((open_files(server.pid()), threads(server.pid())));
        }
        server.assert_no_error();
        // The first rounds make what later ones use again; and a connection may be torn down a moment later.
        let (files, tasks) = usage[4];
        eventually("as few files and threads as after five rounds", SOON, || {
            let now = (open_files(server.pid()), threads(server.pid()));
            (now.0 <= files && now.1 <= tasks).then_some(())
        });
        server.stop();
    }
}

#[test]
fn a_frame_larger_than_max_buffer_size_is_an_error_that_says_what_to_raise() {
    for link in Link::both_ways() {
        let messages = link.sink.contains("zero-copy=false");
        let link = link.src("max-buffer-size=100000");
        let (mut sender, receiver) = if messages { link.start_connected() } else { link.start_mapped() };
        sender.command("push start application/x-test");
        sender.command("push buffer mem=100000 pts=0");
        receiver.line("buffer n=0");
        sender.command("push buffer mem=100001 pts=0");
        receiver.error(SOON, &["source=ucx", "100001", "100000", "max-buffer-size"]);
        receiver.stop();
    }
}
