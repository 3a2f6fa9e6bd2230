//! Metas of GStreamer's core.

use gst::glib;
use gst::meta::{CustomMeta, ProtectionMeta, ReferenceTimestampMeta};
use nvdsucx_session::wire;
use wire::meta::Kind;

use super::{Names, structure};
use crate::event::{self, Malformed, clock_time};

/// The meta that `nvdsmetainsert` puts on a buffer: `type` (uint) and `payload` (`GstBuffer`).
pub(super) const PAYLOAD: &str = "NvdsCustomPayload";

/// GStreamer's name of reference timestamps.
pub(super) const TIMESTAMP: &str = "GstReferenceTimestampMetaAPI";

/// `info` is what newer releases know of it.
pub(super) fn reference_timestamp(meta: &ReferenceTimestampMeta, info: Option<String>) -> Kind {
    Kind::ReferenceTimestamp(wire::ReferenceTimestampMeta {
        reference: meta.reference().to_string(),
        timestamp: meta.timestamp().nseconds(),
        duration: meta.duration().map(gst::ClockTime::nseconds),
        info: info.unwrap_or_default(),
    })
}

pub(super) fn attach_reference_timestamp(
    buffer: &mut gst::BufferRef,
    meta: &wire::ReferenceTimestampMeta,
    lost: &mut dyn FnMut(&str, &str),
) -> Result<(), Malformed> {
    if !meta.info.is_empty() {
        let (reference, info) = (&meta.reference, &meta.info);
        match gst_newer::serialize::attach_timestamp(buffer, reference, meta.timestamp, meta.duration, info) {
            Ok(()) => return Ok(()),
            Err(err) => lost("info of GstReferenceTimestampMetaAPI", &err.to_string()),
        }
    }
    let reference = event::caps(&meta.reference)?;
    let timestamp = clock_time(Some(meta.timestamp));
    let timestamp = timestamp.ok_or_else(|| Malformed("a reference timestamp without a time".to_owned()))?;
    ReferenceTimestampMeta::add(buffer, &reference, timestamp, clock_time(meta.duration));
    Ok(())
}

pub(super) fn protection(meta: &ProtectionMeta) -> Result<Kind, Malformed> {
    structure::to_wire(meta.info()).map(Kind::Protection)
}

pub(super) fn attach_protection(
    buffer: &mut gst::BufferRef,
    meta: &wire::Structure,
    names: &mut Names,
) -> Result<(), Malformed> {
    ProtectionMeta::add(buffer, structure::from_wire(meta, names)?);
    Ok(())
}

pub(super) fn custom(meta: &CustomMeta, api: glib::Type) -> Result<Kind, Malformed> {
    let structure = meta.structure();
    // Its name, which is the structure's, too.
    let name = structure.name();
    if name == PAYLOAD {
        return payload(structure);
    }
    let tags = gst::meta::meta_api_type_get_tags(api).iter().map(ToString::to_string).collect();
    Ok(Kind::Custom(wire::CustomMeta {
        name: name.to_string(),
        tags,
        structure: Some(structure::to_wire(structure)?),
    }))
}

fn payload(structure: &gst::StructureRef) -> Result<Kind, Malformed> {
    let data = event::field::<gst::Buffer>(structure, "payload")?;
    let data = data.map_readable().map_err(|err| Malformed(err.to_string()))?.to_vec();
    Ok(Kind::Payload(wire::PayloadMeta { r#type: event::field(structure, "type")?, data }))
}

pub(super) fn attach_custom(
    buffer: &mut gst::BufferRef,
    meta: &wire::CustomMeta,
    names: &mut Names,
) -> Result<(), Malformed> {
    let received =
        meta.structure.as_ref().ok_or_else(|| Malformed("a custom meta that is empty".to_owned()))?;
    let received = structure::from_wire(received, names)?;
    if received.name() != meta.name.as_str() {
        return Err(Malformed(format!(
            "a custom meta `{}` with a structure `{}`",
            meta.name,
            received.name()
        )));
    }
    let tags: Vec<_> = meta.tags.iter().map(String::as_str).collect();
    register(&meta.name, &tags)?;
    let mut added = CustomMeta::add(buffer, &meta.name).map_err(|err| Malformed(err.message.to_string()))?;
    let content = added.mut_structure();
    for (field, value) in received.iter() {
        content.set_value(field.as_str(), value.clone());
    }
    Ok(())
}

pub(super) fn attach_payload(buffer: &mut gst::BufferRef, meta: &wire::PayloadMeta) -> Result<(), Malformed> {
    register(PAYLOAD, &[])?;
    let mut added = CustomMeta::add(buffer, PAYLOAD).map_err(|err| Malformed(err.message.to_string()))?;
    let content = added.mut_structure();
    content.set("type", meta.r#type);
    content.set("payload", gst::Buffer::from_slice(meta.data.clone()));
    Ok(())
}

fn register(name: &str, tags: &[&str]) -> Result<(), Malformed> {
    gst_newer::custom_meta::register(name, tags)
        .map_err(|err| Malformed(format!("a custom meta `{name}`: {err}")))
}
