//! What becomes of frames that a peer has no room for: each policy, with shared memory and with messages.

mod common;

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use nvdsucx_session::wire::{EventKind, FrameHeader, Latency, StreamEvent, Structured, stream_event::Event};
use nvdsucx_session::{
    Config, Frame, Incoming, Interrupted, Notice, Outgoing, Overflow, PeerStats, Publisher, Region,
    SenderConfig, Side, Subscriber,
};

use common::{SOON, config, receiver_config, sender_config};

const LEN: usize = 50_000;

fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !happened() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::yield_now();
    }
}

/// A sender with some receivers.
struct Session {
    publisher: Publisher,
    notices: Mutex<Receiver<Notice>>,
    subscribers: Vec<Subscriber>,
}

impl Session {
    /// Of the receivers those that are `true` map the sender's memory.
    fn new(sender: SenderConfig, receivers: &[bool]) -> Self {
        let (notices, received) = channel();
        let notify = move |notice| drop(notices.send(notice));
        let zero_copy = |side, port, zero_copy| Config { zero_copy, ..config(side, port) };
        let sender = SenderConfig { wanted_peers: receivers.len(), ..sender };
        let publisher = Publisher::start(zero_copy(Side::Listen, 0, true), sender, notify).unwrap();
        let port = publisher.local_address().unwrap().port();
        let subscribe = |mapped: &bool| {
            let session =
                Subscriber::start(zero_copy(Side::Connect, port, *mapped), receiver_config(), |_| {});
            let subscriber = session.unwrap();
            wait_until("it is there", || subscriber.peers() == 1);
            subscriber
        };
        let subscribers: Vec<_> = receivers.iter().map(subscribe).collect();
        wait_until("all are settled", || {
            let peers = publisher.stats().peers;
            let mapped = peers.iter().filter(|peer| peer.mapped).count();
            peers.len() == receivers.len() && mapped == receivers.iter().filter(|mapped| **mapped).count()
        });
        Self { publisher, notices: Mutex::new(received), subscribers }
    }

    fn send(&self, n: u64) {
        let sent = self.publisher.send(frame(n));
        sent.map_err(|given_back| given_back.0).expect("nothing interrupts");
    }

    /// Whether [`send`](Self::send) would wait for longer than a while.
    fn waits(&self) -> bool {
        thread::scope(|scope| {
            let (sent, done) = channel();
            let publisher = &self.publisher;
            scope.spawn(move || {
                let _ = sent.send(publisher.send(frame(0)).is_err());
            });
            let waits = done.recv_timeout(Duration::from_millis(300)).is_err();
            publisher.set_flushing(true);
            if waits {
                assert_eq!(done.recv_timeout(SOON), Ok(true));
            }
            publisher.set_flushing(false);
            waits
        })
    }

    /// What the publisher knows of the receiver with that number.
    fn peer(&self, n: usize) -> PeerStats {
        self.publisher.stats().peers[n].clone()
    }

    fn set_live(&self) {
        self.publisher.set_latency(Latency { live: true, min: 0, max: None });
    }
}

fn frame(n: u64) -> Outgoing {
    let header = FrameHeader { pts: Some(n * 1_000_000), ..FrameHeader::default() };
    Outgoing::Frame(Frame { header, regions: vec![Region::from(vec![n as u8; LEN])] })
}

fn next(subscriber: &Subscriber) -> Option<u64> {
    loop {
        match subscriber.receive().ok()? {
            Incoming::Frame(frame) => return frame.header.pts.map(|pts| pts / 1_000_000),
            Incoming::Event(_) => {}
        }
    }
}

/// Takes a frame, which must come soon.
fn soon(subscriber: &Subscriber) -> u64 {
    thread::scope(|scope| {
        let (took, taken) = channel();
        scope.spawn(move || {
            let _ = took.send(next(subscriber));
        });
        let taken = taken.recv_timeout(SOON);
        if taken.is_err() {
            subscriber.set_flushing(true);
        }
        taken.expect("a frame comes").expect("nothing interrupts")
    })
}

/// Where the slow and the quick receiver are.
const WAYS: [[bool; 2]; 4] = [[true, true], [false, false], [true, false], [false, true]];

