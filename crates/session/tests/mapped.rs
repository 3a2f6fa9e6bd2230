//! Peers that map each other's memory.

mod common;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nvdsucx_session::wire::{FrameHeader, StreamEvent, stream_event::Event};
use nvdsucx_session::{
    Config, Frame, Incoming, Interrupted, Mapped, Notice, Outgoing, Overflow, Payload, Publisher,
    ReceiverConfig, Region, SenderConfig, Side, Subscriber,
};

use common::{SOON, bytes, config, receiver_config, sender_config};

/// Set for the process that plays the other side: the port to connect to.
const PORT: &str = "MAPPED_PORT";
/// Large enough not to go through the ring itself.
const LEN: usize = 100_000;

fn publish(sender: SenderConfig) -> (Publisher, Receiver<Notice>) {
    let (notices, received) = channel();
    let notify = move |notice| drop(notices.send(notice));
    (Publisher::start(config(Side::Listen, 0), sender, notify).unwrap(), received)
}

fn subscribe(publisher: &Publisher) -> Subscriber {
    subscribe_with(publisher, |config| config)
}

fn subscribe_with(publisher: &Publisher, change: impl FnOnce(Config) -> Config) -> Subscriber {
    let port = publisher.local_address().unwrap().port();
    Subscriber::start(change(config(Side::Connect, port)), receiver_config(), |_| {}).unwrap()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} never came about");
        std::thread::yield_now();
    }
}

/// Until so many receivers read the publisher's memory.
fn wait_until_mapped(publisher: &Publisher, receivers: usize) {
    let mapped = || publisher.stats().peers.iter().filter(|peer| peer.mapped).count();
    wait_until("a mapping", || mapped() == receivers);
}

fn frame(pts: u64, regions: Vec<Region>) -> Outgoing {
    Outgoing::Frame(Frame { header: FrameHeader { pts: Some(pts), ..FrameHeader::default() }, regions })
}

fn event(event: Event) -> Outgoing {
    Outgoing::Event(StreamEvent { event: Some(event), ..StreamEvent::default() })
}

fn send(publisher: &Publisher, item: Outgoing) {
    publisher.send(item).map_err(|interrupted| interrupted.0).expect("could not be sent");
}

/// A region in the publisher's own memory, and what tells whether anybody else has it.
fn shared(publisher: &Publisher, fill: u8) -> (Region, Arc<impl AsRef<[u8]> + use<>>) {
    let mut block = publisher.arena().allocate(LEN).expect("shared memory");
    block.as_mut().fill(fill);
    let block = Arc::new(block);
    (Region::owned_by(Arc::clone(&block)), block)
}

fn next_frame(subscriber: &Subscriber) -> (u64, Payload) {
    match subscriber.receive().expect("no frame") {
        Incoming::Frame(frame) => (frame.header.pts.unwrap(), frame.payload),
        Incoming::Event(event) => panic!("an event instead of a frame: {event:?}"),
    }
}

fn mapped(payload: Payload) -> Mapped {
    match payload {
        Payload::Mapped(mapped) => mapped,
        other => panic!("copied: {} bytes", other.len()),
    }
}

#[test]
fn a_frame_is_read_where_it_is_until_all_let_go() {
    let (publisher, _) = publish(sender_config());
    let receivers = [subscribe(&publisher), subscribe(&publisher)];
    wait_until_mapped(&publisher, 2);
    let (region, block) = shared(&publisher, 7);
    send(&publisher, frame(1, vec![region]));
    let [one, two] = receivers.each_ref().map(|receiver| mapped(next_frame(receiver).1));
    for frame in [&one, &two] {
        assert_eq!(frame.regions()[0].host_bytes(), Some([7; LEN].as_slice()));
    }
    let held = |publisher: &Publisher| {
        // Looks what the receivers have let go of.
        publisher.drain().unwrap();
        Arc::strong_count(&block)
    };
    assert_eq!(held(&publisher), 3, "ours, and one for each receiver");
    drop(two);
    wait_until("a release", || held(&publisher) == 2);
    assert_eq!(one.regions()[0].host_bytes(), Some([7; LEN].as_slice()));
    drop(one);
    wait_until("the last release", || held(&publisher) == 1);
}

