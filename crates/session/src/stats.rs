//! Numbers for the user.

/// What a session has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Frames sent, or handed to the receiving pipeline.
    pub frames: u64,
    /// Their payload, in bytes. A frame sent to several peers counts once.
    pub bytes: u64,
    /// Frames dropped because nobody was connected, or by a flush.
    pub dropped: u64,
    /// Peers that have joined.
    pub joined: u64,
    /// Peers that were lost without a good-bye.
    pub lost: u64,
    /// The peers now connected.
    pub peers: Vec<PeerStats>,
}

/// What has gone on with one connected peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStats {
    /// Address and port.
    pub address: String,
    /// The lanes in use, as UCX names them: `tcp/eth0`.
    pub lanes: Vec<String>,
    /// Its release of UCX.
    pub ucx_version: String,
    /// Frames sent to it, or received from it.
    pub frames: u64,
    /// Their payload, in bytes.
    pub bytes: u64,
    /// Frames sent and not yet taken by it.
    pub in_flight: u64,
}