#[test]
fn the_oldest_frames_make_room_for_the_newest_and_nobody_else_notices() {
    for ways in WAYS {
        let sender = SenderConfig { overflow: Overflow::DropOld, window_frames: 8, ..sender_config() };
        let session = Session::new(sender, &ways);
        let [slow, quick] = &session.subscribers[..] else { unreachable!() };
        for n in 0..100 {
            session.send(n);
            assert_eq!(soon(quick), n, "{ways:?}");
        }
        // Half of the window is on its way, the other half holds the newest.
        wait_until("all have come that far", || session.peer(0).dropped == 92);
        let got: Vec<_> = (0..8).map(|_| soon(slow)).collect();
        assert_eq!(got, [0, 1, 2, 3, 96, 97, 98, 99], "{ways:?}");
        let (slow_stats, quick_stats) = (session.peer(0), session.peer(1));
        assert_eq!((slow_stats.frames, slow_stats.dropped), (8, 92), "{ways:?}");
        assert_eq!((quick_stats.frames, quick_stats.dropped), (100, 0), "{ways:?}");
        // And it goes on.
        session.send(100);
        assert_eq!((soon(slow), soon(quick)), (100, 100), "{ways:?}");
        session.publisher.drain().unwrap();
    }
}

#[test]
fn what_waits_is_sent_though_nothing_follows_and_before_the_end() {
    for mapped in [true, false] {
        let sender = SenderConfig { overflow: Overflow::DropOld, window_frames: 2, ..sender_config() };
        let session = Session::new(sender, &[mapped]);
        for n in 0..10 {
            session.send(n);
        }
        wait_until("all have come that far", || session.peer(0).dropped == 8);
        assert_eq!(soon(&session.subscribers[0]), 0);
        assert_eq!(soon(&session.subscribers[0]), 9, "mapped: {mapped}");
        for n in 10..20 {
            session.send(n);
        }
        let event = Some(Event::Eos(Default::default()));
        session.publisher.send(Outgoing::Event(StreamEvent { event, ..StreamEvent::default() })).unwrap();
        thread::scope(|scope| {
            let drained = scope.spawn(|| session.publisher.drain());
            let mut last = 0;
            loop {
                match session.subscribers[0].receive().unwrap() {
                    Incoming::Frame(frame) => last = frame.header.pts.unwrap() / 1_000_000,
                    Incoming::Event(event) => break assert!(matches!(event.event, Some(Event::Eos(_)))),
                }
            }
            assert_eq!(last, 19, "mapped: {mapped}");
            thread::scope(|scope| {
                scope.spawn(|| session.subscribers[0].receive());
                drained.join().unwrap().unwrap();
                session.subscribers[0].set_flushing(true);
            });
        });
    }
}

#[test]
fn who_is_too_slow_is_disconnected_and_the_others_stay() {
    for ways in WAYS {
        let sender = SenderConfig { overflow: Overflow::Disconnect, window_frames: 4, ..sender_config() };
        let session = Session::new(sender, &ways);
        let [slow, quick] = &session.subscribers[..] else { unreachable!() };
        for n in 0..100 {
            session.send(n);
            assert_eq!(soon(quick), n, "{ways:?}");
        }
        wait_until("one is gone", || session.publisher.peers() == 1);
        let stats = session.publisher.stats();
        assert_eq!((stats.too_slow, stats.lost, stats.frames), (1, 0, 100), "{ways:?}");
        let left = session.notices.lock().unwrap().try_iter().find_map(|notice| match notice {
            Notice::Left { reason, .. } => Some(reason),
            _ => None,
        });
        assert!(left.is_some_and(|reason| reason.contains("too slow")), "{ways:?}");
        // It has what had arrived, and then knows why there is no more.
        let mut got = Vec::new();
        let end = loop {
            match slow.receive() {
                Ok(Incoming::Frame(frame)) => got.push(frame.header.pts.unwrap() / 1_000_000),
                Ok(Incoming::Event(_)) => {}
                Err(end) => break end,
            }
        };
        assert_eq!(got, (0..got.len() as u64).collect::<Vec<_>>(), "{ways:?}");
        assert!(got.len() <= 4, "{ways:?}: {got:?}");
        let Interrupted::Failed(error) = end else { panic!("{end:?}") };
        assert!(error.to_string().contains("too slow"), "{error}");
    }
}

