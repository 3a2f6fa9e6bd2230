//! What can go wrong.

use std::net::SocketAddr;
use std::time::Duration;

/// Why a session could not start or came to its end. Each message says what failed, where, in UCX's own words, and what
/// to try.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// UCX could not be brought up.
    #[error(
        "UCX could not be started: {0}. Check UCX_TLS and UCX_NET_DEVICES; `ucx_info -d` lists what this host has"
    )]
    Ucx(String),
    /// The transport thread could not be started.
    #[error("no thread for the transport: {0}")]
    Thread(String),
    /// The address could not be resolved.
    #[error("host `{host}` not found: {cause}. Check the name, or give an IP address")]
    Resolve {
        /// What the user gave.
        host: String,
        /// The resolver's words.
        cause: String,
    },
    /// The listener could not be made.
    #[error("cannot listen on {address}: {cause}. {hint}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// UCX's words.
        cause: String,
        /// What to try.
        hint: &'static str,
    },
    /// No server answered in time.
    #[error(
        "no connection to {address} within {} ms: {cause}. Check that the other side runs, that address and port are \
         right, and that no firewall is in between",
        .after.as_millis()
    )]
    Connect {
        /// Where, as the user gave it.
        address: String,
        /// How long it was tried.
        after: Duration,
        /// The last attempt's error.
        cause: String,
    },
    /// The server does not take us.
    #[error("{address} refused the connection: {reason}")]
    Refused {
        /// The server.
        address: String,
        /// Its words.
        reason: String,
    },
    /// There is no key where one was asked for.
    #[error("no key from {origin}: {cause}")]
    Key {
        /// Where it should be.
        origin: String,
        /// What is wrong.
        cause: String,
    },
    /// The two ends do not have the same key.
    #[error("the connection to {address} is not authenticated: {cause}")]
    Unauthenticated {
        /// The server.
        address: String,
        /// Who has no key, or another one, and what to do.
        cause: String,
    },
    /// A peer is gone and the stream had not ended.
    #[error("lost {peer}: {cause}")]
    Disconnected {
        /// The peer's address.
        peer: String,
        /// How it was noticed, in UCX's words where it was UCX, and what to try.
        cause: String,
    },
    /// A peer broke the protocol.
    #[error("{peer} broke the protocol: {cause}. Both ends should run the same release of the plugin")]
    Protocol {
        /// The peer's address.
        peer: String,
        /// What was wrong.
        cause: String,
    },
    /// A frame is larger than allowed.
    #[error("{peer} sends a frame of {size} bytes, more than the {limit} allowed: raise `max-buffer-size`")]
    FrameTooLarge {
        /// The peer's address.
        peer: String,
        /// Length announced, bytes.
        size: u64,
        /// Limit, bytes.
        limit: u64,
    },
    /// No memory for a landing buffer.
    #[error("no memory for a frame of {0} bytes")]
    OutOfMemory(usize),
    /// A frame cannot be fetched from a GPU, or brought there.
    #[error("the GPU's memory cannot be used: {0}")]
    Device(String),
    /// No memory that receivers on this host could map.
    #[error(
        "no shared memory for a frame of {0} bytes: raise the limits (`ipcs -l`), or set `zero-copy=false` to do without"
    )]
    OutOfSharedMemory(usize),
}

/// Why a call did not do what it should.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Interrupted {
    /// [`set_flushing`](crate::Publisher::set_flushing) is on.
    #[error("flushing")]
    Flushing,
    /// The session has failed.
    #[error(transparent)]
    Failed(#[from] Error),
    /// The session ended as its [`OnDisconnect::Eos`](crate::OnDisconnect::Eos) says.
    #[error("end of stream")]
    Eos,
}
