//! Over RDMA verbs. `cargo xtask test --rdma` runs these in a virtual machine with two soft-RoCE devices.
//!
//! It is slow: few frames, and generous deadlines. UCX goes from eager to rendezvous at some 215 KB there.

use std::time::Duration;

use nvdsucx_tests::compare::{assert_same_buffers, assert_same_lines, assert_silent, eventually, settled};
use nvdsucx_tests::link::{CONNECTED, DISCONNECTED};
use nvdsucx_tests::peer::SOON;
use nvdsucx_tests::process::{cpu_time, open_files, threads};
use nvdsucx_tests::roce::{Loss, links, regions};
use nvdsucx_tests::{Link, Pairing, Peer, environment};
use rustix::process::Signal;

/// The other side's card tells at once that a killed process is gone.
const KILL_NOTICED: Duration = Duration::from_secs(5);

/// Starts both, and makes sure that it is verbs that join them.
fn start(link: &Link) -> (Peer, Peer) {
    let (mut sender, mut receiver) = link.start_connected();
    for peer in [&mut sender, &mut receiver] {
        assert_over_verbs(peer);
    }
    (sender, receiver)
}

fn assert_over_verbs(peer: &mut Peer) {
    let stats = peer.ask("stats", "stats ");
    assert!(stats.contains("rc_verbs/rxe") && !stats.contains("tcp/"), "other lanes: {stats}");
    assert_eq!(peer.paths(), ["messages"]);
}

/// Ten frames, by turns eager and by rendezvous.
fn flow(sender: &mut Peer, receiver: &Peer) {
    sender.push(&["start application/x-test"]);
    for _ in 0..5 {
        sender.push(&["buffer mem=100000 pts=0", "buffer mem=400000 pts=0"]);
    }
    assert_same_buffers(sender, receiver, 10);
}

fn end(sender: Peer, receiver: Peer) {
    sender.assert_no_error();
    receiver.assert_no_error();
    sender.stop();
    receiver.stop();
}

#[test]
fn the_elements_are_registered() {
    assert!(environment::get().registry.exists(), "there is no registry");
}

#[test]
fn frames_of_all_sizes_cross_rdma() {
    for link in links() {
        let (mut sender, receiver) = start(&link);
        sender.push(&["start application/x-test"]);
        let sizes =
            ["1", "1000", "8192", "65536", "150000", "214000", "216000", "300000", "1000003", "5000000"];
        for size in sizes {
            sender.push(&[&format!("buffer count=2 mem={size} pts=0")]);
        }
        // Of several memories.
        sender.push(&["buffer mem=1000,1,70000 pts=1", "buffer mem=300000,1,200000 pts=2", "eos"]);
        receiver.line("eos");
        sender.line("eos");
        assert_same_buffers(&sender, &receiver, 2 * sizes.len() + 2);
        end(sender, receiver);
    }
}

#[test]
fn a_killed_sender_is_an_error_over_rdma() {
    for link in links() {
        let (mut sender, receiver) = start(&link);
        flow(&mut sender, &receiver);
        sender.kill();
        receiver.error(KILL_NOTICED, &["source=ucx", "lost 10.77.0."]);
        receiver.stop();
    }
}

#[test]
fn a_killed_receiver_is_an_error_of_the_clientsink_over_rdma() {
    let [_, link] = links();
    let (mut sender, receiver) = start(&link);
    flow(&mut sender, &receiver);
    receiver.kill();
    sender.error(KILL_NOTICED, &["source=ucx", "lost 10.77.0."]);
    sender.stop();
}

#[test]
fn a_serversink_goes_on_when_one_of_two_clients_is_killed_over_rdma() {
    let [link, _] = links();
    let link = link.sink("num-conns=2");
    let mut sender = link.listening().start();
    let stays = link.connecting(sender.port()).start();
    let dies = link.connecting(sender.port()).start();
    flow(&mut sender, &stays);
    assert_same_buffers(&sender, &dies, 10);
    dies.kill();
    sender.line_within(DISCONNECTED, KILL_NOTICED);
    sender.push(&["buffer count=10 mem=300000 pts=0", "eos"]);
    stays.line("eos");
    sender.line("eos");
    assert_same_buffers(&sender, &stays, 20);
    end(sender, stays);
}

