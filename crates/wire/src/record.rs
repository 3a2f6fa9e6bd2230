//! Records: how frames and events stand in a ring in shared memory.
//!
//! A record begins with a fixed part, all of it little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 0 to 3 | length of the whole record in bytes, a multiple of 8 |
//! | 4 | [kind](RecordKind) |
//! | 5 | 1: the head is not in the record but where the last span is; 0 otherwise |
//! | 6, 7 | number of spans |
//! | 8 to 11 | slot to be released when the last span is let go of; 0xffffffff: none |
//! | 12 to 15 | length of the head in bytes |
//! | 16 to 19 | length of the payload in the record, in bytes |
//! | 20 to 23 | a frame: when it was written, by the sender's clock, in units of 1024 ns, modulo 2^32; otherwise 0 |
//!
//! It is followed by the spans (memory id, 4 bytes; 0, 4 bytes; offset, 8 bytes; length, 8 bytes), the head (a `FrameHeader`
//! or a `StreamEvent`) and the payload, each of the last two filled up to a multiple of 8 bytes. A frame's payload is either in
//! the record or in the spans, one for each memory.

use crate::DecodeError;

/// Most spans of a record.
pub const MAX_SPANS: usize = crate::MAX_MEMORIES + 1;

/// A slot that there is not.
const NO_SLOT: u32 = u32::MAX;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// Nothing: the rest of the ring is too short for the next record.
    Pad = 0,
    /// An event; the head is a `StreamEvent`.
    Event = 1,
    /// A frame; the head is a `FrameHeader`.
    Frame = 2,
}

/// A part of shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Which memory.
    pub memory: u32,
    /// Where in it, in bytes.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
}

impl Span {
    /// Length of an encoded span, in bytes.
    pub const LEN: usize = 24;

    /// The span as bytes.
    pub fn encode(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&self.memory.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.offset.to_le_bytes());
        bytes[16..].copy_from_slice(&self.len.to_le_bytes());
        bytes
    }

    /// The span that these bytes are.
    pub fn decode(bytes: &[u8; Self::LEN]) -> Self {
        let [m0, m1, m2, m3, ..] = *bytes;
        let (_, words) = bytes.split_at(8);
        let word = |at: usize| words[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        Self { memory: u32::from_le_bytes([m0, m1, m2, m3]), offset: word(0), len: word(8) }
    }
}

/// The fixed part of a record, checked: everything it names is within the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// What it is.
    pub kind: RecordKind,
    /// The head is not in the record but where the last span is.
    pub spilled: bool,
    /// Number of spans.
    pub spans: u16,
    /// To be released when the spans are let go of.
    pub slot: Option<u32>,
    /// Length of the head in the record, in bytes.
    pub head_len: u32,
    /// Length of the payload in the record, in bytes.
    pub payload_len: u32,
    /// Length of the whole record, in bytes.
    pub len: u32,
    /// When a frame was written, by the sender's clock.
    pub written: u32,
}

impl RecordHead {
    /// Length of the fixed part, in bytes.
    pub const LEN: usize = 24;

    /// What fills the rest of a ring: `len` bytes, a multiple of 8.
    pub const fn pad(len: u32) -> Self {
        let (kind, spilled, slot) = (RecordKind::Pad, false, None);
        Self { kind, spilled, spans: 0, slot, head_len: 0, payload_len: 0, len, written: 0 }
    }

    /// The record with these parts; `None` if it would be longer than 4 GiB, or has too many spans.
    pub fn new(
        kind: RecordKind,
        slot: Option<u32>,
        spans: usize,
        spilled: bool,
        head_len: usize,
        payload_len: usize,
    ) -> Option<Self> {
        let len = end(spans, head_len, payload_len)?;
        (spans <= MAX_SPANS).then_some(Self {
            kind,
            spilled,
            spans: u16::try_from(spans).ok()?,
            slot,
            head_len: u32::try_from(head_len).ok()?,
            payload_len: u32::try_from(payload_len).ok()?,
            len: u32::try_from(len).ok()?,
            written: 0,
        })
    }

    /// Where the head begins: behind the spans.
    pub fn head_start(&self) -> usize {
        Self::LEN + usize::from(self.spans) * Span::LEN
    }

    /// Where the payload begins.
    pub fn payload_start(&self) -> usize {
        // Checked when the record was made or read.
        self.head_start() + padded(self.head_len as usize).unwrap_or(usize::MAX)
    }

