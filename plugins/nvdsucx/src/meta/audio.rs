//! Metas of GStreamer's audio library.

use gst::format::GenericFormattedValue;
use gst::glib::translate::IntoGlib;
use gst_audio::{AudioClippingMeta, AudioInfo, AudioLevelMeta, AudioMeta};
use nvdsucx_session::wire;
use wire::meta::Kind;

use crate::event::{self, Malformed};

pub(super) fn layout(meta: &AudioMeta) -> Result<Kind, Malformed> {
    let caps = meta.info().to_caps();
    let caps = caps.map_err(|err| Malformed(format!("a format that has no caps: {err}")))?;
    Ok(Kind::Audio(wire::AudioMeta {
        caps: caps.to_string(),
        samples: meta.samples() as u64,
        offsets: meta.offsets().iter().map(|offset| *offset as u64).collect(),
    }))
}

/// Elements trust the layout, and read or write all samples of it: they must be in the buffer, and of the stream's format.
pub(super) fn attach_layout(
    buffer: &mut gst::BufferRef,
    meta: &wire::AudioMeta,
    stream: Option<&AudioInfo>,
) -> Result<(), Malformed> {
    let bad = |what: &str| Malformed(format!("audio with {what}: {meta:?}"));
    let caps = event::fixed_caps(&meta.caps)?;
    if caps.structure(0).is_none_or(|structure| structure.name() != "audio/x-raw") {
        return Err(bad("caps of something else"));
    }
    let info = AudioInfo::from_caps(&caps).map_err(|_| bad("caps that are no format"))?;
    if stream.is_some_and(|stream| !is_same(stream, &info)) {
        return Err(bad("another format than the stream's"));
    }
    let samples = usize::try_from(meta.samples).map_err(|_| bad("too many samples"))?;
    let bytes = samples.checked_mul(info.bpf() as usize);
    if bytes.is_none_or(|bytes| bytes > buffer.size()) {
        return Err(bad("more samples than bytes"));
    }
    let offsets = meta.offsets.iter().map(|offset| usize::try_from(*offset)).collect::<Result<Vec<_>, _>>();
    let offsets = offsets.map_err(|_| bad("offsets outside of it"))?;
    // What else can be wrong with the offsets is found there.
    AudioMeta::add(buffer, &info, samples, &offsets).map_err(|err| bad(&err.message))?;
    Ok(())
}

fn is_same(a: &AudioInfo, b: &AudioInfo) -> bool {
    (a.format(), a.rate(), a.channels(), a.layout()) == (b.format(), b.rate(), b.channels(), b.layout())
}

pub(super) fn clipping(meta: &AudioClippingMeta) -> Result<Kind, Malformed> {
    let (start, end) = (meta.start(), meta.end());
    let format = start.format();
    let number = u32::try_from(format.into_glib()).map_err(|_| Malformed(format!("a clip in {format:?}")))?;
    Ok(Kind::Clipping(wire::AudioClippingMeta {
        format: number,
        start: start.value().cast_unsigned(),
        end: end.value().cast_unsigned(),
    }))
}

pub(super) fn attach_clipping(
    buffer: &mut gst::BufferRef,
    meta: &wire::AudioClippingMeta,
) -> Result<(), Malformed> {
    let format = event::format(meta.format)?;
    let value = |value: u64| GenericFormattedValue::new(format, value.cast_signed());
    AudioClippingMeta::add(buffer, value(meta.start), value(meta.end));
    Ok(())
}

pub(super) fn level(meta: &AudioLevelMeta) -> Kind {
    Kind::Level(wire::AudioLevelMeta { level: meta.level().into(), voice: meta.voice_activity() })
}

pub(super) fn attach_level(buffer: &mut gst::BufferRef, meta: &wire::AudioLevelMeta) {
    // It is checked.
    AudioLevelMeta::add(buffer, u8::try_from(meta.level).unwrap_or(u8::MAX), meta.voice);
}