#[test]
fn a_client_killed_with_frames_on_their_way_makes_room_for_the_next_over_rdma() {
    let [link, _] = links();
    let (mut sender, mut receiver) = start(&link);
    fill(&mut sender, &mut receiver);
    receiver.kill();
    sender.line_within(DISCONNECTED, KILL_NOTICED);
    let next = link.connecting(sender.port()).start();
    next.line(CONNECTED);
    sender.push(&["buffer count=5 mem=300000 pts=7", "eos"]);
    next.line("eos");
    sender.line("eos");
    let received = next.lines_with("buffer ");
    assert!(received.iter().filter(|line| line.contains(" pts=7 ")).count() == 5, "{received:#?}");
    end(sender, next);
}

/// The receiver takes one frame and no more, so that others are on their way. Returns what has left by then.
fn fill(sender: &mut Peer, receiver: &mut Peer) -> Vec<String> {
    receiver.block();
    sender.push(&["start application/x-test", "buffer count=30 mem=300000 pts=0"]);
    receiver.line("blocked");
    settled(sender, "buffer ");
    sender.lines_with("buffer ")
}

#[test]
fn a_sender_killed_with_frames_on_their_way_is_an_error_over_rdma() {
    for link in links() {
        let (mut sender, mut receiver) = start(&link);
        let sent = fill(&mut sender, &mut receiver);
        sender.kill();
        receiver.line_within(DISCONNECTED, KILL_NOTICED);
        receiver.command("unblock");
        receiver.error(KILL_NOTICED, &["source=ucx", "lost 10.77.0."]);
        assert_same_lines(&sent, &receiver.lines_with("buffer "));
        receiver.stop();
    }
}

#[test]
fn a_sender_stopped_with_frames_on_their_way_is_told_from_a_crash_over_rdma() {
    for link in links() {
        let (mut sender, mut receiver) = start(&link);
        let sent = fill(&mut sender, &mut receiver);
        sender.stop();
        receiver.line_within(DISCONNECTED, KILL_NOTICED);
        receiver.command("unblock");
        receiver.error(KILL_NOTICED, &["source=ucx", "lost 10.77.0.", "before the end of its stream"]);
        assert_same_lines(&sent, &receiver.lines_with("buffer "));
        receiver.stop();
    }
}

#[test]
fn a_receiver_that_stops_with_frames_on_their_way_is_told_from_a_crash_over_rdma() {
    for link in links() {
        let (mut sender, mut receiver) = start(&link);
        fill(&mut sender, &mut receiver);
        receiver.stop();
        match link.pairing {
            Pairing::ServerSink => drop(sender.line_within(DISCONNECTED, KILL_NOTICED)),
            Pairing::ServerSrc => {
                drop(sender.error(KILL_NOTICED, &["source=ucx", "lost 10.77.0.", "it left: "]));
            }
        }
        sender.stop();
    }
}

#[test]
fn a_sender_that_stops_before_the_end_of_its_stream_is_told_from_a_crash_over_rdma() {
    for link in links() {
        let (mut sender, receiver) = start(&link);
        flow(&mut sender, &receiver);
        sender.stop();
        receiver.error(KILL_NOTICED, &["source=ucx", "lost 10.77.0.", "before the end of its stream"]);
        receiver.stop();
    }
}

#[test]
fn an_end_of_stream_arrives_with_all_that_comes_before_it_over_rdma() {
    for link in links() {
        let (mut sender, receiver) = start(&link);
        sender.push(&["start application/x-test", "buffer count=15 mem=300000 pts=0"]);
        sender.push(&["buffer count=25 mem=50000 pts=0", "eos"]);
        // Nothing is waited for but what an application waits for.
        sender.line("eos");
        let sent = sender.lines_with("buffer ");
        sender.assert_no_error();
        sender.stop();
        receiver.line("eos");
        assert_eq!((sent.len(), receiver.count("buffer ")), (40, 40));
        assert_same_lines(&sent, &receiver.lines_with("buffer "));
        receiver.assert_no_error();
        receiver.stop();
    }
}

#[test]
fn a_silent_peer_is_lost_after_peer_timeout_over_rdma() {
    for link in links() {
        let (mut sender, receiver) = start(&link.src("peer-timeout=3000"));
        flow(&mut sender, &receiver);
        sender.signal(Signal::STOP);
        receiver.error(Duration::from_secs(8), &["source=ucx", "lost 10.77.0.", "3000 ms"]);
        receiver.stop();
    }
}

