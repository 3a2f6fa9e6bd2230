//! Shared memory is there as long as somebody needs it, and not longer, whoever goes when and how.

use std::time::Duration;

use nvdsucx_tests::compare::{assert_same_buffers, assert_same_lines, eventually};
use nvdsucx_tests::link::{CONNECTED, DISCONNECTED};
use nvdsucx_tests::peer::{Peer, SOON};
use nvdsucx_tests::process::{mappings, open_files, segments, threads};
use nvdsucx_tests::room::Room;
use nvdsucx_tests::{Link, Pairing, Transport};
use rustix::process::Signal;

const START: &str = "start application/x-test";
/// The kernel tells at once when a process is killed.
const KILL_NOTICED: Duration = Duration::from_secs(3);
/// Takes everything, and holds it while its end is blocked.
const HOARD: &str = "! queue max-size-buffers=10000 max-size-bytes=0 max-size-time=0 \
                     ! fakesink name=probe sync=false";

fn server_sink(room: &Room) -> Link {
    Link::new(Pairing::ServerSink, Transport::Default).by(&room.by())
}

fn both(room: &Room) -> [Link; 2] {
    Link::both().map(|link| link.by(&room.by()))
}

/// The receiver has `frames`, and its pipeline holds them all.
fn hoard(link: &Link, frames: usize) -> (Peer, Peer) {
    let (mut sender, mut receiver) = link.clone().tail(HOARD).start_playing();
    receiver.block();
    sender.push(&[&format!("buffer count={frames} mem=300000,7 pts=0 duration=1000")]);
    eventually("all are there", SOON, || (receiver.stat("frames") == frames as u64 + 2).then_some(()));
    receiver.line("blocked");
    (sender, receiver)
}

#[test]
fn frames_outlive_their_sender() {
    let room = Room::new();
    for (link, killed) in both(&room).into_iter().flat_map(|link| [(link.clone(), true), (link, false)]) {
        let (sender, mut receiver) = hoard(&link, 40);
        let sent = sender.lines_until(42, "buffer ");
        if killed {
            sender.kill();
        } else {
            sender.stop();
        }
        receiver.error(KILL_NOTICED, &["source=ucx", "lost 127.0.0.1"]);
        receiver.find_next();
        receiver.command("unblock");
        assert_same_lines(&sent, &receiver.lines_until(42, "buffer "));
        assert_eq!(receiver.line("where "), "where shared");
        receiver.stop();
        room.assert_empty();
    }
}

#[test]
fn a_killed_receiver_gives_back_what_it_holds() {
    let room = Room::new();
    let link = server_sink(&room).tail(HOARD);
    let mut sender = link.listening().start();
    sender.push(&[START]);
    let mut made = vec![];
    for n in 1..=8 {
        let mut receiver = link.connecting(sender.port()).start();
        receiver.block();
        receiver.wait_until_mapped(1);
        let mark = sender.mark();
        sender.push(&["buffer count=40 mem=1000000 pts=0"]);
        eventually("all are there", SOON, || (receiver.stat("frames") == 40).then_some(()));
        receiver.kill();
        sender.line_after(mark, DISCONNECTED);
        assert_eq!(sender.count("pushed buffer"), 40 * n);
        made.push(room.made_by(sender.pid()));
    }
    // 40 MB would be lost in each round.
    let most = made.iter().max().copied().unwrap_or_default();
    assert!(most < 120_000_000, "shared memory after each round: {made:?}");
    sender.assert_no_error();
    sender.stop();
    room.assert_empty();
}

/// Kills one end of a pair again and again while frames flow; the other end goes on with the next.
fn kill_again_and_again(pairing: Pairing, kill_senders: bool, times: usize) {
    let room = Room::new();
    let link = Link::new(pairing, Transport::Default)
        .by(&room.by())
        // UCX 1.13 aborts, at times, if a peer dies while data is on its way over TCP: until memory is shared.
        .env("UCX_TCP_PUT_ENABLE", "n")
        .buf_type("nvdsucx-buf-video")
        .head(
            "videotestsrc ! video/x-raw,format=I420,width=320,height=240 ! identity name=probe silent=true !",
        )
        .sink("on-disconnect=reconnect")
        .src("on-disconnect=reconnect");
    let (sender, receiver) = link.start_mapped();
    let port = if pairing == Pairing::ServerSink { sender.port() } else { receiver.port() };
    let (mut stays, mut dies) = if kill_senders { (receiver, sender) } else { (sender, receiver) };
    for n in 0..times {
        let mark = stays.mark();
        // Another moment each time; in every other round it may be one before memory is shared.
        let receiver = if kill_senders { &stays } else { &dies };
        receiver.lines_until(receiver.count("buffer ") + n * 7 % 50, "buffer ");
        dies.kill();
        stays.line_after(mark, DISCONNECTED);
        dies = if kill_senders { link.sender(port) } else { link.receiver(port) }.start();
        // There may be buffers of the one before still.
        stays.line_after(mark, CONNECTED);
        if n % 2 == 0 {
            stays.wait_until_mapped(1);
        }
        let receiver = if kill_senders { &stays } else { &dies };
        receiver.lines_until(receiver.count("buffer ") + 1, "buffer ");
    }
    stays.assert_no_error();
    dies.stop();
    stays.stop();
    room.assert_empty();
}

