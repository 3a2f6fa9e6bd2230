//! A buffer's metas as values, and values as metas.
//!
//! | metas | values |
//! |---|---|
//! | `GstVideoRegionOfInterestMeta`, with the parameters that `params` names | objects, in the order of the metas |
//! | `GstAnalyticsRelationMeta` of GStreamer 1.24 and newer | the same, and objects for readers that do not know it |
//! | `GstVideoMeta`, `GstAudioMeta`, the buffer's timestamp | the frame |

mod analytics;
mod audio;
mod frames;
mod names;
mod params;
mod region;
mod video;

use dsmeta::Batch;

use crate::{Error, Stream};

/// What the metas on `buffer` of `stream` say.
pub(crate) fn read(buffer: &gst::BufferRef, stream: &Stream) -> Batch {
    match *stream {
        Stream::Video { width, height } => Batch::Video(video::read(buffer, (width, height))),
        Stream::Audio { rate, channels, format, layout } => {
            Batch::Audio(audio::read(buffer, audio::Samples { rate, channels, format, layout }))
        }
    }
}

/// Puts on `buffer` the metas of `batch` that it has not yet. False if this GStreamer has none for some of it.
pub(crate) fn write(batch: &Batch, buffer: &mut gst::BufferRef) -> Result<bool, Error> {
    match batch {
        Batch::Video(batch) => video::write(batch, buffer),
        Batch::Audio(batch) => audio::write(batch, buffer),
    }
}

/// Timestamp of `buffer` in nanoseconds, all ones if it has none.
fn pts(buffer: &gst::BufferRef) -> u64 {
    buffer.pts().map_or(u64::MAX, gst::ClockTime::nseconds)
}
