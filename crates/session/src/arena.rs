//! Memory that receivers on this host can map: blocks cut from segments of shared memory.
//!
//! Any thread takes blocks and gives them back by dropping them. Segments are made on the transport thread, which owns UCX; who
//! needs one waits for it. The blocks of a segment are of one size. A block that came back last is given out first: it is
//! the likeliest to be in a CPU's cache.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nvdsucx_wire::Span;
use ucp::{Mapping, Region, RegionMut};

use crate::doorbell::Doorbell;

/// A segment has several blocks as long as it is not longer than that, in bytes.
const SEGMENT: usize = 32 << 20;
/// And at most so many.
const BLOCKS: usize = 64;
/// Unused memory that is kept for frames of other sizes, in bytes.
const SPARE: usize = 64 << 20;
/// How long the transport thread may take to make a segment.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where memory for frames comes from. Cheap to clone; the memory outlives the session.
#[derive(Clone, Debug)]
pub struct Arena(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    doorbell: Arc<Doorbell>,
}

#[derive(Debug, Default)]
struct State {
    segments: Vec<Segment>,
    /// Sizes of blocks that somebody waits for.
    wanted: Vec<usize>,
    /// Segments that have gone since the transport thread looked.
    gone: Vec<u32>,
    /// No memory can be made any more, or never could.
    closed: bool,
}

#[derive(Debug)]
struct Segment {
    id: u32,
    start: usize,
    len: usize,
    block: usize,
    free: Vec<RegionMut>,
    count: usize,
}

impl Segment {
    fn serves(&self, block: usize) -> bool {
        (block..=2 * block).contains(&self.block)
    }

    fn is_free(&self) -> bool {
        self.free.len() == self.count
    }
}

/// Shared memory of one's own. Dropping it gives it back.
#[derive(Debug)]
pub struct Block {
    /// Taken only when dropped.
    region: Option<RegionMut>,
    len: usize,
    segment: u32,
    arena: Arena,
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        let bytes = self.region.as_ref().and_then(RegionMut::host_bytes).unwrap_or_default();
        &bytes[..self.len]
    }
}

impl AsMut<[u8]> for Block {
    fn as_mut(&mut self) -> &mut [u8] {
        let bytes = self.region.as_mut().and_then(RegionMut::host_bytes_mut).unwrap_or_default();
        &mut bytes[..self.len]
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(region) = self.region.take() {
            self.arena.give_back(self.segment, region);
        }
    }
}

impl Arena {
    pub(crate) fn new(doorbell: Arc<Doorbell>, closed: bool) -> Self {
        let state = Mutex::new(State { closed, ..State::default() });
        Self(Arc::new(Shared { state, changed: Condvar::new(), doorbell }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `len` bytes, aligned to 64 bytes, or to a page from 4096 bytes on. Whatever was in them last is still there. `None`
    /// where memory cannot be shared, or there is not that much.
    pub fn allocate(&self, len: usize) -> Option<Block> {
        let block = size_class(len)?;
        let mut state = self.lock();
        let mut asked = false;
        loop {
            let found = state.segments.iter_mut().find_map(|segment| {
                let region = if segment.serves(block) { segment.free.pop() } else { None };
                region.map(|region| (segment.id, region))
            });
            if let Some((segment, region)) = found {
                return Some(Block { region: Some(region), len, segment, arena: self.clone() });
            }
            if state.closed || (asked && !state.wanted.contains(&block)) {
                return None;
            }
            if !asked {
                asked = true;
                state.wanted.push(block);
                self.0.doorbell.ring();
            }
            let (guard, waited) =
                self.0.changed.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if waited.timed_out() {
                return None;
            }
        }
    }

    /// Whether memory can be had at all.
    pub fn is_open(&self) -> bool {
        !self.lock().closed
    }

    /// Where `region` is, if it is in one block of ours.
    pub(crate) fn locate(&self, region: &Region) -> Option<Span> {
        let at = region.as_ptr() as usize;
        let state = self.lock();
        let segment = state
            .segments
            .iter()
            .find(|segment| (segment.start..segment.start + segment.len).contains(&at))?;
        let offset = at - segment.start;
        let fits = offset + region.len() <= segment.len;
        fits.then_some(Span { memory: segment.id, offset: offset as u64, len: region.len() as u64 })
    }

    fn give_back(&self, id: u32, region: RegionMut) {
        let mut state = self.lock();
        if let Some(segment) = state.segments.iter_mut().find(|segment| segment.id == id) {
            segment.free.push(region);
        }
        // Otherwise the last blocks of a closed arena: dropping the region unmaps it.
    }

    /// For the transport thread: the sizes of blocks that are waited for, and what is gone.
    pub(crate) fn requests(&self) -> (Vec<usize>, Vec<u32>) {
        let mut state = self.lock();
        (state.wanted.clone(), std::mem::take(&mut state.gone))
    }

    /// How many blocks of a size a segment is to have: as many as there are already, within limits.
    pub(crate) fn blocks_for(&self, block: usize) -> usize {
        let there: usize = self.lock().segments.iter().filter(|s| s.serves(block)).map(|s| s.count).sum();
        there.clamp(2, BLOCKS).min(SEGMENT / block).max(1)
    }

    /// The transport thread has made `memory` for blocks of `block` bytes, or could not. Memory of other sizes that nobody
    /// uses goes, if it is much.
    pub(crate) fn grow(&self, id: u32, block: usize, memory: Option<Mapping>) {
        let mut state = self.lock();
        state.wanted.retain(|wanted| *wanted != block);
        let mut idle = Vec::new();
        if let Some(memory) = memory {
            let unused: usize = state.segments.iter().filter(|s| s.is_free()).map(|s| s.len).sum();
            let (of_use, unused) = std::mem::take(&mut state.segments)
                .into_iter()
                .partition(|segment| unused <= SPARE || !segment.is_free() || segment.serves(block));
            (state.segments, idle) = (of_use, unused);
            state.gone.extend(idle.iter().map(|segment| segment.id));
            let (start, len) = (memory.as_ptr() as usize, memory.len());
            let free = memory.into_blocks(block);
            state.segments.push(Segment { id, start, len, block, count: free.len(), free });
        }
        drop(state);
        self.0.changed.notify_all();
        drop(idle);
    }

    /// There will be no more memory; what is out stays valid.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.wanted.clear();
        let segments = std::mem::take(&mut state.segments);
        drop(state);
        self.0.changed.notify_all();
        drop(segments);
    }
}

/// The length of a block for `len` bytes: at most an eighth of it is wasted, and there are few different ones.
fn size_class(len: usize) -> Option<usize> {
    if len <= 4096 {
        return len.max(64).checked_next_power_of_two();
    }
    let step = (len.checked_next_power_of_two()? / 16).max(4096);
    len.checked_next_multiple_of(step)
}