#[test]
fn killed_receivers_leave_nothing_behind() {
    kill_again_and_again(Pairing::ServerSink, false, 25);
    kill_again_and_again(Pairing::ServerSrc, false, 25);
}

#[test]
fn killed_senders_leave_nothing_behind() {
    kill_again_and_again(Pairing::ServerSink, true, 25);
    kill_again_and_again(Pairing::ServerSrc, true, 25);
}

#[test]
fn clients_that_come_and_go_leave_nothing_behind() {
    let room = Room::new();
    for link in both(&room) {
        let link = link.sink("on-disconnect=reconnect").src("on-disconnect=reconnect");
        let mut server = link.listening().start();
        let mut usage = vec![];
        for round in 0..20 {
            let mark = server.mark();
            let mut client = link.connecting(server.port()).start();
            client.wait_until_mapped(1);
            let (sender, receiver) = match link.pairing {
                Pairing::ServerSink => (&mut server, &client),
                Pairing::ServerSrc => (&mut client, &server),
            };
            if round == 0 || link.pairing == Pairing::ServerSrc {
                sender.push(&[START]);
            }
            let before = receiver.count("buffer ");
            // Two of a size are what a segment of the arena has at first: how slow the receiver is makes no difference.
            sender.push(&["buffer count=2 mem=100000 pts=0", "buffer count=2 mem=3000000"]);
            receiver.lines_until(before + 4, "buffer ");
            client.stop();
            server.line_after(mark, DISCONNECTED);
            usage.push(room_taken(&room, server.pid()));
        }
        server.assert_no_error();
        // The first rounds make what later ones use again; and a connection may be torn down a moment later.
        println!("after each round: {usage:?}");
        let most = usage[4];
        eventually("as little as after five rounds", SOON, || {
            let now = room_taken(&room, server.pid());
            let less = now.iter().zip(most).all(|(now, most)| *now <= most);
            less.then_some(())
        });
        server.stop();
    }
    room.assert_empty();
}

/// Files, threads, pieces of memory, and shared memory that a process has.
fn room_taken(room: &Room, pid: u32) -> [u64; 4] {
    [open_files(pid) as u64, threads(pid) as u64, mappings(pid) as u64, room.made_by(pid)]
}

#[test]
fn frames_of_many_sizes_do_not_pile_up_memory() {
    let room = Room::new();
    let link = server_sink(&room);
    let (mut sender, receiver) = link.start_mapped();
    sender.push(&[START]);
    let mut made = vec![];
    for n in 1..=40 {
        // Up to 40 MB, each of another size.
        sender.push(&[&format!("buffer count=2 mem={} pts=0", n * 1_000_000)]);
        receiver.lines_until(2 * n, "buffer ");
        made.push(room.made_by(sender.pid()));
    }
    assert_same_buffers(&sender, &receiver, 80);
    let most = made.iter().max().copied().unwrap_or_default();
    assert!(most < 250_000_000, "{made:?}");
    sender.stop();
    receiver.stop();
    room.assert_empty();
}

#[test]
fn a_sender_that_starts_again_shares_memory_again() {
    let room = Room::new();
    let link = Link::new(Pairing::ServerSrc, Transport::Default)
        .by(&room.by())
        .src("on-disconnect=reconnect")
        .buf_type("nvdsucx-buf-any")
        .src("on-disconnect=reconnect");
    let (mut sender, mut receiver) = link.start_mapped();
    for n in 1..=5 {
        sender.push(&[START, "buffer count=10 mem=300000 pts=0"]);
        receiver.lines_until(10 * n, "buffer ");
        let mark = receiver.mark();
        sender.ask("null", "state-set NULL Ok(Success)");
        receiver.line_after(mark, DISCONNECTED);
        sender.command("playing");
        receiver.line_after(mark, CONNECTED);
        receiver.wait_until_mapped(1);
    }
    assert_eq!(receiver.count("buffer "), 50);
    receiver.assert_no_error();
    sender.stop();
    receiver.stop();
    room.assert_empty();
}

/// The first `count` that the receiver kept are still what the sender sent.
fn assert_kept(sent: &[String], receiver: &mut Peer, count: usize) {
    receiver.ask("kept", "kept-all");
    let kept: Vec<_> =
        receiver.lines_with("kept n=").iter().map(|line| line.replacen("kept", "buffer", 1)).collect();
    assert_same_lines(sent, &kept[..count]);
}

