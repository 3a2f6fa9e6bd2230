//! As much of protobuf's encoding as the payload needs: fields to bytes and back.

mod reader;
mod writer;

pub(crate) use reader::Reader;
pub(crate) use writer::Writer;

/// What the lowest bits of a field's key say of its value.
mod wire_type {
    pub(super) const VARINT: u32 = 0;
    pub(super) const FIXED64: u32 = 1;
    pub(super) const BYTES: u32 = 2;
    pub(super) const GROUP: u32 = 3;
    pub(super) const GROUP_END: u32 = 4;
    pub(super) const FIXED32: u32 = 5;
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// They end too early.
    #[error("it ends in the middle of a field")]
    Cut,
    /// A number, a length or a key that goes on and on.
    #[error("a number has more than 64 bits")]
    Number,
    /// Not the key of a field.
    #[error("{0:#x} is no key of a field")]
    Key(u64),
    /// A field whose value is of another type than the schema says.
    #[error("field {0} has a value of a wrong type")]
    Type(u32),
    /// A text that is none.
    #[error("field {0} is not UTF-8")]
    NotText(u32),
    /// Groups in groups in groups.
    #[error("groups are nested more than {} deep", reader::MAX_DEPTH)]
    TooDeep,
}
