//! Buffers, events and messages in one line.

use std::fmt::Write as _;

use gst::prelude::*;
use gst_video::{VideoFrameExt as _, VideoFrameRef, VideoInfo, VideoMeta};
use nvdsucx_tests::payload::checksum;

use crate::script::NO_OFFSET;

/// Everything that should be the same at both ends.
pub(crate) fn buffer(buffer: &gst::BufferRef) -> String {
    // GStreamer sets TAG_MEMORY by itself whenever a buffer's memory is touched.
    let flags = buffer.flags() - gst::BufferFlags::TAG_MEMORY;
    let mut line = format!(
        "pts={} dts={} duration={} offset={} offset-end={} flags={:#x} mem=",
        time(buffer.pts()),
        time(buffer.dts()),
        time(buffer.duration()),
        number(buffer.offset()),
        number(buffer.offset_end()),
        flags.bits()
    );
    for (n, memory) in buffer.iter_memories().enumerate() {
        let separator = if n == 0 { "" } else { "," };
        let sum =
            memory.map_readable().map_or_else(|_| "unreadable".into(), |m| format!("{:016x}", checksum(&m)));
        let _ = write!(line, "{separator}{}:{sum}", memory.size());
    }
    for meta in buffer.iter_meta::<VideoMeta>() {
        let _ = write!(
            line,
            " video={:?}:{}x{}:{:?}:{:?}:{:#x}:{}",
            meta.format(),
            meta.width(),
            meta.height(),
            meta.offset(),
            meta.stride(),
            meta.video_frame_flags().bits(),
            crate::layouts::pixels(buffer, &meta)
        );
    }
    line
}

/// `SUM MEMORY pts=N`: of the pixels alone, without what is between the rows.
pub(crate) fn pixels(buffer: &gst::BufferRef, caps: &gst::CapsRef) -> String {
    let on_gpu = buffer.iter_memories().all(cuda::is_cuda);
    let sum =
        rows(buffer, caps).map_or_else(|| "unreadable".into(), |rows| format!("{:016x}", checksum(&rows)));
    format!("{sum} {} pts={}", if on_gpu { "gpu" } else { "cpu" }, time(buffer.pts()))
}

/// The pixels of all planes, row by row.
fn rows(buffer: &gst::BufferRef, caps: &gst::CapsRef) -> Option<Vec<u8>> {
    let video = VideoInfo::from_caps(caps).ok()?;
    let frame = VideoFrameRef::from_buffer_ref_readable(buffer, &video).ok()?;
    let format = frame.format_info();
    let mut rows = Vec::with_capacity(video.size());
    for plane in 0..frame.n_planes() {
        let component = format.plane().iter().position(|of| *of == plane)?;
        let width = frame.comp_width(component as u32) as usize * format.pixel_stride()[component] as usize;
        let stride = frame.plane_stride()[plane as usize] as usize;
        let data = frame.plane_data(plane).ok()?;
        let height = frame.comp_height(component as u32) as usize;
        for row in 0..height {
            rows.extend(data.get(row * stride..)?.get(..width)?);
        }
    }
    Some(rows)
}

/// `TYPE DETAILS seqnum=N`
pub(crate) fn event(event: &gst::EventRef) -> String {
    use gst::EventView as V;
    let details = match event.view() {
        V::StreamStart(e) => {
            format!(
                "id={} flags={:#x} group={}",
                e.stream_id(),
                e.stream_flags().bits(),
                e.group_id().is_some()
            )
        }
        V::Caps(e) => e.caps().to_string(),
        V::Segment(e) => segment(e.segment()),
        V::Tag(e) => e.tag().to_string(),
        V::Gap(e) => {
            let (pts, duration) = e.get();
            format!("pts={} duration={}", time(Some(pts)), time(duration))
        }
        V::FlushStop(e) => format!("reset-time={}", e.resets_time()),
        V::Toc(e) => format!("updated={}", e.toc().1),
        _ => event.structure().map(ToString::to_string).unwrap_or_default(),
    };
    format!("{} {} seqnum={:?}", event.type_().name(), details.replace('\n', " "), event.seqnum())
}

fn segment(segment: &gst::Segment) -> String {
    format!(
        "{:?} flags={:#x} rate={} applied-rate={} base={} offset={} start={} stop={} time={} position={} duration={}",
        segment.format(),
        segment.flags().bits(),
        segment.rate(),
        segment.applied_rate(),
        segment.base().value(),
        segment.offset().value(),
        segment.start().value(),
        segment.stop().value(),
        segment.time().value(),
        segment.position().value(),
        segment.duration().value()
    )
}

/// A line for a message that tests may want to see.
pub(crate) fn message(message: &gst::MessageRef) -> Option<String> {
    use gst::MessageView as V;
    let source = message.src().map(|s| s.name().to_string()).unwrap_or_default();
    match message.view() {
        V::Error(m) => {
            let error = m.error();
            let kind = kind(&error);
            Some(format!(
                "error source={source} kind={kind} message={:?} debug={:?}",
                error.message(),
                m.debug()
            ))
        }
        V::Warning(m) => {
            Some(format!("warning source={source} message={:?} debug={:?}", m.error().message(), m.debug()))
        }
        V::Info(m) => {
            Some(format!("info source={source} message={:?} debug={:?}", m.error().message(), m.debug()))
        }
        V::Eos(_) => Some("eos".into()),
        V::Element(m) => m.structure().map(|s| format!("element {s} source={source}")),
        V::Latency(_) => Some("latency-message".into()),
        V::Tag(m) => Some(format!("tags {}", m.tags())),
        _ => None,
    }
}

fn kind(error: &gst::glib::Error) -> String {
    if let Some(kind) = error.kind::<gst::ResourceError>() {
        format!("{kind:?}")
    } else if let Some(kind) = error.kind::<gst::StreamError>() {
        format!("Stream{kind:?}")
    } else if let Some(kind) = error.kind::<gst::LibraryError>() {
        format!("Library{kind:?}")
    } else if let Some(kind) = error.kind::<gst::CoreError>() {
        format!("Core{kind:?}")
    } else {
        "Other".into()
    }
}

/// `PLAYING`
pub(crate) fn state(state: gst::State) -> String {
    format!("{state:?}").to_uppercase()
}

fn time(time: Option<gst::ClockTime>) -> String {
    time.map_or_else(|| "-".into(), |t| t.nseconds().to_string())
}

fn number(number: u64) -> String {
    if number == NO_OFFSET { "-".into() } else { number.to_string() }
}
