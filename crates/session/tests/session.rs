//! Publishers and subscribers in one process, with plain byte frames.

mod common;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use nvdsucx_session::wire::{BufferType, FrameHeader, StreamEvent, stream_event::Event};
use nvdsucx_session::{
    Config, Error, Frame, Incoming, Interrupted, Notice, Outgoing, Publisher, ReceiverConfig, Region,
    SenderConfig, Side, Subscriber,
};

use common::{SOON, bytes, config, receiver_config, sender_config};

fn publish(config: Config, sender: SenderConfig) -> (Publisher, Receiver<Notice>) {
    let (notices, received) = channel();
    let publisher = Publisher::start(config, sender, move |notice| drop(notices.send(notice))).unwrap();
    (publisher, received)
}

fn subscribe(config: Config, receiver: ReceiverConfig) -> (Subscriber, Receiver<Notice>) {
    let (notices, received) = channel();
    let subscriber = Subscriber::start(config, receiver, move |notice| drop(notices.send(notice))).unwrap();
    (subscriber, received)
}

/// Waits for a notice that `wanted` picks something from.
fn wait_for<T>(notices: &Receiver<Notice>, mut wanted: impl FnMut(Notice) -> Option<T>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let notice = notices.recv_timeout(left).expect("the notice never came");
        if let Some(found) = wanted(notice) {
            return found;
        }
    }
}

/// Reproducible bytes.
fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}

fn frame(pts: u64, memories: &[Vec<u8>]) -> Outgoing {
    Outgoing::Frame(Frame {
        header: FrameHeader { pts: Some(pts), ..FrameHeader::default() },
        regions: memories.iter().cloned().map(Region::from).collect(),
    })
}

fn event(event: Event) -> Outgoing {
    Outgoing::Event(StreamEvent { event: Some(event), ..StreamEvent::default() })
}

fn send(publisher: &Publisher, item: Outgoing) {
    publisher.send(item).map_err(|interrupted| interrupted.0).expect("could not be sent");
}

/// The next frame: timestamp, lengths of the memories, bytes.
fn next_frame(subscriber: &Subscriber) -> (u64, Vec<u64>, Vec<u8>) {
    match subscriber.receive().expect("no frame") {
        Incoming::Frame(frame) => {
            (frame.header.pts.unwrap(), frame.header.memories.clone(), bytes(&frame.payload))
        }
        Incoming::Event(event) => panic!("an event instead of a frame: {event:?}"),
    }
}

#[test]
fn frames_of_every_size_arrive_whole_and_in_order() {
    for sender_listens in [true, false] {
        let (publisher, subscriber);
        if sender_listens {
            publisher = publish(config(Side::Listen, 0), sender_config()).0;
            let port = publisher.local_address().unwrap().port();
            subscriber = subscribe(config(Side::Connect, port), receiver_config()).0;
        } else {
            subscriber = subscribe(config(Side::Listen, 0), receiver_config()).0;
            let port = subscriber.local_address().unwrap().port();
            publisher = publish(config(Side::Connect, port), sender_config()).0;
        }
        let sizes = [0, 1, 64, 1024, 1025, 8192, 65_536, 65_537, 300_000, 3_110_400, 20_000_000, 5, 0];
        let memories = |n: usize, size: usize| match n % 3 {
            0 => vec![pattern(n as u64, size)],
            1 => vec![pattern(n as u64, size / 2), vec![], pattern(n as u64 + 9, size - size / 2)],
            _ => vec![pattern(n as u64, size / 3), pattern(n as u64 + 5, size - size / 3)],
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..3 {
                    for (n, size) in sizes.into_iter().enumerate() {
                        send(&publisher, frame((round * 100 + n) as u64, &memories(n, size)));
                    }
                }
                send(&publisher, event(Event::Eos(Default::default())));
                publisher.drain().unwrap();
            });
            for round in 0..3 {
                for (n, size) in sizes.into_iter().enumerate() {
                    let (pts, lengths, bytes) = next_frame(&subscriber);
                    let sent = memories(n, size);
                    assert_eq!(pts, (round * 100 + n) as u64);
                    assert_eq!(lengths, sent.iter().map(|memory| memory.len() as u64).collect::<Vec<_>>());
                    assert!(bytes == sent.concat(), "frame {n} of {size} bytes arrived changed");
                }
            }
            let last = subscriber.receive().unwrap();
            assert!(matches!(last, Incoming::Event(StreamEvent { event: Some(Event::Eos(_)), .. })));
        });
    }
}

