//! Programs that are no peers of ours, and ports where nobody is.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};

use crate::payload;

/// A port of this host that belongs to us and where nobody listens: connections are refused.
#[derive(Debug)]
pub struct DeadPort {
    _socket: OwnedFd,
    /// Its number.
    pub port: u16,
}

impl DeadPort {
    /// Takes a port.
    pub fn new() -> Self {
        // Not for the processes under test, which would keep the port.
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let socket = socket.expect("a socket");
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = getsockname(&socket).expect("bound");
        let port = SocketAddrV4::try_from(address).expect("an IPv4 socket").port();
        Self { _socket: socket, port }
    }
}

impl Default for DeadPort {
    fn default() -> Self {
        Self::new()
    }
}

/// What a stranger says as soon as it is connected.
#[derive(Clone, Copy, Debug)]
pub enum Manners {
    /// Nothing at all.
    Silent,
    /// Random bytes.
    Noise,
    /// An answer in HTTP.
    Http,
    /// Random bytes, and it hangs up.
    HangUp,
    /// The right words, and that very much is to come, of which nothing comes.
    Claim,
}

impl Manners {
    fn greet(self, stream: &mut TcpStream) {
        // The other side may hang up at any time.
        let _ = match self {
            Self::Silent => Ok(()),
            Self::Noise | Self::HangUp => stream.write_all(&payload::generate(99, 100_000)),
            Self::Claim => stream.write_all(b"nvdsucx\n\0\0\x01\0"),
            Self::Http => stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        };
    }
}

/// A server that knows nothing of us. Returns its port, and a count of those that called it.
pub fn serve(manners: Manners) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    // Ends with the test program.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            count.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || {
                manners.greet(&mut stream);
                if !matches!(manners, Manners::HangUp) {
                    let mut buffer = [0; 4096];
                    while matches!(stream.read(&mut buffer), Ok(1..)) {}
                }
            });
        }
    });
    (port, calls)
}

/// Calls a listening element, and says what `manners` say. The connection lasts until the stream is dropped.
pub fn call(port: u16, manners: Manners) -> TcpStream {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the element listens");
    stream.set_nonblocking(true).expect("a socket of ours");
    manners.greet(&mut stream);
    stream
}
