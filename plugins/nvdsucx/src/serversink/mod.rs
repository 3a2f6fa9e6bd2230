//! `nvdsucxserversink`.

use gst::glib;
use gst::prelude::*;

mod imp;

glib::wrapper! {
    /// `nvdsucxserversink`: sends buffers over UCX to clients that connect.
    pub struct UcxServerSink(ObjectSubclass<imp::UcxServerSink>)
        @extends crate::base_sink::UcxSink, gst_base::BaseSink, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "nvdsucxserversink", gst::Rank::NONE, UcxServerSink::static_type())
}
