//! What has no safe binding: buffers that come over a C interface, and regions without a type.

use std::borrow::Cow;
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use gst::glib::Quark;
use gst::glib::translate::IntoGlib;
use gst::prelude::*;
use gst_video::VideoRegionOfInterestMeta;

use crate::{CAT, PayloadKind};

/// Name of the type of `region`, empty if it has none.
pub(crate) fn region_type(region: &gst::MetaRef<'_, VideoRegionOfInterestMeta>) -> Cow<'static, str> {
    // SAFETY: the reference is to such a meta. Quark 0 has no string; strings of the others live for ever.
    unsafe {
        let name = gst::glib::ffi::g_quark_to_string((*region.as_ptr()).roi_type);
        if name.is_null() { Cow::Borrowed("") } else { CStr::from_ptr(name).to_string_lossy() }
    }
}

/// Adds a region of interest of this type, at `x`, `y`, with width and height.
pub(crate) fn add_region(
    buffer: &mut gst::BufferRef,
    roi_type: Quark,
    (x, y, width, height): (u32, u32, u32, u32),
) -> gst::MetaRefMut<'_, VideoRegionOfInterestMeta, gst::meta::Standalone> {
    // SAFETY: the buffer is borrowed mutably, and a quark that there is names the type.
    unsafe {
        let meta = gst_video::ffi::gst_buffer_add_video_region_of_interest_meta_id(
            buffer.as_mut_ptr(),
            roi_type.into_glib(),
            x,
            y,
            width,
            height,
        );
        VideoRegionOfInterestMeta::from_mut_ptr(buffer, meta)
    }
}

/// What `serialize_data` of a serialisation library does.
///
/// # Safety
///
/// `buffer` is null, or a buffer that nobody else uses during the call.
pub unsafe fn serialize_data(buffer: *mut gst::ffi::GstBuffer, kind: PayloadKind) {
    // SAFETY: as promised by the caller.
    unsafe { with_buffer(buffer, |buffer| crate::serialize(buffer, &kind.into())) }
}

/// What `deserialize_data` of a serialisation library does.
///
/// # Safety
///
/// As of [`serialize_data`].
pub unsafe fn deserialize_data(buffer: *mut gst::ffi::GstBuffer) {
    // SAFETY: as promised by the caller.
    unsafe { with_buffer(buffer, |buffer| crate::deserialize(buffer, false)) }
}

/// Calls `work` with `buffer`. What goes wrong is in the log: the interface has no place for it.
///
/// # Safety
///
/// As of [`serialize_data`].
unsafe fn with_buffer(
    buffer: *mut gst::ffi::GstBuffer,
    work: impl FnOnce(&mut gst::BufferRef) -> Result<(), crate::Error>,
) {
    // A panic must not reach the C code that called.
    let done = catch_unwind(AssertUnwindSafe(|| {
        if let Err(err) = gst::init() {
            eprintln!("the serialisation library cannot use GStreamer: {err}");
            return;
        }
        // SAFETY: a buffer, or null, as promised by the caller.
        if buffer.is_null() || unsafe { gst::ffi::gst_mini_object_is_writable(buffer.cast()) } == 0 {
            gst::error!(CAT, "the serialisation library was called without a buffer that is writable");
            return;
        }
        // SAFETY: it is a writable buffer that nobody else uses.
        let buffer = unsafe { gst::BufferRef::from_mut_ptr(buffer) };
        if let Err(err) = work(buffer) {
            gst::warning!(CAT, "{err}");
        }
    }));
    if let Err(panic) = done {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason");
        gst::error!(CAT, "the serialiser panicked: {text}. The buffer may have part of its metadata");
    }
}

#[cfg(test)]
mod tests {
    use gst::glib::translate::IntoGlibPtr;

    use super::*;

    #[test]
    fn a_panic_does_not_leave_the_library() {
        gst::init().unwrap();
        let buffer = gst::Buffer::new().into_glib_ptr();
        let mut called = false;
        // SAFETY: a buffer of this test alone.
        unsafe {
            with_buffer(buffer, |_| {
                called = true;
                panic!("as intended")
            });
            gst::ffi::gst_mini_object_unref(buffer.cast());
        }
        assert!(called);
    }

    #[test]
    fn without_a_writable_buffer_nothing_is_done() {
        gst::init().unwrap();
        let buffer = gst::Buffer::new();
        let other = buffer.clone();
        for pointer in [std::ptr::null_mut(), other.as_mut_ptr()] {
            let mut called = false;
            // SAFETY: null, or a buffer that nobody looks at during the call.
            unsafe {
                with_buffer(pointer, |_| {
                    called = true;
                    Ok(())
                });
            }
            assert!(!called);
        }
        drop(buffer);
    }

    #[test]
    fn a_region_may_have_no_type() {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::new();
        // SAFETY: the buffer is writable, and 0 the quark of no string.
        unsafe {
            let buffer = buffer.make_mut().as_mut_ptr();
            gst_video::ffi::gst_buffer_add_video_region_of_interest_meta_id(buffer, 0, 1, 2, 3, 4);
        }
        crate::serialize(buffer.make_mut(), &PayloadKind::Video.into()).unwrap();
        crate::deserialize(buffer.make_mut(), false).unwrap();
        let regions: Vec<_> = buffer.iter_meta::<VideoRegionOfInterestMeta>().collect();
        assert_eq!((regions.len(), region_type(&regions[0]).as_ref()), (1, ""));
    }
}
