//! `nvdsmetaextract`.

use gst::glib;
use gst::prelude::*;

mod imp;

glib::wrapper! {
    /// `nvdsmetaextract`: turns the payload on a buffer into metadata again.
    pub struct MetaExtract(ObjectSubclass<imp::MetaExtract>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "nvdsmetaextract", gst::Rank::NONE, MetaExtract::static_type())
}
