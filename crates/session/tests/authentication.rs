//! Peers with keys, peers without, and strangers who pretend.

mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nvdsucx_session::wire::message::Kind;
use nvdsucx_session::wire::refusal::Reason;
use nvdsucx_session::wire::{
    self, AM_CONTROL, Challenge, FrameHeader, Hello, Message, Ping, Prefix, Proof, Refusal, Sealed,
    encode_message,
};
use nvdsucx_session::{
    Config, Error, Frame, Incoming, Interrupted, Key, Notice, Outgoing, Publisher, Region, Side, Subscriber,
};
use ucp::{Context, Endpoint, Event, SendMode, Setting, Worker};

use common::stranger::{Stranger, between, hello, listener};
use common::{SOON, bytes, config, receiver_config, sender_config};

/// Within this an end with a wrong key knows.
const AT_ONCE: Duration = Duration::from_secs(1);

fn key(secret: &str) -> Option<Key> {
    Some(Key::new(secret.into(), "test").unwrap())
}

fn right() -> Option<Key> {
    key("the key that both ends have")
}

fn wrong() -> Option<Key> {
    key("the key that nobody else has")
}

fn with(key: Option<Key>, config: Config) -> Config {
    Config { key, ..config }
}

fn notices() -> (impl FnMut(Notice) + Send + 'static, Receiver<Notice>) {
    let (sender, receiver): (Sender<Notice>, _) = channel();
    (move |notice| drop(sender.send(notice)), receiver)
}

/// Waits for a notice that `wanted` picks something from.
fn wait_for<T>(notices: &Receiver<Notice>, within: Duration, wanted: impl Fn(Notice) -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let notice = notices.recv_timeout(left).expect("the notice never came");
        if let Some(found) = wanted(notice) {
            return found;
        }
    }
}

fn complaint(notice: Notice) -> Option<String> {
    match notice {
        Notice::Warning(text) | Notice::Log(text) => Some(text),
        _ => None,
    }
}

fn failure(notice: Notice) -> Option<Error> {
    match notice {
        Notice::Failed(error) => Some(error),
        _ => None,
    }
}

fn publish(key: Option<Key>) -> (Publisher, Receiver<Notice>, u16) {
    let (notify, notices) = notices();
    let publisher = Publisher::start(with(key, config(Side::Listen, 0)), sender_config(), notify).unwrap();
    let port = publisher.local_address().unwrap().port();
    (publisher, notices, port)
}

fn subscribe(key: Option<Key>, port: u16) -> Subscriber {
    Subscriber::start(with(key, config(Side::Connect, port)), receiver_config(), |_| {}).unwrap()
}

