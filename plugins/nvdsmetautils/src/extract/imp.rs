//! # nvdsmetaextract
//!
//! Turns the payload that `nvdsmetainsert`, or DeepStream's element of that name, put on a buffer into metadata: regions
//! of interest (`GstVideoRegionOfInterestMeta`), and analytics relations if the payload was made of them and this
//! GStreamer has them (1.24 and newer; before, their detections become regions).
//!
//! Regions come as `nvdsmetainsert` found them. Those that the buffer has already (the same type, id and rectangle) are
//! not added again; nothing else is removed but the payload. It stays where this GStreamer has no metadata for what is
//! in it: classes of audio, say, before 1.24. Payloads of other types stay, too.
//!
//! If a payload has several frames, each region has a parameter `frame` that tells which one it is of: `source-id`,
//! `batch-id`, `pad-index` (uint), `frame-num` (int), `pts` (uint64). `nvdsmetainsert` makes several frames of them again.
//!
//! If a buffer has DeepStream's `NvDsBatchMeta`, or is of `memory:NVMM`, and DeepStream's libraries are there, the metadata
//! is written into that instead. A payload of more frames than the buffer has surfaces is refused.
//!
//! A broken payload is left alone, and the buffer goes on as it is. The first one is reported in a warning message.
//!
//! `deserialize-lib` names another deserialiser: a shared library with the C function
//! `void deserialize_data(GstBuffer *)`, which is called for each buffer. If it cannot be loaded, the element does not
//! start, whatever its name.
//!
//! ## Example launch lines
//!
//! ```sh
//! gst-launch-1.0 videotestsrc num-buffers=100 ! video/x-raw,width=640,height=480 \
//!     ! nvdsmetainsert ! nvdsmetaextract ! fakesink
//! ```
//! The same pipeline in two processes:
//! ```sh
//! gst-launch-1.0 videotestsrc is-live=true ! video/x-raw,width=640,height=480 ! nvdsmetainsert ! nvdsucxserversink
//! gst-launch-1.0 nvdsucxclientsrc ! nvdsmetaextract ! videoconvert ! autovideosink
//! ```

use std::sync::{LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::subclass::base_transform::{InputBuffer, PrepareOutputBufferSuccess};
use gst_base::subclass::prelude::*;

use crate::CAT;
use crate::element::{self, Running};

/// The element.
#[derive(Debug, Default)]
pub struct MetaExtract {
    library: Mutex<Option<String>>,
    running: Mutex<Option<Running>>,
}

#[glib::object_subclass]
impl ObjectSubclass for MetaExtract {
    const NAME: &'static str = "Gstnvdsmetaextract";
    type Type = super::MetaExtract;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for MetaExtract {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<[glib::ParamSpec; 1]> =
            LazyLock::new(|| [element::library_property("deserialize-lib", "deserialize_data")]);
        &*PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, _spec: &glib::ParamSpec) {
        *self.library.lock().unwrap() = value.get().expect("a string");
    }

    fn property(&self, _id: usize, _spec: &glib::ParamSpec) -> glib::Value {
        self.library.lock().unwrap().to_value()
    }
}

impl GstObjectImpl for MetaExtract {}

impl ElementImpl for MetaExtract {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Metadata extractor",
                "Filter/Metadata",
                "Turns the payload on buffers into metadata again",
                "The nvdsucx developers",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        element::pad_templates()
    }
}

impl BaseTransformImpl for MetaExtract {
    const MODE: gst_base::subclass::BaseTransformMode = gst_base::subclass::BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let library = self.library.lock().unwrap().clone();
        *self.running.lock().unwrap() = Some(Running::start(library.as_deref(), "deserialize_data")?);
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *self.running.lock().unwrap() = None;
        Ok(())
    }

    fn set_caps(&self, caps: &gst::Caps, _: &gst::Caps) -> Result<(), gst::LoggableError> {
        if let Some(running) = &mut *self.running.lock().unwrap() {
            running.set_caps(caps);
        }
        Ok(())
    }

    fn prepare_output_buffer(
        &self,
        buffer: InputBuffer<'_>,
    ) -> Result<PrepareOutputBufferSuccess, gst::FlowError> {
        Ok(element::writable(&buffer))
    }

    fn transform_ip(&self, buffer: &mut gst::BufferRef) -> Result<gst::FlowSuccess, gst::FlowError> {
        let Some(running) = *self.running.lock().unwrap() else { return Err(gst::FlowError::Flushing) };
        if let Some(foreign) = running.foreign {
            foreign.call(buffer);
            return Ok(gst::FlowSuccess::Ok);
        }
        if let Err(err) = crate::deserialize(buffer, running.nvmm) {
            let text = element::warning("Cannot use the metadata payload", buffer, &err);
            gst::debug!(CAT, imp = self, "{text}");
            if element::is_news(&mut self.running.lock().unwrap()) {
                gst::element_imp_warning!(self, gst::StreamError::Decode, ("{text}"));
            }
        }
        Ok(gst::FlowSuccess::Ok)
    }
}
