//! Memory of a GPU, through CUDA.
//!
//! A sink leaves frames where they are, and lets the session copy them for those who cannot reach them ([`Gpu`] tells it how).
//! A source that feeds elements which want GPU memory makes it of whatever arrives ([`Frames`]): what is in a GPU's memory
//! already it hands out as it is, where GStreamer can; otherwise it copies the planes into a buffer of its pool.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cuda::{Context, Place, PlaneCopy, Writing};
use gst::prelude::*;
use gst_video::{VideoInfo, VideoMeta};
use nvdsucx_session::{
    Allocation, Allocator, Device, DeviceMemory, Error, HostAllocator, MemoryKind, Payload, Region, RegionMut,
};

use crate::buffer::Unusable;
use crate::event::Malformed;
use crate::video::{self, Layout};

/// What the session is told of a GPU's memory.
#[derive(Debug, Default)]
pub(crate) struct Gpu(Mutex<Use>);

/// Whether an element has to do with a GPU.
#[derive(Debug, Default)]
enum Use {
    /// It is not known yet.
    #[default]
    Undecided,
    /// It has not.
    No,
    /// Frames are in memory of this.
    In(Context),
}

impl Gpu {
    fn lock(&self) -> MutexGuard<'_, Use> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What frames are in the memory of, if it is known.
    pub(crate) fn context(&self) -> Option<Context> {
        match &*self.lock() {
            Use::In(context) => Some(context.clone()),
            Use::Undecided | Use::No => None,
        }
    }

    /// Whether it is known what frames are in the memory of.
    pub(crate) fn is_decided(&self) -> bool {
        !matches!(&*self.lock(), Use::Undecided)
    }

    /// Frames are in memory of `context`, or of the CPU.
    pub(crate) fn decide(&self, context: Option<Context>) {
        *self.lock() = context.map_or(Use::No, Use::In);
    }

    /// A frame is in that memory; it is a GPU's.
    fn saw(&self, memory: &gst::MemoryRef) {
        if let Some(context) = Context::of(memory) {
            let mut state = self.lock();
            if !matches!(&*state, Use::In(known) if *known == context) {
                *state = Use::In(context);
            }
        }
    }

    /// `memory` of `buffer`, which is a GPU's, where it is.
    pub(crate) fn export(&self, buffer: &gst::Buffer, memory: gst::Memory) -> Result<Region, cuda::Error> {
        self.saw(&memory);
        cuda::export(buffer, memory)
    }

    fn needed(&self) -> Result<Context, String> {
        self.context().ok_or_else(|| "the element uses no GPU".to_owned())
    }
}

fn words(error: &cuda::Error) -> String {
    error.to_string()
}

impl Device for Gpu {
    fn allocation(&self, region: &Region) -> Result<Allocation, String> {
        let cuda::Allocation { id, start, len } = cuda::allocation_of(region).map_err(|err| words(&err))?;
        Ok(Allocation { id, start, len })
    }

    fn key(&self, region: &Region) -> Result<Vec<u8>, String> {
        cuda::handle_of(region).map(Vec::from).map_err(|err| words(&err))
    }

    fn open(&self, key: &[u8], len: usize) -> Result<Option<Arc<dyn DeviceMemory>>, String> {
        let context = match &*self.lock() {
            Use::In(context) => context.clone(),
            Use::Undecided => return Ok(None),
            Use::No => return Err("the elements after it take no GPU memory".to_owned()),
        };
        let handle = key.try_into().map_err(|_| format!("a handle of {} bytes", key.len()))?;
        let opened = cuda::Opened::open(&context, handle, len).map_err(|err| words(&err))?;
        Ok(Some(Arc::new(Opened(opened))))
    }

    fn download(&self, region: &Region, to: &mut [u8]) -> Result<(), String> {
        cuda::download(region, to).map_err(|err| words(&err))
    }

    fn duplicate(&self, regions: &[Region]) -> Result<Region, String> {
        self.needed()?.duplicate(regions).map_err(|err| words(&err))
    }

    fn enter(&self) -> Result<(), String> {
        self.needed()?.make_current().map_err(|err| words(&err))
    }
}

#[derive(Debug)]
struct Opened(Arc<cuda::Opened>);

impl DeviceMemory for Opened {
    fn region(self: Arc<Self>, offset: usize, len: usize) -> Option<Region> {
        self.0.region(offset, len)
    }
}

impl Allocator for Gpu {
    fn kind(&self) -> Option<MemoryKind> {
        match &*self.lock() {
            Use::Undecided => None,
            Use::No => Some(MemoryKind::Host),
            Use::In(_) => Some(MemoryKind::Cuda),
        }
    }

    fn allocate(&self, len: usize) -> Result<RegionMut, Error> {
        let Some(context) = self.context() else { return HostAllocator.allocate(len) };
        let made = context.make_current().and_then(|()| context.allocate(len));
        made.map_err(|err| Error::Device(format!("no landing buffer of {len} bytes: {err}")))
    }
}