#[test]
fn a_long_header_crosses() {
    let (publisher, _) = publish(config(Side::Listen, 0), sender_config());
    let (subscriber, _) =
        subscribe(config(Side::Connect, publisher.local_address().unwrap().port()), receiver_config());
    let format = "x".repeat(32);
    let video = nvdsucx_session::wire::VideoMeta { format, width: 1, height: 1, ..Default::default() };
    let meta = nvdsucx_session::wire::encode_meta(nvdsucx_session::wire::meta::Kind::Video(video));
    let header = FrameHeader { metas: vec![meta; 256], ..FrameHeader::default() };
    for size in [10, 1 << 20] {
        let bytes = pattern(1, size);
        let item = Frame { header: header.clone(), regions: vec![Region::from(bytes.clone())] };
        send(&publisher, Outgoing::Frame(item));
        let Incoming::Frame(received) = subscriber.receive().unwrap() else { panic!("no frame") };
        assert_eq!(received.header.metas, header.metas);
        assert!(common::bytes(&received.payload) == bytes);
    }
}

#[test]
fn what_was_taken_no_longer_counts_as_in_flight() {
    let (publisher, _) = publish(config(Side::Listen, 0), sender_config());
    // The sender may have no more than 1 GiB in flight, whatever it sent before.
    let (subscriber, _) =
        subscribe(config(Side::Connect, publisher.local_address().unwrap().port()), receiver_config());
    let long = "x".repeat(15 << 20);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..100 {
                send(&publisher, event(Event::Caps(long.clone())));
                send(&publisher, frame(0, &[vec![0; 100]]));
            }
        });
        for _ in 0..100 {
            assert!(matches!(subscriber.receive().unwrap(), Incoming::Event(_)));
            assert_eq!(next_frame(&subscriber).0, 0);
        }
    });
}

/// Bytes that tell when they are let go.
struct Told(Vec<u8>, Sender<()>);

impl AsRef<[u8]> for Told {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.1.send(());
    }
}

#[test]
fn memory_comes_back_though_nobody_sends_any_more() {
    let (publisher, _) = publish(config(Side::Listen, 0), sender_config());
    let (subscriber, _) =
        subscribe(config(Side::Connect, publisher.local_address().unwrap().port()), receiver_config());
    let (let_go, told) = channel();
    for len in [100, 1 << 20] {
        let regions = vec![Region::owned_by(Arc::new(Told(vec![7; len], let_go.clone())))];
        let header = FrameHeader { pts: Some(0), ..FrameHeader::default() };
        send(&publisher, Outgoing::Frame(Frame { header, regions }));
        assert_eq!(next_frame(&subscriber).2, vec![7; len]);
        told.recv_timeout(SOON).unwrap_or_else(|_| panic!("{len} bytes are still held"));
    }
}

