//! `nvdsmetainsert`.

use gst::glib;
use gst::prelude::*;

mod imp;

glib::wrapper! {
    /// `nvdsmetainsert`: serialises the metadata of a buffer into a payload on it.
    pub struct MetaInsert(ObjectSubclass<imp::MetaInsert>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "nvdsmetainsert", gst::Rank::NONE, MetaInsert::static_type())
}
