//! A peer goes, and comes back or not: every row of the table in docs/reconnection.md.

use std::time::{Duration, Instant};

use nvdsucx_tests::compare::{assert_resumed, assert_same_wherever, is_discontinuous, without_seqnum};
use nvdsucx_tests::link::{CONNECTED, DISCONNECTED};
use nvdsucx_tests::peer::{Peer, SOON};
use nvdsucx_tests::{Link, Pairing};
use rustix::process::Signal;

const NOTICED: Duration = Duration::from_secs(3);
const BEGIN: [&str; 3] = [
    "start application/x-test",
    "sticky mine, x=(int)1",
    "buffer count=10 mem=100000,1 pts=0 duration=1000000",
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Killed,
    /// Before the end of the stream.
    Stopped,
}

impl How {
    const BOTH: [Self; 2] = [Self::Killed, Self::Stopped];

    fn end(self, peer: Peer) {
        match self {
            Self::Killed => peer.kill(),
            Self::Stopped => drop(peer.stop()),
        }
    }
}

/// A connected pair that has exchanged ten buffers, with `on-disconnect` of both as given; and the port of the front door.
struct Pair {
    link: Link,
    port: u16,
    sender: Peer,
    receiver: Peer,
}

impl Pair {
    fn new(link: &Link, on_disconnect: &str) -> Self {
        let on_disconnect = format!("on-disconnect={on_disconnect}");
        let link = link.clone().sink(&on_disconnect).src(&on_disconnect);
        let (mut sender, receiver) = link.start_connected();
        sender.push(&BEGIN);
        receiver.lines_until(10, "buffer ");
        let port = if link.pairing == Pairing::ServerSink { sender.port() } else { receiver.port() };
        Self { link, port, sender, receiver }
    }

    fn without_sender(self, how: How) -> (Peer, Link, u16) {
        how.end(self.sender);
        self.receiver.line_within(DISCONNECTED, NOTICED);
        assert_eq!(self.receiver.count(CONNECTED), 1, "let in by who was about to leave");
        (self.receiver, self.link, self.port)
    }

    fn without_receiver(self, how: How) -> (Peer, Link, u16) {
        how.end(self.receiver);
        self.sender.line_within(DISCONNECTED, NOTICED);
        assert_eq!(self.sender.count(CONNECTED), 1, "let in by who was about to leave");
        (self.sender, self.link, self.port)
    }
}

/// Every pairing, with shared memory and with messages, and both ways to go.
fn cases() -> impl Iterator<Item = (Link, How)> {
    Link::both_ways().into_iter().flat_map(|link| How::BOTH.map(|how| (link.clone(), how)))
}

/// A client that says good-bye is no loss to the server that sends to it.
fn is_no_loss(link: &Link, how: How) -> bool {
    link.pairing == Pairing::ServerSink && how == How::Stopped
}

/// The state of the stream that `peer` has told after its line `mark`, up to the first buffer.
fn sticky_events(peer: &Peer, mark: usize) -> Vec<String> {
    let sticky = ["event stream-start ", "event caps ", "event segment ", "event custom-downstream-sticky "];
    let lines = peer.lines();
    let lines = lines[mark..].iter().take_while(|line| !line.starts_with("buffer "));
    let lines = lines.filter(|line| sticky.iter().any(|start| line.starts_with(start)));
    lines.map(|line| without_seqnum(line).to_owned()).collect()
}

/// The sender holds what comes while nobody is there; the next receiver gets it, after the state of the stream, whose
/// segment and timestamps go on.
fn assert_sender_goes_on(mut sender: Peer, link: &Link, port: u16) {
    sender.push(&["buffer count=3 mem=1000 pts=10000000 duration=1000000"]);
    let receiver = link.receiver(port).start();
    receiver.lines_until(3, "buffer ");
    sender.push(&["buffer count=2 mem=1000 pts=13000000 duration=1000000", "eos"]);
    receiver.line("eos");
    sender.line("eos");
    assert_same_wherever(&sender.lines_with("buffer ")[10..], &receiver.lines_with("buffer "));
    assert!(is_discontinuous(&receiver.line("buffer ")), "the first one of a stream");
    let state = sticky_events(&sender, 0);
    assert_eq!(state.len(), 4);
    assert_eq!(state, sticky_events(&receiver, 0));
    sender.assert_no_error();
    receiver.assert_no_error();
    sender.stop();
    receiver.stop();
}

