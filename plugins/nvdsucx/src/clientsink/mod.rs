//! `nvdsucxclientsink`.

use gst::glib;
use gst::prelude::*;

mod imp;

glib::wrapper! {
    /// `nvdsucxclientsink`: sends buffers over UCX to the server it connects to.
    pub struct UcxClientSink(ObjectSubclass<imp::UcxClientSink>)
        @extends crate::base_sink::UcxSink, gst_base::BaseSink, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "nvdsucxclientsink", gst::Rank::NONE, UcxClientSink::static_type())
}
