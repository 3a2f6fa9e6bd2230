//! The receiver's side of the ring: records become frames and events, and frames let go of the sender's memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nvdsucx_wire as wire;
use ucp::{Mapping, MemoryKind, Region};
use wire::{RecordKind, Span};

use crate::device::{Device, DeviceMemory};
use crate::ring::{Broken, Delays, EndFlag, Read, Reader, Releases, Sleep};
use crate::stats::PeerCounters;
use crate::{Incoming, Payload, ReceivedFrame};

/// Most pieces of memory that a sender may have us map.
const MAX_MEMORIES: usize = 4096;

/// A frame in the sender's memory, which it gets back when the last share of `release` is dropped; or in a copy that is freed
/// then, where that is in the memory of a device.
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

    /// What keeps the memory from being used again.
    pub fn release(&self) -> &Arc<Release> {
        &self.release
    }
}

/// Gives memory back to the sender when it is dropped.
#[derive(Debug)]
pub struct Release {
    /// The sender's; none if what is held is a copy.
    slot: Option<u32>,
    len: u64,
    releases: Arc<Releases>,
    held: Arc<Held>,
}

impl Drop for Release {
    fn drop(&mut self) {
        match self.slot {
            Some(slot) => {
                self.held.frames.fetch_sub(1, SeqCst);
                self.held.bytes.fetch_sub(self.len, SeqCst);
                self.releases.release(slot);
            }
            None => drop(self.held.copied.fetch_sub(self.len, SeqCst)),
        }
        self.held.tell(&self.releases);
    }
}

/// A frame in memory of its own.
#[derive(Debug)]
pub struct Copied {
    bytes: Vec<u8>,
    /// If it counts against what the pipeline may hold.
    counted: Option<(Arc<Held>, Arc<Releases>)>,
}

impl AsRef<[u8]> for Copied {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsMut<[u8]> for Copied {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl From<Vec<u8>> for Copied {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, counted: None }
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        if let Some((held, releases)) = &self.counted {
            held.copied.fetch_sub(self.bytes.len() as u64, SeqCst);
            held.tell(releases);
        }
    }
}

/// What the pipeline has.
#[derive(Debug, Default)]
struct Held {
    /// Frames and bytes in the sender's memory.
    frames: AtomicU64,
    bytes: AtomicU64,
    /// Bytes of copies.
    copied: AtomicU64,
    /// The stream waits for some of it to be let go of.
    wanted: AtomicBool,
}

impl Held {
    /// Something was let go of.
    fn tell(&self, releases: &Releases) {
        if self.wanted.load(SeqCst) && self.wanted.swap(false, SeqCst) {
            releases.wake_reader();
        }
    }
}

/// The sender's memory: mapped, or not to be mapped. The latter is no harm unless a frame is in it: memory that was not used is
/// gone again, at times, before the receiver looks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memories(Arc<Mutex<HashMap<u32, Option<Memory>>>>);

/// Memory of the sender.
#[derive(Clone, Debug)]
pub(crate) enum Memory {
    Shared(Arc<Mapping>),
    Device(Arc<dyn DeviceMemory>),
}

impl Memory {
    fn region(&self, offset: usize, len: usize) -> Option<Region> {
        match self {
            Self::Shared(mapping) => mapping.region(offset, len),
            Self::Device(memory) => Arc::clone(memory).region(offset, len),
        }
    }
}

impl Memories {
    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Option<Memory>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of memory that was mapped, or could not be; `false` if it is too much, or there already.
    pub(crate) fn add(&self, id: u32, memory: Option<Memory>) -> bool {
        let mut memories = self.lock();
        memories.len() < MAX_MEMORIES && memories.insert(id, memory).is_none()
    }

    /// No frame will be in that memory any more. Those that are keep it mapped.
    pub(crate) fn remove(&self, id: u32) {
        let gone = self.lock().remove(&id);
        drop(gone);
    }

    /// `None`: it was not told of yet. `Some(None)`: not mapped, or outside of it.
    fn find(&self, span: &Span) -> Option<Option<Region>> {
        if span.len == 0 {
            return Some(Some(Region::from(Vec::new())));
        }
        let memories = self.lock();
        let memory = memories.get(&span.memory)?;
        let range = usize::try_from(span.offset).ok().zip(usize::try_from(span.len).ok());
        Some(range.and_then(|(offset, len)| memory.as_ref()?.region(offset, len)))
    }
}

