//! What the two elements have in common.

use std::sync::LazyLock;

use gst::glib;
use gst::prelude::*;
use gst_base::subclass::base_transform::{InputBuffer, PrepareOutputBufferSuccess};

use crate::library::Foreign;
use crate::{Error, PayloadKind, Stream};

/// What an element does its work with, between start and stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Running {
    /// The function of the library that the user named, if so.
    pub(crate) foreign: Option<Foreign>,
    /// As the caps have it.
    pub(crate) stream: Stream,
    /// Buffers are of DeepStream's memory.
    pub(crate) nvmm: bool,
    /// The user was told that something is wrong.
    pub(crate) warned: bool,
}

impl Running {
    /// `function` is that of the library, if one is named.
    pub(crate) fn start(library: Option<&str>, function: &'static str) -> Result<Self, gst::ErrorMessage> {
        let foreign = library
            .filter(|path| !path.is_empty())
            .map(|path| Foreign::load(path, function))
            .transpose()
            .map_err(|err| gst::error_msg!(gst::ResourceError::OpenRead, ("{err}")))?;
        Ok(Self { foreign, stream: PayloadKind::Video.into(), nvmm: false, warned: false })
    }

    /// Takes notice of the caps.
    pub(crate) fn set_caps(&mut self, caps: &gst::CapsRef) {
        self.stream = Stream::from_caps(caps);
        self.nvmm = caps.features(0).is_some_and(|features| features.contains("memory:NVMM"));
    }
}

/// Whether the user is to be told of `err`, and does not know yet.
pub(crate) fn is_news(running: &mut Option<Running>) -> bool {
    running.as_mut().is_some_and(|running| !std::mem::replace(&mut running.warned, true))
}

/// What the user is told.
pub(crate) fn warning(what: &str, buffer: &gst::BufferRef, err: &Error) -> String {
    let time = buffer.pts().map_or_else(|| "without timestamp".to_owned(), |pts| format!("at {pts}"));
    format!(
        "{what} of the buffer {time}: {err}. The buffer goes on as it is; what comes later is in the debug log"
    )
}

/// The property that names a library.
pub(crate) fn library_property(name: &str, function: &str) -> glib::ParamSpec {
    glib::ParamSpecString::builder(name)
        .nick("Library")
        .blurb(&format!(
            "Shared library with the function void {function}(GstBuffer *), which does the work instead of the element"
        ))
        .mutable_ready()
        .build()
}

/// Pads of any caps: metadata may be on every buffer, in whatever memory.
pub(crate) fn pad_templates() -> &'static [gst::PadTemplate] {
    static TEMPLATES: LazyLock<[gst::PadTemplate; 2]> = LazyLock::new(|| {
        [("sink", gst::PadDirection::Sink), ("src", gst::PadDirection::Src)].map(|(name, direction)| {
            gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &gst::Caps::new_any())
                .expect("a template of any caps")
        })
    });
    &*TEMPLATES
}

/// A buffer whose metas can be changed, with the same memory.
pub(crate) fn writable(buffer: &InputBuffer<'_>) -> PrepareOutputBufferSuccess {
    match buffer {
        InputBuffer::Writable(_) => PrepareOutputBufferSuccess::InputBuffer,
        InputBuffer::Readable(buffer) => PrepareOutputBufferSuccess::Buffer(buffer.copy()),
    }
}
