//! The source of stamped buffers.

use std::sync::Arc;
use std::time::Duration;

use gst::glib;
use gst::subclass::prelude::*;
use gst_base::prelude::*;

use crate::control::Control;

mod imp;

glib::wrapper! {
    /// Pushes buffers of one size, as fast as the window allows or at a fixed rate.
    pub(crate) struct StampedSource(ObjectSubclass<imp::StampedSource>)
        @extends gst_base::PushSrc, gst_base::BaseSrc, gst::Element, gst::Object;
}

/// What is sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    pub(crate) caps: String,
    pub(crate) bytes: u32,
    /// Most frames in flight.
    pub(crate) window: u32,
    /// Paced and live; otherwise as fast as it goes.
    pub(crate) fps: Option<u32>,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// What the sender used in the measured interval.
pub(crate) struct Sent {
    pub(crate) frames: u64,
    pub(crate) cpu: Duration,
}

impl StampedSource {
    /// It sends nothing until [`StampedSource::begin`].
    pub(crate) fn new(load: &Load, caps: gst::Caps, control: &Arc<Control>) -> Self {
        let source: Self = glib::Object::new();
        source.imp().configure(load.clone(), caps, control.clone());
        source.upcast_ref::<gst_base::BaseSrc>().set_live(load.fps.is_some());
        source
    }

    pub(crate) fn begin(&self) {
        self.imp().begin();
    }

    /// `None` until the last frame was sent.
    pub(crate) fn sent(&self) -> Option<Sent> {
        self.imp().sent()
    }
}
