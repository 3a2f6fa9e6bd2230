//! # nvdsucxserversink
//!
//! Listens, and sends what it renders to every client that connects (`nvdsucxclientsrc`). Buffers wait until `num-conns`
//! clients are there; later ones join at any time and get the stream's caps, segment and tags first. Each client has a window
//! of its own (`max-size-buffers`, `max-size-bytes`, `max-size-time`). `leaky` says what happens when it is full; unless told
//! otherwise, a client that is too slow for a live stream misses buffers and costs the others none, and anything else waits.
//!
//! ## Example launch lines
//!
//! ```sh
//! gst-launch-1.0 videotestsrc num-buffers=300 ! video/x-raw,width=1280,height=720 \
//!     ! nvdsucxserversink addr=127.0.0.1 port=7174
//! gst-launch-1.0 nvdsucxclientsrc addr=127.0.0.1 port=7174 ! videoconvert ! autovideosink
//! ```
//!
//! Clients on this host read buffers where they are, if upstream takes the pool or the allocator that the sink proposes; other
//! buffers are copied once. Such clients also take room in the window with what they have not let go of.
//!
//! With `port=0` the system chooses; the property tells which while the element runs, and `notify::port` when.
//!
//! ## Messages
//!
//! An element message `nvdsucx-client-connected` for each client that joins, with `address`, `software`, `ucx-version`
//! and `lanes` (the transports in use), and `nvdsucx-client-disconnected` when it goes, with `reason` and `orderly` too.

use std::sync::LazyLock;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::subclass::prelude::*;

use crate::base_sink::{UcxSink, UcxSinkImpl};
use crate::settings::{self, Role};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("nvdsucxserversink", gst::DebugColorFlags::empty(), Some("UCX server sink"))
});

/// The element.
#[derive(Debug, Default)]
pub struct UcxServerSink {}

#[glib::object_subclass]
impl ObjectSubclass for UcxServerSink {
    const NAME: &'static str = "GstUcxServerSink";
    type Type = super::UcxServerSink;
    type ParentType = UcxSink;
}

impl ObjectImpl for UcxServerSink {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> =
            LazyLock::new(|| settings::properties(Role::ServerSink));
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, spec: &glib::ParamSpec) {
        self.obj().upcast_ref::<UcxSink>().imp().set_shared_property(value, spec);
    }

    fn property(&self, _id: usize, spec: &glib::ParamSpec) -> glib::Value {
        self.obj().upcast_ref::<UcxSink>().imp().shared_property(spec)
    }

    fn constructed(&self) {
        self.obj().upcast_ref::<UcxSink>().imp().identify(Role::ServerSink, *CAT);
        self.parent_constructed();
    }
}

impl GstObjectImpl for UcxServerSink {}

impl ElementImpl for UcxServerSink {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "UCX server sink",
                "Sink/Network",
                "Sends buffers over UCX to clients that connect",
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

impl BaseSinkImpl for UcxServerSink {}
impl UcxSinkImpl for UcxServerSink {}
