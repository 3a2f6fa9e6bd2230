//! Buffers as they travel.

use std::fmt;
use std::sync::Arc;

use gst_video::prelude::*;
use gst_video::{VideoBufferFlags, VideoInfo, VideoMeta};
use nvdsucx_session::wire::{self, FrameHeader};
use nvdsucx_session::{Frame, ReceivedFrame, Region};

use crate::event::{Malformed, clock_time};
use crate::memory::cuda::{self, Frames, Gpu};
use crate::memory::system;
use crate::meta;
use crate::video::{self, Layout, Stream};

/// Of memory management inside one process, and of none elsewhere.
pub(crate) const LOCAL_FLAGS: gst::BufferFlags = gst::BufferFlags::TAG_MEMORY;

/// `buffer` for the wire. `stream` is what it is of, if that is raw video. `lost` is told the kind of each meta that stays
/// behind, and why.
///
/// Its memories are not copied, unless its layout cannot be described.
pub(crate) fn to_frame(
    buffer: &gst::Buffer,
    stream: Option<&Stream>,
    gpu: &Gpu,
    lost: impl FnMut(&str, &str),
) -> Result<Frame, Malformed> {
    let mut header = header(buffer);
    let layout = buffer.meta::<VideoMeta>().map(|meta| video::encode(&meta, buffer.size(), stream));
    let repacked = match (layout, stream) {
        (Some(Ok(layout)), _) => {
            header.metas.push(layout);
            None
        }
        // A layout with a short last row, say: the receiver would refuse it.
        (Some(Err(_)), Some(stream)) => Some(video::repack(buffer, &stream.info, (0, 0))?),
        // None, or left over on a buffer that is no raw video.
        _ => None,
    };
    header.metas.append(&mut meta::to_wire(buffer, lost));
    Ok(Frame { header, regions: export(repacked.as_ref().unwrap_or(buffer), gpu)? })
}

/// The memories of `buffer`, as they are. They, and the buffer, are held until the last region is dropped.
fn export(buffer: &gst::Buffer, gpu: &Gpu) -> Result<Vec<Region>, Malformed> {
    buffer
        .iter_memories_owned()
        .map(|memory| {
            if ::cuda::is_cuda(&memory) {
                gpu.export(buffer, memory).map_err(|err| Malformed(err.to_string()))
            } else {
                system::export(buffer, memory).map_err(|err| Malformed(err.message.to_string()))
            }
        })
        .collect()
}

/// All of a frame's header that a buffer itself says.
pub(crate) fn header(buffer: &gst::BufferRef) -> FrameHeader {
    let some = |offset: u64| Some(offset).filter(|offset| *offset != gst::ffi::GST_BUFFER_OFFSET_NONE);
    FrameHeader {
        sequence: 0,
        pts: buffer.pts().map(gst::ClockTime::nseconds),
        dts: buffer.dts().map(gst::ClockTime::nseconds),
        duration: buffer.duration().map(gst::ClockTime::nseconds),
        offset: some(buffer.offset()),
        offset_end: some(buffer.offset_end()),
        flags: (buffer.flags() - LOCAL_FLAGS).bits() | buffer.video_flags().bits(),
        memories: Vec::new(),
        metas: Vec::new(),
    }
}

/// Why no buffer is made of a frame.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// The sender is to blame.
    Malformed(Malformed),
    /// What the GPU did not do, for people.
    Gpu(String),
    /// What is set here does not go with what the sender sends, for people.
    Settings(String),
}

impl From<Malformed> for Unusable {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::Gpu(text) | Self::Settings(text) => f.write_str(text),
        }
    }
}

/// A frame as a buffer that lacks only its metas, but for the layout.
pub(crate) struct Arrived {
    pub(crate) buffer: gst::Buffer,
    /// Where its planes are, if the sender said so.
    pub(crate) layout: Option<Arc<Layout>>,
    metas: Vec<Vec<u8>>,
    /// The first of them says where the planes were at the sender.
    has_layout: bool,
    /// How many surfaces of it are filled, if it is a batch of such.
    pub(crate) surfaces: Option<usize>,
}

impl Arrived {
    /// It does not follow on what came before.
    pub(crate) fn set_discontinuity(&mut self) {
        self.buffer.make_mut().set_flags(gst::BufferFlags::DISCONT);
    }

    /// The crop that elements are to apply, if there is one.
    pub(crate) fn crop(&self) -> Option<wire::VideoCropMeta> {
        self.metas.iter().find_map(|meta| meta::crop(meta))
    }

    /// Puts the planes where `caps` alone puts them.
    pub(crate) fn repack(&mut self, caps: &VideoInfo) -> Result<(), Malformed> {
        self.repack_from(caps, (0, 0))
    }

