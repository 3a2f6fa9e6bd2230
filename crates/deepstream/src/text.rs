//! Texts in DeepStream's memory.

use std::collections::HashMap;
use std::ffi::{CStr, c_char};
use std::ptr;
use std::sync::{LazyLock, Mutex, PoisonError};

use gst::glib::ffi::{g_free, g_intern_string, g_strndup};

use crate::batch::Locked;
use crate::raw;

/// Number of names that are kept for ever: names come from peers, and what is interned is never freed.
const MAX_NAMES: usize = 1024;
/// Length of such a name in bytes.
const MAX_NAME: usize = 127;

/// A C string in a structure of DeepStream's.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Text(*const c_char);

impl Text {
    pub(crate) const NULL: Self = Self(ptr::null());

    /// A copy that the library frees, up to the first NUL; NULL for an empty text.
    pub(crate) fn allocate(text: &str) -> Self {
        let text = until_nul(text.as_bytes());
        if text.is_empty() {
            return Self::NULL;
        }
        // SAFETY: so many bytes are there, none of them NUL.
        Self(unsafe { g_strndup(text.as_ptr().cast(), text.len()) })
    }

    /// One that lives for ever, since the library neither copies nor frees it. It is empty where `name` is too long, or
    /// where there have been too many.
    pub(crate) fn interned(name: &str) -> Self {
        Self(intern(name).as_ptr())
    }

    pub(crate) fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// Frees it: the library allocated it, or would have freed it.
    pub(crate) fn free(self, _: &Locked<'_>) {
        // SAFETY: it is from g_malloc or NULL, and who calls this forgets it.
        unsafe { g_free(self.0.cast_mut().cast()) };
    }

    /// As a string of `limit` bytes at most.
    pub(crate) fn read(self, _: &Locked<'_>, limit: usize) -> String {
        if self.0.is_null() {
            return String::new();
        }
        // SAFETY: the library has NULL here or a string with a NUL at its end, which is not passed.
        let bytes = (0..limit).map(|index| unsafe { self.0.add(index).read() } as u8);
        string(&bytes.take_while(|byte| *byte != 0).collect::<Vec<_>>(), limit)
    }
}

fn intern(name: &str) -> &'static CStr {
    type Names = HashMap<Box<[u8]>, &'static CStr>;
    static NAMES: LazyLock<Mutex<Names>> = LazyLock::new(Mutex::default);

    let name = until_nul(name.as_bytes());
    if name.is_empty() || name.len() > MAX_NAME {
        return c"";
    }
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    if names.len() == MAX_NAMES {
        return c"";
    }
    let terminated: Vec<u8> = name.iter().copied().chain([0]).collect();
    // SAFETY: it ends with a NUL; what comes back lives as long as the process, and does so, too.
    let interned = unsafe { CStr::from_ptr(g_intern_string(terminated.as_ptr().cast())) };
    names.insert(name.into(), interned);
    interned
}

/// The text in an array that a NUL or its end ends.
pub(crate) fn label(array: &[c_char; raw::LABEL]) -> String {
    let bytes = array.map(|byte| byte as u8);
    string(until_nul(&bytes), raw::LABEL - 1)
}

/// An array with as much of `text` as it has room for.
pub(crate) fn label_array(text: &str) -> [c_char; raw::LABEL] {
    let text = &text[..text.floor_char_boundary(raw::LABEL - 1)];
    let mut array = [0; raw::LABEL];
    for (to, from) in array.iter_mut().zip(until_nul(text.as_bytes())) {
        *to = *from as c_char;
    }
    array
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len())]
}

/// What is not UTF-8 is replaced, which takes more room: it is cut again.
fn string(bytes: &[u8], limit: usize) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    text.truncate(text.floor_char_boundary(limit));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_cut_between_characters_and_end_at_a_nul() {
        assert_eq!(label(&label_array("car")), "car");
        assert_eq!(label(&label_array("a\0b")), "a");
        let long = "ä".repeat(100);
        let array = label_array(&long);
        assert_eq!(array[127], 0);
        assert_eq!(label(&array), "ä".repeat(63));
        assert_eq!(label(&[b'x' as c_char; raw::LABEL]), "x".repeat(127));
    }

    #[test]
    fn bytes_that_are_not_utf_8_do_not_make_a_label_longer_than_its_array() {
        let text = label(&[0xFFu8 as c_char; raw::LABEL]);
        assert!(text.len() < raw::LABEL && text.starts_with('\u{FFFD}'), "{text}");
    }

    #[test]
    fn names_are_interned_once_and_not_without_bound() {
        assert_eq!(intern("Serif").as_ptr(), intern("Serif").as_ptr());
        assert_eq!(intern("a\0b"), c"a");
        assert_eq!(intern(&"x".repeat(MAX_NAME + 1)), c"");
        for number in 0..=MAX_NAMES {
            intern(&format!("name {number}"));
        }
        assert_eq!(intern("one too many"), c"");
        assert_eq!(intern("Serif"), c"Serif");
    }
}
