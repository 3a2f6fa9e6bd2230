//! How a link comes up: the visitor at the door, the greetings, and UCX's connection.
//!
//! ```text
//! connecting side                         listening side
//! dials the front door              ->    opens it
//! hello                             ->    decides
//!                                   <-    welcome, with the port of a UCP listener   (or a refusal: the end)
//! UCP connection to that port       ->    accepts the one with the client id of the hello
//! ping                             <->    ping: the link is up
//! ```

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use nvdsucx_wire as wire;
use nvdsucx_wire::message::Kind;
use ucp::{ConnectionRequest, Endpoint, Listener, Status};
use wire::{Hello, Refusal, refusal::Reason};

use crate::connector::Next;
use crate::door::{Said, Visitor};
use crate::links::{Link, LinkEvent, LinkId, Links, Stage};
use crate::{Error, Notice};

/// How long each step may take.
const STEP: Duration = Duration::from_secs(3);
/// Clients that may be in the middle of the handshake at once.
const MAX_STRANGERS: usize = 64;
/// Strangers are warned of once in this time.
const WARN_INTERVAL: Duration = Duration::from_secs(10);

impl Stage {
    /// What did not happen in time.
    pub(crate) fn what_is_missing(&self) -> &'static str {
        match self {
            Self::Dialling { .. } => "no answer from that host",
            Self::Greeting { .. } => {
                "something is connected there, but it says nothing: probably not one of these elements"
            }
            _ => {
                "UCX could not connect; a firewall may block its ports (`UCX_TCP_PORT_RANGE`), or UCX_TLS or \
                  UCX_NET_DEVICES may leave no common transport"
            }
        }
    }

    fn is_stranger(&self) -> bool {
        matches!(self, Self::Greeting { .. } | Self::Attaching { .. })
    }
}