#[test]
fn every_client_gets_every_frame_and_a_late_one_the_state_first() {
    let sender = SenderConfig { wanted_peers: 2, ..sender_config() };
    let (publisher, notices) = publish(config(Side::Listen, 0), sender);
    let port = publisher.local_address().unwrap().port();
    send(&publisher, event(Event::Caps("text/x-raw".to_owned())));
    send(&publisher, frame(1, &[b"first".to_vec()]));
    let (one, _) = subscribe(config(Side::Connect, port), receiver_config());
    wait_for(&notices, |notice| matches!(notice, Notice::Joined(_)).then_some(()));
    assert_eq!(publisher.stats().frames, 0, "sent before the second client was there");
    let (two, _) = subscribe(config(Side::Connect, port), receiver_config());
    let caps = |subscriber: &Subscriber| match subscriber.receive().unwrap() {
        Incoming::Event(StreamEvent { event: Some(Event::Caps(caps)), .. }) => caps,
        other => panic!("{other:?} instead of caps"),
    };
    for subscriber in [&one, &two] {
        assert_eq!(caps(subscriber), "text/x-raw");
        assert_eq!(next_frame(subscriber).0, 1);
    }
    let (late, _) = subscribe(config(Side::Connect, port), receiver_config());
    wait_for(&notices, |notice| matches!(notice, Notice::Joined(_)).then_some(()));
    wait_for(&notices, |notice| matches!(notice, Notice::Joined(_)).then_some(()));
    send(&publisher, frame(2, &[b"second".to_vec()]));
    assert_eq!(caps(&late), "text/x-raw");
    for subscriber in [&one, &two, &late] {
        assert_eq!(next_frame(subscriber).0, 2);
    }
    // One that leaves does not disturb the others.
    drop(one);
    wait_for(&notices, |notice| matches!(notice, Notice::Left { orderly: true, .. }).then_some(()));
    send(&publisher, frame(3, &[b"third".to_vec()]));
    assert_eq!(next_frame(&two).0, 3);
    assert_eq!(publisher.stats().peers.len(), 2);
}

#[test]
fn a_full_window_holds_the_sender_until_it_is_interrupted() {
    let sender = SenderConfig { window_frames: 2, ..sender_config() };
    let (publisher, notices) = publish(config(Side::Listen, 0), sender);
    let (subscriber, _) =
        subscribe(config(Side::Connect, publisher.local_address().unwrap().port()), receiver_config());
    wait_for(&notices, |notice| matches!(notice, Notice::Joined(_)).then_some(()));
    // Each way has a window of its own; a connection that changes over at this moment has both in flight.
    let settled = || publisher.stats().peers[0].mapped == config(Side::Listen, 0).zero_copy;
    let deadline = Instant::now() + SOON;
    while !settled() {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let mut sent = 0;
            loop {
                match publisher.send(frame(sent, &[vec![7; 100]])) {
                    Ok(_) => sent += 1,
                    Err(interrupted) => return (sent, interrupted.0),
                }
            }
        });
        let deadline = Instant::now() + SOON;
        while publisher.stats().peers.first().is_none_or(|peer| peer.in_flight < 2) {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
        publisher.set_flushing(true);
        let (sent, why) = sending.join().unwrap();
        assert!(matches!(why, Interrupted::Flushing));
        assert_eq!(publisher.stats().frames, 2, "more than the window was sent");
        publisher.set_flushing(false);
        for n in 0..sent {
            assert_eq!(next_frame(&subscriber).0, n);
        }
        publisher.drain().unwrap();
    });
}

#[test]
fn a_pipeline_that_holds_every_buffer_gets_more() {
    let (publisher, _) = publish(config(Side::Listen, 0), sender_config());
    let (subscriber, _) =
        subscribe(config(Side::Connect, publisher.local_address().unwrap().port()), receiver_config());
    std::thread::scope(|scope| {
        scope.spawn(|| (0..30).for_each(|n| send(&publisher, frame(n, &[vec![n as u8; 500_000]]))));
        let mut held = Vec::new();
        for n in 0..30 {
            let Incoming::Frame(frame) = subscriber.receive().unwrap() else { panic!("no frame") };
            assert_eq!(bytes(&frame.payload)[499_999], n);
            held.push(frame);
        }
    });
}