#[test]
fn a_live_stream_waits_for_none_of_several_and_any_other_for_all() {
    for ways in WAYS {
        let sender = SenderConfig { overflow: Overflow::Auto, window_frames: 4, ..sender_config() };
        let session = Session::new(sender, &ways);
        let quick = &session.subscribers[1];
        for n in 0..4 {
            session.send(n);
            assert_eq!(soon(quick), n);
        }
        if ways == [true, true] {
            assert!(session.waits(), "not live: everybody gets everything");
        }
        session.set_live();
        // The transport thread has to hear of it first.
        wait_until("it is live", || !session.waits());
        let after = |last| {
            let mut n = soon(quick);
            while n < last {
                n = soon(quick);
            }
            n
        };
        for n in 1000..1100 {
            session.send(n);
            assert_eq!(after(n), n, "{ways:?}");
        }
        wait_until("all have come that far", || session.peer(0).dropped >= 100);
    }
}

#[test]
fn a_live_stream_waits_for_its_only_receiver() {
    for mapped in [true, false] {
        let sender = SenderConfig { overflow: Overflow::Auto, window_frames: 2, ..sender_config() };
        let session = Session::new(sender, &[mapped]);
        session.set_live();
        thread::scope(|scope| {
            scope.spawn(|| (0..50).for_each(|n| session.send(n)));
            for n in 0..50 {
                assert_eq!(soon(&session.subscribers[0]), n, "mapped: {mapped}");
            }
        });
    }
}

#[test]
fn the_time_in_flight_is_limited() {
    for mapped in [true, false] {
        let window_time = Some(Duration::from_millis(5));
        let sender =
            SenderConfig { overflow: Overflow::DropNew, window_time, window_frames: 100, ..sender_config() };
        let session = Session::new(sender, &[mapped]);
        for n in 0..50 {
            session.send(n);
        }
        // Over messages some wait in the queue until there is room.
        for n in 0..=5 {
            assert_eq!(soon(&session.subscribers[0]), n, "mapped: {mapped}");
        }
        assert!(session.peer(0).frames < 40, "mapped: {mapped}: {:?}", session.peer(0));
    }
}

#[test]
fn both_ends_know_how_long_frames_took() {
    for mapped in [true, false] {
        let session = Session::new(sender_config(), &[mapped]);
        let begin = Instant::now();
        for n in 0..100 {
            session.send(n);
            assert_eq!(soon(&session.subscribers[0]), n);
        }
        let took = begin.elapsed();
        wait_until("the last is acknowledged", || session.peer(0).in_flight == 0 || mapped);
        let sender = session.peer(0).delay.expect("frames have gone");
        assert!(!sender.median.is_zero() && sender.median <= sender.p99, "{sender:?}");
        assert!(sender.median < took, "{sender:?} within {took:?}");
        let receiver = session.subscribers[0].stats().peers[0].delay;
        assert_eq!(receiver, mapped.then_some(sender), "over messages only the sender knows");
    }
}

#[test]
fn one_of_several_does_not_ask_for_less_for_all() {
    let session = Session::new(sender_config(), &[true, false]);
    let ask = |n: usize, kind: EventKind| {
        let event = Structured { kind: kind.into(), structure: format!("from-{n};"), seqnum: 0 };
        session.subscribers[n].send_upstream(event);
    };
    let next = || loop {
        match session.notices.lock().unwrap().recv_timeout(SOON).expect("an event comes") {
            Notice::Upstream(event) => return (event.kind(), event.structure),
            _ => continue,
        }
    };
    ask(0, EventKind::Qos);
    ask(0, EventKind::CustomUpstream);
    assert_eq!(next(), (EventKind::CustomUpstream, "from-0;".to_owned()));
    let Session { publisher, notices, mut subscribers } = session;
    drop(subscribers.pop());
    wait_until("it is alone", || publisher.peers() == 1);
    let event = Structured { kind: EventKind::Qos.into(), structure: "alone;".to_owned(), seqnum: 0 };
    subscribers[0].send_upstream(event);
    let heard = notices.lock().unwrap().iter().find_map(|notice| match notice {
        Notice::Upstream(event) => Some(event.kind()),
        _ => None,
    });
    assert_eq!(heard, Some(EventKind::Qos));
}

#[test]
fn the_clocks_of_one_host_are_one() {
    let publisher = Publisher::start(config(Side::Listen, 0), sender_config(), |_| {}).unwrap();
    let port = publisher.local_address().unwrap().port();
    let receiver = nvdsucx_session::ReceiverConfig { measure_clock: true, ..receiver_config() };
    let subscriber = Subscriber::start(config(Side::Connect, port), receiver, |_| {}).unwrap();
    assert_eq!(subscriber.clock_difference().unwrap(), Some(0));
    subscriber.set_flushing(true);
    assert!(matches!(subscriber.clock_difference(), Err(Interrupted::Flushing)));
}
