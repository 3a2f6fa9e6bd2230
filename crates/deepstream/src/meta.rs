//! The `NvDsMeta` of a buffer, without the library: it is the same in all releases.

use std::mem::size_of;
use std::ptr::{self, NonNull};

use gst::ffi::gst_buffer_iterate_meta_filtered;
use gst::glib::ffi::GType;
use gst::glib::gobject_ffi::g_type_from_name;

use crate::raw;

/// The type `NvDsMetaAPI`, if this process has it: otherwise no buffer can have the meta.
pub(crate) fn api() -> Option<GType> {
    // SAFETY: the name ends with a NUL.
    let api = unsafe { g_type_from_name(c"NvDsMetaAPI".as_ptr()) };
    (api != 0).then_some(api)
}

/// The `NvDsBatchMeta` of `buffer`: the last, as DeepStream's own function has it. It lives as long as the buffer.
pub(crate) fn batch_of(buffer: &gst::BufferRef) -> Option<NonNull<raw::Batch>> {
    let api = api()?;
    let mut batch = None;
    let mut state = ptr::null_mut();
    // SAFETY: the buffer lives, and asking for its metas does not change it. A meta of this API and size is an NvDsMeta.
    unsafe {
        loop {
            let meta = gst_buffer_iterate_meta_filtered(buffer.as_ptr().cast_mut(), &mut state, api);
            if meta.is_null() {
                return batch;
            }
            if (*(*meta).info).size == size_of::<raw::Meta>() {
                let meta = meta.cast::<raw::Meta>();
                if (*meta).meta_type == raw::BATCH_GST_META {
                    batch = NonNull::new((*meta).data.cast()).or(batch);
                }
            }
        }
    }
}
