//! Peers that are not ours: noise, silence, other protocols.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use nvdsucx_session::wire::FrameHeader;
use nvdsucx_session::{Config, Frame, Incoming, Outgoing, Publisher, Region, Side, Subscriber};

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

#[test]
fn a_client_at_the_wrong_door_says_so() {
    for opening in openings() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let (done, finished) = channel::<()>();
        let serving = thread::spawn(move || {
            let mut connections = Vec::new();
            server.set_nonblocking(true).unwrap();
            while finished.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                if let Ok((mut connection, _)) = server.accept() {
                    connection.set_nonblocking(false).unwrap();
                    connection.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
                    let _ = connection.read(&mut [0; 4096]);
                    let _ = connection.write_all(&opening);
                    connections.push(connection);
                }
                thread::yield_now();
            }
        });
        let started = Instant::now();
        let timeout = Some(Duration::from_millis(700));
        let subscriber = subscribe(Config { connect_timeout: timeout, ..config(Side::Connect, port) });
        let error = subscriber.receive().unwrap_err().to_string();
        assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
        drop(subscriber);
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
        drop(done);
        serving.join().unwrap();
    }
}
