//! Clients of a serversink that come and go leave nothing behind, neither there nor here.
//!
//! The only test of its program: what it counts is the program's own.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;
use std::{fs, process, thread};

use nvdsucx_session::wire::BufferType;
use nvdsucx_session::{Config, HostAllocator, Incoming, OnDisconnect, ReceiverConfig, Side, Subscriber};
use nvdsucx_tests::compare::eventually;
use nvdsucx_tests::peer::SOON;
use nvdsucx_tests::process::{mappings, open_files, private_memory, threads};
use nvdsucx_tests::{Link, Pairing, Transport};

fn subscribe(port: u16, zero_copy: bool) -> Subscriber {
    let config = Config {
        side: Side::Connect,
        address: "127.0.0.1".to_owned(),
        port,
        buffer_type: BufferType::Any,
        high_performance: true,
        zero_copy,
        key: None,
        connect_timeout: Some(SOON),
        longest_pause: SOON,
        peer_timeout: Some(SOON),
        busy_poll: Duration::ZERO,
        on_disconnect: OnDisconnect::Fail,
        max_peers: 1,
        name: "client".to_owned(),
    };
    let receiver = ReceiverConfig {
        allocator: Arc::new(HostAllocator),
        device: None,
        buffers: 4,
        initial_size: 0,
        max_frame_size: 1 << 20,
        max_held: 1 << 20,
        measure_clock: false,
    };
    Subscriber::start(config, receiver, |_| {}).expect("it starts")
}

/// What a process holds: open files, threads, mappings, segments of shared memory, and bytes of its own.
fn held(pid: u32) -> [u64; 5] {
    let table = fs::read_to_string("/proc/sysvipc/shm").expect("this kernel has System V memory");
    let maker = |line: &&str| line.split_whitespace().nth(4) == Some(&pid.to_string());
    let segments = table.lines().filter(maker).count();
    let count = |n: usize| n as u64;
    [count(open_files(pid)), count(threads(pid)), count(mappings(pid)), count(segments), private_memory(pid)]
}

fn come_and_go(zero_copy: bool) {
    const ROUNDS: usize = 500;
    /// By then everything has been used once.
    const WARM: usize = 100;
    /// Of each, on the way out or allocated in another order; a megabyte is a few kilobytes for each client. Our own process keeps
    /// what the sender says, too.
    const MORE: [[u64; 5]; 2] = [[4, 2, 40, 2, 1 << 20], [4, 2, 40, 2, 2 << 20]];
    let link = Link::new(Pairing::ServerSink, Transport::Default);
    let mut sender = link.listening().start();
    let port = sender.port();
    sender.push(&["start application/x-test"]);
    let both = [sender.pid(), process::id()];
    let mut before = None;
    for round in 0..ROUNDS {
        let subscriber = subscribe(port, zero_copy);
        let (took, taken) = channel();
        let reader = thread::spawn(move || {
            loop {
                match subscriber.receive().expect("the sender stays") {
                    // The sender knows it.
                    Incoming::Event(_) => drop(took.send(None)),
                    Incoming::Frame(frame) => break took.send(Some(frame.payload.len())),
                }
            }
        });
        assert_eq!(taken.recv_timeout(SOON), Ok(None), "the stream begins in round {round}");
        let len = if round % 2 == 0 { 100 } else { 50_000 };
        sender.push(&[&format!("buffer mem={len}")]);
        while taken.recv_timeout(SOON).expect("a frame comes") != Some(len) {}
        // It has left.
        reader.join().expect("no panic").expect("the test listens");
        if round % 3 == 0 {
            // In the middle of the handshake.
            drop(subscribe(port, zero_copy));
        }
        if round == WARM {
            before = Some(both.map(held));
        }
    }
    let before = before.expect("enough rounds");
    let mut after = before;
    eventually("as before", SOON, || {
        after = both.map(held);
        println!("files, threads, mappings, segments, bytes of sender and clients: {before:?} -> {after:?}");
        let grew = |n: usize| (0..5).any(|what| after[n][what] > before[n][what] + MORE[n][what]);
        (!grew(0) && !grew(1)).then_some(())
    });
    assert_eq!(sender.count("error "), 0);
    sender.stop();
}

#[test]
fn a_thousand_clients_that_come_and_go_leave_nothing_behind() {
    for zero_copy in [true, false] {
        come_and_go(zero_copy);
    }
}
