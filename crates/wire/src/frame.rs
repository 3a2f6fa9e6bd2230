//! Frame headers to bytes and back.

use prost::Message as _;

use crate::codec::check_length;
use crate::{DecodeError, FrameHeader, Prefix};

/// Longest encoded [`FrameHeader`], in bytes.
pub const MAX_HEADER: u32 = 1 << 20;

/// Most memories of a frame. GStreamer's buffers have at most 16.
pub const MAX_MEMORIES: usize = 64;

/// Most metas of a frame.
pub const MAX_METAS: usize = 4096;

/// A frame header on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedHeader {
    /// The active message header: the prefix, and the frame header if it has room there.
    pub inline: Vec<u8>,
    /// To be sent behind the memories: the frame header that had no room, or nothing.
    pub trailer: Vec<u8>,
}

/// What an active message header says of a frame that arrives.
#[derive(Clone, Debug, PartialEq)]
pub enum FrameArrival {
    /// All is known and checked; the data is the payload.
    Inline {
        /// The token of the connection.
        token: u64,
        /// What describes the frame.
        header: FrameHeader,
    },
    /// The frame header is at the end of the data: [`decode_trailer`] reads it once it has landed.
    Trailer {
        /// The token of the connection.
        token: u64,
        /// Length of the payload, the first part of the data, in bytes.
        payload_len: u64,
        /// Length of the trailer, the rest of the data, in bytes; at most [`MAX_HEADER`].
        trailer_len: u32,
    },
}

impl FrameHeader {
    /// The header as bytes, for a peer that handed out `token`. `max_inline` is the longest active message header that
    /// the endpoint sends, in bytes.
    pub fn encode_for(&self, token: u64, max_inline: usize) -> EncodedHeader {
        let len = self.encoded_len();
        if Prefix::LEN + len <= max_inline {
            let mut inline = Vec::with_capacity(Prefix::LEN + len);
            inline.extend_from_slice(&Prefix { token, trailer: 0 }.encode());
            // A Vec grows as needed, which is the only way that encoding could fail.
            self.encode_raw(&mut inline);
            EncodedHeader { inline, trailer: Vec::new() }
        } else {
            let trailer = u32::try_from(len).expect("a frame header is shorter than 4 GiB");
            EncodedHeader {
                inline: Prefix { token, trailer }.encode().to_vec(),
                trailer: self.encode_to_vec(),
            }
        }
    }

    /// The header as it stands in a [record](crate::RecordHead), appended to `to`.
    pub fn append_to(&self, to: &mut Vec<u8>) {
        // A Vec grows as needed, which is the only way that encoding could fail.
        self.encode_raw(to);
    }

    /// Checks everything that is read from a peer, but for the metas ([`decode_meta`](crate::decode_meta)): counts, and that
    /// the lengths add up to a payload of `payload_len` bytes.
    pub fn validate(&self, payload_len: u64) -> Result<(), DecodeError> {
        check_count("memories in a frame", self.memories.len(), MAX_MEMORIES)?;
        check_count("metas in a frame", self.metas.len(), MAX_METAS)?;
        let memories = self
            .memories
            .iter()
            .try_fold(0_u64, |sum, len| sum.checked_add(*len))
            .ok_or(DecodeError::MemoriesOverflow)?;
        if memories != payload_len {
            return Err(DecodeError::MemoriesMismatch { memories, payload: payload_len });
        }
        Ok(())
    }
}

/// Reads the header of an [`AM_FRAME`](crate::AM_FRAME) message whose data is `data_len` bytes long.
pub fn decode_frame(am_header: &[u8], data_len: u64) -> Result<FrameArrival, DecodeError> {
    let (Prefix { token, trailer }, rest) = Prefix::decode(am_header)?;
    if trailer == 0 {
        return Ok(FrameArrival::Inline { token, header: decode_trailer(rest, data_len)? });
    }
    if !rest.is_empty() {
        return Err(DecodeError::TwoHeaders { inline: rest.len(), trailer });
    }
    if trailer > MAX_HEADER {
        return Err(DecodeError::TooLong {
            what: "the trailer of a frame",
            len: trailer.into(),
            limit: MAX_HEADER.into(),
        });
    }
    let payload_len = data_len
        .checked_sub(trailer.into())
        .ok_or(DecodeError::TrailerPastData { trailer, data: data_len })?;
    Ok(FrameArrival::Trailer { token, payload_len, trailer_len: trailer })
}

/// Reads the frame header that followed a payload of `payload_len` bytes, and checks it against that length.
pub fn decode_trailer(trailer: &[u8], payload_len: u64) -> Result<FrameHeader, DecodeError> {
    check_length("a frame header", trailer.len(), MAX_HEADER as usize)?;
    let header = FrameHeader::decode(trailer)
        .map_err(|cause| DecodeError::Malformed { what: "a frame header", cause })?;
    header.validate(payload_len)?;
    Ok(header)
}

pub(crate) fn check_count(what: &'static str, count: usize, limit: usize) -> Result<(), DecodeError> {
    if count > limit {
        return Err(DecodeError::TooMany { what, count, limit });
    }
    Ok(())
}
