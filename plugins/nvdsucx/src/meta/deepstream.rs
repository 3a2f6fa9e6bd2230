//! DeepStream's metadata (`NvDsBatchMeta`), where its libraries are.

use deepstream::DeepStream;
use dsmeta::model::{VideoBatch, VideoFrame};
use dsmeta::{Batch, PayloadKind, Style};
use gst::glib;
use gst::meta::CustomMeta;
use nvdsucx_session::wire;
use wire::meta::Kind;

use super::generic::PAYLOAD;
use crate::event::Malformed;

/// GStreamer's name of the meta.
pub(super) const API: &str = "NvDsMetaAPI";

/// The batch meta of `buffer`, if `api` is its kind: the payload that `nvdsmetainsert` made of it, else all of it. `None`: the
/// payload goes as a meta of its own.
pub(super) fn to_wire(buffer: &gst::BufferRef, api: glib::Type) -> Option<Result<Option<Kind>, Malformed>> {
    if api.name() != API {
        return None;
    }
    let deepstream = DeepStream::of(buffer)?;
    if CustomMeta::from_buffer(buffer, PAYLOAD).is_ok() {
        return Some(Ok(None));
    }
    if let Some((r#type, data)) = deepstream.payload(buffer) {
        return Some(Ok(Some(Kind::Payload(wire::PayloadMeta { r#type, data }))));
    }
    let encoded = deepstream.read(buffer).map_err(|err| Malformed(err.to_string())).and_then(|batch| {
        let encoded = batch.map(|batch| dsmeta::encode(&batch, Style::Safe)).transpose();
        encoded.map_err(|err| Malformed(err.to_string()))
    });
    let batch = |payload: dsmeta::Payload| {
        Kind::Batch(wire::PayloadMeta { r#type: payload.kind.number(), data: payload.bytes })
    };
    Some(encoded.map(|payload| payload.map(batch)))
}

fn bad(what: impl std::fmt::Display) -> Malformed {
    Malformed(format!("DeepStream's metadata: {what}"))
}

/// Puts a batch meta on `buffer`. Where that has surfaces, elements take each frame for one of them: there are so many
/// `pictures`.
pub(super) fn attach(
    buffer: &mut gst::BufferRef,
    meta: &wire::PayloadMeta,
    pictures: Option<usize>,
) -> Result<(), Malformed> {
    let kind = PayloadKind::try_from(meta.r#type).map_err(bad)?;
    let batch = dsmeta::decode(kind, &meta.data).map_err(bad)?;
    let frames = match &batch {
        Batch::Video(batch) => batch.frames.len(),
        Batch::Audio(batch) => batch.frames.len(),
    };
    if let Some(pictures) = pictures.map(|pictures| pictures.max(1))
        && frames > pictures
    {
        return Err(bad(format!("{frames} frames on a buffer of {pictures}")));
    }
    DeepStream::load().map_err(bad)?.attach(buffer, &batch).map_err(bad)
}

/// Puts what `nvdsmetainsert` made on a batch of so many surfaces, where NVIDIA's `nvdsmetaextract` looks for it: in a batch meta
/// that has a frame for each.
pub(super) fn attach_payload(
    buffer: &mut gst::BufferRef,
    meta: &wire::PayloadMeta,
    pictures: usize,
) -> Result<(), Malformed> {
    let deepstream = DeepStream::load().map_err(bad)?;
    if !::deepstream::carries_batch(buffer) && meta.r#type != PayloadKind::Audio.number() {
        let frame = |slot| VideoFrame { batch_id: slot, num_surfaces_per_frame: 1, ..VideoFrame::default() };
        let count = u32::try_from(pictures).map_err(bad)?;
        let frames = VideoBatch {
            max_frames_in_batch: count,
            frames: (0..count).map(frame).collect(),
            ..VideoBatch::default()
        };
        deepstream.attach(buffer, &Batch::Video(frames)).map_err(bad)?;
    }
    deepstream.set_payload(buffer, meta.r#type, &meta.data).map_err(bad)
}

#[cfg(test)]
mod tests {
    use dsmeta::Payload;
    use dsmeta::model::Object;

    use super::super::{Names, Stream, attach, to_wire};
    use super::*;

    fn batch(frames: usize) -> Batch {
        let object = Object { class_id: 3, label: "car".into(), confidence: 0.5, ..Object::default() };
        let frame = VideoFrame { source_frame_width: 64, objects: vec![object], ..VideoFrame::default() };
        Batch::Video(VideoBatch {
            max_frames_in_batch: frames as u32,
            frames: vec![frame; frames],
            ..VideoBatch::default()
        })
    }

    /// What arrives of `sent`, and what is lost.
    fn cross(sent: &gst::BufferRef) -> (gst::Buffer, Vec<String>) {
        cross_to(sent, Stream::default())
    }

    fn cross_to(sent: &gst::BufferRef, stream: Stream<'_>) -> (gst::Buffer, Vec<String>) {
        let mut lost = Vec::new();
        let metas = to_wire(sent, |_, why| lost.push(why.to_owned()));
        let mut arrived = gst::Buffer::new();
        attach(arrived.make_mut(), &metas, stream, &mut Names::default(), |_, why| {
            lost.push(why.to_owned());
        });
        (arrived, lost)
    }

    #[test]
    fn deepstream_s_metadata_crosses() {
        gst::init().unwrap();
        let Ok(deepstream) = DeepStream::load() else {
            eprintln!("skipped: {} names no folder with DeepStream's libraries", ::deepstream::FOLDER);
            let Payload { kind, bytes } = dsmeta::encode(&batch(1), Style::Safe).unwrap();
            let meta = wire::PayloadMeta { r#type: kind.number(), data: bytes };
            let error = super::attach(gst::Buffer::new().make_mut(), &meta, None).unwrap_err();
            assert!(error.0.contains("libnvds"), "{error}");
            return;
        };
        let mut sent = gst::Buffer::new();
        deepstream.attach(sent.make_mut(), &batch(1)).unwrap();
        let (arrived, lost) = cross(&sent);
        assert_eq!(lost, [""; 0]);
        assert_eq!(deepstream.read(&arrived), deepstream.read(&sent));

        // What NVIDIA's serialisation left there comes as the payload that it is.
        deepstream.set_payload(sent.make_mut(), PayloadKind::Video.number(), b"bytes").unwrap();
        let (arrived, lost) = cross(&sent);
        assert_eq!(lost, [""; 0]);
        let payload = CustomMeta::from_buffer(&arrived, PAYLOAD).unwrap();
        let bytes = payload.structure().get::<gst::Buffer>("payload").unwrap();
        assert_eq!(bytes.map_readable().unwrap().as_slice(), b"bytes");

        let mut sent = gst::Buffer::new();
        deepstream.attach(sent.make_mut(), &batch(3)).unwrap();
        let (arrived, lost) = cross(&sent);
        assert_eq!(lost, [""; 0]);
        assert_eq!(deepstream.read(&arrived), deepstream.read(&sent));
        let (_, lost) = cross_to(&sent, Stream { nvmm: true, pictures: 1, ..Stream::default() });
        assert_eq!(lost, ["DeepStream's metadata: 3 frames on a buffer of 1"]);
    }
}
