//! Who speaks at the front door without being one of ours, and who listens in between.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use nvdsucx_session::wire::message::Kind;
use nvdsucx_session::wire::{
    BufferType, Hello, Message, Role, client_id, decode_greeting, encode_greeting, encode_message,
};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use super::SOON;

/// One end of a connection at the front door.
pub struct Stranger {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl Stranger {
    /// Calls a listener.
    pub fn call(port: u16) -> Self {
        Self::new(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap())
    }

    /// Calls from another address of this host.
    pub fn call_from(address: Ipv4Addr, port: u16) -> Self {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddrV4::new(address, 0)).unwrap();
        connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).unwrap();
        Self::new(socket.into())
    }

    /// Whether the other side has hung up, by now.
    pub fn is_left(&mut self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let left = loop {
            match self.stream.read(&mut [0; 4096]) {
                Ok(0) => break true,
                Ok(_) => {}
                Err(error) => break error.kind() != std::io::ErrorKind::WouldBlock,
            }
        };
        self.stream.set_nonblocking(false).unwrap();
        left
    }

    pub fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(SOON)).unwrap();
        Self { stream, heard: Vec::new() }
    }

    pub fn say(&mut self, kind: Kind) {
        self.write(&encode_greeting(&encode_message(&Message::from(kind))));
    }

    /// The other side may have hung up.
    pub fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next greeting; `None` if it hangs up instead.
    pub fn hear(&mut self) -> Option<Kind> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(greeting) = decode_greeting(&self.heard).unwrap() {
                let (kind, len) = (greeting.kind, 12 + greeting.body.len());
                self.heard.drain(..len);
                return Some(kind);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(len) => self.heard.extend_from_slice(&buffer[..len]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("it says nothing: {error}"),
            }
        }
    }
}

/// What a receiver says first. `challenge` is empty if it has no key.
pub fn hello(challenge: Vec<u8>) -> Hello {
    Hello {
        version: 1,
        oldest_version: 1,
        token: 7,
        role: Role::Receiver.into(),
        buffer_type: BufferType::Any.into(),
        ucx_client_id: client_id(0xABCD),
        challenge,
        ..Hello::default()
    }
}

/// A listener that hands each of its callers to `serve`.
pub fn listener(mut serve: impl FnMut(Stranger) + Send + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    // Ends with the test program.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            serve(Stranger::new(stream));
        }
    });
    port
}

/// What went by in one connection: greetings, each with its frame.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    pub connecting: Vec<Vec<u8>>,
    pub listening: Vec<Vec<u8>>,
}

/// Changes a greeting on its way; `None` keeps it back.
pub type Change = dyn FnMut(Kind) -> Option<Kind> + Send;

/// Stands between a client and the listener at `port`: records what is said, after `change` had its way.
pub fn between(port: u16, change: Box<Change>) -> (u16, Arc<Mutex<Recording>>) {
    let recording = Arc::new(Mutex::new(Recording::default()));
    let record = Arc::clone(&recording);
    let change = Arc::new(Mutex::new(change));
    let here = listener(move |client| {
        let server =
            Stranger::new(TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap());
        let from = |stranger: &Stranger| Stranger::new(stranger.stream.try_clone().unwrap());
        for (mut from, mut to, connecting) in [(from(&client), from(&server), true), (server, client, false)]
        {
            let (record, change) = (Arc::clone(&record), Arc::clone(&change));
            thread::spawn(move || {
                // It stays open, silent, as long as the link.
                from.stream.set_read_timeout(None).unwrap();
                while let Some(kind) = from.hear() {
                    let Some(kind) = change.lock().unwrap()(kind) else { continue };
                    let bytes = encode_greeting(&encode_message(&kind.into()));
                    let mut record = record.lock().unwrap();
                    if connecting { &mut record.connecting } else { &mut record.listening }
                        .push(bytes.clone());
                    drop(record);
                    to.write(&bytes);
                }
                // Who hangs up hangs up on both.
                let _ = to.stream.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    (here, recording)
}
