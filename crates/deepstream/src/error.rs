use crate::layout::Sizes;
use crate::library::FOLDER;

/// Why DeepStream's metadata cannot be reached, read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The libraries are not there, or cannot be loaded.
    #[error(
        "cannot load DeepStream's metadata libraries: {0}; install DeepStream, or set {FOLDER} to their folder"
    )]
    Load(String),
    /// A library that is there lacks a function.
    #[error("DeepStream's metadata libraries lack {0}: use release 6.1 or later")]
    Symbol(String),
    /// The name of the meta is taken.
    #[error(
        "something else in this process has registered NvDsMetaAPI, without DeepStream's libnvdsgst_meta.so"
    )]
    Taken,
    /// The libraries are of a release whose structures are not known.
    #[error("unknown release of DeepStream: {0:?}; known are 6.1 to 6.3, 8.0 and 9.0 to 9.1")]
    Release(Sizes),
    /// A batch meta is not as its library makes it.
    #[error("the buffer's NvDsBatchMeta {0}")]
    Batch(&'static str),
    /// A batch meta of the one kind, metadata of the other.
    #[error("the buffer's NvDsBatchMeta is for {is}, the metadata for {other}")]
    Kind {
        /// What the batch meta is for.
        is: &'static str,
        /// What the metadata is for.
        other: &'static str,
    },
    /// A list is longer than it may be.
    #[error("more than {limit} {what}")]
    TooMany {
        /// Of what there are too many.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// There are more frames than the buffer has.
    #[error("metadata of {count} frames for a buffer whose NvDsBatchMeta has {slots}")]
    Frames {
        /// Number of frames in the metadata.
        count: usize,
        /// Number of frames in the batch meta.
        slots: usize,
    },
    /// A mask has not as many values as it has pixels.
    #[error("a mask of {width} x {height} pixels has {values} values")]
    Mask {
        /// Width.
        width: u32,
        /// Height.
        height: u32,
        /// Number of values.
        values: usize,
    },
    /// Objects are not parts of one another as in a tree.
    #[error("object {0} is a part of itself, or of one that is not there")]
    Parent(usize),
}