/// Why the server is not good for us.
fn unauthenticated(subscriber: &Subscriber) -> String {
    match subscriber.receive() {
        Err(Interrupted::Failed(error @ Error::Unauthenticated { .. })) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

fn carry(publisher: &Publisher, subscriber: &Subscriber) {
    let frame = Frame { header: FrameHeader::default(), regions: vec![Region::from(vec![7; 100_000])] };
    publisher.send(Outgoing::Frame(frame)).map_err(|interrupted| interrupted.0).unwrap();
    let Incoming::Frame(frame) = subscriber.receive().unwrap() else { panic!("no frame") };
    assert_eq!(bytes(&frame.payload), vec![7; 100_000]);
}

/// The listener still serves who has the key.
fn assert_serves(publisher: &Publisher, port: u16) {
    let subscriber = subscribe(right(), port);
    carry(publisher, &subscriber);
}

#[test]
fn ends_with_the_same_key_work_together_in_both_pairings() {
    for zero_copy in [false, true] {
        let with_key = |config| Config { zero_copy, ..with(right(), config) };
        for sender_listens in [true, false] {
            let (publisher, subscriber);
            if sender_listens {
                publisher =
                    Publisher::start(with_key(config(Side::Listen, 0)), sender_config(), |_| {}).unwrap();
                let connect = config(Side::Connect, publisher.local_address().unwrap().port());
                subscriber = Subscriber::start(with_key(connect), receiver_config(), |_| {}).unwrap();
            } else {
                subscriber =
                    Subscriber::start(with_key(config(Side::Listen, 0)), receiver_config(), |_| {}).unwrap();
                let connect = config(Side::Connect, subscriber.local_address().unwrap().port());
                publisher = Publisher::start(with_key(connect), sender_config(), |_| {}).unwrap();
            }
            carry(&publisher, &subscriber);
            // The ring's answer holds a token, too.
            let deadline = Instant::now() + SOON;
            while publisher.stats().peers[0].mapped != zero_copy {
                assert!(Instant::now() < deadline);
                std::thread::yield_now();
            }
            carry(&publisher, &subscriber);
            assert_eq!((publisher.stats().refused, subscriber.stats().refused), (0, 0));
        }
    }
}

/// Keys of the listening and the connecting end that do not fit, and what both are told.
fn misfits() -> [(Option<Key>, Option<Key>, &'static str); 3] {
    [
        (right(), wrong(), "the keys of the two elements differ"),
        (right(), None, "the listening element has a key and the connecting one has none"),
        (None, right(), "the connecting element has a key and the listening one has none"),
    ]
}

#[test]
fn both_ends_are_told_at_once_which_key_is_missing_or_wrong() {
    for (ours, theirs, text) in misfits() {
        // A client that receives, of a server that sends.
        let (publisher, warned, port) = publish(ours.clone());
        let started = Instant::now();
        let error = unauthenticated(&subscribe(theirs.clone(), port));
        let warning = wait_for(&warned, AT_ONCE, complaint);
        assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
        assert!(error.contains(text) && error.contains(&format!("127.0.0.1:{port}")), "{error}");
        assert!(warning.contains(text) && warning.contains("127.0.0.1:"), "{warning}");
        let stats = publisher.stats();
        assert_eq!((stats.refused, stats.joined), (1, 0));
        let subscriber = subscribe(ours.clone(), port);
        carry(&publisher, &subscriber);

        // A client that sends, to a server that receives.
        let (notify, warned) = notices();
        let listen = with(ours.clone(), config(Side::Listen, 0));
        let subscriber = Subscriber::start(listen, receiver_config(), notify).unwrap();
        let port = subscriber.local_address().unwrap().port();
        let (notify, failed) = notices();
        let connect = config(Side::Connect, port);
        let refused = Publisher::start(with(theirs, connect.clone()), sender_config(), notify).unwrap();
        let error = wait_for(&failed, AT_ONCE, failure).to_string();
        let warning = wait_for(&warned, AT_ONCE, complaint);
        for message in [error, warning] {
            assert!(message.contains(text), "{message}");
        }
        assert_eq!(subscriber.stats().refused, 1);
        drop(refused);
        let publisher = Publisher::start(with(ours, connect), sender_config(), |_| {}).unwrap();
        carry(&publisher, &subscriber);
    }
}

#[test]
fn no_message_shows_a_key() {
    let (publisher, warned, port) = publish(key("s3cret-of-the-listener"));
    let error = unauthenticated(&subscribe(key("s3cret-of-the-client"), port));
    let warning = wait_for(&warned, AT_ONCE, complaint);
    let config = with(key("s3cret-of-the-config"), config(Side::Connect, port));
    for text in [error, warning, format!("{config:?} {publisher:?} {:?}", publisher.stats())] {
        assert!(!text.contains("s3cret"), "{text}");
    }
}

/// A handshake between two of ours, from a listener that stays.
fn recorded(port: u16, publisher: &Publisher) -> common::stranger::Recording {
    let (here, recording) = between(port, Box::new(Some));
    let subscriber = subscribe(right(), here);
    carry(publisher, &subscriber);
    let recording = recording.lock().unwrap().clone();
    assert_eq!(
        (recording.connecting.len(), recording.listening.len()),
        (2, 2),
        "hello, proof; challenge, answer"
    );
    recording
}

#[test]
fn a_handshake_that_was_recorded_opens_no_door_again() {
    let (publisher, _, port) = publish(right());
    let recording = recorded(port, &publisher);
    for together in [true, false] {
        let mut stranger = Stranger::call(port);
        if together {
            stranger.write(&recording.connecting.concat());
            // What came before its turn does not count.
            assert!(matches!(stranger.hear(), Some(Kind::Challenge(_))));
        } else {
            stranger.write(&recording.connecting[0]);
            assert!(matches!(stranger.hear(), Some(Kind::Challenge(_))));
        }
        stranger.write(&recording.connecting[1]);
        let Some(Kind::Refusal(refusal)) = stranger.hear() else { panic!("not refused") };
        assert_eq!(refusal.reason(), Reason::Key);
    }
    assert_eq!(publisher.stats().joined, 1);
    assert_serves(&publisher, port);

    // Nor does what a server said make one of who says it again.
    let port = listener(move |mut client| {
        assert!(matches!(client.hear(), Some(Kind::Hello(_))));
        client.write(&recording.listening[0]);
        assert!(matches!(client.hear(), Some(Kind::Proof(_))));
        client.write(&recording.listening[1]);
        client.hear();
    });
    let error = unauthenticated(&subscribe(right(), port));
    assert!(error.contains("cannot prove"), "{error}");
}

#[test]
fn what_a_side_said_itself_proves_nothing_to_it() {
    // A server that gives the client its own challenge and its own proof.
    let port = listener(|mut client| {
        let Some(Kind::Hello(hello)) = client.hear() else { panic!("no hello") };
        client.say(Kind::Challenge(Challenge { challenge: hello.challenge }));
        let Some(Kind::Proof(Proof { proof })) = client.hear() else { panic!("no proof") };
        let message = encode_message(&Message::from(Kind::Welcome(Hello {
            ucx_port: 9,
            ..common::stranger::hello(vec![])
        })));
        client.say(Kind::Sealed(Sealed { message, proof }));
        assert_eq!(client.hear(), None, "it goes on");
    });
    let error = unauthenticated(&subscribe(right(), port));
    assert!(error.contains("cannot prove"), "{error}");

    // A client that gives the server its own challenge, and answers with it.
    let (publisher, _, port) = publish(right());
    let (mut one, mut other) = (Stranger::call(port), Stranger::call(port));
    one.say(Kind::Hello(hello(vec![1; 32])));
    let Some(Kind::Challenge(Challenge { challenge })) = one.hear() else { panic!("no challenge") };
    other.say(Kind::Hello(hello(challenge.clone())));
    let Some(Kind::Challenge(second)) = other.hear() else { panic!("no challenge") };
    assert_ne!(challenge, second.challenge);
    other.say(Kind::Proof(Proof { proof: challenge.clone() }));
    // A server says no proof to who has not given one.
    assert!(matches!(other.hear(), Some(Kind::Refusal(_))));
    one.say(Kind::Proof(Proof { proof: second.challenge }));
    assert!(matches!(one.hear(), Some(Kind::Refusal(_))));
    assert_eq!(publisher.stats().joined, 0);
    assert_serves(&publisher, port);
}

#[test]
fn nothing_that_is_said_can_be_changed_on_the_way() {
    let hello = |change: fn(&mut Hello)| -> Box<common::stranger::Change> {
        Box::new(move |mut kind| {
            if let Kind::Hello(hello) = &mut kind {
                change(hello);
            }
            Some(kind)
        })
    };
    let answer = |change: fn(&mut Hello)| -> Box<common::stranger::Change> {
        Box::new(move |mut kind| {
            if let Kind::Sealed(sealed) = &mut kind
                && let Ok(Some(Kind::Welcome(mut welcome))) = wire::decode_message(&sealed.message)
            {
                change(&mut welcome);
                sealed.message = encode_message(&Message::from(Kind::Welcome(welcome)));
            }
            Some(kind)
        })
    };
    let changes: [(&str, Box<common::stranger::Change>); 16] = [
        ("token", hello(|hello| hello.token ^= 1)),
        ("client id", hello(|hello| hello.ucx_client_id ^= 1 << 63)),
        ("window", hello(|hello| hello.window = None)),
        ("host", hello(|hello| hello.host = "another".into())),
        ("devices", hello(|hello| hello.devices = "all".into())),
        ("version", hello(|hello| hello.version += 1)),
        ("role", hello(|hello| hello.role = wire::Role::Sender.into())),
        ("software", hello(|hello| hello.software = "older".into())),
        ("challenge", hello(|hello| hello.challenge[0] ^= 1)),
        ("port", answer(|welcome| welcome.ucx_port ^= 1)),
        ("address", answer(|welcome| welcome.ucx_ipv4 ^= 1)),
        ("devices", answer(|welcome| welcome.devices = "all".into())),
        ("token", answer(|welcome| welcome.token ^= 1)),
        ("version", answer(|welcome| welcome.version += 1)),
        (
            "challenge",
            Box::new(|kind| {
                Some(match kind {
                    Kind::Challenge(_) => Kind::Challenge(Challenge { challenge: vec![7; 32] }),
                    kind => kind,
                })
            }),
        ),
        ("challenge of the hello taken away", hello(|hello| hello.challenge.clear())),
    ];
    for (what, change) in changes {
        let (publisher, _, port) = publish(right());
        let (here, _) = between(port, change);
        let error = unauthenticated(&subscribe(right(), here));
        assert!(error.contains("key"), "{what}: {error}");
        assert_eq!(publisher.stats().joined, 0, "{what}");
    }
}

#[test]
fn a_client_with_a_key_takes_no_welcome_from_who_has_none() {
    // As a release that knows nothing of keys would do.
    let port = listener(|mut client| {
        client.hear();
        client.say(Kind::Welcome(Hello { ucx_port: 9, ..hello(vec![]) }));
        assert_eq!(client.hear(), None, "it goes on");
    });
    let error = unauthenticated(&subscribe(right(), port));
    assert!(error.contains("the listening one has none"), "{error}");
}

#[test]
fn who_has_not_proved_itself_learns_only_that() {
    let (_publisher, _, port) = publish(right());
    let proved_nothing = |first: Hello| {
        let mut stranger = Stranger::call(port);
        let challenged = !first.challenge.is_empty();
        stranger.say(Kind::Hello(first));
        if challenged {
            assert!(matches!(stranger.hear(), Some(Kind::Challenge(_))));
            stranger.say(Kind::Proof(Proof { proof: vec![0; 32] }));
        }
        let Some(Kind::Refusal(Refusal { reason, text })) = stranger.hear() else { panic!("not refused") };
        (reason, text)
    };
    // Neither what is offered here, nor by whom, nor which versions are spoken.
    for challenge in [vec![], vec![1; 32]] {
        let expected = proved_nothing(hello(challenge.clone()));
        for wrong in [
            Hello { role: wire::Role::Sender.into(), ..hello(challenge.clone()) },
            Hello { buffer_type: wire::BufferType::Text.into(), ..hello(challenge.clone()) },
            Hello { version: 9, oldest_version: 9, ..hello(challenge.clone()) },
            Hello { ucx_client_id: 0, ..hello(challenge.clone()) },
        ] {
            assert_eq!(proved_nothing(wrong), expected);
        }
    }
}

#[test]
fn a_handshake_that_breaks_off_anywhere_harms_nobody() {
    let (publisher, _, port) = publish(right());
    let recording = recorded(port, &publisher);
    let (hello, proof) = (&recording.connecting[0], &recording.connecting[1]);
    let mut silent = Vec::new();
    for len in 0..=hello.len() {
        let mut stranger = Stranger::call(port);
        stranger.write(&hello[..len]);
        // Some hang up, some say nothing more.
        if len % 8 == 0 {
            silent.push(stranger);
        }
    }
    for len in 0..=proof.len() {
        let mut stranger = Stranger::call(port);
        stranger.write(hello);
        if len == 0 {
            silent.push(stranger);
            continue;
        }
        // Pushed out by others meanwhile, perhaps.
        if matches!(stranger.hear(), Some(Kind::Challenge(_))) {
            stranger.write(&proof[..len]);
        }
    }
    assert_serves(&publisher, port);
    assert_eq!(publisher.stats().joined, 2);
}

#[test]
fn who_guesses_has_to_wait_and_others_have_not() {
    let (publisher, _, port) = publish(right());
    let challenged = |mut stranger: Stranger| {
        let started = Instant::now();
        stranger.say(Kind::Hello(hello(vec![1; 32])));
        assert!(matches!(stranger.hear(), Some(Kind::Challenge(_))));
        (stranger, started.elapsed())
    };
    let guesser = Ipv4Addr::new(127, 0, 0, 9);
    for _ in 0..4 {
        let (mut stranger, _) = challenged(Stranger::call_from(guesser, port));
        stranger.say(Kind::Proof(Proof { proof: vec![0; 32] }));
        assert!(matches!(stranger.hear(), Some(Kind::Refusal(_))));
    }
    let (waited, others) = std::thread::scope(|scope| {
        let waits = scope.spawn(|| challenged(Stranger::call_from(guesser, port)).1);
        let others = challenged(Stranger::call(port)).1;
        assert_serves(&publisher, port);
        (waits.join().unwrap(), others)
    });
    assert!(waited > Duration::from_millis(500), "{waited:?}");
    assert!(waited < Duration::from_secs(3), "{waited:?}");
    assert!(others < waited, "{others:?} and {waited:?}");
}

/// Who heard all that was said at the door calls the UCP listener before the client does. Says whether it got in.
fn heard_everything(key: Option<Key>) -> bool {
    let (_publisher, notices, port) = publish(key.clone());
    let (heard, said) = channel();
    let heard = Arc::new(Mutex::new(heard));
    let (here, _) = between(
        port,
        Box::new(move |kind| {
            let welcome = match &kind {
                Kind::Sealed(sealed) => wire::decode_message(&sealed.message).unwrap().unwrap(),
                kind => kind.clone(),
            };
            let hello = match &welcome {
                Kind::Hello(hello) | Kind::Welcome(hello) => hello.clone(),
                _ => return Some(kind),
            };
            heard.lock().unwrap().send(hello).unwrap();
            // The client does not hear where to call.
            (!matches!(welcome, Kind::Welcome(_))).then_some(kind)
        }),
    );
    let _client = subscribe(key, here);
    let (client, server): (Hello, Hello) =
        (said.recv_timeout(SOON).unwrap(), said.recv_timeout(SOON).unwrap());

    // As ours do, so that they would understand each other.
    let settings = [Setting { name: "CM_USE_ALL_DEVICES", value: "n", force: false }];
    let context = Context::new("stranger", &settings).unwrap();
    let worker = Worker::new(&context, client.ucx_client_id, &[AM_CONTROL]).unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(server.ucx_port).unwrap()));
    let endpoint = Endpoint::connect(&worker, address).unwrap();
    let ping = encode_message(&Message::from(Kind::Ping(Ping { id: 1, time: 0 })));
    for token in [server.token, client.token, 0] {
        let header = Prefix { token, trailer: 0 }.encode().to_vec();
        endpoint.send(AM_CONTROL, header, vec![Region::from(ping.clone())], SendMode::Eager, 0);
    }
    let deadline = Instant::now() + SOON;
    let mut greeted = false;
    loop {
        worker.progress();
        while let Some(event) = worker.next_event() {
            greeted |= matches!(event, Event::Message(_));
        }
        match notices.try_recv() {
            Ok(Notice::Joined(_)) => return true,
            Ok(Notice::Warning(text) | Notice::Log(text)) if text.contains("did not get in") => {
                assert!(greeted, "it was not even connected");
                return false;
            }
            _ => assert!(Instant::now() < deadline, "nothing happens"),
        }
    }
}

#[test]
fn who_listens_at_the_door_cannot_take_a_clients_place_where_there_is_a_key() {
    // Without one it can: the test itself works.
    assert!(heard_everything(None));
    assert!(!heard_everything(right()));
}