/// The receiver waits for the next sender, and passes on what that one says.
fn assert_receiver_goes_on(receiver: Peer, link: &Link, port: u16) {
    let mark = receiver.mark();
    let mut sender = link.sender(port).start();
    sender.push(&[
        "stream-start again",
        "caps application/x-test,second=true",
        "segment time start=7 base=10000000",
        "sticky mine, x=(int)2",
        "buffer count=5 mem=77,100000 pts=7 duration=1000000",
        "eos",
    ]);
    receiver.line("eos");
    sender.line("eos");
    let buffers = receiver.lines_with("buffer ").split_off(10);
    assert_same_wherever(&sender.lines_with("buffer "), &buffers);
    let marked: Vec<_> = buffers.iter().map(|line| is_discontinuous(line)).collect();
    assert_eq!(marked, [true, false, false, false, false]);
    let state = sticky_events(&sender, 0);
    assert_eq!(state.len(), 4);
    assert_eq!(state, sticky_events(&receiver, mark));
    sender.assert_no_error();
    receiver.assert_no_error();
    sender.stop();
    receiver.stop();
}

#[test]
fn a_sender_that_goes_is_an_error_with_on_disconnect_error() {
    for (link, how) in cases() {
        let (receiver, ..) = Pair::new(&link, "error").without_sender(how);
        receiver.error(NOTICED, &["source=ucx", "lost 127.0.0.1", "before the end of its stream"]);
        let first = receiver.lines().into_iter().find(|l| l.starts_with("error ") || l == "eos");
        assert!(first.is_some_and(|l| l.starts_with("error ")), "it is no end of stream");
        receiver.stop();
    }
}

#[test]
fn a_sender_that_goes_is_an_end_of_stream_with_on_disconnect_eos() {
    for (link, how) in cases() {
        let (receiver, ..) = Pair::new(&link, "eos").without_sender(how);
        receiver.line_within("eos", NOTICED);
        receiver.assert_no_error();
        receiver.stop();
    }
}

#[test]
fn a_sender_that_goes_is_waited_for_with_on_disconnect_reconnect() {
    for (link, how) in cases() {
        let (receiver, link, port) = Pair::new(&link, "reconnect").without_sender(how);
        assert_receiver_goes_on(receiver, &link, port);
    }
}

#[test]
fn a_receiver_that_goes_is_an_error_with_on_disconnect_error() {
    for (link, how) in cases() {
        let (sender, link, port) = Pair::new(&link, "error").without_receiver(how);
        if is_no_loss(&link, how) {
            assert_sender_goes_on(sender, &link, port);
        } else {
            sender.error(NOTICED, &["source=ucx", "lost 127.0.0.1"]);
            sender.stop();
        }
    }
}

#[test]
fn a_receiver_that_goes_is_an_end_of_stream_with_on_disconnect_eos() {
    for (link, how) in cases() {
        let (mut sender, link, port) = Pair::new(&link, "eos").without_receiver(how);
        if is_no_loss(&link, how) {
            assert_sender_goes_on(sender, &link, port);
        } else {
            // One may still slip into the queue.
            sender.push(&["buffer count=100 mem=10 pts=0"]);
            sender.wait_for("the sink takes no more", SOON, |lines| {
                lines
                    .iter()
                    .any(|l| l.starts_with("pushed buffer ") && l.ends_with("result=Eos"))
                    .then_some(())
            });
            sender.assert_no_error();
            sender.stop();
        }
    }
}

#[test]
fn a_receiver_that_goes_is_waited_for_with_on_disconnect_reconnect() {
    for (link, how) in cases() {
        let (sender, link, port) = Pair::new(&link, "reconnect").without_receiver(how);
        assert_sender_goes_on(sender, &link, port);
    }
}

#[test]
fn a_peer_that_was_taken_for_lost_comes_back() {
    let all = "peer-timeout=1000";
    for link in Link::both_ways() {
        for stop_sender in [false, true] {
            let Pair { mut sender, mut receiver, .. } =
                Pair::new(&link.clone().sink(all).src(all), "reconnect");
            let (stopped, other) = if stop_sender { (&sender, &receiver) } else { (&receiver, &sender) };
            let marks = (sender.mark(), receiver.mark());
            stopped.signal(Signal::STOP);
            other.line_within(DISCONNECTED, NOTICED);
            stopped.signal(Signal::CONT);
            sender.line_after(marks.0, CONNECTED);
            receiver.line_after(marks.1, CONNECTED);
            sender.push(&["buffer count=5 mem=1000 pts=10000000 duration=1000000", "eos"]);
            receiver.line("eos");
            sender.line("eos");
            assert_resumed(&sender, &receiver);
            assert_eq!(receiver.count("buffer "), 15);
            assert_eq!(receiver.stat("reconnects"), 1);
            if link.pairing == Pairing::ServerSrc {
                assert_eq!(sender.stat("reconnects"), 1);
            }
            // It is the same stream, with the same caps: neither is news.
            assert_eq!(sticky_events(&receiver, marks.1), sticky_events(&sender, 0)[2..]);
            sender.assert_no_error();
            receiver.assert_no_error();
            sender.stop();
            receiver.stop();
        }
    }
}