impl Links {
    /// Lets in who waits at the front door.
    pub(crate) fn open_door(&mut self) {
        let Some(door) = &self.door else { return };
        let Ok(door) = door.try_clone() else { return };
        loop {
            let (stream, address) = match door.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return self.warn_of_stranger(&format!("cannot accept connections: {error}")),
            };
            let strangers = self.links.values().filter(|link| link.stage.is_stranger()).count();
            if strangers >= MAX_STRANGERS {
                self.warn_of_stranger(&format!("turned away {address}: too many clients in the handshake"));
                continue;
            }
            let id = self.next_link();
            match Visitor::accepted(stream, &self.watch, id.0) {
                Ok(visitor) => {
                    let stage = Stage::Greeting { until: Instant::now() + STEP };
                    self.add(id, visitor, address.to_string(), stage);
                }
                Err(error) => self.warn_of_stranger(&format!("cannot talk to {address}: {error}")),
            }
        }
    }

    /// Something happened on a link's socket.
    pub(crate) fn visit(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(door) = &mut link.door else { return };
        if matches!(link.stage, Stage::Dialling { .. }) {
            let hello = Hello { token: link.token, ..self.hello.clone() };
            return match door.dialled(&self.watch).and_then(|()| door.greet(Kind::Hello(hello))) {
                Ok(()) => link.stage = Stage::Greeting { until: Instant::now() + STEP },
                Err(error) => self.attempt_failed(id, error.to_string()),
            };
        }
        match (door.listen(), &link.stage) {
            (Ok(Said::Nothing), _) => {}
            (Ok(Said::Greeting(greeting)), Stage::Greeting { .. }) => self.greeted(id, greeting),
            (Ok(Said::Greeting(_)), _) => self.broke_protocol(id, "it greeted again"),
            (Err(error), _) => {
                link.door = None;
                self.connection_lost(id, &describe(&error));
            }
        }
    }

    fn greeted(&mut self, id: LinkId, greeting: Kind) {
        match (greeting, self.connector.is_none()) {
            (Kind::Hello(hello), true) => self.hello(id, hello),
            (Kind::Welcome(hello), false) => self.welcome(id, hello),
            (Kind::Refusal(refusal), false) => self.refused(id, &refusal),
            _ => self.broke_protocol(id, "it did not introduce itself"),
        }
    }

    /// A client introduces itself.
    fn hello(&mut self, id: LinkId, theirs: Hello) {
        let verdict = wire::accept(&self.hello, &theirs).and_then(|_| {
            if wire::is_native_client_id(theirs.ucx_client_id).is_none() {
                return Err(refusal(Reason::Unspecified, "the hello has no valid client id"));
            }
            if self.is_full() {
                return Err(refusal(Reason::Full, "it has as many peers as it takes"));
            }
            self.listen_for(id).map_err(|cause| refusal(Reason::Unspecified, &cause))
        });
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(door) = &mut link.door else { return };
        link.theirs = theirs;
        let (address, until) = (link.peer.address.clone(), Instant::now() + STEP);
        let answered = match verdict {
            Ok((listener, address)) => {
                link.listener = Some(listener);
                link.stage = Stage::Attaching { until };
                door.greet(Kind::Welcome(Hello {
                    token: link.token,
                    ucx_port: address.port().into(),
                    ucx_ipv4: address.ip().to_bits(),
                    ..self.hello.clone()
                }))
            }
            Err(refusal) => {
                let text = format!("refused {address}: {}", refusal.text);
                link.stage = Stage::Leaving { until };
                let answered = door.greet(Kind::Refusal(refusal));
                self.warn_of_stranger(&text);
                answered
            }
        };
        if let Err(error) = answered {
            self.connection_lost(id, &error.to_string());
        }
    }

    /// A UCP listener for one client, on the address by which it came, or on an IPv4 address of the same interface: over
    /// IPv6 UCX's TCP transport writes past its endpoints (1.13 always, 1.22 where the interface has IPv4 as well).
    fn listen_for(&self, id: LinkId) -> Result<(Listener, SocketAddrV4), String> {
        let ucx = |status: Status| format!("UCX cannot listen for it: {status}");
        let door = self.links.get(&id).and_then(|link| link.door.as_ref());
        let address = door.map_or(Err(ErrorKind::NotConnected.into()), Visitor::local_address);
        let address = match address.map_err(|error| error.to_string())?.ip().to_canonical() {
            IpAddr::V4(address) => address,
            IpAddr::V6(address) => same_interface(address).ok_or_else(|| {
                format!("UCX needs an IPv4 address, and the interface with the address {address} has none")
            })?,
        };
        let listener = Listener::new(&self.worker, SocketAddrV4::new(address, 0).into()).map_err(ucx)?;
        let port = listener.local_address().map_err(ucx)?.port();
        Ok((listener, SocketAddrV4::new(address, port)))
    }

    /// A UCP client calls: the one that a listener waits for, or a stranger.
    pub(crate) fn connection_request(&mut self, request: ConnectionRequest) {
        let client = request.client_id();
        self.retired.retain(|retired| retired.client != client);
        let expected = |link: &Link| {
            link.listener.is_some() && link.endpoint.is_none() && link.theirs.ucx_client_id == client
        };
        let Some(id) = self.links.iter().find(|(_, link)| expected(link)).map(|(id, _)| *id) else {
            return self
                .warn_of_stranger("turned away a UCX client that did not come through the front door");
        };
        match Endpoint::accept(&self.worker, request) {
            Ok(endpoint) => self.attach(id, endpoint),
            Err(status) => self.attempt_failed(id, format!("UCX could not accept the connection: {status}")),
        }
    }

    /// The server lets us in.
    fn welcome(&mut self, id: LinkId, theirs: Hello) {
        if let Err(refusal) = wire::accept(&self.hello, &theirs) {
            return self.refused(id, &refusal);
        }
        let Some(link) = self.links.get_mut(&id) else { return };
        let door = link.door.as_ref().map_or(Err(ErrorKind::NotConnected.into()), Visitor::peer_address);
        let port = u16::try_from(theirs.ucx_port).ok().filter(|port| *port != 0);
        let (Ok(mut server), Some(port)) = (door, port) else {
            return self.broke_protocol(id, "its welcome names no port");
        };
        // Behind address translation only the address that was dialled is any good.
        if server.is_ipv6() {
            server.set_ip(Ipv4Addr::from_bits(theirs.ucx_ipv4).into());
        }
        server.set_port(port);
        link.theirs = theirs;
        link.stage = Stage::Attaching { until: Instant::now() + STEP };
        match Endpoint::connect(&self.worker, server) {
            Ok(endpoint) => self.attach(id, endpoint),
            Err(status) => self.attempt_failed(id, format!("UCX could not connect: {status}")),
        }
    }

    fn refused(&mut self, id: LinkId, refusal: &Refusal) {
        let Some(link) = self.remove(id) else { return };
        let error = Error::Refused { address: link.peer.address, reason: refusal.text.clone() };
        let Some(connector) = &mut self.connector else { return };
        if refusal.reason() == Reason::Full {
            // There may be room in a moment: it has not noticed yet who has left.
            connector.attempt_failed(error.to_string());
        } else {
            connector.stop();
            self.events.push(LinkEvent::Fatal(error));
        }
    }

    pub(crate) fn attempt_failed(&mut self, id: LinkId, cause: String) {
        let Some(link) = self.remove(id) else { return };
        match &mut self.connector {
            Some(connector) => connector.attempt_failed(cause),
            None => self.warn_of_stranger(&format!("{} did not get in: {cause}", link.peer.address)),
        }
    }

    /// Tells the user, who is not to be flooded by whoever knocks.
    fn warn_of_stranger(&mut self, text: &str) {
        let now = Instant::now();
        if self.stranger_warned.is_none_or(|last| now >= last + WARN_INTERVAL) {
            self.stranger_warned = Some(now);
            self.notify(Notice::Warning(text.to_owned()));
        } else {
            self.notify(Notice::Log(text.to_owned()));
        }
    }

    pub(crate) fn tick_connector(&mut self, now: Instant) -> Option<Instant> {
        let connector = self.connector.as_mut()?;
        match connector.next(now) {
            Next::Nothing => None,
            Next::Wait(until) => Some(until),
            Next::GiveUp(error) => {
                let attempt = connector.attempt();
                connector.stop();
                if let Some(id) = attempt {
                    self.remove(id);
                }
                self.events.push(LinkEvent::Fatal(error));
                Some(now)
            }
            Next::Try(address) => {
                self.dial(address);
                Some(now)
            }
        }
    }

    fn dial(&mut self, address: SocketAddr) {
        let id = self.next_link();
        let dialled = Visitor::dial(address, &self.watch, id.0);
        let Some(connector) = &mut self.connector else { return };
        match dialled {
            Ok(visitor) => {
                connector.trying(id);
                let stage = Stage::Dialling { until: Instant::now() + STEP };
                self.add(id, visitor, address.to_string(), stage);
            }
            Err(error) => connector.attempt_failed(error.to_string()),
        }
    }
}

/// An IPv4 address of the interface that has this IPv6 address.
fn same_interface(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let interfaces = if_addrs::get_if_addrs().ok()?;
    let name = &interfaces.iter().find(|interface| interface.ip() == address)?.name;
    interfaces.iter().find_map(|interface| match interface.ip() {
        IpAddr::V4(address) if interface.name == *name => Some(address),
        _ => None,
    })
}

fn refusal(reason: Reason, text: &str) -> Refusal {
    Refusal { reason: reason.into(), text: text.to_owned() }
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::UnexpectedEof => "the connection was closed".to_owned(),
        ErrorKind::InvalidData => format!("something else is connected there: {error}"),
        _ => error.to_string(),
    }
}
