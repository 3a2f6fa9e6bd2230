//! A meta of this program's own: nobody else knows what is in it, so it cannot travel.

use std::sync::OnceLock;

use gst::ffi;
use gst::glib::ffi::{GFALSE, GTRUE, gboolean, gpointer};

/// The only meta of its kind that there is at a time; what is in it does not matter.
pub(super) fn attach(buffer: &mut gst::BufferRef) {
    static INFO: OnceLock<usize> = OnceLock::new();
    let info = *INFO.get_or_init(|| register() as usize) as *const ffi::GstMetaInfo;
    // SAFETY: the buffer is writable, as it is borrowed mutably, and GStreamer keeps what it has registered for ever.
    let meta = unsafe { ffi::gst_buffer_add_meta(buffer.as_mut_ptr(), info, std::ptr::null_mut()) };
    assert!(!meta.is_null(), "the meta cannot be attached");
}

fn register() -> *const ffi::GstMetaInfo {
    let mut tags = [std::ptr::null()];
    // SAFETY: the names and the list end with a zero, and the functions are of the types that GStreamer calls.
    unsafe {
        let api = ffi::gst_meta_api_type_register(c"NvdsucxTestForeignMetaAPI".as_ptr(), tags.as_mut_ptr());
        ffi::gst_meta_register(
            api,
            c"NvdsucxTestForeignMeta".as_ptr(),
            size_of::<ffi::GstMeta>(),
            Some(init),
            None,
            Some(transform),
        )
    }
}

unsafe extern "C" fn init(_: *mut ffi::GstMeta, _: gpointer, _: *mut ffi::GstBuffer) -> gboolean {
    GTRUE
}

/// It stays with its buffer.
unsafe extern "C" fn transform(
    _: *mut ffi::GstBuffer,
    _: *mut ffi::GstMeta,
    _: *mut ffi::GstBuffer,
    _: gst::glib::ffi::GQuark,
    _: gpointer,
) -> gboolean {
    GFALSE
}
