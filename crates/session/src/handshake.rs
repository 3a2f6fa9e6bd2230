//! How a link comes up: the visitor at the door, the greetings, and UCX's connection.
//!
//! ```text
//! connecting side                         listening side
//! dials the front door              ->    opens it
//! hello                             ->    decides
//!                                         (with a key: a challenge and a proof come first, see admission.rs)
//!                                   <-    welcome, with the port of a UCP listener   (or a refusal: the end)
//! UCP connection to that port       ->    accepts the one with the client id of the hello
//! ping                             <->    ping: the link is up
//! ```

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use nvdsucx_wire as wire;
use nvdsucx_wire::message::Kind;
use ucp::{ConnectionRequest, Endpoint, Listener, Status};
use wire::{Hello, Refusal, refusal::Reason};

use crate::Error;
use crate::connector::Next;
use crate::door::{Said, Visitor};
use crate::links::{LISTENER, Link, LinkEvent, LinkId, Links, Stage, earliest};
use crate::proof::{self, random};
use crate::strangers::neighbourhood;

/// How long each step may take.
pub(crate) const STEP: Duration = Duration::from_secs(3);
/// Clients that may be in the middle of the handshake at once.
const MAX_STRANGERS: usize = 64;
/// How long nobody is let in after the system had no room for a connection.
const SHUT: Duration = Duration::from_millis(100);

impl Stage {
    /// What did not happen in time.
    pub(crate) fn what_is_missing(&self) -> &'static str {
        match self {
            Self::Dialling { .. } => "no answer from that host",
            Self::Greeting { .. } => {
                "something is connected there, but it says nothing: probably not one of these elements"
            }
            Self::Proving { .. } => "it does not go on with the proof of the key",
            _ => {
                "UCX could not connect; a firewall may block its ports (`UCX_TCP_PORT_RANGE`), or UCX_TLS or \
                  UCX_NET_DEVICES may leave no common transport"
            }
        }
    }
}

impl Link {
    /// It is not let in, or not connected yet.
    fn is_stranger(&self) -> bool {
        match self.stage {
            Stage::Dialling { .. } | Stage::Up | Stage::Draining { .. } => false,
            Stage::Leaving { .. } => self.endpoint.is_none(),
            _ => true,
        }
    }
}

