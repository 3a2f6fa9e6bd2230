//! Keeps the timestamps that GstBaseSrc makes up out of buffers that came without.
//!
//! Once there is a clock the base class sets a missing PTS to the DTS, and both on the first buffer. That is right for
//! a source that reads a file, and wrong here: a PTS that is the DTS reorders the pictures of an encoded video.

use std::sync::{Arc, Mutex, Once};

use gst::prelude::*;
use gst_base::prelude::*;

/// The timestamps of the buffer on its way through the base class, unless it has both.
#[derive(Debug)]
pub(super) struct Times {
    kept: Arc<Mutex<Option<[Option<gst::ClockTime>; 2]>>>,
    /// The pad is watched. Most streams have all timestamps, and need no probe.
    watched: Once,
}

impl Default for Times {
    fn default() -> Self {
        Self { kept: Arc::default(), watched: Once::new() }
    }
}

impl Times {
    /// `source` is about to return `buffer`.
    pub(super) fn before_buffer(&self, source: &gst_base::BaseSrc, buffer: &gst::BufferRef) {
        let times = [buffer.pts(), buffer.dts()];
        // With `do-timestamp` the user asks for the base class's.
        let keep = times.contains(&None) && !source.does_timestamp();
        if keep {
            self.watched.call_once(|| self.watch(source.src_pad()));
        }
        if self.watched.is_completed() {
            *self.kept.lock().unwrap() = keep.then_some(times);
        }
    }

    fn watch(&self, pad: &gst::Pad) {
        let kept = Arc::clone(&self.kept);
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let (Some([pts, dts]), Some(gst::PadProbeData::Buffer(buffer))) =
                (kept.lock().unwrap().take(), &mut info.data)
            {
                let buffer = buffer.make_mut();
                buffer.set_pts(pts);
                buffer.set_dts(dts);
            }
            gst::PadProbeReturn::Ok
        });
    }
}
