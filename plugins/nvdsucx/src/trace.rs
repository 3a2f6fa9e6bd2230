//! The way of each buffer, for who wants to see it: `GST_DEBUG=nvdsucx-frame:6`.
//!
//! One line where a sink has handed a buffer on, one where a source has got it, both with its timestamps, by which they are found
//! in the logs of two processes.

use std::fmt;
use std::sync::LazyLock;
use std::time::Instant;

use gst::prelude::*;
use nvdsucx_session::{Payload, Sent};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("nvdsucx-frame", gst::DebugColorFlags::empty(), Some("The way of each buffer"))
});

/// When a buffer came to a sink, if anybody wants to know.
pub(crate) fn begin() -> Option<Instant> {
    CAT.above_threshold(gst::DebugLevel::Log).then(Instant::now)
}

/// A sink has handed `buffer` on, which came at `begin`.
pub(crate) fn sent(sink: &impl IsA<gst::Object>, buffer: &gst::BufferRef, sent: Sent, begin: Instant) {
    let took = begin.elapsed().as_micros();
    let Sent { mapped, copied, queued, missed, .. } = sent;
    let place = if copied { "copied" } else { "where it is" };
    let queued = if queued { ", queued for the others" } else { "" };
    let buffer = Named(buffer);
    gst::log!(
        CAT,
        obj = sink,
        "sent {buffer}: shared with {mapped} ({place}){queued}, missed by {missed}, after {took} us"
    );
}

/// A source has got `buffer`, which came as `payload`.
pub(crate) fn received(source: &impl IsA<gst::Object>, buffer: &gst::BufferRef, way: &str) {
    gst::log!(CAT, obj = source, "received {}: {way}", Named(buffer));
}

/// How a payload came.
pub(crate) fn way(payload: &Payload) -> &'static str {
    match payload {
        Payload::Landed(_) => "by message",
        Payload::Copied(_) => "through the ring, or copied from shared memory",
        Payload::Mapped(_) => "in shared memory",
    }
}

struct Named<'a>(&'a gst::BufferRef);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(buffer) = self;
        write!(
            f,
            "pts={} dts={} offset={} size={} memories={}",
            buffer.pts().display(),
            buffer.dts().display(),
            buffer.offset().cast_signed(),
            buffer.size(),
            buffer.n_memory()
        )
    }
}
