//! The dsmeta payload: analytics metadata as DeepStream serialises it, bytes in, values out, no I/O.
//!
//! [`encode`] makes a payload of a [`Batch`] and [`decode`] reads one, whoever wrote it: this crate in either
//! [`Style`], or NVIDIA's serialisation library (DeepStream 6.2 and newer; what 6.1 sends are raw structs, which do
//! not parse). Both check the same things, so that what one makes the other takes.
//!
//! Nothing here trusts what it reads: whatever the bytes, the outcome is a checked value or an [`Error`], and the
//! limits are public.
#![forbid(unsafe_code)]

mod check;
mod error;
mod limits;
pub mod model;
mod protobuf;
mod read;
mod write;

pub use error::Error;
pub use limits::{
    MAX_ANALYTICS, MAX_CLASSES, MAX_CLASSIFIERS, MAX_DISPLAYS, MAX_FRAMES, MAX_LABELS, MAX_OBJECTS,
    MAX_PARAMS, MAX_PAYLOAD, MAX_READING, MAX_RELATIONS, MAX_SHAPES,
};
pub use model::Batch;
pub use protobuf::Malformed;

/// What a payload is about, with the number that stands for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum PayloadKind {
    /// Video.
    Video = 0xAB_CDEF,
    /// Audio.
    Audio = 0xFE_DCBA,
}

impl PayloadKind {
    /// Its number.
    pub fn number(self) -> u32 {
        self as u32
    }
}

impl TryFrom<u32> for PayloadKind {
    type Error = Error;

    /// The kind with this number: no other payload is ours to read.
    fn try_from(number: u32) -> Result<Self, Error> {
        match number {
            number if number == Self::Video.number() => Ok(Self::Video),
            number if number == Self::Audio.number() => Ok(Self::Audio),
            number => Err(Error::UnknownKind(number)),
        }
    }
}

/// Where a payload has what NVIDIA's reader crashes on. [`decode`] reads both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// In fields of our own, which NVIDIA's reader skips: classifiers, display metas, masks, the text at an object, and
    /// names of fonts not shorter than the font's size.
    #[default]
    Safe,
    /// In NVIDIA's fields, for readers that know no others.
    Nvidia,
}

/// Metadata as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// What it is about: the bytes do not say.
    pub kind: PayloadKind,
    /// A message of the protobuf package `dsmeta`.
    pub bytes: Vec<u8>,
}

/// Makes a payload.
///
/// It fails where [`decode`] would refuse the result. Labels longer than DeepStream's 127 bytes are cut in NVIDIA's
/// fields and whole in ours.
pub fn encode(batch: &Batch, style: Style) -> Result<Payload, Error> {
    check::check(batch)?;
    let (kind, bytes) = match batch {
        Batch::Video(batch) => (PayloadKind::Video, write::video(batch, style)),
        Batch::Audio(batch) => (PayloadKind::Audio, write::audio(batch, style)),
    };
    check_length(bytes.len())?;
    Ok(Payload { kind, bytes })
}

/// Reads a payload.
///
/// Counts in it are not looked at: lists are as long as they are. Fields that are not known are skipped. Numbers of
/// frames and positions are what the sender says: that they are those of the buffer is for the caller to see to.
pub fn decode(kind: PayloadKind, bytes: &[u8]) -> Result<Batch, Error> {
    check_length(bytes.len())?;
    let batch = match kind {
        PayloadKind::Video => Batch::Video(read::video(bytes)?),
        PayloadKind::Audio => Batch::Audio(read::audio(bytes)?),
    };
    check::check(&batch)?;
    Ok(batch)
}

fn check_length(len: usize) -> Result<(), Error> {
    if len > MAX_PAYLOAD {
        return Err(Error::TooLong { len, limit: MAX_PAYLOAD });
    }
    Ok(())
}
