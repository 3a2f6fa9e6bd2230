//! What `push` may push:
//!
//! * `stream-start ID`, `caps CAPS`, `tags TAGLIST`, `gap PTS DURATION`, `eos`
//! * `segment time|bytes [rate=R] [start=N] [stop=N] [time=N] [base=N] [offset=N] [position=N] [duration=N]`
//! * `custom STRUCTURE`, `sticky STRUCTURE`
//! * `start CAPS`: a stream-start, these caps and a plain time segment
//! * `buffer [count=N] [mem=LEN[xN],…] [seed=N] [pts=N] [dts=N] [duration=N] [offset=N] [offset-end=N] [flags=0xN]
//!   [video=FORMAT:WIDTHxHEIGHT:OFFSETS:STRIDES] [metas=KIND[*N],…|all]`. With a count, the times and the offsets go on from
//!   buffer to buffer. There may be several layouts (`video`). The kinds of metas are in `metas/attach.rs`.

use gst::glib;
use gst::prelude::*;
use gst_video::{VideoFormat, VideoFrameFlags, VideoMeta};
use nvdsucx_tests::payload;

use crate::metas;
use crate::source::Item;

/// GST_BUFFER_OFFSET_NONE
pub(crate) const NO_OFFSET: u64 = u64::MAX;

/// The items that a `push` command asks for.
pub(crate) fn parse(text: &str) -> Result<Vec<Item>, String> {
    let (what, rest) = text.split_once(' ').unwrap_or((text, ""));
    let event = match what {
        "stream-start" => stream_start(rest),
        "caps" => gst::event::Caps::new(&caps(rest)?),
        "segment" => segment(rest)?,
        "tags" => tags(rest)?,
        "gap" => {
            let (pts, duration) = rest.split_once(' ').ok_or("gap PTS DURATION")?;
            gst::event::Gap::builder(time(pts)?).duration(time(duration)?).build()
        }
        "custom" => gst::event::CustomDownstream::new(structure(rest)?),
        "sticky" => gst::event::CustomDownstreamSticky::new(structure(rest)?),
        "eos" => gst::event::Eos::new(),
        "start" => {
            let events = [stream_start("test"), gst::event::Caps::new(&caps(rest)?), segment("time")?];
            return Ok(events.into_iter().map(Item::Event).collect());
        }
        "buffer" => return Spec::parse(rest).map(Spec::buffers),
        _ => return Err(format!("cannot push `{what}`")),
    };
    Ok(vec![Item::Event(event)])
}

fn stream_start(id: &str) -> gst::Event {
    gst::event::StreamStart::builder(id).group_id(gst::GroupId::next()).build()
}

fn caps(text: &str) -> Result<gst::Caps, String> {
    // `field=LENxCHAR` would be no caps: a way to write a very long field.
    if let Some((before, length)) = text.split_once(" filled-with=") {
        let length: usize = length.parse().map_err(|_| "filled-with=LENGTH")?;
        let mut caps: gst::Caps = before.parse().map_err(|_| "not caps")?;
        caps.make_mut().set("filler", "x".repeat(length));
        return Ok(caps);
    }
    text.parse().map_err(|_| format!("not caps: {text}"))
}

fn tags(text: &str) -> Result<gst::Event, String> {
    let value = glib::Value::deserialize(text, gst::TagList::static_type()).map_err(|e| e.to_string())?;
    Ok(gst::event::Tag::new(value.get::<gst::TagList>().map_err(|e| e.to_string())?))
}

fn structure(text: &str) -> Result<gst::Structure, String> {
    text.parse().map_err(|_| format!("not a structure: {text}"))
}

fn time(text: &str) -> Result<gst::ClockTime, String> {
    text.parse().map(gst::ClockTime::from_nseconds).map_err(|_| format!("not nanoseconds: {text}"))
}

fn segment(text: &str) -> Result<gst::Event, String> {
    let (format, rest) = text.split_once(' ').unwrap_or((text, ""));
    let format = match format {
        "time" => gst::Format::Time,
        "bytes" => gst::Format::Bytes,
        _ => return Err("segment time|bytes".into()),
    };
    let mut segment = gst::Segment::new();
    segment.set_format(format);
    segment.set_start(gst::GenericFormattedValue::new(format, 0));
    segment.set_position(gst::GenericFormattedValue::new(format, 0));
    for (name, value) in fields(rest)? {
        if name == "rate" {
            segment.set_rate(value.parse().map_err(|_| "rate=NUMBER")?);
            continue;
        }
        let value =
            gst::GenericFormattedValue::new(format, value.parse().map_err(|_| format!("{name}=NUMBER"))?);
        match name {
            "start" => segment.set_start(value),
            "stop" => segment.set_stop(value),
            "time" => segment.set_time(value),
            "base" => segment.set_base(value),
            "offset" => segment.set_offset(value),
            "position" => segment.set_position(value),
            "duration" => segment.set_duration(value),
            _ => return Err(format!("a segment has no `{name}`")),
        }
    }
    Ok(gst::event::Segment::new(&segment))
}