#[test]
fn what_lies_elsewhere_is_copied_once_and_small_frames_go_through_the_ring() {
    let (publisher, _) = publish(sender_config());
    let receiver = subscribe(&publisher);
    wait_until_mapped(&publisher, 1);
    let (region, _block) = shared(&publisher, 3);
    let foreign = Region::from(vec![4; LEN]);
    // A frame that is half ours is copied in whole.
    send(&publisher, frame(1, vec![region, Region::from(Vec::new()), foreign.clone()]));
    let payload = mapped(next_frame(&receiver).1);
    let lengths: Vec<_> = payload.regions().iter().map(Region::len).collect();
    assert_eq!(lengths, [LEN, 0, LEN]);
    let payload = Payload::Mapped(payload);
    assert_eq!(bytes(&payload), [vec![3; LEN], vec![4; LEN]].concat());
    send(&publisher, frame(2, vec![Region::from(vec![5; 64]), Region::from(vec![6; 1])]));
    let (pts, small) = next_frame(&receiver);
    assert!(
        matches!(&small, Payload::Copied(bytes) if *bytes.as_ref() == [vec![5; 64], vec![6; 1]].concat())
    );
    assert_eq!(pts, 2);
}

#[test]
fn events_keep_their_place_however_long_they_are() {
    let (publisher, _) = publish(sender_config());
    let receiver = subscribe(&publisher);
    wait_until_mapped(&publisher, 1);
    let caps = |n: usize| "x".repeat(n * 40_000);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..20 {
                send(&publisher, event(Event::Caps(caps(n))));
                send(&publisher, frame(n as u64, vec![Region::from(vec![n as u8; n * 1000])]));
            }
        });
        for n in 0..20 {
            match receiver.receive().unwrap() {
                Incoming::Event(StreamEvent { event: Some(Event::Caps(text)), .. }) => {
                    assert!(text == caps(n));
                }
                other => panic!("{other:?} instead of caps {n}"),
            }
            let (pts, payload) = next_frame(&receiver);
            assert_eq!((pts, bytes(&payload)), (n as u64, vec![n as u8; n * 1000]));
        }
    });
}

