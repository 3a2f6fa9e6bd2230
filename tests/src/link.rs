//! A sending and a receiving process, joined by the elements under test.

use std::path::PathBuf;

use crate::environment;
use crate::peer::{Launch, Peer};

/// Which elements join the two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// `nvdsucxserversink` with `nvdsucxclientsrc`.
    ServerSink,
    /// `nvdsucxclientsink` with `nvdsucxserversrc`.
    ServerSrc,
}

impl Pairing {
    /// The sending and the receiving element.
    pub fn elements(self) -> (&'static str, &'static str) {
        match self {
            Self::ServerSink => ("nvdsucxserversink", "nvdsucxclientsrc"),
            Self::ServerSrc => ("nvdsucxclientsink", "nvdsucxserversrc"),
        }
    }
}

/// What UCX may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `UCX_TLS=tcp`.
    Tcp,
    /// Whatever UCX likes; on one host, memory that both ends map.
    Default,
    /// UCX's own shared memory, for messages: UCX takes it if it may use all devices, and is told that the loss of a peer can
    /// be handled there.
    SharedMemory,
}

impl Transport {
    fn environment(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Tcp => &[("UCX_TLS", "tcp")],
            Self::Default => &[],
            Self::SharedMemory => &[
                ("UCX_POSIX_ERROR_HANDLING", "y"),
                ("UCX_SYSV_ERROR_HANDLING", "y"),
                ("UCX_CM_USE_ALL_DEVICES", "y"),
            ],
        }
    }
}

impl Transport {
    /// The property that keeps buffers on it.
    fn zero_copy(self) -> &'static str {
        if self == Self::SharedMemory { "zero-copy=false" } else { "" }
    }
}

/// Which release of UCX a process uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UcxRelease {
    /// The system's.
    System,
    /// The one in [`environment::UCX_NEW`].
    Newest,
}

/// Describes a pair of processes.
#[derive(Clone, Debug)]
pub struct Link {
    /// Which elements.
    pub pairing: Pairing,
    /// What UCX may use.
    pub transport: Transport,
    /// The sender's and the receiver's UCX.
    pub ucx: (UcxRelease, UcxRelease),
    /// What comes before the sending element, with its `!`.
    pub head: String,
    /// What comes after the receiving element, with its `!`.
    pub tail: String,
    /// Properties of the sending element.
    pub sink: String,
    /// Properties of the receiving element.
    pub src: String,
    /// `addr` of both.
    pub addr: String,
    /// More environment variables for both.
    pub env: Vec<(String, String)>,
    /// Commands that run the sender and the receiver, see [`Launch::by`].
    pub by: (Vec<String>, Vec<String>),
    /// The sender's probe lets nothing pass before it is told `unblock`.
    pub blocked: bool,
}

/// A scripted source, whose buffers and events are logged.
pub const SCRIPT: &str = "scriptsrc name=source ! identity name=probe silent=true !";
/// An end of the pipeline that logs and takes everything at once.
pub const TAKE_ALL: &str = "! fakesink name=probe sync=false";

impl Link {
    /// A script sends buffers of any kind, a fakesink takes them.
    pub fn new(pairing: Pairing, transport: Transport) -> Self {
        Self {
            pairing,
            transport,
            ucx: (UcxRelease::System, UcxRelease::System),
            head: SCRIPT.into(),
            tail: TAKE_ALL.into(),
            sink: "buf-type=nvdsucx-buf-any sync=false".into(),
            src: "buf-type=nvdsucx-buf-any".into(),
            addr: "127.0.0.1".into(),
            env: vec![],
            by: (vec![], vec![]),
            blocked: false,
        }
    }

    /// Each pairing over each transport.
    pub fn all() -> [Self; 6] {
        [
            Self::new(Pairing::ServerSink, Transport::SharedMemory),
            Self::new(Pairing::ServerSrc, Transport::SharedMemory),
            Self::new(Pairing::ServerSink, Transport::Tcp),
            Self::new(Pairing::ServerSrc, Transport::Tcp),
            Self::new(Pairing::ServerSink, Transport::Default),
            Self::new(Pairing::ServerSrc, Transport::Default),
        ]
    }

    /// Each pairing, once with memory that both ends map, and once with messages over UCX's own choice of transports.
    pub fn both_ways() -> [Self; 4] {
        let [server_sink, server_src] = Self::both();
        let messages = [&server_sink, &server_src].map(|link| link.clone().sink("zero-copy=false"));
        let [sink_messages, src_messages] = messages;
        [server_sink, server_src, sink_messages, src_messages]
    }

    /// Each pairing, over UCX's own choice of transports.
    pub fn both() -> [Self; 2] {
        [
            Self::new(Pairing::ServerSink, Transport::Default),
            Self::new(Pairing::ServerSrc, Transport::Default),
        ]
    }

    /// Sets `buf-type` of both, and nothing else of their properties but `sync`.
    pub fn buf_type(mut self, nick: &str) -> Self {
        self.sink = format!("buf-type={nick} sync=false");
        self.src = format!("buf-type={nick}");
        self
    }

    /// Replaces [`head`](Self::head).
    pub fn head(mut self, head: &str) -> Self {
        self.head = head.into();
        self
    }

