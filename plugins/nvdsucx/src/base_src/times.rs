//! Keeps the timestamps that GstBaseSrc makes up out of buffers that came without.
//!
//! Once there is a clock the base class sets a missing PTS to the DTS, and both on the first buffer. That is right for
//! a source that reads a file, and wrong here: a PTS that is the DTS reorders the pictures of an encoded video.

use std::sync::{Arc, Mutex};

use gst::prelude::*;
use gst_base::prelude::*;

/// The timestamps of the buffer on its way through the base class, unless it has both.
#[derive(Debug, Default)]
pub(super) struct Times(Mutex<Option<[Option<gst::ClockTime>; 2]>>);

impl Times {
    /// Watches `pad`.
    pub(super) fn install(pad: &gst::Pad) -> Arc<Self> {
        let times = Arc::new(Self::default());
        let watcher = Arc::clone(&times);
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let (Some([pts, dts]), Some(gst::PadProbeData::Buffer(buffer))) =
                (watcher.0.lock().unwrap().take(), &mut info.data)
            {
                let buffer = buffer.make_mut();
                buffer.set_pts(pts);
                buffer.set_dts(dts);
            }
            gst::PadProbeReturn::Ok
        });
        times
    }

    /// `source` is about to return `buffer`.
    pub(super) fn before_buffer(&self, source: &gst_base::BaseSrc, buffer: &gst::BufferRef) {
        let times = [buffer.pts(), buffer.dts()];
        // With `do-timestamp` the user asks for the base class's.
        let keep = times.contains(&None) && !source.does_timestamp();
        *self.0.lock().unwrap() = keep.then_some(times);
    }
}
