//! A leaky sender does without those who have no room, and nobody else notices.

mod common;

use std::sync::mpsc::channel;
use std::time::Instant;

use nvdsucx_session::wire::FrameHeader;
use nvdsucx_session::{
    Config, Frame, Incoming, Outgoing, Overflow, Publisher, Region, SenderConfig, Side, Subscriber,
};

use common::{SOON, config, receiver_config, sender_config};

const WINDOW: u64 = 4;
const FRAMES: u64 = 200;

fn send(publisher: &Publisher, pts: u64) {
    let header = FrameHeader { pts: Some(pts), ..FrameHeader::default() };
    let frame = Frame { header, regions: vec![Region::from(vec![pts as u8; 100_000])] };
    publisher.send(Outgoing::Frame(frame)).map_err(|interrupted| interrupted.0).expect("nothing interrupts");
}

fn next(subscriber: &Subscriber) -> Option<u64> {
    match subscriber.receive().ok()? {
        Incoming::Frame(frame) => frame.header.pts,
        Incoming::Event(event) => panic!("an event instead of a frame: {event:?}"),
    }
}

#[test]
fn a_client_that_takes_nothing_costs_the_others_of_a_leaky_sender_no_frame() {
    for (slow_mapped, quick_mapped) in [(true, true), (false, false), (true, false), (false, true)] {
        let sender = SenderConfig {
            overflow: Overflow::DropNew,
            window_frames: WINDOW as u32,
            wanted_peers: 2,
            ..sender_config()
        };
        let zero_copy = |config: Config, zero_copy| Config { zero_copy, ..config };
        let publisher =
            Publisher::start(zero_copy(config(Side::Listen, 0), true), sender, |_| {}).expect("it listens");
        let port = publisher.local_address().unwrap().port();
        let subscribe = |mapped| {
            let config = zero_copy(config(Side::Connect, port), mapped);
            Subscriber::start(config, receiver_config(), |_| {}).expect("it starts")
        };
        let (slow, quick) = (subscribe(slow_mapped), subscribe(quick_mapped));
        let ways = usize::from(slow_mapped) + usize::from(quick_mapped);
        let deadline = Instant::now() + SOON;
        let settled = || {
            let peers = publisher.stats().peers;
            peers.len() == 2 && peers.iter().filter(|peer| peer.mapped).count() == ways
        };
        while !settled() {
            assert!(Instant::now() < deadline, "not settled: {:?}", publisher.stats());
            std::thread::yield_now();
        }
        std::thread::scope(|scope| {
            let (took, taken) = channel();
            let quick = &quick;
            scope.spawn(move || {
                while let Some(pts) = next(quick)
                    && took.send(pts).is_ok()
                {}
            });
            for pts in 0..FRAMES {
                send(&publisher, pts);
                let arrived = taken.recv_timeout(SOON);
                // Otherwise the other thread waits for ever.
                quick.set_flushing(arrived != Ok(pts));
                assert_eq!(arrived, Ok(pts), "slow mapped: {slow_mapped}, quick mapped: {quick_mapped}");
            }
            quick.set_flushing(true);
        });
        let stats = publisher.stats();
        assert_eq!((stats.frames, stats.dropped()), (FRAMES, 0), "every frame went to somebody");
        let mut frames: Vec<_> = stats.peers.iter().map(|peer| peer.frames).collect();
        frames.sort_unstable();
        assert_eq!(frames, [WINDOW, FRAMES]);
        // It has what it had room for, and goes on as soon as it has room again.
        for pts in 0..WINDOW {
            assert_eq!(next(&slow), Some(pts));
        }
        std::thread::scope(|scope| {
            let goes_on = scope.spawn(|| {
                let mut last = WINDOW - 1;
                while last < FRAMES {
                    let pts = next(&slow).expect("it goes on");
                    assert!(pts > last, "{pts} after {last}");
                    last = pts;
                }
            });
            let deadline = Instant::now() + SOON;
            for pts in FRAMES.. {
                send(&publisher, pts);
                slow.set_flushing(Instant::now() > deadline);
                if goes_on.is_finished() {
                    return;
                }
                std::thread::yield_now();
            }
        });
    }
}