fn fields(text: &str) -> Result<Vec<(&str, &str)>, String> {
    text.split_whitespace()
        .map(|field| field.split_once('=').ok_or_else(|| format!("not NAME=VALUE: {field}")))
        .collect()
}

/// What buffers are to be like.
#[derive(Clone, Debug)]
struct Spec {
    count: u64,
    memories: Vec<usize>,
    seed: u64,
    pts: Option<u64>,
    dts: Option<u64>,
    duration: Option<u64>,
    offset: Option<u64>,
    offset_end: Option<u64>,
    flags: u32,
    video: Vec<Video>,
    metas: metas::Wanted,
}

#[derive(Clone, Debug)]
struct Video {
    format: VideoFormat,
    width: u32,
    height: u32,
    offsets: Vec<usize>,
    strides: Vec<i32>,
}

impl Spec {
    fn parse(text: &str) -> Result<Self, String> {
        let mut spec = Self {
            count: 1,
            memories: vec![],
            seed: 1,
            pts: None,
            dts: None,
            duration: None,
            offset: None,
            offset_end: None,
            flags: 0,
            video: vec![],
            metas: metas::Wanted::default(),
        };
        for (name, value) in fields(text)? {
            let number = || value.parse::<u64>().map_err(|_| format!("{name}: not a number: {value}"));
            match name {
                "count" => spec.count = number()?,
                "mem" => spec.memories = memories(value)?,
                "seed" => spec.seed = number()?,
                "pts" => spec.pts = Some(number()?),
                "dts" => spec.dts = Some(number()?),
                "duration" => spec.duration = Some(number()?),
                "offset" => spec.offset = Some(number()?),
                "offset-end" => spec.offset_end = Some(number()?),
                "flags" => {
                    let hex = value.strip_prefix("0x").ok_or("flags=0xN")?;
                    spec.flags = u32::from_str_radix(hex, 16).map_err(|e| e.to_string())?;
                }
                "video" => spec.video.push(Video::parse(value).ok_or("video=FORMAT:WxH:OFFSETS:STRIDES")?),
                "metas" => spec.metas = metas::Wanted::parse(value)?,
                _ => return Err(format!("a buffer has no `{name}`")),
            }
        }
        Ok(spec)
    }

    fn buffers(self) -> Vec<Item> {
        // Made one by one when they are pushed: many large ones would not fit into memory.
        (0..self.count)
            .map(|n| {
                let spec = self.clone();
                Item::Buffer(Box::new(move || spec.buffer(n)))
            })
            .collect()
    }

    fn buffer(&self, n: u64) -> gst::Buffer {
        let mut buffer = gst::Buffer::new();
        let b = buffer.get_mut().expect("just made");
        for (m, &len) in self.memories.iter().enumerate() {
            let seed = self.seed.wrapping_add(n * 1000).wrapping_add(m as u64);
            b.append_memory(gst::Memory::from_slice(payload::generate(seed, len)));
        }
        let shift = n * self.duration.unwrap_or(0);
        b.set_pts(self.pts.map(|t| gst::ClockTime::from_nseconds(t + shift)));
        b.set_dts(self.dts.map(|t| gst::ClockTime::from_nseconds(t + shift)));
        b.set_duration(self.duration.map(gst::ClockTime::from_nseconds));
        b.set_offset(self.offset.map_or(NO_OFFSET, |o| o + n));
        b.set_offset_end(self.offset_end.map_or(NO_OFFSET, |o| o + n));
        b.set_flags(gst::BufferFlags::from_bits_retain(self.flags));
        for v in &self.video {
            VideoMeta::add_full(
                b,
                VideoFrameFlags::empty(),
                v.format,
                v.width,
                v.height,
                &v.offsets,
                &v.strides,
            )
            .expect("the script describes a frame that fits");
        }
        self.metas.attach(b, n, self.seed);
        buffer
    }
}

fn memories(text: &str) -> Result<Vec<usize>, String> {
    let mut lengths = vec![];
    for part in text.split(',') {
        let (length, times) = part.split_once('x').unwrap_or((part, "1"));
        let length: usize = length.parse().map_err(|_| format!("not a length: {length}"))?;
        let times: usize = times.parse().map_err(|_| format!("not a count: {times}"))?;
        lengths.extend(std::iter::repeat_n(length, times));
    }
    Ok(lengths)
}

impl Video {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let format = VideoFormat::from_string(parts.next()?);
        let (width, height) = parts.next()?.split_once('x')?;
        let mut list =
            || parts.next().map(|l| l.split(',').map(str::parse::<i32>).collect::<Result<Vec<_>, _>>());
        let offsets = list()?.ok()?;
        let strides = list()?.ok()?;
        Some(Self {
            format,
            width: width.parse().ok()?,
            height: height.parse().ok()?,
            offsets: offsets.into_iter().map(|o| usize::try_from(o).ok()).collect::<Option<_>>()?,
            strides,
        })
    }
}
