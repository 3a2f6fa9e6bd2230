//! Peers that are not ours: noise, silence, other protocols.

mod common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use nvdsucx_session::wire::message::Kind;
use nvdsucx_session::wire::refusal::Reason;
use nvdsucx_session::wire::{
    Challenge, FrameHeader, Hello, MAX_GREETING, Message, PREAMBLE, Ping, Proof, Sealed, StreamEvent,
    encode_greeting, encode_message, stream_event::Event,
};
use nvdsucx_session::{Config, Frame, Incoming, Key, Notice, Outgoing, Publisher, Region, Side, Subscriber};

use common::stranger::{Stranger, hello};
use common::{bytes, config, receiver_config, sender_config};

fn subscribe(config: Config) -> Subscriber {
    Subscriber::start(config, receiver_config(), |_| {}).unwrap()
}

/// What strangers say first.
fn openings() -> Vec<Vec<u8>> {
    let mut openings = vec![
        Vec::new(),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        vec![0; 64],
        vec![0xFF; 64],
        vec![0xFF; 3],
        vec![0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC],
    ];
    let greeting = |kind: Kind| encode_greeting(&encode_message(&Message::from(kind)));
    let full = "x".repeat(MAX_GREETING - 16);
    for kind in [
        Kind::Hello(Hello { version: 9, oldest_version: 9, ..hello(vec![]) }),
        Kind::Hello(Hello { ucx_client_id: 0, ..hello(vec![]) }),
        Kind::Hello(hello(vec![1; 32])),
        Kind::Hello(hello(vec![1; 31])),
        Kind::Hello(Hello { software: full.clone(), ..hello(vec![]) }),
        Kind::Welcome(hello(vec![])),
        Kind::Ping(Ping { id: 1, time: 0 }),
        Kind::Event(StreamEvent { event: Some(Event::Caps(full)), ..StreamEvent::default() }),
        Kind::Challenge(Challenge { challenge: vec![1; 32] }),
        Kind::Proof(Proof { proof: vec![1; 32] }),
        Kind::Sealed(Sealed { message: vec![0; 1000], proof: vec![1; 32] }),
    ] {
        let whole = greeting(kind);
        openings.push(whole[..whole.len() - 1].to_vec());
        openings.push([whole.as_slice(), &whole, b"noise"].concat());
        openings.push(whole);
    }
    for claimed in [0, 1, MAX_GREETING as u32, MAX_GREETING as u32 + 1, u32::MAX] {
        openings.push([PREAMBLE.as_slice(), &claimed.to_le_bytes()].concat());
        openings.push([PREAMBLE.as_slice(), &claimed.to_le_bytes(), &[0xFF; 5000]].concat());
    }
    for length in [1_u64, 7, 100, 4096, 65_536, 1 << 20, 1 << 31, u64::MAX / 2] {
        // A length, as far as UCX's own connection set-up has one, and too little or noise after it.
        let mut opening = length.to_le_bytes().to_vec();
        opening.extend((0..200_u8).map(|byte| byte.wrapping_mul(37)));
        openings.push(opening);
    }
    openings
}

#[test]
fn a_listener_survives_strangers_and_serves_its_peers() {
    let publisher = Publisher::start(config(Side::Listen, 0), sender_config(), |_| {}).unwrap();
    let port = publisher.local_address().unwrap().port();
    let mut open = Vec::new();
    for round in 0..10 {
        for opening in openings() {
            let mut stranger = TcpStream::connect(("127.0.0.1", port)).unwrap();
            // The listener may have hung up already.
            let _ = stranger.write_all(&opening);
            if round % 2 == 0 {
                open.push(stranger);
            }
        }
    }
    let subscriber = subscribe(config(Side::Connect, port));
    for n in 0..100_u8 {
        let frame = Frame { header: FrameHeader::default(), regions: vec![Region::from(vec![n; 100])] };
        publisher.send(Outgoing::Frame(frame)).map_err(|interrupted| interrupted.0).unwrap();
        let Incoming::Frame(frame) = subscriber.receive().unwrap() else { panic!("no frame") };
        assert_eq!(bytes(&frame.payload), [n; 100]);
    }
}

fn carry(publisher: &Publisher, subscriber: &Subscriber) {
    let frame = Frame { header: FrameHeader::default(), regions: vec![Region::from(vec![7; 100])] };
    publisher.send(Outgoing::Frame(frame)).map_err(|interrupted| interrupted.0).unwrap();
    assert!(matches!(subscriber.receive().unwrap(), Incoming::Frame(_)));
}

#[test]
fn older_and_newer_versions_are_refused_and_told_which_are_spoken() {
    let publisher = Publisher::start(config(Side::Listen, 0), sender_config(), |_| {}).unwrap();
    let port = publisher.local_address().unwrap().port();
    for (oldest_version, version) in [(2, 2), (9, 12), (u32::MAX, u32::MAX), (0, 0), (1, 0)] {
        let mut stranger = Stranger::call(port);
        stranger.say(Kind::Hello(Hello { oldest_version, version, ..hello(vec![]) }));
        let Some(Kind::Refusal(refusal)) = stranger.hear() else { panic!("not refused") };
        assert_eq!(refusal.reason(), Reason::Version);
        assert!(refusal.text.contains(&format!("{oldest_version} to {version}")), "{}", refusal.text);
    }
    carry(&publisher, &subscribe(config(Side::Connect, port)));
}