#[test]
fn a_mismatch_is_refused_with_both_values() {
    let (publisher, notices) = publish(config(Side::Listen, 0), sender_config());
    let port = publisher.local_address().unwrap().port();
    let text = Config { buffer_type: BufferType::Text, ..config(Side::Connect, port) };
    let (subscriber, _) = subscribe(text, receiver_config());
    let Err(Interrupted::Failed(error @ Error::Refused { .. })) = subscriber.receive() else {
        panic!("not refused")
    };
    let warning = wait_for(&notices, |notice| match notice {
        Notice::Warning(text) => Some(text),
        _ => None,
    });
    for message in [error.to_string(), warning] {
        assert!(message.contains("nvdsucx-buf-any") && message.contains("nvdsucx-buf-text"), "{message}");
    }
    // Two senders have nothing to say to each other.
    let (_sender, notices) = publish(config(Side::Connect, port), sender_config());
    let error = wait_for(&notices, |notice| match notice {
        Notice::Failed(error) => Some(error.to_string()),
        _ => None,
    });
    assert!(error.contains("sender") || error.contains("sink"), "{error}");
}

#[test]
fn failures_name_the_address_and_what_to_try() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = Publisher::start(config(Side::Listen, port), sender_config(), |_| {}).unwrap_err();
    assert!(matches!(error, Error::Listen { .. }), "{error}");
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");

    drop(taken);
    let quick = |address: &str, port| Config {
        address: address.to_owned(),
        connect_timeout: Some(Duration::from_millis(500)),
        ..config(Side::Connect, port)
    };
    let started = Instant::now();
    let (subscriber, _) = subscribe(quick("127.0.0.1", port), receiver_config());
    let error = subscriber.receive().unwrap_err().to_string();
    assert!(error.contains(&format!("127.0.0.1:{port}")) && error.contains("500 ms"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(3));

    let (subscriber, _) = subscribe(quick("no-such-host.invalid", port), receiver_config());
    let error = subscriber.receive().unwrap_err().to_string();
    assert!(error.contains("no-such-host.invalid"), "{error}");
}

#[test]
fn a_frame_beyond_the_limit_ends_the_session() {
    let (publisher, _) = publish(config(Side::Listen, 0), sender_config());
    let small = ReceiverConfig { max_frame_size: 1000, ..receiver_config() };
    let (subscriber, _) = subscribe(config(Side::Connect, publisher.local_address().unwrap().port()), small);
    send(&publisher, frame(0, &[vec![0; 1000]]));
    assert_eq!(next_frame(&subscriber).0, 0);
    for size in [1001, 2_000_000] {
        send(&publisher, frame(1, &[vec![0; size]]));
    }
    let error = subscriber.receive().unwrap_err().to_string();
    assert!(error.contains("1001") && error.contains("1000") && error.contains("max-buffer-size"), "{error}");
}

#[test]
fn stopping_takes_no_time_whatever_goes_on() {
    let started = Instant::now();
    let (publisher, _) = publish(config(Side::Listen, 0), sender_config());
    let port = publisher.local_address().unwrap().port();
    let (waiting, _) = subscribe(config(Side::Listen, 0), receiver_config());
    let (knocking, _) = subscribe(config(Side::Connect, 1), receiver_config());
    let (connected, notices) = subscribe(config(Side::Connect, port), receiver_config());
    wait_for(&notices, |notice| matches!(notice, Notice::Joined(_)).then_some(()));
    send(&publisher, frame(0, &[vec![0; 10_000_000]]));
    eprintln!("set up after {:?}", started.elapsed());
    for (name, drop_it) in [
        ("listening", Box::new(move || drop(waiting)) as Box<dyn FnOnce()>),
        ("knocking", Box::new(move || drop(knocking))),
        ("receiving", Box::new(move || drop(connected))),
        ("sending", Box::new(move || drop(publisher))),
    ] {
        let started = Instant::now();
        drop_it();
        assert!(started.elapsed() < Duration::from_secs(1), "{name}: {:?}", started.elapsed());
    }
}
