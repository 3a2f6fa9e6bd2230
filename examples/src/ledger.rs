//! What passed a pad: how much, and a digest that two processes can compare.

use std::hash::{DefaultHasher, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Context as _;
use gst::prelude::*;
use gst_video::prelude::*;

use crate::metas;

/// Counts and digests the buffers that pass a pad.
pub(crate) struct Ledger(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    frames: u64,
    bytes: u64,
    content: DefaultHasher,
    times: DefaultHasher,
    regions: u64,
    payloads: u64,
    video: Option<gst_video::VideoInfo>,
    first: Option<Instant>,
    last: Option<Instant>,
    position: Option<gst::ClockTime>,
}

/// Observes the element's only pad (an element with both is observed where data goes in).
pub(crate) fn attach(element: &gst::Element) -> anyhow::Result<Arc<Ledger>> {
    let pad = element.static_pad("sink").or_else(|| element.static_pad("src"));
    let pad = pad.with_context(|| format!("{} has neither a sink nor a src pad", element.name()))?;
    let ledger = Arc::new(Ledger(Mutex::default()));
    let entries = ledger.clone();
    let what =
        gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST | gst::PadProbeType::EVENT_DOWNSTREAM;
    pad.add_probe(what, move |_, info| {
        match &info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => entries.lock().add(buffer),
            Some(gst::PadProbeData::BufferList(list)) => {
                let mut entries = entries.lock();
                list.iter_owned().for_each(|buffer| entries.add(&buffer));
            }
            Some(gst::PadProbeData::Event(event)) => {
                if let gst::EventView::Caps(caps) = event.view() {
                    entries.lock().video = gst_video::VideoInfo::from_caps(caps.caps()).ok();
                }
            }
            _ => {}
        }
        gst::PadProbeReturn::Ok
    })
    .context("the pad takes no probe")?;
    Ok(ledger)
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The line that tells how far it is.
    pub(crate) fn progress(&self, pipeline: &gst::Pipeline) -> String {
        let (frames, bytes, position) = {
            let entries = self.lock();
            (entries.frames, entries.bytes, entries.position)
        };
        let duration = pipeline.query_duration::<gst::ClockTime>().filter(|duration| !duration.is_zero());
        let percent = match (position, duration) {
            (Some(position), Some(duration)) => {
                format!(" percent={}", (position.nseconds() * 100 / duration.nseconds()).min(100))
            }
            _ => String::new(),
        };
        format!("progress frames={frames} bytes={bytes}{percent}")
    }

    /// The last line.
    pub(crate) fn summary(&self) -> String {
        let entries = self.lock();
        let took = match (entries.first, entries.last) {
            (Some(first), Some(last)) => last - first,
            _ => std::time::Duration::ZERO,
        };
        format!(
            "done frames={} bytes={} seconds={:.3} content={:016x} times={:016x} regions={} payloads={}",
            entries.frames,
            entries.bytes,
            took.as_secs_f64(),
            entries.content.finish(),
            entries.times.finish(),
            entries.regions,
            entries.payloads
        )
    }
}

impl Entries {
    fn add(&mut self, buffer: &gst::Buffer) {
        let now = Instant::now();
        self.first.get_or_insert(now);
        self.last = Some(now);
        self.frames += 1;
        self.bytes += buffer.size() as u64;
        if let Some(pts) = buffer.pts() {
            self.position = Some(pts + buffer.duration().unwrap_or_default());
        }
        for time in [buffer.pts(), buffer.duration()] {
            self.times.write_u64(time.map_or(u64::MAX, gst::ClockTime::nseconds));
        }
        let (regions, payloads) = metas::count(buffer);
        self.regions += regions;
        self.payloads += payloads;
        let digested = match &self.video {
            Some(info) => digest_picture(&mut self.content, buffer, info),
            None => buffer.map_readable().map(|bytes| self.content.write(&bytes)).is_ok(),
        };
        if !digested {
            // Says so in the result: no buffer has this digest by accident.
            self.content.write(b"a buffer that cannot be read");
        }
    }
}

/// Only what is seen: two buffers with other strides may hold the same picture.
fn digest_picture(hasher: &mut DefaultHasher, buffer: &gst::Buffer, info: &gst_video::VideoInfo) -> bool {
    let Ok(frame) = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, info) else {
        return false;
    };
    let format = info.format_info();
    for component in 0..info.n_components() {
        // Components that share a plane (as NV12's chroma does) are digested with the first of them.
        let plane = format.plane()[component as usize];
        if format.plane()[..component as usize].contains(&plane) {
            continue;
        }
        let (Ok(bytes), Ok(stride)) =
            (frame.plane_data(plane), usize::try_from(frame.plane_stride()[plane as usize]))
        else {
            return false;
        };
        let row_bytes = (frame.comp_width(component) as usize) * (frame.comp_pstride(component) as usize);
        for row in bytes.chunks(stride.max(1)).take(frame.comp_height(component) as usize) {
            hasher.write(&row[..row_bytes.min(row.len())]);
        }
    }
    true
}
