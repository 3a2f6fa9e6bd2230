//! What both sinks are: a `GstBaseSink` over a [`Publisher`](nvdsucx_session::Publisher).

use gst::glib;
use gst::prelude::*;
use gst_base::subclass::prelude::*;

mod imp;

glib::wrapper! {
    /// Base class of `nvdsucxserversink` and `nvdsucxclientsink`.
    pub struct UcxSink(ObjectSubclass<imp::UcxSink>)
        @extends gst_base::BaseSink, gst::Element, gst::Object;
}

/// Implemented by the two elements, which say which they are when they are constructed.
pub trait UcxSinkImpl: BaseSinkImpl + ObjectSubclass<Type: IsA<UcxSink>> {}
