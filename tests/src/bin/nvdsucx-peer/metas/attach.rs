//! Every kind of meta, in all its variants.

use gst::BufferRef;
use gst::meta::{CustomMeta, ProtectionMeta, ReferenceTimestampMeta};
use gst_audio::{
    AudioChannelPosition, AudioClippingMeta, AudioFormat, AudioInfo, AudioLayout, AudioLevelMeta, AudioMeta,
};
use gst_newer::analytics::{self, Analytics, Link, Mask, MaskFormat, Relations, SegmentationKind, Thing};
use gst_video::video_meta::{VideoCodecAlphaMeta, VideoSeiUserDataUnregisteredMeta};
use gst_video::{
    ValidVideoTimeCode, VideoAFDMeta, VideoAFDSpec, VideoAFDValue, VideoAffineTransformationMeta,
    VideoAlignment, VideoBarMeta, VideoCaptionMeta, VideoCaptionType, VideoCropMeta, VideoFormat,
    VideoFrameFlags, VideoInfo, VideoMeta, VideoRegionOfInterestMeta, VideoTimeCodeFlags, VideoTimeCodeMeta,
};
use nvdsucx_tests::payload::Random;

use super::{KNOWN, PAYLOAD, STRANGE, STRANGE_TAGS, foreign, value};

/// A kind of meta.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    name: &'static str,
    /// Attaches one, of this variant.
    pub(super) attach: fn(&mut BufferRef, usize, &mut Random),
}

/// The layout first: elements put theirs on a buffer before they put anything else there.
const KINDS: &[Kind] = &[
    Kind { name: "video", attach: video },
    Kind { name: "crop", attach: crop },
    Kind { name: "region", attach: region },
    Kind { name: "affine", attach: affine },
    Kind { name: "audio", attach: audio },
    Kind { name: "audio-planar", attach: audio_planar },
    Kind { name: "clipping", attach: clipping },
    Kind { name: "level", attach: level },
    Kind { name: "timestamp", attach: timestamp },
    Kind { name: "timecode", attach: timecode },
    Kind { name: "caption", attach: caption },
    Kind { name: "afd", attach: afd },
    Kind { name: "bar", attach: bar },
    Kind { name: "protection", attach: protection },
    Kind { name: "known", attach: known },
    Kind { name: "strange", attach: strange },
    Kind { name: "payload", attach: payload },
    Kind { name: "sei", attach: sei },
    Kind { name: "alpha", attach: alpha },
];

const QUARTER: Kind = Kind { name: "crop-quarter", attach: crop_quarter };
const RELATIONS: Kind = Kind { name: "relations", attach: relations };
const FOREIGN: Kind = Kind { name: "foreign", attach: foreign };
const BATCH: Kind = Kind { name: "batch", attach: super::batch::attach };
/// Of GStreamer 1.24 and newer.
const SPOKEN: Kind =
    Kind { name: "spoken", attach: |buffer, _, random| foreign::SPOKEN.attach(buffer, random.word()) };
const UNHEARD: Kind =
    Kind { name: "unheard", attach: |buffer, _, random| foreign::UNHEARD.attach(buffer, random.word()) };
/// One thing of them is of a kind that nobody knows.
const ODD_RELATIONS: Kind = Kind { name: "relations-odd", attach: odd_relations };
/// Of GStreamer 1.28 and newer.
const INFORMED: Kind = Kind { name: "timestamp-info", attach: timestamp_info };

pub(super) fn find(name: &str) -> Option<Kind> {
    let others = [QUARTER, RELATIONS, ODD_RELATIONS, FOREIGN, BATCH, SPOKEN, UNHEARD, INFORMED];
    KINDS.iter().copied().chain(others).find(|kind| kind.name == name)
}

/// All that can travel, with the running GStreamer.
pub(super) fn all() -> impl Iterator<Item = Kind> {
    // A buffer has one layout, of video or of audio.
    let kinds = KINDS.iter().copied().filter(|kind| !kind.name.starts_with("audio"));
    kinds.chain(Analytics::get().map(|_| RELATIONS))
}