impl Links {
    /// Lets in who waits at the front door.
    pub(crate) fn open_door(&mut self) {
        // Not all who wait: there is other work, too.
        for _ in 0..MAX_STRANGERS {
            let Some(door) = &self.door else { return };
            let (stream, address) = match door.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error)
                    if [ErrorKind::Interrupted, ErrorKind::ConnectionAborted].contains(&error.kind()) =>
                {
                    continue;
                }
                Err(error) => {
                    // It would be tried again and again, for those who wait still do.
                    if self.watch.leave(door).is_ok() {
                        self.shut_until = Some(Instant::now() + SHUT);
                    }
                    return self.warn_of_stranger(&format!("cannot accept connections: {error}"));
                }
            };
            if !self.make_room() {
                self.warn_of_stranger(&format!("turned away {address}: too many clients in the handshake"));
                continue;
            }
            let id = self.next_link();
            let visitor = Visitor::accepted(stream, address, &self.watch, id.0);
            match visitor.and_then(|visitor| Ok((visitor, random()?))) {
                Ok((visitor, token)) => {
                    let stage = Stage::Greeting { until: Instant::now() + STEP };
                    self.add(id, visitor, u64::from_ne_bytes(token), stage);
                }
                Err(error) => self.warn_of_stranger(&format!("cannot talk to {address}: {error}")),
            }
        }
    }

    /// Whether one more may be in the handshake. Where there are too many, one has to go: of those from the address that
    /// most came from, the one that is here longest. So who calls often takes the place of nobody else.
    fn make_room(&mut self) -> bool {
        if self.links.values().filter(|link| link.is_stranger()).count() < MAX_STRANGERS {
            return true;
        }
        let mut callers: HashMap<IpAddr, (usize, LinkId)> = HashMap::new();
        for (&id, link) in &self.links {
            // UCX may be about to call for the others.
            if let Some(door) = &link.door
                && link.is_stranger()
                && link.listener.is_none()
            {
                let (count, oldest) = callers.entry(neighbourhood(door.address().ip())).or_insert((0, id));
                *count += 1;
                *oldest = id.min(*oldest);
            }
        }
        let Some((_, id)) = callers.into_values().max_by_key(|(count, _)| *count) else { return false };
        match self.links[&id].stage {
            Stage::Leaving { .. } => drop(self.remove(id)),
            _ => self.attempt_failed(id, "it was slow, and others came".to_owned()),
        }
        true
    }

    /// Does what is due at the door, and says when to be called next.
    pub(crate) fn tick_door(&mut self, now: Instant) -> Option<Instant> {
        if self.shut_until.is_some_and(|until| now >= until) {
            self.shut_until = match &self.door {
                Some(door) if self.watch.add(door, LISTENER, false).is_err() => Some(now + SHUT),
                _ => None,
            };
        }
        if let Some(notice) = self.strangers.summary(now) {
            self.notify(notice);
        }
        earliest(self.shut_until, self.strangers.summary_due())
    }

    /// Something happened on a link's socket.
    pub(crate) fn visit(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(door) = &mut link.door else { return };
        if matches!(link.stage, Stage::Dialling { .. }) {
            let has_key = self.config.key.is_some();
            let greeted = door.dialled(&self.watch).and_then(|()| {
                let challenge = if has_key { proof::challenge()? } else { Vec::new() };
                door.greet(Kind::Hello(Hello { token: link.token, challenge, ..self.hello.clone() }))
            });
            return match greeted {
                Ok(hello) => {
                    link.transcript.hello = hello;
                    link.stage = Stage::Greeting { until: Instant::now() + STEP };
                }
                Err(error) => self.attempt_failed(id, error.to_string()),
            };
        }
        match (door.listen(), &link.stage) {
            (Ok(Said::Nothing), _) => {}
            (Ok(Said::Greeting(greeting, body)), Stage::Greeting { .. }) => self.greeted(id, *greeting, body),
            (Ok(Said::Greeting(answer, _)), Stage::Proving { .. }) => self.answered(id, &answer),
            (Ok(Said::Greeting(..)), _) => self.broke_protocol(id, "it greeted again"),
            (Err(error), _) => {
                link.door = None;
                self.connection_lost(id, &describe(&error));
            }
        }
    }

    /// The first that it says.
    fn greeted(&mut self, id: LinkId, greeting: Kind, body: Vec<u8>) {
        match (greeting, self.connector.is_none(), self.config.key.is_some()) {
            (Kind::Hello(hello), true, _) => self.hello(id, hello, body),
            (Kind::Welcome(hello), false, false) => self.welcome(id, hello),
            (Kind::Welcome(_), false, true) => self.welcomed_without_proof(id),
            (Kind::Challenge(_), false, true) => self.prove(id, body),
            (Kind::Refusal(refusal), false, _) => self.refused(id, &refusal),
            _ => self.broke_protocol(id, "it did not introduce itself"),
        }
    }

    /// What it says when it was asked for a proof, or has got ours.
    fn answered(&mut self, id: LinkId, answer: &Kind) {
        match (answer, self.connector.is_none()) {
            (Kind::Proof(proof), true) => self.check_proof(id, proof),
            (Kind::Sealed(sealed), false) => self.unseal(id, sealed),
            (Kind::Refusal(refusal), false) => self.refused(id, refusal),
            _ => self.broke_protocol(id, "it did not prove that it has the key"),
        }
    }

    /// A client introduces itself. Who has not the same key learns nothing of us but that.
    fn hello(&mut self, id: LinkId, theirs: Hello, body: Vec<u8>) {
        let (ours, challenged) = (self.config.key.is_some(), !theirs.challenge.is_empty());
        let Some(link) = self.links.get_mut(&id) else { return };
        link.theirs = theirs;
        match wire::keys_agree(ours, challenged) {
            Err(refusal) => self.refuse(id, refusal),
            Ok(()) if ours => self.prepare_challenge(id, body),
            Ok(()) => self.decide(id),
        }
    }

    /// Whether a client is let in.
    pub(crate) fn decide(&mut self, id: LinkId) {
        let Some(link) = self.links.get(&id) else { return };
        let theirs = &link.theirs;
        let verdict = wire::accept(&self.hello, theirs).and_then(|_| {
            if wire::is_native_client_id(theirs.ucx_client_id).is_none() {
                return Err(refusal(Reason::Unspecified, "the hello has no valid client id"));
            }
            // A listener takes something of the system, and stays a while after its client has gone.
            if self.is_full() || self.retired.len() >= MAX_STRANGERS {
                return Err(refusal(Reason::Full, "it has as many peers as it takes"));
            }
            Ok(())
        });
        let verdict = verdict.and_then(|()| {
            self.settle_devices(id);
            self.listen_for(id).map_err(|cause| refusal(Reason::Unspecified, &cause))
        });
        match verdict {
            Ok((listener, address)) => {
                let Some(link) = self.links.get_mut(&id) else { return };
                link.listener = Some(listener);
                let welcome = Hello {
                    devices: link.theirs.devices.clone(),
                    token: link.token,
                    ucx_port: address.port().into(),
                    ucx_ipv4: address.ip().to_bits(),
                    ..self.hello.clone()
                };
                let answer = self.seal(id, Kind::Welcome(welcome));
                self.answer(id, answer, Stage::Attaching { until: Instant::now() + STEP });
            }
            Err(refusal) => {
                let text = refusal.text.clone();
                let answer = self.seal(id, Kind::Refusal(refusal));
                self.turn_away(id, answer, &text);
            }
        }
    }

    /// Whether UCX uses all devices with a client.
    fn settle_devices(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.theirs.devices = wire::devices_in_common(&self.hello, &link.theirs).to_owned();
        let all_devices = link.has_all_devices();
        if self.worker(all_devices).is_err()
            && let Some(link) = self.links.get_mut(&id)
        {
            link.theirs.devices.clear();
        }
    }

    /// Refuses a client that has proved nothing.
    pub(crate) fn refuse(&mut self, id: LinkId, refusal: Refusal) {
        let text = refusal.text.clone();
        self.turn_away(id, Kind::Refusal(refusal), &text);
    }

    fn turn_away(&mut self, id: LinkId, answer: Kind, text: &str) {
        let Some(link) = self.links.get(&id) else { return };
        let text = format!("refused {}: {text}", link.peer.address);
        self.answer(id, answer, Stage::Leaving { until: Instant::now() + STEP });
        self.warn_of_stranger(&text);
    }

    fn answer(&mut self, id: LinkId, answer: Kind, stage: Stage) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(door) = &mut link.door else { return };
        link.stage = stage;
        if let Err(error) = door.greet(answer) {
            self.connection_lost(id, &error.to_string());
        }
    }

    /// A UCP listener for one client, on the address by which it came, or on an IPv4 address of the same interface: over
    /// IPv6 UCX's TCP transport writes past its endpoints (1.13 always, 1.22 where the interface has IPv4 as well).
    fn listen_for(&mut self, id: LinkId) -> Result<(Listener, SocketAddrV4), String> {
        let ucx = |status: Status| format!("UCX cannot listen for it: {status}");
        let link = self.links.get(&id);
        let all_devices = link.is_some_and(Link::has_all_devices);
        let door = link.and_then(|link| link.door.as_ref());
        let address = door.map_or(Err(ErrorKind::NotConnected.into()), Visitor::local_address);
        let address = match address.map_err(|error| error.to_string())?.ip().to_canonical() {
            IpAddr::V4(address) => address,
            IpAddr::V6(address) => same_interface(address).ok_or_else(|| {
                format!("UCX needs an IPv4 address, and the interface with the address {address} has none")
            })?,
        };
        let worker = self.worker(all_devices).map_err(ucx)?;
        let listener = Listener::new(worker, SocketAddrV4::new(address, 0).into()).map_err(ucx)?;
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
        let Some((&id, link)) = self.links.iter().find(|(_, link)| expected(link)) else {
            return self
                .warn_of_stranger("turned away a UCX client that did not come through the front door");
        };
        let all_devices = link.has_all_devices();
        match self.worker(all_devices).and_then(|worker| Endpoint::accept(worker, request)) {
            Ok(endpoint) => self.attach(id, endpoint),
            Err(status) => self.attempt_failed(id, format!("UCX could not accept the connection: {status}")),
        }
    }

    /// The server lets us in.
    pub(crate) fn welcome(&mut self, id: LinkId, theirs: Hello) {
        if let Err(refusal) = wire::accept(&self.hello, &theirs) {
            return self.refused(id, &refusal);
        }
        let Some(link) = self.links.get_mut(&id) else { return };
        let server = link.door.as_ref().map(Visitor::address);
        let port = u16::try_from(theirs.ucx_port).ok().filter(|port| *port != 0);
        let (Some(mut server), Some(port)) = (server, port) else {
            return self.broke_protocol(id, "its welcome names no port");
        };
        // Behind address translation only the address that was dialled is any good.
        if server.is_ipv6() {
            server.set_ip(Ipv4Addr::from_bits(theirs.ucx_ipv4).into());
        }
        server.set_port(port);
        if !theirs.devices.is_empty() && theirs.devices != self.hello.devices {
            return self.broke_protocol(id, "its welcome names other devices than our hello");
        }
        link.theirs = theirs;
        let all_devices = link.has_all_devices();
        link.stage = Stage::Attaching { until: Instant::now() + STEP };
        match self.worker(all_devices).and_then(|worker| Endpoint::connect(worker, server)) {
            Ok(endpoint) => self.attach(id, endpoint),
            Err(status) => self.attempt_failed(id, format!("UCX could not connect: {status}")),
        }
    }

    pub(crate) fn refused(&mut self, id: LinkId, refusal: &Refusal) {
        if refusal.reason() == Reason::Key {
            return self.unauthenticated(id, refusal.text.clone());
        }
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

    /// Somebody was not let in: tells the user.
    fn warn_of_stranger(&mut self, text: &str) {
        let notice = self.strangers.notice(text, Instant::now());
        self.events.push(LinkEvent::Refused(notice));
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
        let dialled = Visitor::dial(address, &self.watch, id.0).and_then(|door| Ok((door, random()?)));
        let Some(connector) = &mut self.connector else { return };
        match dialled {
            Ok((visitor, token)) => {
                connector.trying(id);
                let stage = Stage::Dialling { until: Instant::now() + STEP };
                self.add(id, visitor, u64::from_ne_bytes(token), stage);
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
