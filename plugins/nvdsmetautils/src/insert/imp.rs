//! # nvdsmetainsert
//!
//! Serialises the analytics metadata on each buffer into a payload, which stays on the buffer and travels with it
//! through `nvdsucx`. At the other end `nvdsmetaextract` makes metadata of it again.
//!
//! Metadata are regions of interest (`GstVideoRegionOfInterestMeta`) with their parameters, analytics relations
//! (`GstAnalyticsRelationMeta`, with GStreamer 1.24 and newer), and what is known of the frame: timestamp, size, or rate,
//! channels, format and number of samples. They stay on the buffer, too. A parameter `detection` with `confidence` and
//! `label_id`, a parameter `object_id` with `id`, and others with `label` and `confidence` are what DeepStream's readers
//! see as confidence, class, tracker's number and classifiers of an object.
//!
//! The payload is a custom meta `NvdsCustomPayload` in the format of DeepStream's serialisers, so that these can read
//! it. A second insertion replaces the payload; payloads of other types stay.
//!
//! If a buffer has DeepStream's `NvDsBatchMeta`, and DeepStream's libraries are there, that is serialised instead, and the
//! payload also put where NVIDIA's elements look for it.
//!
//! `serialize-lib` names another serialiser: a shared library with the C function `void serialize_data(GstBuffer *)`,
//! which is called for each buffer. If it cannot be loaded, the element does not start, whatever its name.
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
pub struct MetaInsert {
    library: Mutex<Option<String>>,
    running: Mutex<Option<Running>>,
}

#[glib::object_subclass]
impl ObjectSubclass for MetaInsert {
    const NAME: &'static str = "Gstnvdsmetainsert";
    type Type = super::MetaInsert;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for MetaInsert {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<[glib::ParamSpec; 1]> =
            LazyLock::new(|| [element::library_property("serialize-lib", "serialize_data")]);
        &*PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, _spec: &glib::ParamSpec) {
        *self.library.lock().unwrap() = value.get().expect("a string");
    }

    fn property(&self, _id: usize, _spec: &glib::ParamSpec) -> glib::Value {
        self.library.lock().unwrap().to_value()
    }
}

impl GstObjectImpl for MetaInsert {}

impl ElementImpl for MetaInsert {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Metadata inserter",
                "Filter/Metadata",
                "Serialises the metadata of buffers into a payload on them",
                "The nvdsucx developers",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        element::pad_templates()
    }
}

impl BaseTransformImpl for MetaInsert {
    const MODE: gst_base::subclass::BaseTransformMode = gst_base::subclass::BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let library = self.library.lock().unwrap().clone();
        *self.running.lock().unwrap() = Some(Running::start(library.as_deref(), "serialize_data")?);
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
        if let Err(err) = crate::serialize(buffer, &running.stream) {
            let text = element::warning("Cannot serialise the metadata", buffer, &err);
            gst::debug!(CAT, imp = self, "{text}");
            if element::is_news(&mut self.running.lock().unwrap()) {
                gst::element_imp_warning!(self, gst::StreamError::Encode, ("{text}"));
            }
        }
        Ok(gst::FlowSuccess::Ok)
    }
}
