//! `nvdsucxclientsrc`.

use gst::glib;
use gst::prelude::*;

mod imp;

glib::wrapper! {
    /// `nvdsucxclientsrc`: receives buffers over UCX from the server it connects to.
    pub struct UcxClientSrc(ObjectSubclass<imp::UcxClientSrc>)
        @extends crate::base_src::UcxSrc, gst_base::PushSrc, gst_base::BaseSrc, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "nvdsucxclientsrc", gst::Rank::NONE, UcxClientSrc::static_type())
}