    /// The same, with the pixel at `origin` first, in the memory that `gpu` makes, if it is to be in a GPU's. That is what a
    /// crop asks for, and so none is left.
    pub(crate) fn crop_to(
        &mut self,
        caps: &VideoInfo,
        origin: (u32, u32),
        gpu: Option<&Frames>,
    ) -> Result<(), Unusable> {
        match gpu {
            None => self.repack_from(caps, origin)?,
            Some(frames) => {
                self.buffer = frames.crop(&self.buffer, origin)?;
                self.layout = None;
            }
        }
        self.metas.retain(|meta| meta::crop(meta).is_none());
        Ok(())
    }

    fn repack_from(&mut self, caps: &VideoInfo, origin: (u32, u32)) -> Result<(), Malformed> {
        self.buffer = video::repack(&self.buffer, caps, origin)?;
        self.layout = None;
        Ok(())
    }

    /// The buffer with all its metas. `lost` is told the kind of each that cannot be put there, and why.
    pub(crate) fn complete(
        mut self,
        stream: meta::Stream<'_>,
        names: &mut meta::Names,
        lost: impl FnMut(&str, &str),
    ) -> gst::Buffer {
        let metas = self.metas.get(self.has_layout.into()..).unwrap_or_default();
        if !metas.is_empty() {
            let layouts = metas.iter().filter(|meta| meta::is_layout(meta)).count();
            let stream = meta::Stream {
                nvmm: self.surfaces.is_some(),
                pictures: self.surfaces.unwrap_or(1 + layouts),
                ..stream
            };
            meta::attach(self.buffer.make_mut(), metas, stream, names, lost);
        }
        self.buffer
    }
}

/// The buffer that `frame` was. `stream` is what it is of, if that is raw video; `gpu` what makes it, if it is to be in a GPU's
/// memory.
pub(crate) fn from_frame(
    frame: ReceivedFrame,
    stream: Option<&Stream>,
    gpu: Option<&Frames>,
) -> Result<Arrived, Unusable> {
    let ReceivedFrame { header, payload, discontinuity, .. } = frame;
    let layout = layout(&header, payload.len(), stream)?;
    let mut arrived = match gpu {
        None => {
            let memories = system::import(cuda::bring_home(payload)?, &header.memories)?;
            assemble(header, memories, layout)?
        }
        Some(frames) => {
            let has_layout = layout.is_some();
            let (buffer, as_it_was) = frames.import(payload, layout.as_ref())?;
            Arrived { has_layout, ..describe(buffer, header, layout.filter(|_| as_it_was))? }
        }
    };
    if discontinuity {
        arrived.set_discontinuity();
    }
    Ok(arrived)
}

/// Where the planes of a frame of `size` bytes are, if the sender said so.
fn layout(
    header: &FrameHeader,
    size: usize,
    stream: Option<&Stream>,
) -> Result<Option<Arc<Layout>>, Malformed> {
    // If there is a layout it comes first.
    header.metas.first().map_or(Ok(None), |first| video::decode(first, size, stream))
}

fn assemble(
    header: FrameHeader,
    memories: Vec<gst::Memory>,
    layout: Option<Arc<Layout>>,
) -> Result<Arrived, Malformed> {
    let mut buffer = gst::Buffer::new();
    let fresh = buffer.make_mut();
    for memory in memories {
        fresh.append_memory(memory);
    }
    describe(buffer, header, layout)
}

/// `buffer` with all that `header` says, but for the metas after the layout.
pub(crate) fn describe(
    mut buffer: gst::Buffer,
    header: FrameHeader,
    layout: Option<Arc<Layout>>,
) -> Result<Arrived, Malformed> {
    let fresh = buffer.make_mut();
    set_fields(fresh, &header);
    if let Some(layout) = &layout {
        layout.attach(fresh)?;
    }
    let has_layout = layout.is_some();
    Ok(Arrived { buffer, layout, metas: header.metas, has_layout, surfaces: None })
}

fn set_fields(buffer: &mut gst::BufferRef, header: &FrameHeader) {
    buffer.set_pts(clock_time(header.pts));
    buffer.set_dts(clock_time(header.dts));
    buffer.set_duration(clock_time(header.duration));
    buffer.set_offset(header.offset.unwrap_or(gst::ffi::GST_BUFFER_OFFSET_NONE));
    buffer.set_offset_end(header.offset_end.unwrap_or(gst::ffi::GST_BUFFER_OFFSET_NONE));
    buffer.set_flags(gst::BufferFlags::from_bits_truncate(header.flags) - LOCAL_FLAGS);
    buffer.set_video_flags(VideoBufferFlags::from_bits_truncate(header.flags));
}

#[cfg(test)]
mod tests {
    use gst::ClockTime;
    use gst_video::{VideoFormat, VideoFrameFlags, VideoInfo, VideoMeta};

    use super::*;

    fn i420() -> Stream {
        Stream::new(VideoInfo::builder(VideoFormat::I420, 16, 8).build().unwrap())
    }

