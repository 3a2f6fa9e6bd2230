//! Values that several messages have.

use crate::Error;
use crate::limits::{Counted, Tally, at_most};
use crate::protobuf::Reader;

/// A text that NVIDIA's schema has and ours, too.
#[derive(Default)]
pub(super) struct Text<'a> {
    pub(super) ours: &'a str,
    pub(super) theirs: &'a str,
}

impl<'a> Text<'a> {
    /// Empty if there is none.
    #[inline(always)]
    pub(super) fn found(self) -> &'a str {
        if self.ours.is_empty() { self.theirs } else { self.ours }
    }

    /// Nothing is done if there is none.
    #[inline(always)]
    pub(super) fn finish(self, text: &mut String) {
        let found = self.found();
        if !found.is_empty() {
            *text = found.into();
        }
    }
}

/// A list of four, of which the last may be missing.
#[derive(Default)]
pub(super) struct Four {
    pub(super) numbers: [i64; 4],
    count: usize,
}

impl Four {
    pub(super) fn read(&mut self, mut from: Reader<'_>) -> Result<(), Error> {
        // Four zeros in general.
        if self.count == 0 && from.is_just(&[0; 4]) {
            self.count = 4;
            return Ok(());
        }
        while !from.is_empty() {
            let number = from.varint()?.cast_signed();
            at_most("numbers in a list of four", self.count + 1, self.numbers.len())?;
            self.numbers[self.count] = number;
            self.count += 1;
        }
        Ok(())
    }
}

/// Nobody needs the number of a meta: which one it is, its place says.
pub(super) fn base(mut from: Reader<'_>) -> Result<(), Error> {
    while let Some(key) = from.key()? {
        match key.number() {
            1 => _ = from.uint32(key)?,
            _ => from.skip(key)?,
        }
    }
    Ok(())
}

/// A new last one in a list, counted before there is room for it.
#[inline(always)]
pub(super) fn one_more<'l, T: Default>(
    list: &'l mut Vec<T>,
    what: Counted,
    tally: &mut Tally,
) -> Result<&'l mut T, Error> {
    tally.add(what, 1)?;
    let last = list.len();
    match last {
        // Many lists have one, and would get room for more.
        0 => *list = vec![T::default()],
        _ => list.push(T::default()),
    }
    Ok(&mut list[last])
}
