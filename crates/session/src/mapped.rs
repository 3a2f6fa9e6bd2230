//! The receiver's side of the ring: records become frames and events, and frames let go of the sender's memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nvdsucx_wire as wire;
use ucp::{Mapping, Region};
use wire::{RecordKind, Span};

use crate::ring::{Broken, EndFlag, Read, Reader, Releases, Sleep};
use crate::stats::PeerCounters;
use crate::{Incoming, Payload, ReceivedFrame};

/// Most pieces of memory that a sender may have us map.
const MAX_MEMORIES: usize = 4096;

/// A frame in the sender's memory, which it gets back when the last share of `release` is dropped.
#[derive(Debug)]
pub struct Mapped {
    regions: Vec<Region>,
    release: Arc<Release>,
}

impl Mapped {
    /// The memories, in order. Read only while a share of [`release`](Self::release) is kept.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// What keeps the sender from using the memory again.
    pub fn release(&self) -> &Arc<Release> {
        &self.release
    }
}

/// Gives memory back to the sender when it is dropped.
#[derive(Debug)]
pub struct Release {
    slot: u32,
    len: u64,
    releases: Arc<Releases>,
    held: Arc<Held>,
}

impl Drop for Release {
    fn drop(&mut self) {
        self.held.frames.fetch_sub(1, Relaxed);
        self.held.bytes.fetch_sub(self.len, Relaxed);
        self.releases.release(self.slot);
    }
}

/// What the pipeline has of the sender's memory.
#[derive(Debug, Default)]
struct Held {
    frames: AtomicU64,
    bytes: AtomicU64,
}

/// The sender's memory as far as it is mapped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memories(Arc<Mutex<HashMap<u32, Arc<Mapping>>>>);

impl Memories {
    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Arc<Mapping>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of memory that was mapped; `false` if it is too much, or there already.
    pub(crate) fn add(&self, id: u32, mapping: Mapping) -> bool {
        let mut memories = self.lock();
        memories.len() < MAX_MEMORIES && memories.insert(id, Arc::new(mapping)).is_none()
    }

    /// No frame will be in that memory any more. Those that are keep it mapped.
    pub(crate) fn remove(&self, id: u32) {
        let gone = self.lock().remove(&id);
        drop(gone);
    }

    /// `None`: not yet mapped. `Some(None)`: outside of it.
    fn find(&self, span: &Span) -> Option<Option<Region>> {
        if span.len == 0 {
            return Some(Some(Region::from(Vec::new())));
        }
        let memories = self.lock();
        let memory = memories.get(&span.memory)?;
        let range = usize::try_from(span.offset).ok().zip(usize::try_from(span.len).ok());
        Some(range.and_then(|(offset, len)| memory.region(offset, len)))
    }
}

/// What the sender may have in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    /// Largest frame taken.
    pub(crate) max_frame_size: u64,
}

/// What is next.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is matched at once, and boxing costs every frame")]
pub(crate) enum Next {
    Item(Incoming),
    /// There is nothing, or nothing that could be read yet.
    Nothing,
    /// A frame larger than is taken, of that many bytes.
    TooLarge(u64),
}

/// The stream of a sender whose memory we map.
#[derive(Debug)]
pub(crate) struct Inlet {
    reader: Reader,
    memories: Memories,
    bounds: Bounds,
    held: Arc<Held>,
    counters: Arc<PeerCounters>,
    /// Read, but in memory that is not mapped yet.
    pending: Option<Read>,
    /// The first frame follows a gap.
    pub(crate) discontinuity: bool,
    /// The sender is gone: what is in the ring is all there is.
    pub(crate) closed: bool,
}

impl Inlet {
    pub(crate) fn new(
        reader: Reader,
        memories: Memories,
        bounds: Bounds,
        counters: Arc<PeerCounters>,
    ) -> Self {
        let held = Arc::default();
        let (pending, discontinuity, closed) = (None, false, false);
        Self { reader, memories, bounds, held, counters, pending, discontinuity, closed }
    }

    /// Whether the sender says that its stream is at its end.
    pub(crate) fn end_flag(&self) -> EndFlag {
        self.reader.end_flag()
    }

