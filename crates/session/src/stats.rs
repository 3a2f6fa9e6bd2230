//! Numbers for the user.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::delay::Histogram;
use crate::links::LinkId;
use crate::ring::Delays;
use crate::{Delay, Peer};

/// What a session has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Frames sent, or handed to the receiving pipeline.
    pub frames: u64,
    /// Their payload, in bytes. A frame sent to several peers counts once.
    pub bytes: u64,
    /// Frames that went to nobody since nobody was connected.
    pub dropped_unconnected: u64,
    /// Frames that went to nobody since no peer had room.
    pub dropped_slow: u64,
    /// Frames that were dropped by a flush, while they were queued.
    pub dropped_flushed: u64,
    /// Frames that were not where receivers on this host read them, and were copied there, once for all of them.
    pub copied: u64,
    /// Peers that have joined.
    pub joined: u64,
    /// Peers that were lost without a good-bye.
    pub lost: u64,
    /// Peers that were disconnected because they were too slow.
    pub too_slow: u64,
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
    /// Frames that it does without because it was too slow, or that a flush dropped.
    pub dropped: u64,
    /// How long frames took from when they were sent. On this host, where memory is shared: until the receiving pipeline took
    /// them. Elsewhere only the sender knows: until it was told so, of those that were the last to be told of.
    pub delay: Option<Delay>,
}

impl Stats {
    /// Frames that went to nobody, or were dropped by a flush.
    pub fn dropped(&self) -> u64 {
        self.dropped_unconnected + self.dropped_slow + self.dropped_flushed
    }
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
    pub(crate) dropped_unconnected: Count,
    pub(crate) dropped_slow: Count,
    pub(crate) dropped_flushed: Count,
    pub(crate) copied: Count,
    joined: Count,
    lost: Count,
    pub(crate) too_slow: Count,
    pub(crate) refused: Count,
    peers: Mutex<Vec<Arc<PeerCounters>>>,
}

#[derive(Debug)]
pub(crate) struct PeerCounters {
    id: LinkId,
    peer: Peer,
    /// The ring that frames go through.
    mapped: OnceLock<Delays>,
    pub(crate) frames: Count,
    pub(crate) bytes: Count,
    pub(crate) in_flight: Count,
    pub(crate) dropped: Count,
    /// Of frames that went as messages.
    pub(crate) delays: Histogram,
}

impl Counters {
    pub(crate) fn join(&self, id: LinkId, peer: Peer) -> Arc<PeerCounters> {
        self.joined.add(1);
        let counters = Arc::new(PeerCounters {
            id,
            peer,
            mapped: OnceLock::new(),
            frames: Count::default(),
            bytes: Count::default(),
            in_flight: Count::default(),
            dropped: Count::default(),
            delays: Histogram::default(),
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
            dropped_unconnected: self.dropped_unconnected.get(),
            dropped_slow: self.dropped_slow.get(),
            dropped_flushed: self.dropped_flushed.get(),
            copied: self.copied.get(),
            joined: self.joined.get(),
            lost: self.lost.get(),
            too_slow: self.too_slow.get(),
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
    pub(crate) fn set_mapped(&self, ring: Delays) {
        // Once in the life of a connection.
        let _ = self.mapped.set(ring);
    }

    fn read(&self) -> PeerStats {
        PeerStats {
            address: self.peer.address.clone(),
            lanes: self.peer.lanes.clone(),
            ucx_version: self.peer.ucx_version.clone(),
            mapped: self.mapped.get().is_some(),
            frames: self.frames.get(),
            bytes: self.bytes.get(),
            in_flight: self.in_flight.get(),
            dropped: self.dropped.get(),
            delay: self.mapped.get().map_or_else(|| self.delays.read(), Delays::read),
        }
    }
}
