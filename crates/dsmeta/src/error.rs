//! What can be wrong with metadata, given or received.

use crate::protobuf::Malformed;

/// Why metadata was refused: which value was wrong, and which limit it broke.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The number of a payload that is not ours to read.
    #[error("payload type {0:#x} is not known: {video:#x} is video and {audio:#x} audio",
        video = crate::PayloadKind::Video as u32, audio = crate::PayloadKind::Audio as u32)]
    UnknownKind(u32),
    /// Longer than allowed.
    #[error("the payload has {len} bytes, at most {limit} are allowed")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The largest length allowed, in bytes.
        limit: usize,
    },
    /// More items than allowed.
    #[error("{count} {what}, at most {limit} are allowed")]
    TooMany {
        /// What was counted.
        what: &'static str,
        /// How many there are, as far as they were counted.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Not what the schema says.
    #[error("the payload cannot be parsed: {0}")]
    Malformed(#[from] Malformed),
    /// A text has a NUL character in it, which a C string cannot hold.
    #[error("{what} has a NUL character in it")]
    Nul {
        /// Which text.
        what: &'static str,
    },
    /// A number that is none.
    #[error("{what} is {value}, it must be finite")]
    NotFinite {
        /// Which number.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// An index that leads nowhere.
    #[error("{what} is number {index} of {count}")]
    NoSuchIndex {
        /// What it is the index of.
        what: &'static str,
        /// The index.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// Objects that are parts of one another.
    #[error("object {object} is its own ancestor")]
    ParentCycle {
        /// Index of one of them in its frame.
        object: usize,
    },
    /// A mask whose size in bytes does not go with its values.
    #[error("a mask of {size} bytes has {values} values of four bytes")]
    MaskSize {
        /// Size it is said to have, in bytes.
        size: u32,
        /// Number of values it has.
        values: usize,
    },
    /// A mask with more or fewer values than pixels.
    #[error("a mask of {width} by {height} has {values} values")]
    MaskShape {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// Number of values it has.
        values: usize,
    },
    /// Analytics metadata that this version does not know.
    #[error("analytics metadata number {index} is of an unknown kind")]
    UnknownAnalytics {
        /// Its index.
        index: usize,
    },
}