    /// Replaces [`tail`](Self::tail).
    pub fn tail(mut self, tail: &str) -> Self {
        self.tail = tail.into();
        self
    }

    /// Adds properties of the sending element.
    pub fn sink(mut self, properties: &str) -> Self {
        self.sink = format!("{} {properties}", self.sink);
        self
    }

    /// Adds properties of the receiving element.
    pub fn src(mut self, properties: &str) -> Self {
        self.src = format!("{} {properties}", self.src);
        self
    }

    /// Sets an environment variable for both.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Has both run by another command, see [`Launch::by`].
    pub fn by(mut self, prefix: &[String]) -> Self {
        self.by = (prefix.to_vec(), prefix.to_vec());
        self
    }

    /// The sender's probe lets nothing pass before it is told `unblock`.
    pub fn blocked(mut self) -> Self {
        self.blocked = true;
        self
    }

    /// The sender, which listens or connects at `port`.
    pub fn sender(&self, port: u16) -> Launch {
        let (sink, _) = self.pairing.elements();
        let (head, zero_copy) = (&self.head, self.transport.zero_copy());
        let pipeline =
            format!("{head} {sink} name=ucx addr={} port={port} {zero_copy} {}", self.addr, self.sink);
        let launch = if self.blocked {
            Launch::blocked_pipeline("sender", &pipeline)
        } else {
            Launch::pipeline("sender", &pipeline)
        };
        self.surround(launch, self.ucx.0, &self.by.0)
    }

    /// The receiver, which listens or connects at `port`.
    pub fn receiver(&self, port: u16) -> Launch {
        let (_, src) = self.pairing.elements();
        let (tail, zero_copy) = (&self.tail, self.transport.zero_copy());
        let pipeline =
            format!("{src} name=ucx addr={} port={port} {zero_copy} {} {tail}", self.addr, self.src);
        self.surround(Launch::pipeline("receiver", &pipeline), self.ucx.1, &self.by.1)
    }

    /// The end that listens, at a port the system chooses.
    pub fn listening(&self) -> Launch {
        match self.pairing {
            Pairing::ServerSink => self.sender(0),
            Pairing::ServerSrc => self.receiver(0),
        }
    }

    /// The end that connects to `port`.
    pub fn connecting(&self, port: u16) -> Launch {
        match self.pairing {
            Pairing::ServerSink => self.receiver(port),
            Pairing::ServerSrc => self.sender(port),
        }
    }

    /// Starts both, first the one that listens: the sender and the receiver.
    pub fn start(&self) -> (Peer, Peer) {
        let listening = self.listening().start();
        let connecting = self.connecting(listening.port()).start();
        match self.pairing {
            Pairing::ServerSink => (listening, connecting),
            Pairing::ServerSrc => (connecting, listening),
        }
    }

    /// Starts both, and waits until they are connected.
    pub fn start_connected(&self) -> (Peer, Peer) {
        let (sender, receiver) = self.start();
        sender.line(CONNECTED);
        receiver.line(CONNECTED);
        (sender, receiver)
    }

    /// Starts both, and waits until they are connected in the way they will stay, see [`Transport`].
    pub fn start_settled(&self) -> (Peer, Peer) {
        if self.transport == Transport::Default { self.start_mapped() } else { self.start_connected() }
    }

    /// Starts both, and waits until buffers go by shared memory.
    pub fn start_mapped(&self) -> (Peer, Peer) {
        let (mut sender, mut receiver) = self.start_connected();
        sender.wait_until_mapped(1);
        receiver.wait_until_mapped(1);
        (sender, receiver)
    }

    /// [`start_mapped`](Self::start_mapped), and a stream begins: two small buffers let both pipelines play.
    pub fn start_playing(&self) -> (Peer, Peer) {
        let (mut sender, receiver) = self.start_mapped();
        sender.push(&["start application/x-test", "buffer count=2 mem=10 pts=0 duration=1000"]);
        for peer in [&sender, &receiver] {
            peer.lines_until(2, "buffer ");
            peer.line("pipeline PLAYING");
        }
        (sender, receiver)
    }

    fn surround(&self, mut launch: Launch, ucx: UcxRelease, by: &[String]) -> Launch {
        for (name, value) in self.transport.environment() {
            launch = launch.env(name, value);
        }
        if ucx == UcxRelease::Newest {
            let folder: PathBuf = environment::newest_ucx();
            launch = launch.env("LD_LIBRARY_PATH", &folder).env("UCX_MODULE_DIR", folder.join("ucx"));
        }
        for (name, value) in &self.env {
            launch = launch.env(name, value);
        }
        launch.by(by)
    }
}

/// What an element says on the bus when a peer is connected.
pub const CONNECTED: &str = "element nvdsucx-client-connected";
/// What an element says on the bus when a peer is gone.
pub const DISCONNECTED: &str = "element nvdsucx-client-disconnected";

/// A stream begins, and ten buffers go to a receiver that has had none.
pub fn flow(sender: &mut Peer, receiver: &Peer) {
    sender.command("push start application/x-test");
    sender.command("push buffer count=10 mem=100000 pts=0");
    receiver.lines_until(10, "buffer ");
}
