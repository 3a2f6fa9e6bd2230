//! Bytes to fields, each function with the name of a field's type in a schema.
//!
//! What holds what is left goes from hand to hand by value, so that it stays in registers.

use super::{Malformed, wire_type};

/// How deep groups may be nested, as deep as Google's protobuf allows.
pub(super) const MAX_DEPTH: u32 = 100;

/// Longest varint, in bytes.
const MAX_VARINT: usize = 10;

/// The longest that is common: what no tracker follows has this number.
const ALL_ONES: [u8; MAX_VARINT] = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1];

/// The rest of a message.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

/// What stands before a value: whoever has it reads the value, or skips it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(u32);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The key of the next field, or none at the end.
    #[inline(always)]
    pub(crate) fn key(&mut self) -> Result<Option<Key>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let (key, rest) = key(self.0)?;
        self.0 = rest;
        Ok(Some(key))
    }

    /// How many fields of that number there are.
    pub(crate) fn count(mut self, number: u32) -> Result<usize, Malformed> {
        let mut count = 0;
        while let Some(key) = self.key()? {
            self.skip(key)?;
            count += usize::from(key.number() == number);
        }
        Ok(count)
    }

    #[inline(always)]
    pub(crate) fn uint64(&mut self, key: Key) -> Result<u64, Malformed> {
        key.expect(wire_type::VARINT)?;
        self.varint()
    }

    /// Bits that are too many are cut off, here as anywhere.
    #[inline(always)]
    pub(crate) fn uint32(&mut self, key: Key) -> Result<u32, Malformed> {
        Ok(self.uint64(key)? as u32)
    }

    #[inline(always)]
    pub(crate) fn int32(&mut self, key: Key) -> Result<i32, Malformed> {
        Ok(self.uint64(key)? as i32)
    }

    #[inline(always)]
    pub(crate) fn sint32(&mut self, key: Key) -> Result<i32, Malformed> {
        let value = self.uint32(key)?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    #[inline(always)]
    pub(crate) fn bool(&mut self, key: Key) -> Result<bool, Malformed> {
        Ok(self.uint64(key)? != 0)
    }

    #[inline(always)]
    pub(crate) fn float(&mut self, key: Key) -> Result<f32, Malformed> {
        key.expect(wire_type::FIXED32)?;
        Ok(f32::from_le_bytes(*self.array()?))
    }

    #[inline(always)]
    pub(crate) fn double(&mut self, key: Key) -> Result<f64, Malformed> {
        key.expect(wire_type::FIXED64)?;
        Ok(f64::from_le_bytes(*self.array()?))
    }

    #[inline(always)]
    pub(crate) fn string(&mut self, key: Key) -> Result<&'a str, Malformed> {
        let bytes = self.bytes(key)?;
        std::str::from_utf8(bytes).map_err(|_| Malformed::NotText(key.number()))
    }

    #[inline(always)]
    pub(crate) fn message(&mut self, key: Key) -> Result<Self, Malformed> {
        Ok(Self(self.bytes(key)?))
    }

    /// A packed list, or one of a list: a [`varint`](Self::varint) after the other.
    #[inline(always)]
    pub(crate) fn int64s(&mut self, key: Key) -> Result<Self, Malformed> {
        if key.wire_type() != wire_type::VARINT {
            return self.message(key);
        }
        let before = self.0;
        self.varint()?;
        Ok(Self(&before[..before.len() - self.0.len()]))
    }

    /// A packed list, or one of a list.
    pub(crate) fn floats(&mut self, key: Key) -> Result<impl Iterator<Item = f32> + use<'a>, Malformed> {
        let (floats, rest) = match key.wire_type() {
            wire_type::FIXED32 => (std::slice::from_ref(self.array()?), &[][..]),
            _ => self.bytes(key)?.as_chunks(),
        };
        if !rest.is_empty() {
            return Err(Malformed::Cut);
        }
        Ok(floats.iter().map(|bytes| f32::from_le_bytes(*bytes)))
    }

    /// A value whatever it is.
    #[inline]
    pub(crate) fn skip(&mut self, key: Key) -> Result<(), Malformed> {
        self.0 = skip(self.0, key, MAX_DEPTH)?;
        Ok(())
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    #[inline(always)]
    pub(crate) fn is_just(self, bytes: &[u8]) -> bool {
        self.0 == bytes
    }

    #[inline(always)]
    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let (value, rest) = varint(self.0)?;
        self.0 = rest;
        Ok(value)
    }

    #[inline(always)]
    fn bytes(&mut self, key: Key) -> Result<&'a [u8], Malformed> {
        key.expect(wire_type::BYTES)?;
        let (bytes, rest) = bytes(self.0)?;
        self.0 = rest;
        Ok(bytes)
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        let (array, rest) = self.0.split_first_chunk().ok_or(Malformed::Cut)?;
        self.0 = rest;
        Ok(array)
    }
}