/// What the sender may have in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    /// Largest frame taken.
    pub(crate) max_frame_size: u64,
    /// Bytes of copies that the pipeline may hold.
    pub(crate) max_held: u64,
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
    device: Option<Arc<dyn Device>>,
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
        device: Option<Arc<dyn Device>>,
        counters: Arc<PeerCounters>,
    ) -> Self {
        let held = Arc::default();
        let (pending, discontinuity, closed) = (None, false, false);
        Self { reader, memories, bounds, held, device, counters, pending, discontinuity, closed }
    }

    /// Whether the sender says that its stream is at its end.
    pub(crate) fn end_flag(&self) -> EndFlag {
        self.reader.end_flag()
    }

    /// How long frames took until they were read.
    pub(crate) fn delays(&self) -> Delays {
        self.reader.delays()
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
            if !self.has_room(&read) {
                self.pending = Some(read);
                return Ok(Next::Nothing);
            }
            let release = self.hold(&read);
            let Some(item) = self.item(read, regions, release)? else { continue };
            return Ok(item);
        }
    }

    /// Announces a sleep until there is something; `None` if there is by now.
    pub(crate) fn wait(&self) -> Option<Sleep> {
        let sleep = self.reader.sleep();
        // What is pending waits for others than the sender.
        sleep.unless(match &self.pending {
            Some(read) => self.held.wanted.load(SeqCst) && self.has_room(read),
            None => !self.reader.is_empty(),
        })
    }

    /// Whether the pipeline may have one more frame: where it is, or else a copy.
    fn has_room(&self, read: &Read) -> bool {
        let len = read.spans.iter().fold(0_u64, |sum, span| sum.saturating_add(span.len));
        let enough = || {
            let copied = self.held.copied.load(SeqCst);
            len == 0
                || self.may_hold(1, len)
                || copied == 0
                || copied.saturating_add(len) <= self.bounds.max_held
        };
        if enough() {
            return true;
        }
        self.held.wanted.store(true, SeqCst);
        // It may have been let go of just now.
        enough()
    }

    /// Whether the pipeline may hold so much more of the sender's memory. It may have three quarters of what may be in flight:
    /// so the stream goes on with copies if it needs still more before it lets go of any (an encoder that looks ahead).
    fn may_hold(&self, frames: u64, bytes: u64) -> bool {
        self.held.frames.load(SeqCst) + frames <= self.bounds.frames / 4 * 3
            && self.held.bytes.load(SeqCst).saturating_add(bytes) <= self.bounds.bytes / 4 * 3
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
        self.held.frames.fetch_add(1, SeqCst);
        self.held.bytes.fetch_add(len, SeqCst);
        Some(Release {
            slot: Some(slot),
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
            RecordKind::Frame if read.stale => {
                self.counters.dropped.add(1);
                Ok(None)
            }
            RecordKind::Frame => {
                let len =
                    regions.iter().fold(read.payload.len() as u64, |sum, region| sum + region.len() as u64);
                if len > self.bounds.max_frame_size {
                    return Ok(Some(Next::TooLarge(len)));
                }
                let header = wire::decode_trailer(head, len)?;
                let payload = match release {
                    _ if regions.is_empty() => Payload::Copied(read.payload.into()),
                    Some(release) if self.may_hold(0, 0) => {
                        Payload::Mapped(Mapped { regions, release: Arc::new(release) })
                    }
                    _ => self.copy(&regions)?,
                };
                self.counters.passed(len);
                self.counters.in_flight.set(self.held.frames.load(SeqCst));
                let discontinuity = std::mem::take(&mut self.discontinuity);
                Ok(Some(Next::Item(Incoming::Frame(ReceivedFrame { header, payload, discontinuity }))))
            }
        }
    }

    fn copy(&self, regions: &[Region]) -> Result<Payload, Broken> {
        if let Some(copy) = self.copy_on_device(regions) {
            return Ok(copy);
        }
        let mut bytes = Vec::with_capacity(regions.iter().map(Region::len).sum());
        for region in regions {
            match (region.host_bytes(), &self.device) {
                (Some(part), _) => bytes.extend_from_slice(part),
                (None, device) => {
                    let start = bytes.len();
                    bytes.resize(start + region.len(), 0);
                    let unknown = || "no device".to_owned();
                    let device = device.as_ref().ok_or_else(unknown).map_err(Broken::Device)?;
                    device.download(region, &mut bytes[start..]).map_err(Broken::Device)?;
                }
            }
        }
        self.held.copied.fetch_add(bytes.len() as u64, SeqCst);
        let counted = Some((Arc::clone(&self.held), Arc::clone(self.reader.releases())));
        Ok(Payload::Copied(Copied { bytes, counted }))
    }

    /// A frame that is in a device's memory stays there, if there is room.
    fn copy_on_device(&self, regions: &[Region]) -> Option<Payload> {
        if regions.iter().any(|region| region.kind() == MemoryKind::Host) {
            return None;
        }
        let copy = self.device.as_ref()?.duplicate(regions).ok()?;
        let len = copy.len() as u64;
        self.held.copied.fetch_add(len, SeqCst);
        let (releases, held) = (Arc::clone(self.reader.releases()), Arc::clone(&self.held));
        let release = Arc::new(Release { slot: None, len, releases, held });
        Some(Payload::Mapped(Mapped { regions: vec![copy], release }))
    }
}
