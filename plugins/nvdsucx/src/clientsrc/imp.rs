//! # nvdsucxclientsrc
//!
//! Connects to a `nvdsucxserversink` and receives its stream, with its caps, segment, tags, flushes and end. It goes on
//! trying for `connect-timeout`, so either end can be started first. Upstream events go back to the sender.
//!
//! With `timestamp-mode=map` it is a live source, and buffers have the running time that this pipeline has for the same moment,
//! whenever it was started.
//!
//! ## Example launch lines
//!
//! ```sh
//! gst-launch-1.0 videotestsrc num-buffers=300 ! nvdsucxserversink num-conns=1 port=7174
//! gst-launch-1.0 nvdsucxclientsrc addr=127.0.0.1 port=7174 ! videoconvert ! fakesink
//! ```
//!
//! ## Messages
//!
//! Element messages `nvdsucx-client-connected` and `nvdsucx-client-disconnected` about the server, with the fields that
//! `nvdsucxserversink` documents.

use std::sync::LazyLock;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::subclass::prelude::*;

use crate::base_src::{UcxSrc, UcxSrcImpl};
use crate::settings::{self, Role};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("nvdsucxclientsrc", gst::DebugColorFlags::empty(), Some("UCX client source"))
});

/// The element.
#[derive(Debug, Default)]
pub struct UcxClientSrc {}

#[glib::object_subclass]
impl ObjectSubclass for UcxClientSrc {
    const NAME: &'static str = "GstUcxClientSrc";
    type Type = super::UcxClientSrc;
    type ParentType = UcxSrc;
}

impl ObjectImpl for UcxClientSrc {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> =
            LazyLock::new(|| settings::properties(Role::ClientSrc));
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, spec: &glib::ParamSpec) {
        self.obj().upcast_ref::<UcxSrc>().imp().set_shared_property(value, spec);
    }

    fn property(&self, _id: usize, spec: &glib::ParamSpec) -> glib::Value {
        self.obj().upcast_ref::<UcxSrc>().imp().shared_property(spec)
    }

    fn constructed(&self) {
        self.obj().upcast_ref::<UcxSrc>().imp().identify(Role::ClientSrc, *CAT);
        self.parent_constructed();
    }
}

impl GstObjectImpl for UcxClientSrc {}

impl ElementImpl for UcxClientSrc {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "UCX client source",
                "Source/Network",
                "Receives buffers over UCX from the server it connects to",
                "The nvdsucx developers",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let any = gst::Caps::new_any();
            let template =
                gst::PadTemplate::new("src", gst::PadDirection::Src, gst::PadPresence::Always, &any);
            vec![template.expect("a template of any caps")]
        });
        &TEMPLATES
    }
}

impl BaseSrcImpl for UcxClientSrc {}
impl PushSrcImpl for UcxClientSrc {}
impl UcxSrcImpl for UcxClientSrc {}