impl Key {
    #[inline(always)]
    pub(crate) fn number(self) -> u32 {
        self.0 >> 3
    }

    #[inline(always)]
    fn wire_type(self) -> u32 {
        self.0 & 0b111
    }

    #[inline(always)]
    fn expect(self, wire_type: u32) -> Result<(), Malformed> {
        if self.wire_type() == wire_type { Ok(()) } else { Err(Malformed::Type(self.number())) }
    }
}

/// What stands behind a value.
fn skip(from: &[u8], key: Key, depth: u32) -> Result<&[u8], Malformed> {
    let depth = depth.checked_sub(1).ok_or(Malformed::TooDeep)?;
    match key.wire_type() {
        _ if key.number() == 0 => Err(Malformed::Key(key.0.into())),
        wire_type::VARINT => Ok(varint(from)?.1),
        wire_type::FIXED64 => from.get(8..).ok_or(Malformed::Cut),
        wire_type::BYTES => Ok(bytes(from)?.1),
        wire_type::FIXED32 => from.get(4..).ok_or(Malformed::Cut),
        wire_type::GROUP => {
            let end = Key(key.number() << 3 | wire_type::GROUP_END);
            let mut rest = from;
            loop {
                let (inner, value) = self::key(rest)?;
                if inner == end {
                    return Ok(value);
                }
                rest = skip(value, inner, depth)?;
            }
        }
        // The end of a group that did not begin, or nothing that is known.
        _ => Err(Malformed::Key(key.0.into())),
    }
}

/// Number 0 is no field's: it is refused where it is skipped.
#[inline(always)]
fn key(from: &[u8]) -> Result<(Key, &[u8]), Malformed> {
    let (key, rest) = varint(from)?;
    Ok((Key(u32::try_from(key).map_err(|_| Malformed::Key(key))?), rest))
}

#[inline(always)]
fn bytes(from: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (len, rest) = varint(from)?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    rest.split_at_checked(len).ok_or(Malformed::Cut)
}

#[inline(always)]
fn varint(from: &[u8]) -> Result<(u64, &[u8]), Malformed> {
    match from {
        [byte @ ..0x80, rest @ ..] => Ok(((*byte).into(), rest)),
        [low, high @ ..0x80, rest @ ..] => Ok((u64::from(low & 0x7F) | u64::from(*high) << 7, rest)),
        _ => long_varint(from),
    }
}

fn long_varint(from: &[u8]) -> Result<(u64, &[u8]), Malformed> {
    if let Some(rest) = from.strip_prefix(&ALL_ONES) {
        return Ok((u64::MAX, rest));
    }
    let mut value = 0;
    for (index, byte) in from.iter().enumerate() {
        // Nine times seven bits, and then there is room for one more.
        if index == MAX_VARINT - 1 && *byte > 1 {
            return Err(Malformed::Number);
        }
        value |= u64::from(byte & 0x7F) << (7 * index);
        if *byte < 0x80 {
            return Ok((value, &from[index + 1..]));
        }
    }
    Err(Malformed::Cut)
}