    /// The fixed part as bytes.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&self.len.to_le_bytes());
        bytes[4] = self.kind as u8;
        bytes[5] = self.spilled.into();
        bytes[6..8].copy_from_slice(&self.spans.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.slot.unwrap_or(NO_SLOT).to_le_bytes());
        bytes[12..16].copy_from_slice(&self.head_len.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.payload_len.to_le_bytes());
        bytes[20..].copy_from_slice(&self.written.to_le_bytes());
        bytes
    }

    /// Reads the fixed part of a record of which `available` bytes are there.
    pub fn decode(bytes: &[u8; Self::LEN], available: u64) -> Result<Self, DecodeError> {
        let word = |at: usize| bytes[at..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
        let kind = match bytes[4] {
            0 => RecordKind::Pad,
            1 => RecordKind::Event,
            2 => RecordKind::Frame,
            other => return Err(out_of_range("the kind of a record", other.into(), 0, 2)),
        };
        let head = Self {
            kind,
            spilled: bytes[5] != 0,
            spans: u16::from_le_bytes([bytes[6], bytes[7]]),
            slot: Some(word(8)).filter(|slot| *slot != NO_SLOT),
            head_len: word(12),
            payload_len: word(16),
            len: word(0),
            written: word(20),
        };
        let spans = usize::from(head.spans);
        if spans > MAX_SPANS || (head.spilled && spans == 0) {
            let least = u64::from(head.spilled);
            return Err(out_of_range("the spans of a record", spans as u64, least, MAX_SPANS as u64));
        }
        let least = match kind {
            RecordKind::Pad => Some(8),
            _ => end(spans, head.head_len as usize, head.payload_len as usize).map(|len| len as u64),
        };
        let len = u64::from(head.len);
        if len % 8 != 0 || len > available || least.is_none_or(|least| len < least) {
            let least = least.unwrap_or(u64::MAX);
            return Err(out_of_range("the length of a record", len, least, available));
        }
        Ok(head)
    }
}

fn out_of_range(what: &'static str, value: u64, min: u64, max: u64) -> DecodeError {
    DecodeError::OutOfRange { what, value, min, max }
}

fn padded(len: usize) -> Option<usize> {
    len.checked_next_multiple_of(8)
}

fn end(spans: usize, head_len: usize, payload_len: usize) -> Option<usize> {
    let parts = [spans.checked_mul(Span::LEN)?, padded(head_len)?, padded(payload_len)?];
    parts.iter().try_fold(RecordHead::LEN, |sum, part| sum.checked_add(*part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> RecordHead {
        let head = RecordHead::new(RecordKind::Frame, Some(7), 2, false, 13, 64).unwrap();
        RecordHead { written: 0xfedc_ba98, ..head }
    }

    #[test]
    fn what_is_written_is_read() {
        let head = frame();
        assert_eq!(head.len as usize, 24 + 2 * 24 + 16 + 64);
        assert_eq!((head.head_start(), head.payload_start()), (72, 88));
        assert_eq!(RecordHead::decode(&head.encode(), head.len.into()), Ok(head));
        let pad = RecordHead::pad(8);
        assert_eq!(RecordHead::decode(&pad.encode(), 8), Ok(pad));
        let span = Span { memory: 3, offset: 1 << 40, len: 5 };
        assert_eq!(Span::decode(&span.encode()), span);
    }

    #[test]
    fn what_reaches_out_of_the_record_is_refused() {
        let good = frame().encode();
        assert!(RecordHead::decode(&good, 151).is_err(), "more than there is");
        let changed = |at: usize, to: u8| {
            let mut bytes = good;
            bytes[at] = to;
            RecordHead::decode(&bytes, 1 << 20)
        };
        assert!(changed(0, 144).is_err(), "shorter than its parts");
        assert!(changed(0, 153).is_err(), "no multiple of 8");
        assert!(changed(4, 3).is_err(), "no such kind");
        assert!(changed(7, 1).is_err(), "too many spans");
        assert!(changed(15, 255).is_err(), "a longer head");
        assert!(changed(19, 255).is_err(), "a longer payload");
        let spilled = RecordHead::new(RecordKind::Event, Some(0), 0, true, 0, 0).unwrap();
        assert!(RecordHead::decode(&spilled.encode(), 1 << 20).is_err(), "a head that is nowhere");
        assert!(RecordHead::decode(&[0; RecordHead::LEN], 1 << 20).is_err(), "a record without length");
    }
}