/// A receiver that has 30 buffers and keeps them.
fn keeper(link: &Link) -> (Peer, Peer, Vec<String>) {
    let (mut sender, mut receiver) = link.start_mapped();
    receiver.ask("keep", "keeping");
    sender.push(&[START, "buffer count=30 mem=300000 pts=0"]);
    receiver.lines_until(30, "buffer ");
    let sent = sender.lines_until(30, "buffer ");
    (sender, receiver, sent)
}

#[test]
fn what_a_receiver_keeps_stays_as_it_is_when_its_sender_takes_it_for_lost() {
    let link = Link::new(Pairing::ServerSink, Transport::Default).sink("peer-timeout=1000");
    let (mut sender, mut receiver, sent) = keeper(&link);
    receiver.signal(Signal::STOP);
    sender.line(DISCONNECTED);
    let other = link.connecting(sender.port()).start();
    other.line(CONNECTED);
    sender.push(&["buffer count=100 seed=77 mem=300000 pts=0"]);
    other.lines_until(100, "buffer ");
    receiver.signal(Signal::CONT);
    assert_kept(&sent, &mut receiver, 30);
}

#[test]
fn what_a_receiver_keeps_stays_as_it_is_when_it_takes_its_sender_for_lost() {
    let link = Link::new(Pairing::ServerSink, Transport::Default)
        .src("peer-timeout=1000 on-disconnect=reconnect connect-timeout=0");
    let (mut sender, mut receiver, sent) = keeper(&link);
    let mark = receiver.mark();
    sender.signal(Signal::STOP);
    receiver.line(DISCONNECTED);
    sender.signal(Signal::CONT);
    receiver.line_after(mark, CONNECTED);
    sender.lines_until(2, CONNECTED);
    sender.push(&["buffer count=100 seed=77 mem=300000 pts=0"]);
    receiver.lines_until(130, "buffer ");
    assert_kept(&sent, &mut receiver, 30);
}

#[test]
fn what_receivers_keep_when_they_leave_stays_as_it_is() {
    let link = Link::new(Pairing::ServerSink, Transport::Default);
    let mut sender = link.listening().start();
    sender.push(&[START]);
    let mut left = vec![];
    for n in 0..20 {
        let mut receiver = link.connecting(sender.port()).start();
        receiver.wait_until_mapped(1);
        receiver.ask("keep", "keeping");
        let mark = sender.mark();
        sender.push(&[&format!("buffer seed={n} mem=300000 pts={n}")]);
        let sent = sender.lines_until(n + 1, "buffer ").pop().expect("the last");
        receiver.line("buffer n=0");
        receiver.ask("null", "state-set NULL");
        sender.line_after(mark, DISCONNECTED);
        left.push((sent.replacen(&format!("n={n} "), "n=0 ", 1), receiver));
    }
    for (sent, receiver) in &mut left {
        assert_kept(std::slice::from_ref(sent), receiver, 1);
    }
}

#[test]
fn what_a_killed_sender_had_sent_still_arrives() {
    for link in Link::both() {
        let link = link.src("on-disconnect=eos");
        let (mut sender, mut receiver) = link.start_playing();
        receiver.block();
        sender.push(&["buffer count=10 mem=300000 pts=0", "buffer count=20 mem=300 pts=0"]);
        sender.line("pushed buffer n=31 ");
        let sent = sender.lines_until(32, "buffer ");
        // Memory that the receiver has not mapped by then is gone with the sender.
        eventually("mapped", SOON, || {
            let newest = segments(sender.pid()).pop_last().expect("there are some");
            segments(receiver.pid()).contains(&newest).then_some(())
        });
        sender.kill();
        receiver.line(DISCONNECTED);
        receiver.command("unblock");
        receiver.line("eos");
        assert_eq!(receiver.count("buffer "), 32);
        assert_same_lines(&sent, &receiver.lines_with("buffer "));
        receiver.assert_no_error();
        receiver.stop();
    }
}

#[test]
fn memory_that_has_come_and_gone_before_the_receiver_looks_is_no_harm() {
    let link = Link::new(Pairing::ServerSink, Transport::Default).sink("leaky=upstream max-size-buffers=1");
    let (mut sender, receiver) = link.start_mapped();
    sender.push(&[START, "buffer mem=10 pts=0"]);
    receiver.lines_until(1, "buffer ");
    receiver.signal(Signal::STOP);
    // Each is of another size and needs other memory; all but the first find no room.
    for n in 20..30 {
        sender.push(&[&format!("buffer mem={n}000000 pts=0")]);
    }
    sender.line("pushed buffer n=10 ");
    assert!(sender.stat("dropped") >= 9);
    receiver.signal(Signal::CONT);
    receiver.lines_until(2, "buffer ");
    for n in 3..9 {
        sender.push(&["buffer mem=300000 pts=0"]);
        receiver.lines_until(n, "buffer ");
    }
    sender.push(&["eos"]);
    receiver.line("eos");
    sender.assert_no_error();
    receiver.assert_no_error();
    sender.stop();
    receiver.stop();
}
