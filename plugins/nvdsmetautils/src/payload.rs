//! The payload on a buffer: serialised metadata, as a custom meta that elements carry along without knowing it.

use std::ops::ControlFlow;

use dsmeta::{Payload, PayloadKind};
use gst::buffer::BufferMetaForeachAction;
use gst::meta::CustomMeta;
use gst_newer::custom_meta;

/// Name of the custom meta and of its structure.
const NAME: &str = "NvdsCustomPayload";
/// Field with the number that tells whose payload it is.
const TYPE: &str = "type";
/// Field with a buffer that holds the bytes.
const PAYLOAD: &str = "payload";

/// Makes the meta known to GStreamer, if it is not.
pub(crate) fn register() -> Result<(), gst_newer::Error> {
    custom_meta::register(NAME, &[])
}

/// Puts `payload` on `buffer`, in place of those of its kinds that were there. Payloads of others stay.
pub(crate) fn attach(buffer: &mut gst::BufferRef, payload: Payload) -> Result<(), gst_newer::Error> {
    register()?;
    detach(buffer);
    let mut meta = CustomMeta::add(buffer, NAME)
        .map_err(|_| gst_newer::Error::Refused { what: "a payload on the buffer" })?;
    let structure = meta.mut_structure();
    structure.set(TYPE, payload.kind.number());
    structure.set(PAYLOAD, gst::Buffer::from_mut_slice(payload.bytes));
    Ok(())
}

/// The first payload of ours on `buffer`.
pub(crate) fn find(buffer: &gst::BufferRef) -> Option<(PayloadKind, gst::Buffer)> {
    // Without it, as on most buffers there may be, GStreamer finds out fastest.
    CustomMeta::from_buffer(buffer, NAME).ok()?;
    buffer.iter_meta::<gst::Meta>().find_map(|meta| {
        let meta = meta.try_as_custom_meta()?;
        Some((kind_of(meta)?, meta.structure().get(PAYLOAD).ok()?))
    })
}

/// Takes all payloads of ours off `buffer`.
pub(crate) fn detach(buffer: &mut gst::BufferRef) {
    if CustomMeta::from_buffer(buffer, NAME).is_err() {
        return;
    }
    buffer.foreach_meta_mut(|meta| {
        let ours = meta.try_as_custom_meta().is_some_and(|meta| kind_of(&meta.as_meta_ref()).is_some());
        ControlFlow::Continue(if ours {
            BufferMetaForeachAction::Remove
        } else {
            BufferMetaForeachAction::Keep
        })
    });
}

/// What kind of payload `meta` is, if it is one of ours.
fn kind_of(meta: &CustomMeta) -> Option<PayloadKind> {
    if !meta.has_name(NAME) {
        return None;
    }
    PayloadKind::try_from(meta.structure().get::<u32>(TYPE).ok()?).ok()
}
