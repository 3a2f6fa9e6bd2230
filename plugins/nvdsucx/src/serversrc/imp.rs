//! # nvdsucxserversrc
//!
//! Listens, and receives the stream of the one `nvdsucxclientsink` that connects, with its caps, segment, tags, flushes
//! and end. Upstream events go back to the sender.
//!
//! With `timestamp-mode=map` it is a live source, and buffers have the running time that this pipeline has for the same moment,
//! whenever it was started.
//!
//! ## Example launch lines
//!
//! ```sh
//! gst-launch-1.0 nvdsucxserversrc buf-type=nvdsucx-buf-any port=7176 ! h264parse ! avdec_h264 ! autovideosink
//! gst-launch-1.0 videotestsrc is-live=true ! x264enc tune=zerolatency \
//!     ! nvdsucxclientsink buf-type=nvdsucx-buf-any addr=127.0.0.1 port=7176
//! ```
//!
//! With `port=0` the system chooses; the property tells which while the element runs, and `notify::port` when.
//!
//! ## Messages
//!
//! Element messages `nvdsucx-client-connected` and `nvdsucx-client-disconnected`, with the fields that
//! `nvdsucxserversink` documents.

use std::sync::LazyLock;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::subclass::prelude::*;

use crate::base_src::{UcxSrc, UcxSrcImpl};
use crate::settings::{self, Role};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("nvdsucxserversrc", gst::DebugColorFlags::empty(), Some("UCX server source"))
});

/// The element.
#[derive(Debug, Default)]
pub struct UcxServerSrc {}

#[glib::object_subclass]
impl ObjectSubclass for UcxServerSrc {
    const NAME: &'static str = "GstUcxServerSrc";
    type Type = super::UcxServerSrc;
    type ParentType = UcxSrc;
}

impl ObjectImpl for UcxServerSrc {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> =
            LazyLock::new(|| settings::properties(Role::ServerSrc));
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, spec: &glib::ParamSpec) {
        self.obj().upcast_ref::<UcxSrc>().imp().set_shared_property(value, spec);
    }

    fn property(&self, _id: usize, spec: &glib::ParamSpec) -> glib::Value {
        self.obj().upcast_ref::<UcxSrc>().imp().shared_property(spec)
    }

    fn constructed(&self) {
        self.obj().upcast_ref::<UcxSrc>().imp().identify(Role::ServerSrc, *CAT);
        self.parent_constructed();
    }
}

impl GstObjectImpl for UcxServerSrc {}

impl ElementImpl for UcxServerSrc {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "UCX server source",
                "Source/Network",
                "Receives buffers over UCX from a client that connects",
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

impl BaseSrcImpl for UcxServerSrc {}
impl PushSrcImpl for UcxServerSrc {}
impl UcxSrcImpl for UcxServerSrc {}
