//! GStreamer elements that serialise analytics metadata into a payload that crosses the wire.
//!
//! | element | what it does |
//! |---|---|
//! | `nvdsmetainsert` | the metadata on a buffer becomes a payload, which `nvdsucx` carries |
//! | `nvdsmetaextract` | the payload becomes metadata again |
//!
//! `convert` knows what metadata there is, `payload` where the bytes hang on a buffer, `library` what other
//! serialisers look like. [`serialize`] and [`deserialize`] are the elements' work; the libraries
//! `libnvds_video_metadata_serialization.so` and `libnvds_audio_metadata_serialization.so` offer them to other elements.

use std::sync::LazyLock;

use gst::glib;

mod convert;
mod element;
mod error;
mod extract;
#[doc(hidden)]
pub mod ffi;
mod insert;
mod library;
mod nvds;
mod payload;
mod stream;

pub use dsmeta::PayloadKind;
pub use error::Error;
pub use stream::Stream;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("nvdsmetautils", gst::DebugColorFlags::empty(), Some("Metadata payloads"))
});

/// Puts a payload with what the metas on `buffer` say on it, in place of one that it had.
///
/// That is DeepStream's `NvDsBatchMeta`, which then has the payload, too, or else GStreamer's own metas.
pub fn serialize(buffer: &mut gst::BufferRef, stream: &Stream) -> Result<(), Error> {
    let batch = match nvds::read(buffer)? {
        Some(batch) => batch,
        None => convert::read(buffer, stream),
    };
    let payload = dsmeta::encode(&batch, dsmeta::Style::default())?;
    nvds::attach(buffer, &payload)?;
    Ok(payload::attach(buffer, payload)?)
}

/// Turns the first payload on `buffer`, if there is one, into metas, and takes it off.
///
/// These are in DeepStream's `NvDsBatchMeta` if the buffer has one; or if its memory is DeepStream's, as the caps say with
/// `nvmm`, and the libraries are there. Otherwise they are GStreamer's own.
///
/// The payload stays on where this GStreamer has no metas for what is in it. After an error the buffer is as before.
pub fn deserialize(buffer: &mut gst::BufferRef, nvmm: bool) -> Result<(), Error> {
    let batch = match payload::find(buffer) {
        Some((kind, payload)) => {
            dsmeta::decode(kind, &payload.map_readable().map_err(|_| Error::Unreadable)?)?
        }
        None => match nvds::find(buffer) {
            Some(payload) => dsmeta::decode(payload.kind, &payload.bytes)?,
            None => return Ok(()),
        },
    };
    if nvds::write(buffer, &batch, nvmm)? || convert::write(&batch, buffer)? {
        nvds::detach(buffer);
        payload::detach(buffer);
    }
    Ok(())
}

fn plugin_init(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    // Now, when no other plugin is likely to do the same at the same time.
    payload::register().map_err(|err| glib::bool_error!("{err}"))?;
    insert::register(plugin)?;
    extract::register(plugin)
}

/// What the macro defines is documented by GStreamer.
#[allow(missing_docs, unreachable_pub)]
mod definition {
    use super::plugin_init;

    gst::plugin_define!(
        nvdsmetautils,
        env!("CARGO_PKG_DESCRIPTION"),
        plugin_init,
        concat!(env!("CARGO_PKG_VERSION"), "-", env!("COMMIT_ID")),
        "MPL",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_REPOSITORY"),
        env!("BUILD_REL_DATE")
    );
}

pub use definition::plugin_register_static;
