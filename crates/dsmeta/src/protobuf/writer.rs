//! Fields to bytes, each function with the name of a field's type in a schema.
//!
//! As proto3 has it, what has its default value is not written.

use super::wire_type;

/// Longest varint, in bytes.
const MAX_VARINT: usize = 10;

/// A message that is being written.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// With room for that many bytes at first.
    pub(crate) fn new(room: usize) -> Self {
        Self(Vec::with_capacity(room))
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    #[inline]
    pub(crate) fn uint32(&mut self, number: u32, value: u32) {
        self.uint64(number, value.into());
    }

    #[inline]
    pub(crate) fn uint64(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.number(number, value);
        }
    }

    /// Has ten bytes if it is negative, as if it had 64 bits.
    #[inline]
    pub(crate) fn int32(&mut self, number: u32, value: i32) {
        self.uint64(number, i64::from(value).cast_unsigned());
    }

    #[inline]
    pub(crate) fn sint32(&mut self, number: u32, value: i32) {
        self.uint32(number, ((value << 1) ^ (value >> 31)).cast_unsigned());
    }

    #[inline]
    pub(crate) fn bool(&mut self, number: u32, value: bool) {
        self.uint64(number, value.into());
    }

    /// Is written even if it is 0.
    #[inline]
    pub(crate) fn optional_uint32(&mut self, number: u32, value: Option<u32>) {
        if let Some(value) = value {
            self.number(number, value.into());
        }
    }

    #[inline]
    pub(crate) fn float(&mut self, number: u32, value: f32) {
        if value != 0.0 {
            self.key(number, wire_type::FIXED32);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    #[inline]
    pub(crate) fn double(&mut self, number: u32, value: f64) {
        if value != 0.0 {
            self.key(number, wire_type::FIXED64);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    #[inline]
    pub(crate) fn string(&mut self, number: u32, value: &str) {
        if !value.is_empty() {
            self.repeated_string(number, value);
        }
    }

    /// One string of a list.
    #[inline]
    pub(crate) fn repeated_string(&mut self, number: u32, value: &str) {
        self.key(number, wire_type::BYTES);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value.as_bytes());
    }

    /// A packed list.
    #[inline]
    pub(crate) fn int64s(&mut self, number: u32, values: &[i64]) {
        self.non_empty(number, |list| {
            values.iter().for_each(|value| list.varint(value.cast_unsigned()));
        });
    }

    /// A packed list.
    pub(crate) fn floats(&mut self, number: u32, values: &[f32]) {
        if !values.is_empty() {
            self.key(number, wire_type::BYTES);
            self.varint(size_of_val(values) as u64);
            self.0.reserve(size_of_val(values));
            values.iter().for_each(|value| self.0.extend_from_slice(&value.to_le_bytes()));
        }
    }

    /// A message, or one of a list.
    #[inline]
    pub(crate) fn message(&mut self, number: u32, content: impl FnOnce(&mut Self)) {
        self.key(number, wire_type::BYTES);
        // Most lengths have one byte.
        self.0.push(0);
        let start = self.0.len();
        content(self);
        let len = self.0.len() - start;
        match u8::try_from(len) {
            Ok(len) if len < 0x80 => self.0[start - 1] = len,
            _ => self.insert_length(start, len),
        }
    }

    /// A message, unless reading none amounts to the same.
    #[inline]
    pub(crate) fn non_empty(&mut self, number: u32, content: impl FnOnce(&mut Self)) {
        let before = self.0.len();
        self.message(number, content);
        // There is nothing behind the key and a length of one byte.
        if self.0.len() == before + key_len(number) + 1 {
            self.0.truncate(before);
        }
    }

    /// Makes room for a length of more than the one byte before `start`.
    fn insert_length(&mut self, start: usize, len: usize) {
        let (length, bytes) = varint(len as u64);
        self.0.resize(start + len + bytes - 1, 0);
        self.0.copy_within(start..start + len, start + bytes - 1);
        self.0[start - 1..][..bytes].copy_from_slice(&length[..bytes]);
    }

    #[inline]
    fn number(&mut self, number: u32, value: u64) {
        self.key(number, wire_type::VARINT);
        self.varint(value);
    }

    #[inline(always)]
    fn key(&mut self, number: u32, wire_type: u32) {
        self.varint((number << 3 | wire_type).into());
    }

    #[inline(always)]
    fn varint(&mut self, value: u64) {
        if value < 0x80 {
            self.0.push(value as u8);
            return;
        }
        let (bytes, len) = varint(value);
        let end = self.0.len() + len;
        // Always the same number of bytes is written faster.
        self.0.extend_from_slice(&bytes);
        self.0.truncate(end);
    }
}

#[inline(always)]
fn varint(mut value: u64) -> ([u8; MAX_VARINT], usize) {
    let mut bytes = [0; MAX_VARINT];
    let mut len = 0;
    while value >= 0x80 {
        bytes[len] = value as u8 | 0x80;
        value >>= 7;
        len += 1;
    }
    bytes[len] = value as u8;
    (bytes, len + 1)
}

#[inline(always)]
const fn key_len(number: u32) -> usize {
    if number < 1 << 4 { 1 } else { 2 }
}