/// A frame of 64x48 in I420, with padding around it.
fn video(buffer: &mut BufferRef, variant: usize, random: &mut Random) {
    let mut info = VideoInfo::builder(VideoFormat::I420, 64, 48).build().expect("a usual frame");
    let mut even = || random.below(8) * 2;
    let strides = [31, 15, 15, 0].map(|mask| if variant.is_multiple_of(2) { mask } else { 0 });
    let mut alignment = VideoAlignment::new(even(), even(), even(), even(), &strides);
    info.align(&mut alignment).expect("this can be aligned");
    let flags = [VideoFrameFlags::empty(), VideoFrameFlags::INTERLACED | VideoFrameFlags::TFF];
    let (offsets, strides) = (info.offset(), info.stride());
    let mut meta = VideoMeta::add_full(
        buffer,
        flags[variant % flags.len()],
        info.format(),
        info.width(),
        info.height(),
        offsets,
        strides,
    )
    .expect("the buffer is large enough");
    meta.set_alignment(&alignment).expect("it is of this layout");
}

fn crop(buffer: &mut BufferRef, _: usize, random: &mut Random) {
    let (x, y) = (random.below(32), random.below(24));
    VideoCropMeta::add(buffer, (x, y, 1 + random.below(32), 1 + random.below(24)));
}

/// What caps of 32x24 show of a frame of 64x48.
fn crop_quarter(buffer: &mut BufferRef, _: usize, random: &mut Random) {
    VideoCropMeta::add(buffer, (random.below(33), random.below(25), 32, 24));
}

fn region(buffer: &mut BufferRef, variant: usize, random: &mut Random) {
    let label = ["vehicle", "Fußgänger", "license plate \"EU\""][variant % 3];
    let rect = (random.below(5000), random.below(5000), random.below(5000), random.below(5000));
    let (id, parent) = ((random.word() as i32).max(0), variant as i32 - 1);
    let confidence = f64::from(random.below(1000)) / 1001.0;
    let mut meta = VideoRegionOfInterestMeta::add(buffer, label, rect);
    meta.set_id(id);
    meta.set_parent_id(parent);
    meta.add_param(
        gst::Structure::builder("detection").field("confidence", confidence).field("label_id", 7).build(),
    );
    meta.add_param(gst::Structure::builder("object_id").field("id", id).build());
    if variant.is_multiple_of(2) {
        meta.add_param(value::of_every_type("color/model-2", random));
        meta.add_param(gst::Structure::new_empty("nothing"));
    }
}

fn affine(buffer: &mut BufferRef, _: usize, random: &mut Random) {
    let matrix = [(); 4].map(|()| [(); 4].map(|()| random.below(1 << 20) as f32 / 4099.0 - 100.0));
    VideoAffineTransformationMeta::add(buffer, Some(&matrix));
}

fn audio(buffer: &mut BufferRef, _: usize, random: &mut Random) {
    let info = AudioInfo::builder(AudioFormat::S16le, 48_000, 2).build().expect("usual audio");
    let samples = buffer.size() / info.bpf() as usize - random.below(10) as usize;
    AudioMeta::add(buffer, &info, samples, &[]).expect("the buffer is large enough");
}

fn audio_planar(buffer: &mut BufferRef, variant: usize, random: &mut Random) {
    use AudioChannelPosition as P;
    let positions = [P::FrontLeft, P::FrontRight, P::FrontCenter, P::Lfe1, P::RearLeft, P::RearRight];
    let info = AudioInfo::builder(AudioFormat::F32le, 48_000, 6).positions(&positions);
    let info = info.layout(AudioLayout::NonInterleaved).build().expect("usual audio");
    let plane = buffer.size() / 6 / 4;
    let samples = plane - random.below(10) as usize;
    // With gaps between them, and in another order than the channels are.
    let offsets: Vec<_> = (0..6).map(|channel| (channel + variant) % 6 * plane * 4).collect();
    AudioMeta::add(buffer, &info, samples, &offsets).expect("the planes do not overlap");
}

fn clipping(buffer: &mut BufferRef, variant: usize, random: &mut Random) {
    let format = [gst::Format::Default, gst::Format::Time, gst::Format::Bytes][variant % 3];
    let mut value = || gst::GenericFormattedValue::new(format, i64::from(random.below(u32::MAX)));
    let (start, end) = (value(), value());
    AudioClippingMeta::add(buffer, start, end);
}

fn level(buffer: &mut BufferRef, variant: usize, random: &mut Random) {
    AudioLevelMeta::add(buffer, random.below(128) as u8, variant.is_multiple_of(2));
}

fn timestamp(buffer: &mut BufferRef, variant: usize, random: &mut Random) {
    let reference = [
        gst::Caps::builder("timestamp/x-ntp").build(),
        gst::Caps::builder("timestamp/x-drivers-time").field("stream", "left, 1").build(),
    ];
    let timestamp = gst::ClockTime::from_nseconds(random.word() >> 1);
    let duration = variant.is_multiple_of(2).then(|| gst::ClockTime::from_nseconds(random.word() >> 1));
    ReferenceTimestampMeta::add(buffer, &reference[variant / 2 % 2], timestamp, duration);
}

