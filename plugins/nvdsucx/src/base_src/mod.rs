//! What both sources are: a `GstPushSrc` over a [`Subscriber`](nvdsucx_session::Subscriber).

use gst::glib;
use gst::prelude::*;
use gst_base::subclass::prelude::*;

mod imp;
mod mapping;
mod memory;
mod sticky;
mod times;

glib::wrapper! {
    /// Base class of `nvdsucxserversrc` and `nvdsucxclientsrc`.
    pub struct UcxSrc(ObjectSubclass<imp::UcxSrc>)
        @extends gst_base::PushSrc, gst_base::BaseSrc, gst::Element, gst::Object;
}

/// Implemented by the two elements, which say which they are when they are constructed.
pub trait UcxSrcImpl: PushSrcImpl + ObjectSubclass<Type: IsA<UcxSrc>> {}
