//! What the caps of a stream tell about the frames in its buffers.

use dsmeta::PayloadKind;
use gst_audio::{AudioFormat, AudioLayout};

/// What is known of the stream that a buffer is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Of pictures.
    Video {
        /// Width in pixels, or 0.
        width: u32,
        /// Height in pixels, or 0.
        height: u32,
    },
    /// Of samples.
    Audio {
        /// Samples per second, or 0.
        rate: u32,
        /// Number of channels, or 0.
        channels: u32,
        /// Format of a sample.
        format: AudioFormat,
        /// How channels lie.
        layout: AudioLayout,
    },
}

impl From<PayloadKind> for Stream {
    /// A stream of which no more is known.
    fn from(kind: PayloadKind) -> Self {
        match kind {
            PayloadKind::Video => Self::Video { width: 0, height: 0 },
            PayloadKind::Audio => Self::Audio {
                rate: 0,
                channels: 0,
                format: AudioFormat::Unknown,
                layout: AudioLayout::Interleaved,
            },
        }
    }
}

impl Stream {
    /// The stream that `caps` describe. What is not audio counts as video.
    pub fn from_caps(caps: &gst::CapsRef) -> Self {
        let Some(structure) = caps.structure(0) else { return PayloadKind::Video.into() };
        let number =
            |field| structure.get::<i32>(field).ok().and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        if !structure.name().starts_with("audio/") {
            return Self::Video { width: number("width"), height: number("height") };
        }
        let text = |field| structure.get::<&str>(field).unwrap_or_default();
        Self::Audio {
            rate: number("rate"),
            channels: number("channels"),
            format: AudioFormat::from_string(text("format")),
            layout: match text("layout") {
                "non-interleaved" => AudioLayout::NonInterleaved,
                _ => AudioLayout::Interleaved,
            },
        }
    }
}
