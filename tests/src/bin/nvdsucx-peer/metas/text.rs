//! Metas as text: `KIND FIELD=VALUE …`.

use std::fmt::Write as _;

use gst::meta::{CustomMeta, MetaRef, ProtectionMeta, ReferenceTimestampMeta};
use gst::prelude::*;
use gst_audio::{AudioClippingMeta, AudioLevelMeta, AudioMeta};
use gst_newer::analytics;
use gst_video::video_meta::{VideoCodecAlphaMeta, VideoSeiUserDataUnregisteredMeta};
use gst_video::{
    VideoAFDMeta, VideoAffineTransformationMeta, VideoBarMeta, VideoCaptionMeta, VideoCropMeta, VideoMeta,
    VideoRegionOfInterestMeta, VideoTimeCodeMeta,
};
use nvdsucx_tests::payload::checksum;

use super::value::structure;
use super::{batch, foreign};

type AnyMeta<'a> = MetaRef<'a, gst::Meta>;

/// A line for each meta, in the order in which they were attached.
pub(crate) fn lines(buffer: &gst::BufferRef) -> Vec<String> {
    buffer.iter_meta::<gst::Meta>().map(|meta| line(buffer, &meta)).collect()
}

fn line(buffer: &gst::BufferRef, meta: &AnyMeta<'_>) -> String {
    if let Some(custom) = meta.try_as_custom_meta() {
        return self::custom(custom);
    }
    let known = [
        of(meta, video),
        of(meta, |crop: &VideoCropMeta| format!("crop {:?}", crop.rect())),
        of(meta, region),
        of(meta, |affine: &VideoAffineTransformationMeta| format!("affine {:?}", affine.matrix())),
        of(meta, audio),
        of(meta, |clip: &AudioClippingMeta| {
            format!("clipping start={:?} end={:?}", clip.start(), clip.end())
        }),
        of(meta, |level: &AudioLevelMeta| {
            format!("level {} voice={}", level.level(), level.voice_activity())
        }),
        of(meta, |time: &ReferenceTimestampMeta| timestamp(time, gst_newer::serialize::timestamp_info(meta))),
        of(meta, timecode),
        of(meta, |caption: &VideoCaptionMeta| {
            format!("caption {:?} {}", caption.caption_type(), bytes(caption.data()))
        }),
        of(meta, |afd: &VideoAFDMeta| format!("afd {} {:?} {:?}", afd.field(), afd.spec(), afd.afd())),
        of(meta, bar),
        of(meta, |protection: &ProtectionMeta| format!("protection {}", structure(protection.info()))),
        of(meta, |sei: &VideoSeiUserDataUnregisteredMeta| {
            format!("sei {:02x?} {}", sei.uuid(), bytes(sei.data()))
        }),
        of(meta, alpha),
        foreign::SPOKEN.text(meta),
        foreign::UNHEARD.text(meta),
    ];
    if let Some(text) = known.into_iter().flatten().next() {
        return text;
    }
    if analytics::is_relations(meta) {
        return relations(buffer);
    }
    if meta.api().name() == "NvDsMetaAPI"
        && let Some(text) = batch::text(buffer)
    {
        return text;
    }
    format!("unknown {}", meta.api())
}

/// The text of a meta that is of this kind.
fn of<'a, T: MetaAPI + 'a>(meta: &AnyMeta<'a>, text: impl Fn(&T) -> String) -> Option<String> {
    meta.downcast_ref::<T>().map(|meta| text(meta))
}

fn video(meta: &VideoMeta) -> String {
    let align = meta.alignment();
    let padding = [align.padding_top(), align.padding_bottom(), align.padding_left(), align.padding_right()];
    format!(
        "video id={} flags={:#x} format={:?} {}x{} offsets={:?} strides={:?} padding={padding:?} masks={:?}",
        meta.id(),
        meta.video_frame_flags().bits(),
        meta.format(),
        meta.width(),
        meta.height(),
        meta.offset(),
        meta.stride(),
        align.stride_align(),
    )
}

fn region(meta: &VideoRegionOfInterestMeta) -> String {
    let (label, id, parent) = (meta.roi_type(), meta.id(), meta.parent_id());
    let mut text = format!("region {label:?} id={id} parent={parent} {:?}", meta.rect());
    meta.params().for_each(|param| {
        let _ = write!(text, " {}", structure(param));
    });
    text
}

fn audio(meta: &AudioMeta) -> String {
    let info = meta.info();
    format!(
        "audio {:?} {:?} rate={} channels={} positions={:?} flags={:#x} samples={} offsets={:?}",
        info.format(),
        info.layout(),
        info.rate(),
        info.channels(),
        info.positions(),
        info.flags().bits(),
        meta.samples(),
        meta.offsets()
    )
}

fn timestamp(meta: &ReferenceTimestampMeta, info: Option<String>) -> String {
    let (caps, time) = (meta.reference(), meta.timestamp().nseconds());
    let info = info.map(|info| format!(" info={info}")).unwrap_or_default();
    format!("timestamp {caps} {time} duration={:?}{info}", meta.duration().map(gst::ClockTime::nseconds))
}

fn alpha(meta: &VideoCodecAlphaMeta) -> String {
    let alpha = meta.alpha_buffer();
    let times = (alpha.pts(), alpha.dts(), alpha.duration());
    let content = alpha.map_readable().map_or_else(|_| "unreadable".into(), |content| bytes(&content));
    format!("alpha {times:?} {:?} {content}", alpha.flags())
}

fn timecode(meta: &VideoTimeCodeMeta) -> String {
    let time = meta.tc();
    let jam = time.latest_daily_jam();
    let jam = jam.map(|jam| (jam.to_unix(), jam.microsecond(), jam.utc_offset().as_seconds()));
    format!(
        "timecode {}:{}:{}:{} field={} fps={} flags={:#x} jam={jam:?}",
        time.hours(),
        time.minutes(),
        time.seconds(),
        time.frames(),
        time.field_count(),
        time.fps(),
        time.flags().bits()
    )
}

fn bar(meta: &VideoBarMeta) -> String {
    let numbers = (meta.bar_data1(), meta.bar_data2());
    format!("bar {} letterbox={} {numbers:?}", meta.field(), meta.is_letterbox())
}

fn custom(meta: &MetaRef<'_, CustomMeta>) -> String {
    let tags: Vec<_> = meta.tags().iter().map(gst::glib::GStringPtr::as_str).collect();
    format!("custom tags={tags:?} {}", structure(meta.structure()))
}

/// Numbers as they are, so that nothing is lost in the text.
fn relations(buffer: &gst::BufferRef) -> String {
    format!("relations {:?}", analytics::read(buffer))
}

fn bytes(bytes: &[u8]) -> String {
    format!("{}:{:016x}", bytes.len(), checksum(bytes))
}