fn timecode(buffer: &mut BufferRef, variant: usize, random: &mut Random) {
    use VideoTimeCodeFlags as F;
    let jam = gst::glib::DateTime::from_iso8601(
        if variant.is_multiple_of(4) { "2024-02-29T23:59:58.123456+05:30" } else { "2031-06-01T04:00:00Z" },
        None,
    );
    let jam = variant.is_multiple_of(2).then(|| jam.expect("a time"));
    let (fps, flags) = [
        (gst::Fraction::new(30_000, 1001), F::DROP_FRAME),
        (gst::Fraction::new(25, 1), F::INTERLACED),
        (gst::Fraction::new(60_000, 1001), F::DROP_FRAME | F::INTERLACED),
        (gst::Fraction::new(24, 1), F::empty()),
    ][variant / 2 % 4];
    let fields = if flags.contains(F::INTERLACED) { 1 + random.below(2) } else { 0 };
    let (hours, minutes, seconds) = (random.below(24), random.below(60), random.below(60));
    // The first frames of a minute may have been dropped.
    let frame = 4 + random.below(20);
    let time = ValidVideoTimeCode::new(fps, jam.as_ref(), flags, hours, minutes, seconds, frame, fields);
    VideoTimeCodeMeta::add(buffer, &time.expect("a time code that can be"));
}

fn caption(buffer: &mut BufferRef, variant: usize, random: &mut Random) {
    use VideoCaptionType as T;
    let kind = [T::Cea608Raw, T::Cea608S3341a, T::Cea708Raw, T::Cea708Cdp][variant % 4];
    let len = 1 + random.below(200) as usize;
    VideoCaptionMeta::add(buffer, kind, &random.bytes(len));
}

fn afd(buffer: &mut BufferRef, variant: usize, _: &mut Random) {
    use VideoAFDSpec as S;
    use VideoAFDValue as V;
    let values = [V::_169TopAligned, V::_149TopAligned, V::GreaterThan169, V::_43Full169Full]
        .into_iter()
        .chain([V::_43Full43Pillar, V::_169Letter169Full, V::_149Letter149Pillar, V::_43Full149Center])
        .chain([V::_169Letter149Center, V::_169Letter43Center]);
    let values: Vec<_> = values.collect();
    let spec = [S::DvbEtsi, S::AtscA53, S::SmpteSt20161][variant % 3];
    VideoAFDMeta::add(buffer, (variant % 2) as u8, spec, values[variant % values.len()]);
}

fn bar(buffer: &mut BufferRef, variant: usize, random: &mut Random) {
    let letterbox = variant.is_multiple_of(2);
    VideoBarMeta::add(buffer, (variant / 2 % 2) as u8, letterbox, random.below(10_000), random.below(10_000));
}

/// As a demuxer of encrypted files attaches it.
fn protection(buffer: &mut BufferRef, variant: usize, random: &mut Random) {
    let mut bytes = |len| gst::Buffer::from_slice(random.bytes(len));
    let info = gst::Structure::builder("application/x-cenc")
        .field("encrypted", variant.is_multiple_of(2))
        .field("iv_size", 8_u32)
        .field("kid", bytes(16))
        .field("iv", bytes(8))
        .field("subsample_count", 2_u32)
        .field("subsamples", bytes(12))
        .build();
    ProtectionMeta::add(buffer, info);
}

fn known(buffer: &mut BufferRef, variant: usize, random: &mut Random) {
    let content = if variant.is_multiple_of(2) {
        value::of_simple_types(KNOWN, random)
    } else {
        value::of_every_type(KNOWN, random)
    };
    custom(buffer, &content);
}

fn strange(buffer: &mut BufferRef, _: usize, random: &mut Random) {
    if !CustomMeta::is_registered(STRANGE) {
        CustomMeta::register(STRANGE, &STRANGE_TAGS);
    }
    custom(buffer, &value::of_every_type(STRANGE, random));
}

fn payload(buffer: &mut BufferRef, variant: usize, random: &mut Random) {
    if !CustomMeta::is_registered(PAYLOAD) {
        CustomMeta::register(PAYLOAD, &[]);
    }
    let len = random.below(5000) as usize;
    let content = gst::Structure::builder(PAYLOAD)
        .field("type", [0xab_cdef_u32, 0xfe_dcba][variant % 2])
        .field("payload", gst::Buffer::from_slice(random.bytes(len)))
        .build();
    custom(buffer, &content);
}

