//! Clients that come and go leave nothing behind.

mod common;

use std::fs;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use nvdsucx_session::wire::FrameHeader;
use nvdsucx_session::{Frame, Incoming, Notice, Outgoing, Publisher, Region, Side, Subscriber};

use common::{SOON, bytes, config, receiver_config, sender_config};

/// Open files and threads of this process.
fn held() -> (usize, usize) {
    let count = |folder| fs::read_dir(folder).unwrap().count();
    (count("/proc/self/fd"), count("/proc/self/task"))
}

#[test]
fn clients_that_come_and_go_leave_no_file_and_no_thread() {
    let rounds = std::env::var("NVDSUCX_TEST_ROUNDS").map_or(100, |rounds| rounds.parse().unwrap());
    let (notices, received) = channel();
    let notify = move |notice| drop(notices.send(notice));
    let publisher = Publisher::start(config(Side::Listen, 0), sender_config(), notify).unwrap();
    let port = publisher.local_address().unwrap().port();
    let mut before = None;
    for round in 0..rounds {
        let subscriber = Subscriber::start(config(Side::Connect, port), receiver_config(), |_| {}).unwrap();
        for size in [100, 300_000] {
            let regions = vec![Region::from(vec![round as u8; size])];
            let frame = Outgoing::Frame(Frame { header: FrameHeader::default(), regions });
            publisher.send(frame).map_err(|interrupted| interrupted.0).unwrap();
            let Incoming::Frame(frame) = subscriber.receive().unwrap() else { panic!("no frame") };
            assert_eq!(bytes(&frame.payload)[size - 1], round as u8);
        }
        // Some leave in good order, some in the middle of the next handshake.
        if round % 3 == 0 {
            drop(Subscriber::start(config(Side::Connect, port), receiver_config(), |_| {}).unwrap());
        }
        drop(subscriber);
        let left = |notice: &Notice| matches!(notice, Notice::Left { orderly: true, .. });
        let deadline = Instant::now() + SOON;
        while !left(&received.recv_timeout(deadline.saturating_duration_since(Instant::now())).unwrap()) {}
        // UCX opens some files at first use, and keeps them.
        if round == 10 {
            before = Some(held());
        }
    }
    let (files, threads) = before.expect("more than ten rounds");
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let (files_now, threads_now) = held();
        // One round's leftovers may still be on their way out.
        if files_now <= files + 4 && threads_now <= threads {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "{files} files, {threads} threads became {files_now}, {threads_now}"
        );
        std::thread::yield_now();
    }
}
