//! Connections to peers, from the front door to the farewell.
//!
//! A link is a socket through the front door, a UCX endpoint, and what is known of the peer. The listening side makes one
//! for every client that comes in; the connecting side has one at a time, made again by the [`Connector`] until it holds.
//! How a link comes up is in `handshake.rs`; what happens once it is, and how it ends, is here; what it carries is in
//! `messages.rs`. The role (publisher or subscriber) hears of a link when it is up.

mod messages;

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nvdsucx_wire as wire;
use nvdsucx_wire::message::Kind;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use ucp::{Context, Data, Endpoint, EndpointId, Listener, Region, RegionMut, SendMode, Status, Worker};
use wire::Hello;

use crate::connector::{Connector, resolve};
use crate::door::{self, Visitor, Watch};
use crate::doorbell::Doorbell;
use crate::proof::{Transcript, random};
use crate::strangers::Strangers;
use crate::ucx::Ucx;
use crate::{Config, Error, Key, Notice, Peer, Side};

/// After the connection is lost: silence after which nothing more is expected of what was sent before.
const DRAIN_QUIET: Duration = Duration::from_millis(50);
/// And how long to listen at the most.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);
/// How long a farewell may take to get through.
pub(crate) const FAREWELL: Duration = Duration::from_millis(300);
/// How often the door is looked at while the thread is awake.
pub(crate) const DOOR_INTERVAL: Duration = Duration::from_millis(5);
/// How long a UCP listener outlives the handshake that it was for.
const RETIREMENT: Duration = Duration::from_secs(1);
/// What the watch calls the listening socket.
pub(crate) const LISTENER: u64 = 0;

/// Tells links apart; never used twice in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LinkId(pub(crate) u64);

/// What becomes of a frame header and its data.
pub(crate) struct Frame {
    pub(crate) header: Vec<u8>,
    pub(crate) data: Data,
}

/// What the links tell the role.
pub(crate) enum LinkEvent {
    Up(LinkId),
    Control(LinkId, Kind),
    Frame(LinkId, Frame),
    Received {
        cookie: u64,
        region: RegionMut,
        result: Result<(), Status>,
    },
    Down(LinkId, Departure),
    /// Somebody was not let in. To be counted, before the user is told.
    Refused(Option<Notice>),
    /// The session cannot go on.
    Fatal(Error),
}

/// How a link came to its end.
#[derive(Clone, Debug)]
pub(crate) struct Departure {
    pub(crate) peer: Peer,
    pub(crate) reason: String,
    /// It said good-bye.
    pub(crate) orderly: bool,
}

pub(crate) enum Stage {
    /// The client's socket connects.
    Dialling {
        until: Instant,
    },
    /// The greeting has not come.
    Greeting {
        until: Instant,
    },
    /// The client is asked for its proof a little later.
    Held {
        until: Instant,
    },
    /// What is to prove that the peer has the key has not come.
    Proving {
        until: Instant,
    },
    /// UCX connects.
    Attaching {
        until: Instant,
    },
    Up,
    /// The connection is lost; what was sent before may still come.
    Draining {
        cause: String,
        quiet: Instant,
        limit: Instant,
    },
    /// It has been told that this is the end; it closes the connection.
    Leaving {
        until: Instant,
    },
}

pub(crate) struct Link {
    pub(crate) stage: Stage,
    /// `None` once the peer has closed it.
    pub(crate) door: Option<Visitor>,
    pub(crate) endpoint: Option<Endpoint>,
    /// Waits for this one client.
    pub(crate) listener: Option<Listener>,
    pub(crate) peer: Peer,
    /// The peer puts it before every message to us.
    pub(crate) token: u64,
    /// What the peer said of itself.
    pub(crate) theirs: Hello,
    /// What the proofs of the key cover.
    pub(crate) transcript: Transcript,
    mode: SendMode,
    heard: Instant,
    asked: Instant,
}