/// The memory of `payload`, piece by piece. Each keeps what it needs.
pub(super) fn regions(payload: Payload) -> Vec<Region> {
    match payload {
        Payload::Landed(landed) => {
            let (start, len, kind) = (landed.as_ptr(), landed.len(), landed.kind());
            // SAFETY: the landing buffer has that memory, and nobody writes to it before it is dropped.
            vec![unsafe { Region::new(start, len, kind, Arc::new(landed)) }]
        }
        Payload::Copied(bytes) => vec![Region::owned_by(Arc::new(bytes))],
        Payload::Mapped(mapped) => {
            let lend = |region: &Region| {
                let (start, len, kind) = (region.as_ptr(), region.len(), region.kind());
                let kept = Arc::new((region.clone(), Arc::clone(mapped.release())));
                // SAFETY: it is the memory of that region, which is kept, and not used again before it is released.
                unsafe { Region::new(start, len, kind, kept) }
            };
            mapped.regions().iter().map(lend).collect()
        }
    }
}

/// `payload` in memory of the CPU.
pub(crate) fn bring_home(payload: Payload) -> Result<Payload, Unusable> {
    let is_home = match &payload {
        Payload::Landed(landed) => landed.kind() == MemoryKind::Host,
        Payload::Copied(_) => true,
        Payload::Mapped(mapped) => mapped.regions().iter().all(|region| region.kind() == MemoryKind::Host),
    };
    if is_home {
        return Ok(payload);
    }
    let mut bytes = vec![0; payload.len()];
    let mut rest = &mut bytes[..];
    for region in regions(payload) {
        let (here, after) = rest.split_at_mut(region.len());
        match region.host_bytes() {
            Some(from) => here.copy_from_slice(from),
            None => cuda::download(&region, here).map_err(|err| unreadable(&err))?,
        }
        rest = after;
    }
    Ok(Payload::Copied(bytes.into()))
}

fn unreadable(err: &cuda::Error) -> Unusable {
    Unusable::Gpu(format!("a frame in the GPU's memory cannot be read: {err}"))
}

/// Frames for elements that want them in a GPU's memory.
#[derive(Debug)]
pub(crate) struct Frames {
    context: Context,
    /// With the feature.
    caps: gst::Caps,
    video: VideoInfo,
    pool: Mutex<Option<gst::BufferPool>>,
    last: Mutex<Option<Last>>,
}

/// The layout of the last frame, and how GStreamer wraps such a frame, if it can.
#[derive(Debug)]
struct Last {
    layout: Arc<Layout>,
    len: usize,
    video: Option<VideoInfo>,
}

impl Drop for Frames {
    fn drop(&mut self) {
        let pool = self.pool.get_mut().unwrap_or_else(PoisonError::into_inner);
        // What downstream still has is freed when it comes back.
        if let Some(pool) = pool {
            let _ = pool.set_active(false);
        }
    }
}

impl Frames {
    /// Frames as `caps`, which name GPU memory, have them; `None` if that is no video.
    pub(crate) fn new(context: Context, caps: &gst::Caps) -> Option<Self> {
        let video = video::format_of(caps)?;
        let (pool, last) = Default::default();
        Some(Self { context, caps: caps.clone(), video, pool, last })
    }

    /// What the memory belongs to.
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// A buffer with the frame, and whether that has its layout: otherwise it was copied, and has one of its own.
    pub(crate) fn import(
        &self,
        payload: Payload,
        layout: Option<&Arc<Layout>>,
    ) -> Result<(gst::Buffer, bool), Unusable> {
        let regions = regions(payload);
        if let [region] = &regions[..]
            && region.kind() == MemoryKind::Cuda
            && let Some(video) = self.wrapping(layout, region.len())
            && let Some(memory) = self.context.wrap(region.clone(), &video)
        {
            let mut buffer = gst::Buffer::new();
            buffer.make_mut().append_memory(memory);
            return Ok((buffer, true));
        }
        let planes = layout.map_or((self.video.offset(), self.video.stride()), |layout| layout.planes());
        Ok((self.copy(&regions, planes, (0, 0))?, false))
    }