#[test]
fn a_cut_cable_is_noticed_by_both_ends_of_rdma() {
    for link in links() {
        let link = link.sink("peer-timeout=3000").src("peer-timeout=3000");
        let (mut sender, receiver) = start(&link);
        flow(&mut sender, &receiver);
        let cut = Loss::of("100%");
        sender.push(&["buffer count=10 mem=300000 pts=0"]);
        let within = Duration::from_secs(8);
        receiver.error(within, &["source=ucx", "lost 10.77.0."]);
        match link.pairing {
            Pairing::ServerSink => drop(sender.line_within(DISCONNECTED, within)),
            Pairing::ServerSrc => drop(sender.error(within, &["source=ucx", "lost 10.77.0."])),
        }
        sender.stop();
        receiver.stop();
        drop(cut);
    }
}

#[test]
fn what_a_cable_loses_is_sent_again_over_rdma() {
    for link in links() {
        let (mut sender, receiver) = start(&link);
        sender.push(&["start application/x-test"]);
        let loss = Loss::of("0.1%");
        let mut count = 0;
        eventually("lost", Duration::from_secs(60), || {
            sender.push(&["buffer count=5 mem=300000 pts=0", "buffer count=5 mem=100000 pts=0"]);
            count += 10;
            assert_same_buffers(&sender, &receiver, count);
            (loss.packets() > 0).then_some(())
        });
        sender.push(&["eos"]);
        receiver.line("eos");
        sender.line("eos");
        end(sender, receiver);
    }
}

#[test]
fn memory_is_registered_once_over_rdma() {
    let video = "videotestsrc num-buffers=200 pattern=snow ! video/x-raw,format=GRAY8,width=640,height=480 ! \
                 identity name=probe !";
    let first = |peer: &Peer| regions(peer.pid()).first().copied().expect("it has registered memory");
    let [_, link] = links();
    let link = link.buf_type("nvdsucx-buf-video").head(video).sink("max-size-buffers=8");
    let run = || {
        let (sender, receiver) = start(&link);
        receiver.lines_until(10, "buffer ");
        (sender, receiver)
    };
    let (sender, receiver) = run();
    receiver.line_within("eos", Duration::from_secs(60));
    let begin = [first(&sender), first(&receiver)];
    end(sender, receiver);
    // The next process on a card goes on where they stopped counting, whether their memory is still registered or not.
    let (sender, receiver) = run();
    let registered = [first(&sender) - begin[0], first(&receiver) - begin[1]];
    assert!(registered.iter().all(|count| *count < 60), "sender and receiver: {registered:?} for 200 frames");
}

#[test]
fn an_idle_link_sleeps_over_rdma() {
    for link in links() {
        let (mut sender, receiver) = start(&link);
        flow(&mut sender, &receiver);
        let used = || [&sender, &receiver].map(|peer| cpu_time(peer.pid()));
        let before = used();
        assert_silent(&receiver, "error", Duration::from_secs(3));
        for (after, before) in used().into_iter().zip(before) {
            // Nobody sleeps well on a slow machine.
            let worked = after - before;
            assert!(worked < Duration::from_millis(600), "worked {worked:?} in 3 s");
        }
        end(sender, receiver);
    }
}

/// Queue pairs are not counted: UCX keeps them until the card says that nothing is left in them, and soft-RoCE never does.
#[test]
fn clients_that_come_and_go_leave_nothing_in_the_server_over_rdma() {
    let [link, _] = links();
    let mut server = link.listening().start();
    server.push(&["start application/x-test"]);
    let mut left = vec![];
    for n in 0..6 {
        let client = link.connecting(server.port()).start();
        client.line(CONNECTED);
        let mark = server.mark();
        server.push(&["buffer count=2 mem=300000 pts=0"]);
        client.lines_until(2, "buffer ");
        if n % 2 == 0 {
            client.stop();
        } else {
            client.kill();
        }
        server.line_after(mark, DISCONNECTED);
        left.push(eventually("settled", SOON, || {
            let pid = server.pid();
            let now = || (regions(pid).len(), open_files(pid), threads(pid));
            let before = now();
            assert_silent(&server, "error", Duration::from_millis(500));
            (now() == before).then_some(before)
        }));
    }
    // The first ones find caches empty; memory that was not used before may still be registered later, but not for each.
    let ((regions, files, threads), last) = (left[2], left[5]);
    let same = last.0 < regions + 3 && last.1 <= files && last.2 <= threads;
    assert!(same, "regions, files, threads: {left:?}");
    server.stop();
}