impl Link {
    /// Whether UCX uses all devices with it, which is settled with the welcome.
    pub(crate) fn has_all_devices(&self) -> bool {
        !self.theirs.devices.is_empty()
    }

    /// When it wants attention though nothing happens.
    fn due(&self, peer_timeout: Option<Duration>) -> Option<Instant> {
        match self.stage {
            Stage::Dialling { until }
            | Stage::Greeting { until }
            | Stage::Held { until }
            | Stage::Proving { until }
            | Stage::Attaching { until }
            | Stage::Leaving { until }
            | Stage::Draining { quiet: until, .. } => Some(until),
            // It is asked for a sign of life after a third of the time-out, and given up after all of it.
            Stage::Up => peer_timeout
                .map(|timeout| (self.heard.max(self.asked) + timeout / 3).min(self.heard + timeout)),
        }
    }
}

/// A UCP listener whose client was not awaited any longer. UCX (1.13) uses a listener after it was destroyed if the client
/// calls at that very moment, so it stays until the client has called, or surely will not.
pub(crate) struct Retired {
    pub(crate) client: u64,
    until: Instant,
    _listener: Listener,
}

pub(crate) struct Links {
    pub(crate) config: Config,
    pub(crate) hello: Hello,
    notify: Box<dyn FnMut(Notice) + Send>,
    pub(crate) links: HashMap<LinkId, Link>,
    pub(crate) tokens: HashMap<u64, LinkId>,
    endpoints: HashMap<EndpointId, LinkId>,
    pub(crate) connector: Option<Connector>,
    pub(crate) events: Vec<LinkEvent>,
    /// What was in frames that have been sent.
    sent: Vec<Region>,
    pub(crate) retired: Vec<Retired>,
    pub(crate) door: Option<TcpListener>,
    pub(crate) watch: Watch,
    door_attended: Instant,
    /// When UCX was last let work. One reading of the clock does for all that happened then.
    now: Instant,
    /// The listening socket is not watched before: the system has no room for a connection more.
    pub(crate) shut_until: Option<Instant>,
    pub(crate) strangers: Strangers,
    last_link: u64,
    // After the endpoints above, which are of it.
    ucx: Ucx,
}

impl Links {
    /// Brings UCX up, and opens the front door where listening is our side. `hello` is what every peer is told of us; its
    /// token is filled in for each.
    pub(crate) fn new(
        config: Config,
        hello: Hello,
        doorbell: &Arc<Doorbell>,
        notify: Box<dyn FnMut(Notice) + Send>,
    ) -> Result<Self, Error> {
        let system = |error: std::io::Error| Error::Thread(error.to_string());
        let client_id = wire::client_id(u32::from_ne_bytes(random().map_err(system)?));
        let ucx = Ucx::new(&config, client_id).map_err(|status| Error::Ucx(status.to_string()))?;
        let watch = Watch::new().map_err(system)?;
        let (mut door, mut connector) = (None, None);
        match config.side {
            Side::Listen => {
                let listener = listen(&config)?;
                watch.add(&listener, LISTENER, false).map_err(system)?;
                door = Some(listener);
            }
            Side::Connect => connector = Some(Connector::new(&config, Arc::clone(doorbell))),
        }
        let mut links = Self {
            hello: Hello { ucx_client_id: client_id, devices: ucx.devices(&config), ..hello },
            config,
            notify,
            links: HashMap::new(),
            tokens: HashMap::new(),
            endpoints: HashMap::new(),
            connector,
            events: Vec::new(),
            sent: Vec::new(),
            retired: Vec::new(),
            door,
            watch,
            door_attended: Instant::now(),
            now: Instant::now(),
            shut_until: None,
            strangers: Strangers::new(Instant::now()),
            last_link: LISTENER,
            ucx,
        };
        if let Some(warning) = links.config.key.as_ref().and_then(Key::warning) {
            let warning = Notice::Warning(warning.to_owned());
            links.notify(warning);
        }
        Ok(links)
    }

