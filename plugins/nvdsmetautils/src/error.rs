//! What can be wrong with metadata and payloads.

/// Why metadata was not turned into a payload, or a payload not into metadata.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The payload is broken, or there is too much metadata for one.
    Payload(dsmeta::Error),
    /// GStreamer does not take the metadata.
    Meta(gst_newer::Error),
    /// DeepStream's metadata cannot be read or written.
    DeepStream(deepstream::Error),
    /// There are more frames in the payload than in the buffer.
    Frames {
        /// Number in the payload.
        payload: usize,
        /// Number in the buffer.
        buffer: usize,
    },
    /// A name is longer than one that a process keeps for ever should be.
    Name {
        /// Its length in bytes.
        len: usize,
        /// The largest length allowed, in bytes.
        limit: usize,
    },
    /// More different names came from elsewhere than a process can keep: GLib never frees one.
    Names {
        /// How many there may be.
        limit: usize,
    },
    /// The payload is in memory that cannot be read.
    Unreadable,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Payload(err) => err.fmt(f),
            Self::Meta(err) => err.fmt(f),
            Self::DeepStream(err) => err.fmt(f),
            Self::Frames { payload, buffer } => {
                write!(f, "the payload is of {payload} frames, the buffer has {buffer}")
            }
            Self::Name { len, limit } => {
                write!(f, "a label has {len} bytes, at most {limit} are taken in")
            }
            Self::Names { limit } => write!(
                f,
                "{limit} different labels were received already, no new ones are taken in by this process"
            ),
            Self::Unreadable => f.write_str("the payload is in memory that cannot be read"),
        }
    }
}

impl std::error::Error for Error {}

impl From<dsmeta::Error> for Error {
    fn from(err: dsmeta::Error) -> Self {
        Self::Payload(err)
    }
}

impl From<gst_newer::Error> for Error {
    fn from(err: gst_newer::Error) -> Self {
        Self::Meta(err)
    }
}

impl From<deepstream::Error> for Error {
    fn from(err: deepstream::Error) -> Self {
        Self::DeepStream(err)
    }
}