    /// `frame` as the other side gets it.
    fn depart(buffer: &gst::Buffer, stream: Option<&Stream>) -> Frame {
        to_frame(buffer, stream, &Gpu::default(), |kind, why| panic!("{kind}: {why}")).unwrap()
    }

    fn arrive(frame: &Frame, stream: Option<&Stream>) -> (gst::Buffer, Option<Arc<Layout>>) {
        let memories = frame.regions.iter().map(|region| gst::Memory::from_mut_slice(vec![0; region.len()]));
        let layout = layout(&frame.header, frame.len(), stream).unwrap();
        let arrived = assemble(frame.header.clone(), memories.collect(), layout).unwrap();
        let layout = arrived.layout.clone();
        let nothing_lost = |kind: &str, why: &str| panic!("{kind}: {why}");
        (arrived.complete(meta::Stream::default(), &mut meta::Names::default(), nothing_lost), layout)
    }

    #[test]
    fn times_offsets_and_flags_arrive() {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::from_slice([1, 2, 3]);
        let fresh = buffer.make_mut();
        fresh.set_pts(ClockTime::from_mseconds(40));
        fresh.set_dts(ClockTime::ZERO);
        fresh.set_duration(ClockTime::from_nseconds(7));
        fresh.set_offset(5);
        fresh.set_flags(
            gst::BufferFlags::DELTA_UNIT | gst::BufferFlags::MARKER | gst::BufferFlags::TAG_MEMORY,
        );
        fresh.set_video_flags(VideoBufferFlags::INTERLACED | VideoBufferFlags::TFF);
        let (arrived, layout) = arrive(&depart(&buffer, None), None);
        assert_eq!(arrived.pts(), Some(ClockTime::from_mseconds(40)));
        assert_eq!(arrived.dts(), Some(ClockTime::ZERO));
        assert_eq!(arrived.duration(), Some(ClockTime::from_nseconds(7)));
        assert_eq!((arrived.offset(), arrived.offset_end()), (5, gst::ffi::GST_BUFFER_OFFSET_NONE));
        assert!(arrived.flags().contains(gst::BufferFlags::DELTA_UNIT | gst::BufferFlags::MARKER));
        assert!(arrived.video_flags().contains(VideoBufferFlags::INTERLACED | VideoBufferFlags::TFF));
        assert!(layout.is_none());
    }

    #[test]
    fn no_time_stays_no_time() {
        gst::init().unwrap();
        let (arrived, _) = arrive(&depart(&gst::Buffer::new(), None), None);
        assert_eq!((arrived.pts(), arrived.dts(), arrived.duration()), (None, None, None));
        assert_eq!(arrived.n_memory(), 0);
    }

    #[test]
    fn times_and_flags_that_mean_nothing_are_left_out() {
        gst::init().unwrap();
        let header = FrameHeader { pts: Some(u64::MAX), flags: u32::MAX, ..FrameHeader::default() };
        let arrived = assemble(header, Vec::new(), None).unwrap().buffer;
        assert_eq!(arrived.pts(), None);
        assert!(!arrived.flags().contains(LOCAL_FLAGS));
    }

    #[test]
    fn layout_arrives() {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::with_size(32 * 16).unwrap();
        VideoMeta::add_full(
            buffer.make_mut(),
            VideoFrameFlags::INTERLACED,
            VideoFormat::I420,
            16,
            8,
            &[0, 256, 384],
            &[32, 32, 32],
        )
        .unwrap();
        let (arrived, layout) = arrive(&depart(&buffer, Some(&i420())), Some(&i420()));
        assert!(!layout.unwrap().is_standard(&i420().info));
        let meta = arrived.meta::<VideoMeta>().unwrap();
        assert_eq!((meta.format(), meta.width(), meta.height()), (VideoFormat::I420, 16, 8));
        assert_eq!((meta.offset(), meta.stride()), (&[0, 256, 384][..], &[32, 32, 32][..]));
        assert_eq!(meta.video_frame_flags(), VideoFrameFlags::INTERLACED);
    }

    #[test]
    fn layout_that_is_left_on_an_encoded_buffer_stays_behind() {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::with_size(10).unwrap();
        VideoMeta::add_full(
            buffer.make_mut(),
            VideoFrameFlags::empty(),
            VideoFormat::Gray8,
            640,
            480,
            &[0],
            &[640],
        )
        .unwrap();
        assert!(depart(&buffer, None).header.metas.is_empty());
    }

    #[test]
    fn meta_of_an_unknown_kind_is_left_out_and_told() {
        gst::init().unwrap();
        // Kind 100, empty.
        let header = FrameHeader { metas: vec![vec![0xa2, 6, 0]], ..FrameHeader::default() };
        let arrived = assemble(header, Vec::new(), None).unwrap();
        let mut lost = 0;
        arrived.complete(meta::Stream::default(), &mut meta::Names::default(), |_, _| lost += 1);
        assert_eq!(lost, 1);
    }
}
