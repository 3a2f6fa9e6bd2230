//! The front door: plain TCP sockets on which both sides introduce themselves.
//!
//! UCX's own connection manager is not let out on a well-known port: a few stray bytes there make UCX abort the process
//! (1.13.1, `tcp_sockcm_ep.c`) or stall (1.22). Behind the door a UCP listener waits on a port that only a peer that was
//! let in knows, for as long as it takes that one peer to connect.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nvdsucx_wire as wire;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with, sockopt};
use wire::message::Kind;

/// Watches all sockets; the descriptor is readable when one of them is ready.
#[derive(Debug)]
pub(crate) struct Watch(OwnedFd);

impl Watch {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(epoll::create(epoll::CreateFlags::CLOEXEC)?))
    }

    /// Watches a socket until it is closed, or [left alone](Self::leave).
    pub(crate) fn add(&self, socket: impl AsFd, id: u64, writing: bool) -> io::Result<()> {
        let flags = if writing { epoll::EventFlags::OUT } else { epoll::EventFlags::IN };
        Ok(epoll::add(&self.0, socket, epoll::EventData::new_u64(id), flags)?)
    }

    /// Watches a socket no longer.
    pub(crate) fn leave(&self, socket: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.0, socket)?)
    }

    /// From now on watches what can be read from a socket.
    fn read(&self, socket: impl AsFd, id: u64) -> io::Result<()> {
        Ok(epoll::modify(&self.0, socket, epoll::EventData::new_u64(id), epoll::EventFlags::IN)?)
    }

    /// The sockets that are ready now.
    pub(crate) fn ready(&self) -> Vec<u64> {
        let mut events = Vec::with_capacity(16);
        // An interruption only makes the caller look once more.
        let _ = epoll::wait(&self.0, spare_capacity(&mut events), Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        events.iter().map(|event| event.data.u64()).collect()
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

pub(crate) fn listen(on: SocketAddr) -> io::Result<TcpListener> {
    // The standard library sets SO_REUSEADDR: a listener can be made again right after the last one was closed.
    let listener = TcpListener::bind(on)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// One connection through the door.
#[derive(Debug)]
pub(crate) struct Visitor {
    stream: TcpStream,
    /// Of the other side.
    address: SocketAddr,
    id: u64,
    received: Vec<u8>,
}

/// What a visitor said.
#[derive(Debug)]
pub(crate) enum Said {
    Nothing,
    /// And the message as it came.
    Greeting(Box<Kind>, Vec<u8>),
}

impl Visitor {
    /// Takes a connection that was accepted.
    pub(crate) fn accepted(
        stream: TcpStream,
        address: SocketAddr,
        watch: &Watch,
        id: u64,
    ) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        watch.add(&stream, id, false)?;
        Ok(Self { stream, address, id, received: Vec::new() })
    }

    /// Begins to connect; the watch tells when it is done.
    pub(crate) fn dial(to: SocketAddr, watch: &Watch, id: u64) -> io::Result<Self> {
        let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        match connect(&socket, &to) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        watch.add(&socket, id, true)?;
        Ok(Self { stream: socket.into(), address: to, id, received: Vec::new() })
    }

    /// The connection that was dialled is there, or failed.
    pub(crate) fn dialled(&self, watch: &Watch) -> io::Result<()> {
        if let Err(error) = sockopt::socket_error(&self.stream)? {
            return Err(error.into());
        }
        watch.read(&self.stream, self.id)
    }

    /// Says something, and returns the message as it went.
    pub(crate) fn greet(&mut self, kind: Kind) -> io::Result<Vec<u8>> {
        let body = wire::encode_message(&wire::Message::from(kind));
        // All greetings together are far shorter than a fresh socket's buffer.
        self.stream.write_all(&wire::encode_greeting(&body))?;
        Ok(body)
    }

    /// What has been said since the last time. The end of the connection is an error.
    pub(crate) fn listen(&mut self) -> io::Result<Said> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => self.received.extend_from_slice(&buffer[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Said::Nothing),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            // Looked at after every piece: a visitor cannot fill the memory.
            match wire::decode_greeting(&self.received) {
                Ok(None) => {}
                Ok(Some(greeting)) => {
                    let said = Said::Greeting(Box::new(greeting.kind), greeting.body.to_vec());
                    // Each side waits for its turn: there is nothing behind it that counts.
                    self.received.clear();
                    return Ok(said);
                }
                Err(error) => return Err(io::Error::new(ErrorKind::InvalidData, error)),
            }
        }
    }

    pub(crate) fn local_address(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// Of the other side.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}
