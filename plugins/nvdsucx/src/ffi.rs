//! What GStreamer has and its Rust bindings lack. All `unsafe` outside of [`memory`](crate::memory) is here.

use std::num::NonZeroU32;

use gst::glib::subclass::prelude::*;
use gst::glib::translate::{FromGlib, IntoGlib, IntoGlibPtr, TryFromGlib, from_glib_borrow, from_glib_none};
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::subclass::prelude::*;

use crate::base_sink::{UcxSink, UcxSinkImpl};
use crate::base_src::{UcxSrc, UcxSrcImpl};

/// Gives `event` a sequence number that came from elsewhere.
pub(crate) fn set_seqnum(event: &mut gst::EventRef, seqnum: NonZeroU32) {
    // SAFETY: the reference is to an event, and writable.
    unsafe { gst::ffi::gst_event_set_seqnum(event.as_mut_ptr(), seqnum.get()) };
}

// SAFETY: `UcxSink` adds nothing to the class structure of its parent that a subclass would have to fill in.
unsafe impl<T: UcxSinkImpl> IsSubclassable<T> for UcxSink {}

// SAFETY: as for `UcxSink`.
unsafe impl<T: UcxSrcImpl> IsSubclassable<T> for UcxSrc {}

/// The pool that `buffer` is of.
pub(crate) fn pool_of(buffer: &gst::BufferRef) -> Option<gst::BufferPool> {
    // SAFETY: the buffer lives, and with it the pool, which is set once, before anybody else has the buffer.
    unsafe { from_glib_none((*buffer.as_ptr()).pool) }
}

/// Sets which of several layouts of a buffer `meta` is.
pub(crate) fn set_video_meta_id(
    meta: &mut gst::MetaRefMut<'_, gst_video::VideoMeta, gst::meta::Standalone>,
    id: i32,
) {
    // SAFETY: the meta lives, is borrowed mutably, and any number is good.
    unsafe { (*meta.as_mut_ptr()).id = id };
}

/// The type of a region of interest; empty if it has none, which the bindings do not expect.
pub(crate) fn region_type(meta: &gst_video::VideoRegionOfInterestMeta) -> &str {
    // SAFETY: the bindings' type is the structure itself.
    let roi_type = unsafe {
        (*std::ptr::from_ref(meta).cast::<gst_video::ffi::GstVideoRegionOfInterestMeta>()).roi_type
    };
    if roi_type == 0 { "" } else { meta.roi_type() }
}

/// Adds a region of interest of this type, at `x`, `y`, with width and height.
pub(crate) fn add_region(
    buffer: &mut gst::BufferRef,
    roi_type: gst::glib::Quark,
    [x, y, width, height]: [u32; 4],
) -> gst::MetaRefMut<'_, gst_video::VideoRegionOfInterestMeta, gst::meta::Standalone> {
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
        gst_video::VideoRegionOfInterestMeta::from_mut_ptr(buffer, meta)
    }
}

/// Adds the transparency of an encoded picture, which the bindings (0.25) free although it is the meta's.
pub(crate) fn add_alpha(buffer: &mut gst::BufferRef, alpha: gst::Buffer) {
    // SAFETY: the buffer is borrowed mutably, and the function takes the reference that is given away.
    unsafe {
        gst_video::ffi::gst_buffer_add_video_codec_alpha_meta(buffer.as_mut_ptr(), alpha.into_glib_ptr());
    }
}

/// Adds a meta of which the bindings know no type to the answer to `query`.
pub(crate) fn add_allocation_meta(query: &mut gst::query::Allocation, api: gst::glib::Type) {
    // SAFETY: the query is borrowed mutably, and no parameters belong to the meta.
    unsafe {
        gst::ffi::gst_query_add_allocation_meta(query.as_mut_ptr(), api.into_glib(), std::ptr::null());
    }
}

/// The value of an enumeration of GStreamer that has `number`. The bindings keep numbers that they do not know.
pub(crate) fn from_number<T: FromGlib<i32>>(number: i32) -> T {
    // SAFETY: for enumerations any number is good.
    unsafe { T::from_glib(number) }
}

/// `GstBaseSinkClass::wait_event`, which the bindings do not offer.
pub(crate) trait WaitEvent: BaseSinkImpl {
    /// Called with a GAP or EOS event. The parent waits for preroll and for the clock.
    fn wait_event(&self, event: &gst::Event) -> Result<gst::FlowSuccess, gst::FlowError>;

    /// What the parent class does.
    fn parent_wait_event(&self, event: &gst::Event) -> Result<gst::FlowSuccess, gst::FlowError> {
        // SAFETY: the parent class is a GstBaseSinkClass, as `BaseSinkImpl` demands, and both arguments live.
        unsafe {
            let class = Self::type_data().as_ref().parent_class().cast::<gst_base::ffi::GstBaseSinkClass>();
            let Some(parent) = (*class).wait_event else { return Ok(gst::FlowSuccess::Ok) };
            gst::FlowSuccess::try_from_glib(parent(
                self.obj().upcast_ref::<gst_base::BaseSink>().as_ptr(),
                event.as_mut_ptr(),
            ))
        }
    }
}

/// Makes GStreamer call [`WaitEvent::wait_event`].
pub(crate) fn override_wait_event<T: WaitEvent>(class: &mut gst::glib::Class<gst_base::BaseSink>) {
    class.as_mut().wait_event = Some(wait_event::<T>);
}

unsafe extern "C" fn wait_event<T: WaitEvent>(
    sink: *mut gst_base::ffi::GstBaseSink,
    event: *mut gst::ffi::GstEvent,
) -> gst::ffi::GstFlowReturn {
    // SAFETY: GStreamer calls this with an instance of the class it was put into, or of one derived from it, and lends
    // the event for the call.
    let (instance, event) =
        unsafe { (&*sink.cast::<T::Instance>(), from_glib_borrow::<_, gst::Event>(event)) };
    let imp = instance.imp();
    gst::panic_to_error!(imp, gst::FlowReturn::Error, { imp.wait_event(&event).into() }).into_glib()
}

/// Runs `change` under the preroll lock of `sink`, and wakes who waits for preroll to look again.
pub(crate) fn wake_preroll(sink: &gst_base::BaseSink, change: impl FnOnce()) {
    let sink = sink.as_ptr();
    // SAFETY: the sink lives, and lock and condition are made for its subclasses to use, from any thread. They are
    // reached by address: no reference to the structure is made, which other threads write to.
    unsafe {
        let (lock, cond) = (&raw mut (*sink).preroll_lock, &raw mut (*sink).preroll_cond);
        gst::glib::ffi::g_mutex_lock(lock);
        change();
        gst::glib::ffi::g_cond_signal(cond);
        gst::glib::ffi::g_mutex_unlock(lock);
    }
}