#[test]
fn strangers_are_bounded_whatever_they_are_at() {
    const MANY: usize = 300;
    const AT_MOST: usize = 64;
    let key = || Key::new(b"a key that strangers have not".to_vec(), "test").unwrap();
    let bad = Hello { version: 9, oldest_version: 9, ..hello(vec![]) };
    for (key, first) in [
        // Silent; in the middle of a greeting; refused; let in by who has no key, without calling; challenged.
        (None, None),
        (None, Some(Kind::Hello(bad))),
        (None, Some(Kind::Hello(hello(vec![])))),
        (Some(key()), None),
        (Some(key()), Some(Kind::Hello(hello(vec![])))),
        (Some(key()), Some(Kind::Hello(hello(vec![1; 32])))),
    ] {
        let listen = Config { key: key.clone(), ..config(Side::Listen, 0) };
        let publisher = Publisher::start(listen, sender_config(), |_| {}).unwrap();
        let port = publisher.local_address().unwrap().port();
        let started = Instant::now();
        let mut strangers: Vec<_> = (0..MANY)
            .map(|_| {
                let mut stranger = Stranger::call(port);
                if let Some(first) = &first {
                    stranger.say(first.clone());
                }
                stranger
            })
            .collect();
        // Those that only time out are there for three seconds.
        let deadline = started + Duration::from_millis(2500);
        let mut left = 0;
        while left < MANY - AT_MOST || publisher.stats().refused < (MANY - AT_MOST) as u64 {
            assert!(Instant::now() < deadline, "{} are there with {first:?}", MANY - left);
            left = strangers.iter_mut().filter_map(|stranger| stranger.is_left().then_some(())).count();
        }
        carry(&publisher, &subscribe(Config { key, ..config(Side::Connect, port) }));
    }
}

#[test]
fn a_flood_from_one_address_takes_the_places_of_its_own() {
    let publisher = Publisher::start(config(Side::Listen, 0), sender_config(), |_| {}).unwrap();
    let port = publisher.local_address().unwrap().port();
    let mut slow = Stranger::call(port);
    let mut flood: Vec<_> =
        (0..300).map(|_| Stranger::call_from(Ipv4Addr::new(127, 0, 0, 9), port)).collect();
    let deadline = Instant::now() + Duration::from_millis(2500);
    while flood.iter_mut().filter_map(|stranger| stranger.is_left().then_some(())).count() < 200 {
        assert!(Instant::now() < deadline, "nobody had to go");
    }
    slow.say(Kind::Hello(hello(vec![])));
    assert!(matches!(slow.hear(), Some(Kind::Welcome(_))), "it had to go, too");
}

#[test]
fn little_is_said_of_many_strangers() {
    const MANY: u64 = 500;
    let (notices, said) = channel();
    let publisher =
        Publisher::start(config(Side::Listen, 0), sender_config(), move |notice| drop(notices.send(notice)))
            .unwrap();
    let port = publisher.local_address().unwrap().port();
    let started = Instant::now();
    for _ in 0..MANY {
        Stranger::call(port).write(b"GET / HTTP/1.1\r\n\r\n");
    }
    let (mut lines, mut counted) = (0, 0);
    while lines + counted < MANY {
        let left = common::SOON.saturating_sub(started.elapsed());
        match said.recv_timeout(left).expect("not all were told of or counted") {
            Notice::Log(text) if text.ends_with(" more who were not let in") => {
                counted += text.split(' ').nth(1).unwrap().parse::<u64>().unwrap();
            }
            Notice::Log(text) | Notice::Warning(text) => {
                assert!(text.contains("127.0.0.1:"), "no address: {text}");
                lines += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(lines + counted, MANY);
    assert_eq!(publisher.stats().refused, MANY);
    assert!(lines <= 1 + 10 * (2 + started.elapsed().as_secs()), "{lines} lines");
}

#[test]
fn a_client_at_the_wrong_door_says_so() {
    // Each takes a time, and little else.
    for some in openings().chunks(8) {
        thread::scope(|scope| {
            for opening in some {
                scope.spawn(|| knock_at_the_wrong_door(opening));
            }
        });
    }
}

/// A client calls who answers with `opening`.
fn knock_at_the_wrong_door(opening: &[u8]) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut connections = Vec::new();
            while let Ok((mut connection, _)) = server.accept()
                && !done.load(Ordering::SeqCst)
            {
                connection.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
                let _ = connection.read(&mut [0; 4096]);
                let _ = connection.write_all(opening);
                connections.push(connection);
            }
        });
        let started = Instant::now();
        let timeout = Some(Duration::from_millis(700));
        let subscriber = subscribe(Config { connect_timeout: timeout, ..config(Side::Connect, port) });
        let error = subscriber.receive().unwrap_err().to_string();
        // The server waits for a last call.
        done.store(true, Ordering::SeqCst);
        TcpStream::connect(("127.0.0.1", port)).unwrap();
        assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
        drop(subscriber);
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    });
}