#[test]
fn a_client_that_goes_is_nothing_to_the_others() {
    for (link, how) in cases().filter(|(link, _)| link.pairing == Pairing::ServerSink) {
        let link = link.sink("num-conns=2");
        let mut sender = link.listening().start();
        let stays = link.connecting(sender.port()).start();
        let goes = link.connecting(sender.port()).start();
        sender.push(&BEGIN);
        goes.lines_until(10, "buffer ");
        how.end(goes);
        sender.line_within(DISCONNECTED, NOTICED);
        sender.push(&["buffer count=20 mem=100000 pts=10000000 duration=1000000"]);
        let mark = sender.mark();
        let comes = link.connecting(sender.port()).start();
        sender.line_after(mark, CONNECTED);
        sender.push(&["buffer count=5 mem=100000 pts=30000000 duration=1000000", "eos"]);
        for client in [&stays, &comes] {
            client.line("eos");
            client.assert_no_error();
        }
        let (sent, received) = (sender.lines_with("buffer "), stays.lines_with("buffer "));
        assert_same_wherever(&sent, &received);
        assert_eq!(stays.count("event segment "), 1, "nothing is said again to who was there");
        let late = comes.lines_with("buffer ");
        assert_same_wherever(&sent[sent.len() - late.len()..], &late);
        assert!(late.len() >= 5, "what was sent since it came");
        sender.assert_no_error();
        sender.stop();
    }
}

#[test]
fn all_clients_of_a_server_that_starts_again_come_back() {
    let link = Link::new(Pairing::ServerSink, nvdsucx_tests::Transport::Default);
    let link = link.sink("num-conns=3").src("on-disconnect=reconnect");
    let mut sender = link.listening().start();
    let port = sender.port();
    let clients = [(); 3].map(|()| link.connecting(port).start());
    sender.push(&BEGIN);
    for client in &clients {
        client.lines_until(10, "buffer ");
    }
    sender.kill();
    for client in &clients {
        client.line_within(DISCONNECTED, NOTICED);
    }
    let mut sender = link.sender(port).start();
    sender.push(&BEGIN);
    sender.push(&["eos"]);
    for client in clients {
        client.line("eos");
        assert_same_wherever(&sender.lines_with("buffer "), &client.lines_with("buffer ")[10..]);
        client.assert_no_error();
        client.stop();
    }
    sender.stop();
}

#[test]
fn a_server_that_is_about_to_leave_lets_nobody_in() {
    let link = Link::new(Pairing::ServerSink, nvdsucx_tests::Transport::Default);
    let link = link.sink("num-conns=2").src("on-disconnect=reconnect");
    let mut sender = link.listening().start();
    let port = sender.port();
    let client = link.connecting(port).start();
    let deaf = link.connecting(port).start();
    sender.push(&BEGIN);
    for client in [&client, &deaf] {
        client.lines_until(10, "buffer ");
    }
    // It does not answer the farewell, which makes that last, while the other one calls again.
    deaf.signal(Signal::STOP);
    sender.stop();
    client.line_within(DISCONNECTED, NOTICED);
    assert_eq!(client.count(CONNECTED), 1);
    client.stop();
}

#[test]
fn a_client_whose_server_does_not_come_back_gives_up_after_connect_timeout() {
    for link in Link::both() {
        for how in How::BOTH {
            let link = link.clone();
            let listening = link.listening().start();
            let port = listening.port();
            let again = "on-disconnect=reconnect connect-timeout=1000";
            let client = link.sink(again).src(again).connecting(port).start();
            client.line(CONNECTED);
            let begin = Instant::now();
            how.end(listening);
            client.line_within(DISCONNECTED, NOTICED);
            let what = format!("no connection to 127.0.0.1:{port} within 1000 ms");
            client.error(NOTICED, &["source=ucx", &what]);
            let took = begin.elapsed();
            assert!(took > Duration::from_millis(1000), "gave up after {took:?}");
            client.stop();
        }
    }
}
