//! A sender that is killed: what it sent before still arrives, then an error comes.

mod common;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nvdsucx_session::wire::FrameHeader;
use nvdsucx_session::{
    Error, Frame, Incoming, Interrupted, Outgoing, Publisher, Region, SenderConfig, Side, Subscriber,
};

use common::{config, receiver_config, sender_config};

/// Set for the process that plays the sender: the port to connect to.
const PORT: &str = "KILLED_SENDER_PORT";
const FRAMES: u64 = 200;

/// Sends all frames without an end, and is gone.
#[test]
fn sender_that_is_killed() {
    let Ok(port) = std::env::var(PORT) else { return };
    let sender = SenderConfig { window_frames: 1024, ..sender_config() };
    let publisher = Publisher::start(config(Side::Connect, port.parse().unwrap()), sender, |_| {}).unwrap();
    for n in 0..FRAMES {
        let header = FrameHeader { pts: Some(n), ..FrameHeader::default() };
        let frame = Frame { header, regions: vec![Region::from(vec![n as u8; 100])] };
        publisher.send(Outgoing::Frame(frame)).map_err(|interrupted| interrupted.0).unwrap();
    }
    while publisher.stats().frames < FRAMES {
        std::thread::yield_now();
    }
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
}

#[test]
fn what_a_killed_sender_sent_arrives_before_the_error() {
    if std::env::var(PORT).is_ok() {
        return;
    }
    let subscriber = Subscriber::start(config(Side::Listen, 0), receiver_config(), |_| {}).unwrap();
    let port = subscriber.local_address().unwrap().port();
    let mut sender = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sender_that_is_killed", "--nocapture"])
        .env(PORT, port.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut received = 0;
    let error = loop {
        match subscriber.receive() {
            Ok(Incoming::Frame(frame)) => {
                assert_eq!(frame.header.pts, Some(received));
                received += 1;
            }
            Ok(Incoming::Event(event)) => panic!("{event:?}"),
            Err(Interrupted::Failed(error)) => break error,
            Err(other) => panic!("{other}"),
        }
    };
    let noticed = Instant::now();
    assert!(!sender.wait().unwrap().success());
    assert!(noticed.elapsed() < Duration::from_secs(1));
    assert_eq!(received, FRAMES, "then: {error}");
    assert!(matches!(error, Error::Disconnected { .. }), "{error}");
}