fn custom(buffer: &mut BufferRef, content: &gst::StructureRef) {
    let mut meta = CustomMeta::add(buffer, content.name()).expect("it is registered");
    let structure = meta.mut_structure();
    content.iter().for_each(|(name, value)| structure.set_value(name.as_str(), value.clone()));
}

fn sei(buffer: &mut BufferRef, _: usize, random: &mut Random) {
    let uuid = random.bytes(16).try_into().expect("16 bytes");
    let len = 1 + random.below(300) as usize;
    VideoSeiUserDataUnregisteredMeta::add(buffer, &uuid, &random.bytes(len));
}

fn alpha(buffer: &mut BufferRef, variant: usize, random: &mut Random) {
    let len = random.below(300) as usize;
    let mut alpha = gst::Buffer::from_slice(random.bytes(len));
    let fresh = alpha.get_mut().expect("a new buffer");
    fresh.set_pts(gst::ClockTime::from_nseconds(random.word() >> 1));
    fresh.set_duration(variant.is_multiple_of(2).then(|| gst::ClockTime::from_nseconds(random.word() >> 1)));
    fresh.set_flags([gst::BufferFlags::DELTA_UNIT, gst::BufferFlags::empty()][variant % 2]);
    // The bindings (0.25) drop a reference that they have given to the meta.
    std::mem::forget(alpha.clone());
    VideoCodecAlphaMeta::add(buffer, alpha);
}

fn timestamp_info(buffer: &mut BufferRef, variant: usize, random: &mut Random) {
    let info =
        ["clock, synced=(boolean)true;", "clock, name=(string)\"a\\ b\", error=(double)0.25;"][variant % 2];
    let duration = variant.is_multiple_of(2).then(|| random.word() >> 1);
    gst_newer::serialize::attach_timestamp(buffer, "timestamp/x-ptp", random.word() >> 1, duration, info)
        .expect("only asked for where GStreamer has it");
}

/// Two objects, one of them in the other, what they are, and the way of one; on newer releases a mask, too.
fn relations(buffer: &mut BufferRef, variant: usize, random: &mut Random) {
    const IS_PART_OF: u32 = 2;
    const CONTAIN: u32 = 4;
    const RELATE_TO: u32 = 8;
    let mut object = |label: &str| Thing::Object {
        label: label.into(),
        x: random.below(2000) as i32 - 1000,
        y: random.below(2000) as i32 - 1000,
        width: random.below(2000) as i32,
        height: random.below(2000) as i32,
        rotation: random.below(1000) as f32 / 1001.0,
        confidence: random.below(1000) as f32 / 1001.0,
    };
    let mut things = vec![object("car"), object("license plate")];
    let classes = ["red", "blue", "größer"].map(|name| (name.into(), random.below(1000) as f32 / 1001.0));
    things.push(Thing::Class { classes: classes.into() });
    let seen = |random: &mut Random| gst::ClockTime::from_nseconds(random.word() >> 4);
    things.push(Thing::Tracking {
        id: random.word(),
        first_seen: Some(seen(random)),
        last_seen: Some(seen(random)),
        lost: variant.is_multiple_of(2),
    });
    let mask = Mask { format: MaskFormat::Gray8, width: 8, height: 4, data: random.bytes(32) };
    let mask = Thing::Segmentation {
        kind: SegmentationKind::Instance,
        mask,
        regions: vec![1, 2, 1 << 20],
        x: 16,
        y: 8,
        shown_width: 32,
        shown_height: 24,
    };
    if Analytics::get().is_some_and(|analytics| analytics.can_attach(&mask)) {
        things.push(mask);
    }
    let link = |from, to, relation| Link { from, to, relation };
    let links = vec![
        link(0, 1, CONTAIN),
        link(1, 0, IS_PART_OF),
        link(0, 2, RELATE_TO),
        link(2, 0, RELATE_TO),
        link(0, 3, RELATE_TO),
    ];
    let relations = Relations { things, links };
    analytics::attach(buffer, &relations).expect("only asked for where GStreamer has them");
}

fn odd_relations(buffer: &mut BufferRef, variant: usize, random: &mut Random) {
    relations(buffer, variant, random);
    foreign::attach_unknown_thing(buffer);
}

fn foreign(buffer: &mut BufferRef, _: usize, _: &mut Random) {
    foreign::attach(buffer);
}
