//! Labels as GLib keeps them: quarks.

use std::ffi::CStr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use gst::glib::translate::IntoGlib;
use gst::glib::{self, Quark};

use crate::Error;

/// Most labels that a process takes in which it did not have already. GLib keeps each for as long as the process
/// lives, so that a peer could fill the memory with ever new ones.
pub const MAX_NEW_LABELS: usize = 1 << 14;

static NEW_LABELS: AtomicUsize = AtomicUsize::new(0);

/// The quark of `label`, which has no NUL in it; 0 for an empty one.
pub(super) fn to_quark(label: &str) -> Result<glib::ffi::GQuark, Error> {
    if label.is_empty() {
        return Ok(0);
    }
    if let Some(quark) = Quark::try_from_str(label) {
        return Ok(quark.into_glib());
    }
    let full = Error::Labels { limit: MAX_NEW_LABELS };
    NEW_LABELS
        .fetch_update(Relaxed, Relaxed, |count| (count < MAX_NEW_LABELS).then_some(count + 1))
        .map_err(|_| full)?;
    Ok(Quark::from_str(label).into_glib())
}

/// The label that `quark` stands for; empty for 0.
pub(super) fn from_quark(quark: glib::ffi::GQuark) -> String {
    // SAFETY: any number may be asked for. The text of a quark lives for ever.
    let text = unsafe {
        let text = glib::ffi::g_quark_to_string(quark);
        if text.is_null() { c"" } else { CStr::from_ptr(text) }
    };
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_takes_in_so_many_labels_and_no_more() {
        assert_eq!(to_quark(""), Ok(0));
        for number in 0..MAX_NEW_LABELS {
            let label = format!("label {number}");
            assert_eq!(from_quark(to_quark(&label).unwrap()), label);
        }
        assert_eq!(to_quark("one more"), Err(Error::Labels { limit: MAX_NEW_LABELS }));
        assert_eq!(from_quark(to_quark("label 3").unwrap()), "label 3");
    }
}
