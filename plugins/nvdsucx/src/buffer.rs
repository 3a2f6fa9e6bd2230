//! Buffers as they travel.

use gst_video::prelude::*;
use std::sync::Arc;

use gst_video::VideoBufferFlags;
use nvdsucx_session::wire::{self, FrameHeader, meta};
use nvdsucx_session::{Frame, ReceivedFrame};

use crate::event::{Malformed, clock_time};
use crate::memory::system;
use crate::video::{self, Layout, Stream};

/// Of memory management inside one process, and of none elsewhere.
const LOCAL_FLAGS: gst::BufferFlags = gst::BufferFlags::TAG_MEMORY;

/// `buffer` for the wire. `stream` is what it is of, if that is raw video.
///
/// Its memories are not copied, unless its layout cannot be described.
pub(crate) fn to_frame(buffer: &gst::Buffer, stream: Option<&Stream>) -> Result<Frame, Malformed> {
    let mut header = header(buffer);
    let Some(layout) = video::to_wire(buffer) else {
        return Ok(Frame { header, regions: export(buffer)? });
    };
    match (video::check(&layout, buffer.size(), stream), stream) {
        (Ok(_), _) => {
            header.metas.push(wire::Meta { kind: Some(meta::Kind::Video(layout)) });
            Ok(Frame { header, regions: export(buffer)? })
        }
        // A layout with a short last row, say: the receiver would refuse it.
        (Err(_), Some(stream)) => {
            Ok(Frame { header, regions: export(&video::repack(buffer, &stream.info)?)? })
        }
        // Left over on a buffer that is no raw video.
        (Err(_), None) => Ok(Frame { header, regions: export(buffer)? }),
    }
}

fn export(buffer: &gst::Buffer) -> Result<Vec<nvdsucx_session::Region>, Malformed> {
    system::export(buffer).map_err(|err| Malformed(err.message.to_string()))
}

fn header(buffer: &gst::BufferRef) -> FrameHeader {
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

/// The buffer that `frame` was, and its layout if it has one. `stream` is what it is of, if that is raw video.
pub(crate) fn from_frame(
    frame: ReceivedFrame,
    stream: Option<&Stream>,
) -> Result<(gst::Buffer, Option<Arc<Layout>>), Malformed> {
    let ReceivedFrame { header, payload, discontinuity, .. } = frame;
    let memories = system::import(payload, &header.memories)?;
    let (mut buffer, layout) = assemble(&header, memories, stream)?;
    if discontinuity {
        buffer.make_mut().set_flags(gst::BufferFlags::DISCONT);
    }
    Ok((buffer, layout))
}

fn assemble(
    header: &FrameHeader,
    memories: Vec<gst::Memory>,
    stream: Option<&Stream>,
) -> Result<(gst::Buffer, Option<Arc<Layout>>), Malformed> {
    let mut buffer = gst::Buffer::new();
    let fresh = buffer.make_mut();
    for memory in memories {
        fresh.append_memory(memory);
    }
    describe(fresh, header);
    let mut layout = None;
    for meta in &header.metas {
        // Of kinds that are newer than this release nothing is left here.
        if let Some(meta::Kind::Video(video)) = &meta.kind
            && layout.is_none()
        {
            let checked = video::check(video, fresh.size(), stream)?;
            checked.attach(fresh)?;
            layout = Some(checked);
        }
    }
    Ok((buffer, layout))
}

fn describe(buffer: &mut gst::BufferRef, header: &FrameHeader) {
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
    fn arrive(frame: &Frame, stream: Option<&Stream>) -> (gst::Buffer, Option<Arc<Layout>>) {
        let memories = frame.regions.iter().map(|region| gst::Memory::from_mut_slice(vec![0; region.len()]));
        assemble(&frame.header, memories.collect(), stream).unwrap()
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
        let (arrived, layout) = arrive(&to_frame(&buffer, None).unwrap(), None);
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
        let (arrived, _) = arrive(&to_frame(&gst::Buffer::new(), None).unwrap(), None);
        assert_eq!((arrived.pts(), arrived.dts(), arrived.duration()), (None, None, None));
        assert_eq!(arrived.n_memory(), 0);
    }

    #[test]
    fn times_and_flags_that_mean_nothing_are_left_out() {
        gst::init().unwrap();
        let header = FrameHeader { pts: Some(u64::MAX), flags: u32::MAX, ..FrameHeader::default() };
        let (arrived, _) = assemble(&header, Vec::new(), None).unwrap();
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
        let (arrived, layout) = arrive(&to_frame(&buffer, Some(&i420())).unwrap(), Some(&i420()));
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
        assert!(to_frame(&buffer, None).unwrap().header.metas.is_empty());
    }

    #[test]
    fn meta_of_an_unknown_kind_is_left_out() {
        gst::init().unwrap();
        let header = FrameHeader { metas: vec![wire::Meta { kind: None }], ..FrameHeader::default() };
        assert!(assemble(&header, Vec::new(), None).is_ok());
    }
}