    /// How GStreamer wraps a frame of `len` bytes with that layout; `None` if it cannot.
    fn wrapping(&self, layout: Option<&Arc<Layout>>, len: usize) -> Option<VideoInfo> {
        let Some(layout) = layout else {
            return cuda::can_wrap(&self.video, len).then(|| self.video.clone());
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = &*last
            && Arc::ptr_eq(&last.layout, layout)
            && last.len == len
        {
            return last.video.clone();
        }
        let video = layout.video_info(len).filter(|video| cuda::can_wrap(video, len));
        *last = Some(Last { layout: Arc::clone(layout), len, video: video.clone() });
        video
    }

    /// The part of `buffer`, which is in the GPU's memory, that begins at the pixel `origin`, in a buffer of the pool.
    pub(crate) fn crop(&self, buffer: &gst::Buffer, origin: (u32, u32)) -> Result<gst::Buffer, Unusable> {
        let regions = buffer.iter_memories_owned().map(|memory| cuda::export(buffer, memory));
        let regions = regions.collect::<Result<Vec<_>, _>>().map_err(|err| unreadable(&err))?;
        let (offsets, strides) = self.planes_of(buffer);
        let mut part = self.copy(&regions, (&offsets, &strides), origin)?;
        buffer
            .copy_into(part.make_mut(), gst::BufferCopyFlags::FLAGS | gst::BufferCopyFlags::TIMESTAMPS, ..)
            .map_err(|err| Unusable::Gpu(format!("a frame cannot be copied: {err}")))?;
        Ok(part)
    }

    /// Where a buffer's planes begin, and how far apart their rows are.
    fn planes_of(&self, buffer: &gst::BufferRef) -> (Vec<usize>, Vec<i32>) {
        buffer.meta::<VideoMeta>().map_or_else(
            || (self.video.offset().to_vec(), self.video.stride().to_vec()),
            |meta| (meta.offset().to_vec(), meta.stride().to_vec()),
        )
    }

    /// The planes in `regions`, which are one after the other, in a buffer of the pool. The pixel `origin` comes first.
    fn copy(
        &self,
        regions: &[Region],
        (offsets, strides): (&[usize], &[i32]),
        origin: (u32, u32),
    ) -> Result<gst::Buffer, Unusable> {
        let failed = |why: &dyn fmt::Display| {
            Unusable::Gpu(format!("a frame of {} cannot be brought to the GPU's memory: {why}", self.caps))
        };
        let mut buffer = self.acquire().map_err(|why| failed(&why))?;
        let fresh = buffer.make_mut();
        let (to_offsets, to_strides) = self.planes_of(fresh);
        let memory = fresh.peek_memory_mut(0).map_err(|err| failed(&err))?;
        let mut writing = Writing::new(memory).map_err(|err| failed(&err))?;
        let mut copies = Vec::with_capacity(offsets.len());
        for plane in 0..self.video.n_planes() {
            let at = plane as usize;
            let copy = video::Plane::of(&self.video, plane, origin).and_then(|shape| {
                let (src_pitch, dst_pitch) = (pitch(strides, at)?, pitch(&to_strides, at)?);
                let start =
                    offsets[at].checked_add(shape.top.checked_mul(src_pitch)?)?.checked_add(shape.left)?;
                let src = place(regions, start, shape.span(src_pitch)?)?;
                let end = to_offsets.get(at)?.checked_add(shape.span(dst_pitch)?)?;
                let dst = writing.as_mut_ptr().wrapping_add(to_offsets[at]);
                let (width, height) = (shape.row, shape.rows);
                (end <= writing.len() && width <= src_pitch.min(dst_pitch)).then_some(PlaneCopy {
                    src,
                    src_pitch,
                    dst: Place::Device(dst),
                    dst_pitch,
                    width,
                    height,
                })
            });
            let bad =
                || Malformed(format!("a frame of {} whose plane {plane} is not in one piece", self.caps));
            copies.push(copy.ok_or_else(bad)?);
        }
        // SAFETY: the planes are within the regions, which stay, and within the memory that is mapped for writing.
        unsafe { self.context.copy_planes(&copies) }.map_err(|err| failed(&err))?;
        drop(writing);
        Ok(buffer)
    }

    fn acquire(&self) -> Result<gst::Buffer, String> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = match &mut *pool {
            Some(pool) => pool,
            none => {
                let size = u32::try_from(self.video.size()).map_err(|err| err.to_string())?;
                let fresh = self.context.pool(&self.caps, size, 0, 0).map_err(|err| err.to_string())?;
                fresh.set_active(true).map_err(|err| err.to_string())?;
                none.insert(fresh)
            }
        };
        // There is no limit to wait for: what fails is the allocation.
        pool.acquire_buffer(None).map_err(|flow| match self.context.free_bytes() {
            Ok((free, total)) => {
                format!("{flow:?}, {} of the GPU's {} MiB are free", free >> 20, total >> 20)
            }
            Err(err) => format!("{flow:?}, {err}"),
        })
    }
}

fn pitch(strides: &[i32], plane: usize) -> Option<usize> {
    usize::try_from(*strides.get(plane)?).ok()
}

/// Where `len` bytes from `offset` of all `regions` begin, if they are in one of them.
fn place(regions: &[Region], offset: usize, len: usize) -> Option<Place> {
    let mut offset = offset;
    for region in regions {
        if offset < region.len() {
            let start = region.as_ptr().cast_mut().wrapping_add(offset);
            let place =
                if region.kind() == MemoryKind::Host { Place::Host(start) } else { Place::Device(start) };
            return (len <= region.len() - offset).then_some(place);
        }
        offset -= region.len();
    }
    None
}
