//! # nvdsucxclientsink
//!
//! Connects to a `nvdsucxserversrc` and sends it what it renders. It goes on trying for `connect-timeout`, so either end
//! can be started first. A server on this host reads buffers where they are, as `nvdsucxserversink` documents.
//!
//! ## Example launch lines
//!
//! ```sh
//! gst-launch-1.0 nvdsucxserversrc buf-type=nvdsucx-buf-raw-audio port=7175 ! audioconvert ! autoaudiosink
//! gst-launch-1.0 audiotestsrc num-buffers=500 ! audio/x-raw,rate=48000,channels=2 \
//!     ! nvdsucxclientsink buf-type=nvdsucx-buf-raw-audio addr=127.0.0.1 port=7175
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

use crate::base_sink::{UcxSink, UcxSinkImpl};
use crate::settings::{self, Role};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("nvdsucxclientsink", gst::DebugColorFlags::empty(), Some("UCX client sink"))
});

/// The element.
#[derive(Debug, Default)]
pub struct UcxClientSink {}

#[glib::object_subclass]
impl ObjectSubclass for UcxClientSink {
    const NAME: &'static str = "GstUcxClientSink";
    type Type = super::UcxClientSink;
    type ParentType = UcxSink;
}

impl ObjectImpl for UcxClientSink {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> =
            LazyLock::new(|| settings::properties(Role::ClientSink));
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, spec: &glib::ParamSpec) {
        self.obj().upcast_ref::<UcxSink>().imp().set_shared_property(value, spec);
    }

    fn property(&self, _id: usize, spec: &glib::ParamSpec) -> glib::Value {
        self.obj().upcast_ref::<UcxSink>().imp().shared_property(spec)
    }

    fn constructed(&self) {
        self.obj().upcast_ref::<UcxSink>().imp().identify(Role::ClientSink, *CAT);
        self.parent_constructed();
    }
}

impl GstObjectImpl for UcxClientSink {}

impl ElementImpl for UcxClientSink {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "UCX client sink",
                "Sink/Network",
                "Sends buffers over UCX to the server it connects to",
                "The nvdsucx developers",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let any = gst::Caps::new_any();
            let template =
                gst::PadTemplate::new("sink", gst::PadDirection::Sink, gst::PadPresence::Always, &any);
            vec![template.expect("a template of any caps")]
        });
        &TEMPLATES
    }
}

impl BaseSinkImpl for UcxClientSink {}
impl UcxSinkImpl for UcxClientSink {}