    /// The next frame or event.
    pub(crate) fn next(&mut self) -> Result<Next, Broken> {
        loop {
            let read = match self.pending.take() {
                Some(read) => read,
                None => match self.reader.read()? {
                    Some(read) => read,
                    None => return Ok(Next::Nothing),
                },
            };
            let Some(regions) = self.find(&read)? else {
                self.pending = Some(read);
                return Ok(Next::Nothing);
            };
            let release = self.hold(&read);
            let Some(item) = self.item(read, regions, release)? else { continue };
            return Ok(item);
        }
    }

    /// Announces a sleep until there is something; `None` if there is by now.
    pub(crate) fn wait(&self) -> Option<Sleep> {
        let sleep = self.reader.sleep();
        // What waits for memory to be mapped is not woken by the sender.
        sleep.unless(self.pending.is_none() && !self.reader.is_empty())
    }

    /// The memory of the spans; `None` if some of it is not mapped yet.
    fn find(&self, read: &Read) -> Result<Option<Vec<Region>>, Broken> {
        let mut regions = Vec::with_capacity(read.spans.len());
        for span in &read.spans {
            match self.memories.find(span) {
                Some(Some(region)) => regions.push(region),
                Some(None) => {
                    return Err(Broken::Span { memory: span.memory, offset: span.offset, len: span.len });
                }
                None if self.closed => {
                    return Err(Broken::Span { memory: span.memory, offset: span.offset, len: span.len });
                }
                None => return Ok(None),
            }
        }
        Ok(Some(regions))
    }

    fn hold(&self, read: &Read) -> Option<Release> {
        let slot = read.slot?;
        let len = read.spans.iter().fold(0_u64, |sum, span| sum.saturating_add(span.len));
        self.held.frames.fetch_add(1, Relaxed);
        self.held.bytes.fetch_add(len, Relaxed);
        Some(Release {
            slot,
            len,
            releases: Arc::clone(self.reader.releases()),
            held: Arc::clone(&self.held),
        })
    }

    /// What the record holds; nothing if it is stale.
    fn item(
        &mut self,
        read: Read,
        mut regions: Vec<Region>,
        release: Option<Release>,
    ) -> Result<Option<Next>, Broken> {
        let spilled = if read.spilled { regions.pop() } else { None };
        // The sender could change it while it is read.
        let spilled = spilled.as_ref().and_then(Region::host_bytes).map(<[u8]>::to_vec);
        let head = spilled.as_deref().unwrap_or_else(|| self.reader.head());
        match read.kind {
            RecordKind::Pad => Ok(None),
            RecordKind::Event => Ok(Some(Next::Item(Incoming::Event(wire::decode_event(head)?)))),
            RecordKind::Frame if read.stale => Ok(None),
            RecordKind::Frame => {
                let len =
                    regions.iter().fold(read.payload.len() as u64, |sum, region| sum + region.len() as u64);
                if len > self.bounds.max_frame_size {
                    return Ok(Some(Next::TooLarge(len)));
                }
                let header = wire::decode_trailer(head, len)?;
                let payload = match release {
                    _ if regions.is_empty() => Payload::Copied(read.payload),
                    Some(release) => self.payload(regions, release),
                    None => copy(&regions),
                };
                self.counters.passed(len);
                self.counters.in_flight.set(self.held.frames.load(Relaxed));
                let discontinuity = std::mem::take(&mut self.discontinuity);
                Ok(Some(Next::Item(Incoming::Frame(ReceivedFrame { header, payload, discontinuity }))))
            }
        }
    }

    /// The frame where it is. Unless the pipeline has most of what the sender may have in flight: then a copy, so that the
    /// stream goes on, should the pipeline need still more before it lets go of anything (an encoder that looks ahead).
    fn payload(&self, regions: Vec<Region>, release: Release) -> Payload {
        let frames = self.held.frames.load(Relaxed);
        let bytes = self.held.bytes.load(Relaxed);
        if frames > self.bounds.frames / 4 * 3 || bytes > self.bounds.bytes / 4 * 3 {
            return copy(&regions);
        }
        Payload::Mapped(Mapped { regions, release: Arc::new(release) })
    }
}

fn copy(regions: &[Region]) -> Payload {
    let parts: Vec<_> = regions.iter().filter_map(Region::host_bytes).collect();
    Payload::Copied(parts.concat())
}
