//! Numbers for the user.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Peer;
use crate::links::LinkId;

/// What a session has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Frames sent, or handed to the receiving pipeline.
    pub frames: u64,
    /// Their payload, in bytes. A frame sent to several peers counts once.
    pub bytes: u64,
    /// Frames that went to nobody: dropped because nobody was connected or, if the sender may, had room, or by a flush.
    pub dropped: u64,
    /// Frames that were not where receivers on this host read them, and were copied there, once for all of them.
    pub copied: u64,
    /// Peers that have joined.
    pub joined: u64,
    /// Peers that were lost without a good-bye.
    pub lost: u64,
    /// Callers at the front door that were not let in.
    pub refused: u64,
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
    /// It reads our memory, or we its: frames are not copied.
    pub mapped: bool,
    /// Frames sent to it, or received from it.
    pub frames: u64,
    /// Their payload, in bytes.
    pub bytes: u64,
    /// Frames sent and not yet taken by it, or received and not yet taken by our pipeline.
    pub in_flight: u64,
}

/// A count that one thread changes and others read.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) frames: Count,
    pub(crate) bytes: Count,
    pub(crate) dropped: Count,
    pub(crate) copied: Count,
    joined: Count,
    lost: Count,
    pub(crate) refused: Count,
    peers: Mutex<Vec<Arc<PeerCounters>>>,
}

#[derive(Debug)]
pub(crate) struct PeerCounters {
    id: LinkId,
    peer: Peer,
    mapped: AtomicBool,
    pub(crate) frames: Count,
    pub(crate) bytes: Count,
    pub(crate) in_flight: Count,
}

impl Counters {
    pub(crate) fn join(&self, id: LinkId, peer: Peer) -> Arc<PeerCounters> {
        self.joined.add(1);
        let counters = Arc::new(PeerCounters {
            id,
            peer,
            mapped: AtomicBool::new(false),
            frames: Count::default(),
            bytes: Count::default(),
            in_flight: Count::default(),
        });
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&counters));
        counters
    }

    /// One more frame has gone, or come.
    pub(crate) fn passed(&self, len: u64) {
        self.frames.add(1);
        self.bytes.add(len);
    }

    pub(crate) fn leave(&self, id: LinkId, orderly: bool) {
        if !orderly {
            self.lost.add(1);
        }
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).retain(|peer| peer.id != id);
    }

    pub(crate) fn peers(&self) -> usize {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(crate) fn read(&self) -> Stats {
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        Stats {
            frames: self.frames.get(),
            bytes: self.bytes.get(),
            dropped: self.dropped.get(),
            copied: self.copied.get(),
            joined: self.joined.get(),
            lost: self.lost.get(),
            refused: self.refused.get(),
            peers: peers.iter().map(|peer| peer.read()).collect(),
        }
    }
}

impl PeerCounters {
    /// One more frame has gone to it, or come from it.
    pub(crate) fn passed(&self, len: u64) {
        self.frames.add(1);
        self.bytes.add(len);
    }

    /// From now on frames go through shared memory.
    pub(crate) fn set_mapped(&self) {
        self.mapped.store(true, Relaxed);
    }

    fn read(&self) -> PeerStats {
        PeerStats {
            address: self.peer.address.clone(),
            lanes: self.peer.lanes.clone(),
            ucx_version: self.peer.ucx_version.clone(),
            mapped: self.mapped.load(Relaxed),
            frames: self.frames.get(),
            bytes: self.bytes.get(),
            in_flight: self.in_flight.get(),
        }
    }
}
