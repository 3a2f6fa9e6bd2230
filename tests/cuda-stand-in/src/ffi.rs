//! Types of `cuda.h` that functions take. Only callers in C make them.

use std::ffi::{CStr, c_char, c_int, c_uint};
use std::{ptr, slice};

use crate::error::{Error, Result};

/// A context, stream or event: nothing is there, but it is never 0.
pub(crate) type Handle = usize;
/// Of a GPU's memory or the CPU's.
pub(crate) type Address = usize;

/// Where the caller wants a `T`: NULL, or room for one.
#[repr(transparent)]
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    pub(crate) fn put(self, value: T) -> Result<()> {
        if self.0.is_null() { Err(Error::InvalidValue) } else { self.put_if_wanted(value) }
    }

    /// For what the caller may leave out.
    pub(crate) fn put_if_wanted(self, value: T) -> Result<()> {
        if !self.0.is_null() {
            // SAFETY: there is room, as `cuda.h` demands.
            unsafe { self.0.write_unaligned(value) };
        }
        Ok(())
    }
}

impl Out<c_char> {
    /// Puts as much of `text` there as goes into `len` bytes with the one at its end.
    pub(crate) fn put_text(self, len: c_int, text: &str) -> Result<()> {
        let room = usize::try_from(len).ok().and_then(|len| len.checked_sub(1)).ok_or(Error::InvalidValue)?;
        let count = text.len().min(room);
        // SAFETY: there is room for `len` bytes, as `cuda.h` demands.
        unsafe {
            ptr::copy_nonoverlapping(text.as_ptr(), self.0.cast(), count);
            self.0.add(count).write(0);
        }
        Ok(())
    }
}

/// Where the caller wants an attribute, as long as that attribute is.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Untyped(*mut u8);

impl Untyped {
    /// Puts the first `len` bytes of `value` there.
    pub(crate) fn put(self, value: u64, len: usize) {
        // SAFETY: there is room for the attribute, as `cuda.h` demands.
        unsafe { ptr::copy_nonoverlapping(value.to_le_bytes().as_ptr(), self.0, len) };
    }
}

/// Values that the caller has in a row.
#[repr(transparent)]
pub(crate) struct Array<T>(*const T);

impl<T: Copy> Array<T> {
    pub(crate) fn get(&self, count: usize) -> &[T] {
        // SAFETY: there are as many, as `cuda.h` demands.
        if count == 0 { &[] } else { unsafe { slice::from_raw_parts(self.0, count) } }
    }
}

/// `CUstreamCallback`.
pub(crate) type Callback = extern "C" fn(Handle, c_int, *mut u8);

/// A text of ours.
pub(crate) type Text = *const c_char;

pub(crate) fn text(text: Option<&'static CStr>) -> Result<Text> {
    text.map(CStr::as_ptr).ok_or(Error::InvalidValue)
}

/// `CUipcMemHandle`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct IpcHandle([u8; 64]);

impl IpcHandle {
    pub(crate) fn new(words: [u64; 8]) -> Self {
        let mut bytes = [0; 64];
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Self(bytes)
    }

    pub(crate) fn words(self) -> [u64; 8] {
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(self.0.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        words
    }
}

/// One end of a [`Copy2d`].
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Copy2dEnd {
    pub(crate) x: usize,
    pub(crate) y: usize,
    /// `CUmemorytype`: 1 for the CPU's, 2 for the GPU's.
    pub(crate) kind: c_uint,
    pub(crate) host: Address,
    pub(crate) device: Address,
    pub(crate) array: Address,
    pub(crate) pitch: usize,
}

/// `CUDA_MEMCPY2D`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Copy2d {
    pub(crate) from: Copy2dEnd,
    pub(crate) to: Copy2dEnd,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

const _: () = assert!(size_of::<Copy2d>() == 128);