#[test]
fn events_never_wait_for_a_receiver() {
    let (publisher, _) = publish(sender_config());
    let receiver = subscribe(&publisher);
    wait_until_mapped(&publisher, 1);
    for n in 0..20_000 {
        send(&publisher, event(Event::Caps(format!("{n:100}"))));
    }
    for n in 0..20_000 {
        // It frees room, and the sender's next call, or its transport thread, fills it.
        match receiver.receive().unwrap() {
            Incoming::Event(StreamEvent { event: Some(Event::Caps(text)), .. }) => {
                assert_eq!(text.trim(), n.to_string());
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn who_hoards_frames_gets_copies_and_never_stops_the_stream() {
    let (publisher, _) = publish(SenderConfig { window_frames: 8, ..sender_config() });
    let receiver = subscribe(&publisher);
    wait_until_mapped(&publisher, 1);
    let mut hoard = Vec::new();
    for n in 0..100 {
        send(&publisher, frame(n, vec![Region::from(vec![n as u8; LEN])]));
        hoard.push(next_frame(&receiver));
    }
    let there = hoard.iter().filter(|(_, payload)| matches!(payload, Payload::Mapped(_))).count();
    assert_eq!(there, 6, "three quarters of the window");
    for (n, (pts, payload)) in hoard.iter().enumerate() {
        assert_eq!(*pts, n as u64);
        assert!(bytes(payload) == vec![n as u8; LEN], "frame {n} has changed");
    }
}

#[test]
fn who_hoards_too_much_makes_the_sender_wait() {
    let (publisher, _) = publish(SenderConfig { window_frames: 8, ..sender_config() });
    let port = publisher.local_address().unwrap().port();
    let config = ReceiverConfig { max_held: 10 * LEN as u64, ..receiver_config() };
    let receiver = Subscriber::start(self::config(Side::Connect, port), config, |_| {}).unwrap();
    wait_until_mapped(&publisher, 1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..40 {
                send(&publisher, frame(n, vec![Region::from(vec![n as u8; LEN])]));
            }
        });
        let mut hoard: Vec<_> = (0..16).map(|_| next_frame(&receiver)).collect();
        // Six are held where they are, so two more can be in flight.
        wait_until("a full window", || publisher.stats().frames == 18);
        // There is nothing more until something is let go of: it does not matter what.
        let next = scope.spawn(|| next_frame(&receiver).0);
        hoard.pop();
        assert_eq!(next.join().unwrap(), 16);
        hoard.clear();
        for n in 17..40 {
            assert_eq!(next_frame(&receiver).0, n);
        }
    });
}

#[test]
fn who_takes_nothing_makes_the_sender_wait_or_drop() {
    for leaky in [false, true] {
        let overflow = if leaky { Overflow::DropNew } else { Overflow::Wait };
        let (publisher, _) = publish(SenderConfig { window_frames: 4, overflow, ..sender_config() });
        let receiver = subscribe(&publisher);
        wait_until_mapped(&publisher, 1);
        let flood =
            || (0..100).find_map(|n| publisher.send(frame(n, vec![Region::from(vec![0; LEN])])).err());
        std::thread::scope(|scope| {
            let flood = scope.spawn(flood);
            if leaky {
                assert!(flood.join().unwrap().is_none(), "no frame is waited for");
                assert_eq!(publisher.stats().dropped_slow, 96);
            } else {
                wait_until("a full window", || publisher.stats().frames == 4);
                publisher.set_flushing(true);
                let interrupted = flood.join().unwrap().expect("it waits");
                assert!(matches!(interrupted.0, Interrupted::Flushing));
            }
        });
        for n in 0..4 {
            assert_eq!(next_frame(&receiver).0, n);
        }
    }
}

#[test]
fn a_flush_drops_what_was_not_taken() {
    let (publisher, _) = publish(sender_config());
    let receiver = subscribe(&publisher);
    wait_until_mapped(&publisher, 1);
    for n in 0..3 {
        send(&publisher, frame(n, vec![Region::from(vec![0; LEN])]));
    }
    send(&publisher, event(Event::Flush(nvdsucx_session::wire::Flush { reset_time: true })));
    send(&publisher, frame(9, vec![Region::from(vec![0; LEN])]));
    assert!(matches!(
        receiver.receive().unwrap(),
        Incoming::Event(StreamEvent { event: Some(Event::Flush(_)), .. })
    ));
    assert_eq!(next_frame(&receiver).0, 9);
}

#[test]
fn who_cannot_or_does_not_want_to_map_gets_messages() {
    let (publisher, _) = publish(SenderConfig { wanted_peers: 2, ..sender_config() });
    let unwilling = subscribe_with(&publisher, |config| Config { zero_copy: false, ..config });
    let willing = subscribe(&publisher);
    wait_until_mapped(&publisher, 1);
    for n in 0..50 {
        let (region, _block) = shared(&publisher, n);
        send(&publisher, frame(n.into(), vec![region]));
        assert!(matches!(next_frame(&willing), (_, Payload::Mapped(_))));
        let (pts, payload) = next_frame(&unwilling);
        assert!(matches!(payload, Payload::Landed(_)) && pts == u64::from(n));
        assert!(bytes(&payload) == vec![n; LEN]);
    }
}

#[test]
fn what_a_receiver_took_stays_as_it_was_after_it_has_left() {
    let (publisher, notices) = publish(SenderConfig { wait_for_peers: false, ..sender_config() });
    let receiver = subscribe(&publisher);
    wait_until_mapped(&publisher, 1);
    let (region, block) = shared(&publisher, 1);
    send(&publisher, frame(0, vec![region]));
    let (_, taken) = next_frame(&receiver);
    drop(receiver);
    let left = |notice: &Notice| matches!(notice, Notice::Left { orderly: true, .. });
    while !left(&notices.recv_timeout(SOON).unwrap()) {}
    assert_eq!(Arc::strong_count(&block), 2, "it is still held for the receiver");
    assert!(bytes(&taken) == vec![1; LEN]);
    drop(taken);
    wait_until("the release", || Arc::strong_count(&block) == 1);
}

#[test]
fn frames_outlive_their_sender() {
    let (publisher, _) = publish(sender_config());
    let receiver = subscribe(&publisher);
    wait_until_mapped(&publisher, 1);
    let (region, block) = shared(&publisher, 8);
    send(&publisher, frame(0, vec![region]));
    let (_, taken) = next_frame(&receiver);
    drop((block, publisher));
    assert!(bytes(&taken) == vec![8; LEN]);
    drop(receiver);
    assert!(bytes(&taken) == vec![8; LEN]);
}

/// Runs the test of that name in a process of its own, as the other side.
fn other_side(test: &str, port: u16) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(PORT, port.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn sender_to_be_killed() {
    let Ok(port) = std::env::var(PORT) else { return };
    let publisher =
        Publisher::start(config(Side::Connect, port.parse().unwrap()), sender_config(), |_| {}).unwrap();
    wait_until_mapped(&publisher, 1);
    for n in 0.. {
        if publisher.send(frame(n, vec![Region::from(vec![n as u8; LEN])])).is_err() {
            return;
        }
    }
}

#[test]
fn frames_stay_readable_when_their_sender_is_killed() {
    let receiver = Subscriber::start(config(Side::Listen, 0), receiver_config(), |_| {}).unwrap();
    let mut sender = other_side("sender_to_be_killed", receiver.local_address().unwrap().port());
    let mut taken: Vec<_> = (0..5).map(|_| next_frame(&receiver)).collect();
    sender.kill().unwrap();
    sender.wait().unwrap();
    // What is still in the ring comes, then the error.
    let error = loop {
        match receiver.receive() {
            Ok(Incoming::Frame(frame)) => taken.push((frame.header.pts.unwrap(), frame.payload)),
            Ok(Incoming::Event(event)) => panic!("{event:?}"),
            Err(interrupted) => break interrupted,
        }
    };
    assert!(matches!(error, Interrupted::Failed(_)), "{error}");
    for (n, (pts, payload)) in taken.iter().enumerate() {
        assert_eq!(*pts, n as u64);
        assert!(bytes(payload) == vec![n as u8; LEN], "frame {n} has changed");
    }
    assert!(taken.iter().any(|(_, payload)| matches!(payload, Payload::Mapped(_))));
}

#[test]
fn receiver_to_be_killed() {
    let Ok(port) = std::env::var(PORT) else { return };
    let receiver =
        Subscriber::start(config(Side::Connect, port.parse().unwrap()), receiver_config(), |_| {}).unwrap();
    let taken: Vec<_> = (0..3).map(|_| next_frame(&receiver)).collect();
    std::thread::sleep(Duration::from_secs(60));
    drop(taken);
}

#[test]
fn a_receiver_that_is_killed_gives_back_what_it_has() {
    let (publisher, notices) = publish(sender_config());
    let mut receiver = other_side("receiver_to_be_killed", publisher.local_address().unwrap().port());
    wait_until_mapped(&publisher, 1);
    let (region, block) = shared(&publisher, 1);
    for n in 0..5 {
        send(&publisher, frame(n, vec![region.clone()]));
    }
    drop(region);
    assert_eq!(Arc::strong_count(&block), 6);
    receiver.kill().unwrap();
    receiver.wait().unwrap();
    let left = |notice: &Notice| matches!(notice, Notice::Left { orderly: false, .. });
    while !left(&notices.recv_timeout(SOON).unwrap()) {}
    wait_until("all of it", || Arc::strong_count(&block) == 1);
}
