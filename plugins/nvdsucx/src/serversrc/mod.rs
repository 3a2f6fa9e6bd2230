//! `nvdsucxserversrc`.

use gst::glib;
use gst::prelude::*;

mod imp;

glib::wrapper! {
    /// `nvdsucxserversrc`: receives buffers over UCX from a client that connects.
    pub struct UcxServerSrc(ObjectSubclass<imp::UcxServerSrc>)
        @extends crate::base_src::UcxSrc, gst_base::PushSrc, gst_base::BaseSrc, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "nvdsucxserversrc", gst::Rank::NONE, UcxServerSrc::static_type())
}
