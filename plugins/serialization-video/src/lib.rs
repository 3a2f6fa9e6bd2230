//! `libnvds_video_metadata_serialization.so`, for pipelines that name it.
//!
//! It exports the two functions that `nvdsmetainsert` and `nvdsmetaextract`, ours or others', call for each buffer. What
//! goes wrong is in GStreamer's log, category `nvdsmetautils`.

use gstnvdsmetautils::{PayloadKind, ffi};

/// Puts a payload with the metadata of `buffer` on it.
///
/// # Safety
///
/// `buffer` is null, or a buffer that nobody else uses during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn serialize_data(buffer: *mut gst::ffi::GstBuffer) {
    // SAFETY: as promised by the caller.
    unsafe { ffi::serialize_data(buffer, PayloadKind::Video) }
}

/// Turns the payload on `buffer` into metadata.
///
/// # Safety
///
/// As of [`serialize_data`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn deserialize_data(buffer: *mut gst::ffi::GstBuffer) {
    // SAFETY: as promised by the caller.
    unsafe { ffi::deserialize_data(buffer) }
}