    pub(crate) fn local_address(&self) -> Option<SocketAddr> {
        self.door.as_ref()?.local_addr().ok()
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn context(&self) -> &Context {
        self.ucx.context()
    }

    /// The worker for a peer.
    pub(crate) fn worker(&mut self, all_devices: bool) -> Result<&Worker, Status> {
        if all_devices && let Err(status) = self.ucx.use_all_devices(&self.config, self.hello.ucx_client_id) {
            // Peers are not told again that it may be.
            self.hello.devices.clear();
            self.notify(Notice::Log(format!("UCX cannot be brought up with all devices: {status}")));
            return Err(status);
        }
        Ok(self.ucx.worker(all_devices))
    }

    /// Whether GPUs copy what is under way.
    pub(crate) fn is_copying(&self) -> bool {
        self.ucx.is_copying()
    }

    /// What to sleep on, after [`arm`](Self::arm): the front door, and UCX.
    pub(crate) fn event_fds(&self) -> [BorrowedFd<'_>; 3] {
        let [ucx, other] = self.ucx.event_fds();
        [self.watch.fd(), ucx, other]
    }

    /// Prepares UCX for a sleep. If it cannot be armed there is work, or an error that the next round reports.
    pub(crate) fn arm(&self) -> bool {
        self.ucx.arm()
    }

    pub(crate) fn notify(&mut self, notice: Notice) {
        (self.notify)(notice);
    }

    pub(crate) fn peer(&self, id: LinkId) -> Option<&Peer> {
        self.links.get(&id).map(|link| &link.peer)
    }

    /// Whether the peer may be able to map our memory, and we the peer's. It is still to be proved.
    pub(crate) fn shares_host(&self, id: LinkId) -> bool {
        !self.hello.host.is_empty() && self.hello_of(id).is_some_and(|theirs| theirs.host == self.hello.host)
    }

    /// Maps memory of the peer.
    pub(crate) fn map(
        &self,
        id: LinkId,
        memory: &wire::SharedMemory,
        access: ucp::Access,
    ) -> Result<ucp::Mapping, String> {
        let link = self.links.get(&id).and_then(|link| link.endpoint.as_ref());
        let endpoint = link.ok_or("the connection is gone")?;
        let len = usize::try_from(memory.len).map_err(|error| error.to_string())?;
        endpoint.map(&memory.key, memory.address, len, access).map_err(|status| status.to_string())
    }

    /// The token that the peer puts before every message to us.
    pub(crate) fn token(&self, id: LinkId) -> Option<u64> {
        self.links.get(&id).map(|link| link.token)
    }

    /// What the peer said of itself.
    pub(crate) fn hello_of(&self, id: LinkId) -> Option<&Hello> {
        self.links.get(&id).map(|link| &link.theirs)
    }

    /// Links that count against the limit of peers.
    pub(crate) fn is_full(&self) -> bool {
        let taken =
            |link: &&Link| matches!(link.stage, Stage::Attaching { .. } | Stage::Up | Stage::Draining { .. });
        self.links.values().filter(taken).count() >= self.config.max_peers
    }

    pub(crate) fn next_link(&mut self) -> LinkId {
        self.last_link += 1;
        LinkId(self.last_link)
    }

    /// Begins a link. `token` is one that nobody can guess.
    pub(crate) fn add(&mut self, id: LinkId, door: Visitor, token: u64, stage: Stage) {
        let now = Instant::now();
        let address = door.address().to_string();
        let link = Link {
            stage,
            door: Some(door),
            endpoint: None,
            listener: None,
            peer: Peer { address, software: String::new(), ucx_version: String::new(), lanes: Vec::new() },
            token,
            theirs: Hello::default(),
            transcript: Transcript::default(),
            mode: SendMode::Eager,
            heard: now,
            asked: now,
        };
        self.tokens.insert(token, id);
        self.links.insert(id, link);
    }

    pub(crate) fn remove(&mut self, id: LinkId) -> Option<Link> {
        let mut link = self.links.remove(&id)?;
        self.tokens.remove(&link.token);
        match (&link.endpoint, link.listener.take()) {
            (Some(endpoint), _) => drop(self.endpoints.remove(&endpoint.id())),
            (None, Some(listener)) => {
                let (client, until) = (link.theirs.ucx_client_id, Instant::now() + RETIREMENT);
                self.retired.push(Retired { client, until, _listener: listener });
            }
            (None, None) => {}
        }
        Some(link)
    }

    /// UCX is connected, as far as can be seen from here.
    pub(crate) fn attach(&mut self, id: LinkId, endpoint: Endpoint) {
        if let Some(link) = self.links.get_mut(&id) {
            self.endpoints.insert(endpoint.id(), id);
            link.endpoint = Some(endpoint);
            self.send_control(id, Kind::Ping(wire::Ping::default()));
        }
    }

    /// Both sides have heard from each other over UCX.
    fn up(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.stage = Stage::Up;
        link.listener = None;
        link.transcript = Transcript::default();
        link.peer.software.clone_from(&link.theirs.software);
        link.peer.ucx_version.clone_from(&link.theirs.ucx_version);
        link.peer.lanes = link.endpoint.as_ref().map(Endpoint::lanes).unwrap_or_default();
        if wire::ucx_compatible(&self.hello.ucx_version, &link.theirs.ucx_version) {
            link.mode = SendMode::Auto;
        }
        if let Some(connector) = &mut self.connector {
            connector.succeeded();
        }
        self.events.push(LinkEvent::Up(id));
    }

    /// UCX or the socket reports that the peer is not there any more.
    pub(crate) fn connection_lost(&mut self, id: LinkId, cause: &str) {
        let Some(link) = self.links.get_mut(&id) else { return };
        match link.stage {
            Stage::Up => {
                let now = Instant::now();
                link.stage = Stage::Draining {
                    cause: format!("{cause}: the other side was killed, crashed, or the network failed"),
                    quiet: now + DRAIN_QUIET,
                    limit: now + DRAIN_LIMIT,
                };
            }
            // The other side may have given up a moment earlier, for the reason that we would have given.
            Stage::Attaching { .. } => {
                let cause = format!("{} ({cause})", link.stage.what_is_missing());
                self.attempt_failed(id, cause);
            }
            Stage::Leaving { .. } => drop(self.remove(id)),
            Stage::Draining { .. } => {}
            _ => self.attempt_failed(id, cause.to_owned()),
        }
    }

    /// The peer does what no peer of ours does.
    pub(crate) fn broke_protocol(&mut self, id: LinkId, cause: &str) {
        let Some(link) = self.links.get(&id) else { return };
        match link.stage {
            Stage::Leaving { .. } => drop(self.remove(id)),
            Stage::Up | Stage::Draining { .. } => self.down(
                id,
                format!(
                    "it broke the protocol: {cause}. Both ends should run the same release of the plugin"
                ),
                false,
            ),
            _ => self.attempt_failed(id, cause.to_owned()),
        }
    }

    /// The link is at its end: the role is told.
    fn down(&mut self, id: LinkId, reason: String, orderly: bool) {
        if let Some(link) = self.remove(id) {
            self.events.push(LinkEvent::Down(id, Departure { peer: link.peer, reason, orderly }));
        }
    }

    /// Connects again after a link that was up is down.
    pub(crate) fn reconnect(&mut self) {
        if let Some(connector) = &mut self.connector {
            connector.start_over(&self.config);
        }
    }

    /// Does what is due and says when to be called next.
    pub(crate) fn tick(&mut self) -> Option<Instant> {
        let now = self.now;
        if now >= self.door_attended + DOOR_INTERVAL {
            self.attend_door();
        }
        let timeout = self.config.peer_timeout;
        let next = loop {
            let due = self.links.iter().filter_map(|(id, link)| Some((link.due(timeout)?, *id)));
            match due.min_by_key(|(due, _)| *due) {
                Some((due, id)) if due <= now => self.act(id, now),
                next => break next.map(|(due, _)| due),
            }
        };
        self.retired.retain(|retired| retired.until > now);
        let retirement = self.retired.iter().map(|retired| retired.until).min();
        [retirement, self.tick_door(now), self.tick_connector(now)].into_iter().fold(next, earliest)
    }

    /// Looks who is at the door.
    pub(crate) fn attend_door(&mut self) {
        self.door_attended = Instant::now();
        for id in self.watch.ready() {
            if id == LISTENER {
                self.open_door();
            } else {
                self.visit(LinkId(id));
            }
        }
    }

    /// The moment a link waits for has come.
    fn act(&mut self, id: LinkId, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else { return };
        match &link.stage {
            Stage::Held { .. } => self.challenge(id),
            Stage::Draining { cause, .. } => {
                let cause = cause.clone();
                self.down(id, cause, false);
            }
            Stage::Leaving { .. } => drop(self.remove(id)),
            Stage::Up => {
                let timeout = self.config.peer_timeout.filter(|timeout| now >= link.heard + *timeout);
                if let Some(timeout) = timeout {
                    let reason = format!(
                        "no sign of life for {} ms (`peer-timeout`): it is stopped, overloaded, or cut off",
                        timeout.as_millis()
                    );
                    self.down(id, reason, false);
                } else {
                    link.asked = now;
                    self.send_control(id, Kind::Ping(wire::Ping::default()));
                }
            }
            stage => {
                let cause = stage.what_is_missing().to_owned();
                self.attempt_failed(id, cause);
            }
        }
    }

    /// Says good-bye to a peer, which closes the connection then.
    pub(crate) fn say_bye(&mut self, to: LinkId, reason: &str, until: Instant) {
        self.send_control(to, Kind::Bye(wire::Bye { reason: reason.to_owned() }));
        self.leave(to, until);
    }

    pub(crate) fn leave(&mut self, id: LinkId, until: Instant) {
        if let Some(link) = self.links.get_mut(&id) {
            link.stage = Stage::Leaving { until };
        }
    }

    /// Says good-bye to all and gives the farewells time to get through.
    pub(crate) fn close(mut self, reason: &str) {
        let until = Instant::now() + FAREWELL;
        // Nobody is let in any more: a peer that connects again at once would talk to who is leaving.
        self.door = None;
        let ids: Vec<_> = self.links.keys().copied().collect();
        for id in ids {
            match self.links[&id].stage {
                Stage::Up => self.say_bye(id, reason, until),
                // The server may have heard from us, and would take us for dead.
                Stage::Attaching { .. } if self.connector.is_some() => self.say_bye(id, reason, until),
                Stage::Leaving { .. } => self.leave(id, until),
                _ => drop(self.remove(id)),
            }
        }
        while !(self.links.is_empty() && self.retired.is_empty()) && Instant::now() < until {
            if !self.progress() && self.arm() {
                let timeout = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
                let mut fds = self.event_fds().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
                // An interruption or an error only makes the loop look once more.
                let _ = poll(&mut fds, Some(&timeout));
            }
            self.attend_door();
            self.events.clear();
        }
    }
}

/// The address is bound, or the error says what to try.
fn listen(config: &Config) -> Result<TcpListener, Error> {
    let address = resolve(&config.address, config.port)?[0];
    door::listen(address).map_err(|error| Error::Listen {
        address,
        hint: match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "Choose another port, or port=0 to let the system choose (`ss -ltnp` shows who has it)"
            }
            std::io::ErrorKind::PermissionDenied => "Choose a port above 1023",
            _ => "Check that the address is one of this host's (`ip addr`)",
        },
        cause: error.to_string(),
    })
}

/// The earlier of two moments.
pub(crate) fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
