//! The source of stamped buffers.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use gst::glib;
use gst::subclass::prelude::*;
use gst_base::prelude::*;

use crate::control::Control;
use crate::memory::Memory;

mod imp;

pub(crate) use imp::NOMINAL_FPS;

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
    /// Regions of interest on each frame.
    pub(crate) objects: u32,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    /// Every byte is written and read.
    pub(crate) touch: bool,
    /// The GPU in whose memory frames are.
    pub(crate) gpu: Option<u32>,
    /// The pool or allocator that the sink proposes is not used.
    pub(crate) own_memory: bool,
}

/// What the sender used in the measured interval.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    frames: u64,
    cpu: Duration,
    memory: Memory,
}

impl Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sent frames={} cpu={:.6} {}", self.frames, self.cpu.as_secs_f64(), self.memory)
    }
}

impl StampedSource {
    /// It sends nothing until [`StampedSource::begin`].
    pub(crate) fn new(load: &Load, control: &Arc<Control>) -> anyhow::Result<Self> {
        ensure!(load.window > 0 && load.fps != Some(0), "--window and --fps must not be 0");
        let caps = load.caps.parse().with_context(|| format!("`{}` are no caps", load.caps))?;
        let source: Self = glib::Object::new();
        source.imp().configure(load.clone(), caps, control.clone());
        source.upcast_ref::<gst_base::BaseSrc>().set_live(load.fps.is_some());
        Ok(source)
    }

    pub(crate) fn begin(&self) {
        self.imp().begin();
    }

    /// `None` until the last frame was sent.
    pub(crate) fn sent(&self) -> Option<Sent> {
        self.imp().sent()
    }
}
