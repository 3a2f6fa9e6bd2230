//! The context that elements of a pipeline share, by GStreamer's means for it (`GstContext`).

use std::ffi::c_int;
use std::ptr;

use gst::glib::ffi::GFALSE;
use gst::glib::translate::*;
use gst::prelude::*;

use crate::gstcuda::GstCuda;
use crate::{Context, Error};

/// The type of the `GstContext` that a CUDA context is in.
pub const CONTEXT_TYPE: &str = "gst.cuda.context";

impl Context {
    /// The context that others in the pipeline of `element` have on the GPU `device`, or else one [to share](Self::to_share).
    /// The element's `set_context` is called meanwhile, so no lock that it takes may be held.
    ///
    /// It does what `gst_cuda_ensure_element_context` does. That one needs the place that `set_context` writes to; this looks
    /// at what the element has been given, so `set_context` has to call its parent's.
    pub fn for_element(element: &gst::Element, device: u32) -> Result<Self, Error> {
        let known = given(element, device).or_else(|| of_neighbours(element, device));
        known.map_or_else(|| Self::to_share(element, device), Ok)
    }

    /// The same for an element that a neighbour asks, which else makes one of its own: the application's context, or a new one,
    /// which others are told of.
    pub fn to_share(element: &gst::Element, device: u32) -> Result<Self, Error> {
        if let Some(context) = given(element, device) {
            return Ok(context);
        }
        let _ = element.post_message(gst::message::NeedContext::builder(CONTEXT_TYPE).src(element).build());
        if let Some(context) = given(element, device) {
            return Ok(context);
        }
        let context = Self::new(device)?;
        // SAFETY: it is such a context, and lives. What it gives is ours.
        let shared: Option<gst::Context> =
            unsafe { from_glib_full((GstCuda::get()?.context_new_cuda_context)(context.as_gst_ptr())) };
        if let Some(shared) = shared {
            element.set_context(&shared);
            let _ = element.post_message(gst::message::HaveContext::builder(shared).src(element).build());
        }
        Ok(context)
    }
}

/// What the element has been given.
fn given(element: &gst::Element, device: u32) -> Option<Context> {
    element.context(CONTEXT_TYPE).and_then(|context| on_device(element, &context, device))
}

/// What the elements downstream have, or those upstream.
fn of_neighbours(element: &gst::Element, device: u32) -> Option<Context> {
    element.src_pads().into_iter().chain(element.sink_pads()).find_map(|pad| {
        let mut query = gst::query::Context::new(CONTEXT_TYPE);
        let shared = pad.peer_query(&mut query).then(|| query.context_owned()).flatten()?;
        let context = on_device(element, &shared, device)?;
        element.set_context(&shared);
        Some(context)
    })
}

/// The CUDA context in `context`, if it is one of that GPU.
fn on_device(element: &gst::Element, context: &gst::Context, device: u32) -> Option<Context> {
    let mut ours = None;
    handle_set_context(element, context, device, &mut ours);
    ours
}

/// For an element's `set_context`: keeps the CUDA context that is in `context`, if it is one of the GPU `device`, and there is
/// none yet. Whether there is one now; false for contexts of other types, for which nothing is loaded.
pub fn handle_set_context(
    element: &gst::Element,
    context: &gst::Context,
    device: u32,
    ours: &mut Option<Context>,
) -> bool {
    if context.context_type() != CONTEXT_TYPE {
        return false;
    }
    if ours.is_none() {
        let (Ok(library), Ok(device)) = (GstCuda::get(), c_int::try_from(device)) else { return false };
        let mut object = ptr::null_mut();
        // SAFETY: element and context live. The variable gets a reference that is ours, if that is answered.
        let object: Option<gst::Object> = unsafe {
            let done = (library.handle_set_context)(
                element.to_glib_none().0,
                context.to_glib_none().0,
                device,
                &mut object,
            );
            if done == GFALSE {
                return false;
            }
            from_glib_full(object)
        };
        *ours = object.and_then(|object| Context::from_object(object).ok());
    }
    ours.is_some()
}

/// For an element's `query`: answers a context query that asks for a CUDA context with `ours`, if there is one. Whether it did;
/// false for all other queries, for which nothing is loaded, nor `ours` asked.
pub fn handle_context_query(
    element: &gst::Element,
    query: &mut gst::QueryRef,
    ours: impl FnOnce() -> Option<Context>,
) -> bool {
    let asked =
        matches!(query.view(), gst::QueryView::Context(query) if query.context_type() == CONTEXT_TYPE);
    let Some(ours) = asked.then(ours).flatten() else { return false };
    let Ok(library) = GstCuda::get() else { return false };
    // SAFETY: the element, the query, which is borrowed mutably, and the context live.
    let done = unsafe {
        (library.handle_context_query)(element.to_glib_none().0, query.as_mut_ptr(), ours.as_gst_ptr())
    };
    done != GFALSE
}
