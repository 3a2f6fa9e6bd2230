//! Metas go to bytes and come back.

use gst::meta::{CustomMeta, ProtectionMeta, ReferenceTimestampMeta};
use gst::{ClockTime, glib};
use gst_audio::{AudioFormat, AudioInfo, AudioLayout};
use gst_video::{
    ValidVideoTimeCode, VideoAFDSpec, VideoAFDValue, VideoCaptionType, VideoFormat, VideoFrameFlags,
    VideoOverlayComposition, VideoOverlayCompositionMeta, VideoOverlayFormatFlags, VideoOverlayRectangle,
    VideoTimeCodeFlags,
};

use super::*;
use crate::ffi;
use crate::memory::cuda::Gpu;

/// The buffer that arrives, and what was lost on the way.
fn cross(buffer: &gst::BufferRef, stream: Stream<'_>) -> (gst::Buffer, Vec<String>) {
    let mut lost = Vec::new();
    let metas = to_wire(buffer, |kind, why| lost.push(format!("{kind}: {why}")));
    let mut arrived = gst::Buffer::with_size(buffer.size()).unwrap();
    let mut names = Names::default();
    attach(arrived.make_mut(), &metas, stream, &mut names, |kind, why| lost.push(format!("{kind}: {why}")));
    (arrived, lost)
}

fn with(fill: impl FnOnce(&mut gst::BufferRef)) -> gst::Buffer {
    gst::init().unwrap();
    let mut buffer = gst::Buffer::with_size(7680).unwrap();
    fill(buffer.make_mut());
    buffer
}

/// What arrives of one that has a single meta; nothing may be lost.
fn crossed(fill: impl FnOnce(&mut gst::BufferRef)) -> gst::Buffer {
    let (arrived, lost) = cross(&with(fill), Stream::default());
    assert_eq!(lost, [""; 0]);
    arrived
}

#[test]
fn a_crop_crosses() {
    let arrived = crossed(|buffer| {
        VideoCropMeta::add(buffer, (1, 2, 3, 4));
    });
    assert_eq!(arrived.meta::<VideoCropMeta>().unwrap().rect(), (1, 2, 3, 4));
}

#[test]
fn a_crop_must_be_within_the_picture() {
    let info = gst_video::VideoInfo::builder(VideoFormat::Gray8, 80, 96);
    let buffer = with(|buffer| {
        VideoCropMeta::add(buffer, (1, 2, 80, 4));
    });
    let video = crate::video::Stream::new(info.build().unwrap());
    let (arrived, lost) = cross(&buffer, Stream { video: Some(&video), ..Stream::default() });
    assert_eq!((arrived.meta::<VideoCropMeta>().is_none(), lost.len()), (true, 1), "{lost:?}");
}

#[test]
fn regions_keep_their_parameters_and_parents() {
    let list = gst::Array::new([1, 2]);
    let detection = gst::Structure::builder("detection")
        .field("confidence", 0.9f64)
        .field("label", "f\u{e4}ce")
        .field("label_id", 3)
        .field("real", 0.1f32)
        .field("big", u64::MAX)
        .field("flag", true)
        .build();
    let odd =
        gst::Structure::builder("odd").field("list", list).field("third", gst::Fraction::new(1, 3)).build();
    let arrived = crossed(|buffer| {
        let mut region = VideoRegionOfInterestMeta::add(buffer, "face", (1, 2, 3, 4));
        region.set_id(7);
        region.set_parent_id(-1);
        region.add_param(detection.clone());
        region.add_param(odd.clone());
        VideoRegionOfInterestMeta::add(buffer, "eye", (u32::MAX, 0, 1, 1)).set_parent_id(7);
    });
    let regions: Vec<_> = arrived.iter_meta::<VideoRegionOfInterestMeta>().collect();
    assert_eq!(regions.len(), 2);
    assert_eq!((regions[0].roi_type(), regions[0].rect()), ("face", (1, 2, 3, 4)));
    assert_eq!((regions[0].id(), regions[0].parent_id()), (7, -1));
    let params: Vec<_> = regions[0].params().map(ToOwned::to_owned).collect();
    assert_eq!(params, [detection, odd]);
    assert_eq!((regions[1].roi_type(), regions[1].rect().0, regions[1].parent_id()), ("eye", u32::MAX, 7));
}

#[test]
fn regions_that_are_like_others_keep_their_own_values() {
    let param = |number: i32| {
        gst::Structure::builder("all")
            .field("int", number)
            .field("uint", 7_u32.wrapping_add_signed(number))
            .field("int64", i64::from(number) << 40)
            .field("uint64", u64::MAX - u64::from(number.unsigned_abs()))
            .field("float", number as f32 / 3.0)
            .field("double", f64::from(number) / 3.0)
            .field("flag", number % 2 == 0)
            .field("text", format!("number {number}"))
            .build()
    };
    // The same names, but not all of the same types, or not in the same order, or not as many.
    let others =
        ["all, int=(uint)1", "all, uint=(uint)1, int=(int)2", "all, int=(int)9", "all", "every, int=(int)9"];
    let others: Vec<gst::Structure> = others.iter().map(|text| text.parse().unwrap()).collect();
    let sent = with(|buffer| {
        for number in -40..40 {
            let mut region = VideoRegionOfInterestMeta::add(buffer, "face", (1, 2, 3, 4));
            region.add_param(param(number));
            others.iter().for_each(|other| region.add_param(other.clone()));
            region.add_param(param(number * 1000));
        }
    });
    let (arrived, lost) = cross(&sent, Stream::default());
    assert_eq!(lost, [""; 0]);
    let regions: Vec<_> = arrived.iter_meta::<VideoRegionOfInterestMeta>().collect();
    assert_eq!(regions.len(), 80);
    for (number, region) in (-40..40).zip(regions) {
        let params: Vec<_> = region.params().map(ToOwned::to_owned).collect();
        let mut expected = vec![param(number)];
        expected.extend(others.clone());
        expected.push(param(number * 1000));
        assert_eq!(params, expected);
    }
}

#[test]
fn an_affine_transformation_crosses() {
    let matrix = [[1.0, 2.0, 3.0, 4.0], [0.5; 4], [-1.0; 4], [0.0; 4]];
    let arrived = crossed(|buffer| {
        VideoAffineTransformationMeta::add(buffer, Some(&matrix));
    });
    assert_eq!(arrived.meta::<VideoAffineTransformationMeta>().unwrap().matrix(), &matrix);
}

#[test]
fn time_codes_cross() {
    for daily_jam in [None, Some(glib::DateTime::from_iso8601("2021-02-04T10:53:17.25+02:00", None).unwrap())]
    {
        let time = ValidVideoTimeCode::new(
            gst::Fraction::new(30_000, 1001),
            daily_jam.as_ref(),
            VideoTimeCodeFlags::DROP_FRAME,
            10,
            53,
            17,
            2,
            0,
        )
        .unwrap();
        let arrived = crossed(|buffer| {
            VideoTimeCodeMeta::add(buffer, &time);
        });
        let there = arrived.meta::<VideoTimeCodeMeta>().unwrap().tc();
        assert_eq!(there, time);
        assert_eq!((there.fps(), there.flags()), (time.fps(), time.flags()));
        assert_eq!(there.latest_daily_jam(), daily_jam);
    }
}

#[test]
fn captions_afd_bar_and_sei_cross() {
    let arrived = crossed(|buffer| {
        VideoCaptionMeta::add(buffer, VideoCaptionType::Cea708Raw, &[0xfc, 0x80, 0x80]);
        VideoCaptionMeta::add(buffer, VideoCaptionType::Cea608S3341a, &[0, 1, 2]);
        VideoAFDMeta::add(buffer, 1, VideoAFDSpec::SmpteSt20161, VideoAFDValue::_169Letter149Center);
        VideoBarMeta::add(buffer, 1, true, 140, 940);
        VideoSeiUserDataUnregisteredMeta::add(buffer, &[7; 16], b"sei");
    });
    let captions: Vec<_> = arrived.iter_meta::<VideoCaptionMeta>().collect();
    assert_eq!(captions[0].caption_type(), VideoCaptionType::Cea708Raw);
    assert_eq!((captions[0].data(), captions[1].data()), (&[0xfc, 0x80, 0x80][..], &[0, 1, 2][..]));
    let afd = arrived.meta::<VideoAFDMeta>().unwrap();
    assert_eq!((afd.field(), afd.spec()), (1, VideoAFDSpec::SmpteSt20161));
    assert_eq!(afd.afd(), VideoAFDValue::_169Letter149Center);
    let bar = arrived.meta::<VideoBarMeta>().unwrap();
    assert_eq!((bar.field(), bar.is_letterbox(), bar.bar_data1(), bar.bar_data2()), (1, true, 140, 940));
    let sei = arrived.meta::<VideoSeiUserDataUnregisteredMeta>().unwrap();
    assert_eq!((sei.uuid(), sei.data()), ([7; 16], &b"sei"[..]));
}

#[test]
fn transparency_crosses() {
    let arrived = crossed(|buffer| {
        let mut alpha = gst::Buffer::from_slice(b"encoded");
        let fresh = alpha.make_mut();
        fresh.set_pts(ClockTime::SECOND);
        fresh.set_duration(ClockTime::MSECOND);
        fresh.set_flags(gst::BufferFlags::DELTA_UNIT);
        ffi::add_alpha(buffer, alpha);
    });
    let meta = arrived.meta::<VideoCodecAlphaMeta>().unwrap();
    let alpha = meta.alpha_buffer();
    assert_eq!(alpha.map_readable().unwrap().as_slice(), b"encoded");
    assert_eq!((alpha.pts(), alpha.dts()), (Some(ClockTime::SECOND), None));
    assert_eq!((alpha.duration(), alpha.flags()), (Some(ClockTime::MSECOND), gst::BufferFlags::DELTA_UNIT));
}

#[test]
fn what_newer_releases_know_of_a_timestamp_is_counted_where_it_has_no_place() {
    gst::init().unwrap();
    let reference = "timestamp/x-ntp".to_owned();
    let info = "info, a=(int)3;".to_owned();
    let kind = wire::ReferenceTimestampMeta { reference, timestamp: 5, duration: None, info };
    let metas = [encode_meta(Kind::ReferenceTimestamp(kind))];
    let mut lost = Vec::new();
    let mut arrived = gst::Buffer::new();
    attach(arrived.make_mut(), &metas, Stream::default(), &mut Names::default(), |kind, why| {
        lost.push(format!("{kind}: {why}"));
    });
    let meta = arrived.meta::<ReferenceTimestampMeta>().expect("the rest of it");
    assert_eq!(meta.timestamp(), ClockTime::from_nseconds(5));
    assert_eq!(lost.len(), usize::from(gst::version() < (1, 28, 0, 0)), "{lost:?}");
}

fn planar() -> AudioInfo {
    gst::init().unwrap();
    AudioInfo::builder(AudioFormat::F32le, 48_000, 2).layout(AudioLayout::NonInterleaved).build().unwrap()
}

#[test]
fn audio_metas_cross() {
    let info = planar();
    let buffer = with(|buffer| {
        AudioMeta::add(buffer, &info, 480, &[0, 1920]).unwrap();
        AudioClippingMeta::add(buffer, ClockTime::SECOND, ClockTime::MSECOND);
        AudioLevelMeta::add(buffer, 99, true);
    });
    let (arrived, lost) = cross(&buffer, Stream { audio: Some(&info), ..Stream::default() });
    assert_eq!(lost, [""; 0]);
    let meta = arrived.meta::<AudioMeta>().unwrap();
    assert_eq!((meta.info(), meta.samples(), meta.offsets()), (&info, 480, &[0, 1920][..]));
    let clip = arrived.meta::<AudioClippingMeta>().unwrap();
    assert_eq!((clip.start(), clip.end()), (ClockTime::SECOND.into(), ClockTime::MSECOND.into()));
    let level = arrived.meta::<AudioLevelMeta>().unwrap();
    assert_eq!((level.level(), level.voice_activity()), (99, true));
}

#[test]
fn audio_that_is_not_there_is_lost() {
    let info = planar();
    let attached = |change: fn(&mut wire::AudioMeta), stream: &AudioInfo| {
        let caps = info.to_caps().unwrap().to_string();
        let mut meta = wire::AudioMeta { caps, samples: 480, offsets: vec![0, 1920] };
        change(&mut meta);
        audio::attach_layout(gst::Buffer::with_size(3840).unwrap().make_mut(), &meta, Some(stream))
    };
    attached(|_| (), &info).unwrap();
    attached(|meta| meta.samples = 481, &info).unwrap_err();
    attached(|meta| meta.samples = u64::MAX, &info).unwrap_err();
    attached(|meta| meta.offsets = vec![0, 1921], &info).unwrap_err();
    attached(|meta| meta.offsets = vec![0, 0], &info).unwrap_err();
    attached(|meta| meta.offsets = vec![0], &info).unwrap_err();
    attached(|meta| meta.caps = "video/x-raw".into(), &info).unwrap_err();
    let other = AudioInfo::builder(AudioFormat::F32le, 48_000, 2).build().unwrap();
    attached(|_| (), &other).unwrap_err();
}

#[test]
fn metas_of_the_core_cross() {
    let caps = gst::Caps::builder("timestamp/x-ntp").field("host", "a").build();
    let info = gst::Structure::builder("application/x-cenc")
        .field("iv_size", 8u32)
        .field("key", gst::Buffer::from_slice([1, 2, 3]))
        .build();
    let arrived = crossed(|buffer| {
        ReferenceTimestampMeta::add(buffer, &caps, ClockTime::SECOND, ClockTime::MSECOND);
        ProtectionMeta::add(buffer, info.clone());
    });
    let time = arrived.meta::<ReferenceTimestampMeta>().unwrap();
    assert_eq!(time.reference(), caps.as_ref());
    assert_eq!((time.timestamp(), time.duration()), (ClockTime::SECOND, Some(ClockTime::MSECOND)));
    let protection = arrived.meta::<ProtectionMeta>().unwrap();
    let key = protection.info().get::<gst::Buffer>("key").unwrap();
    assert_eq!(key.map_readable().unwrap().as_slice(), [1, 2, 3]);
    assert_eq!(protection.info().get::<u32>("iv_size"), Ok(8));
}

#[test]
fn custom_metas_cross() {
    gst::init().unwrap();
    CustomMeta::register("TestMeta", &["video"]);
    gst_newer::custom_meta::register(generic::PAYLOAD, &[]).unwrap();
    let arrived = crossed(|buffer| {
        CustomMeta::add(buffer, "TestMeta").unwrap().mut_structure().set("number", 7);
        let mut payload = CustomMeta::add(buffer, generic::PAYLOAD).unwrap();
        payload.mut_structure().set("type", 0xab_cdef_u32);
        payload.mut_structure().set("payload", gst::Buffer::from_slice(b"bytes"));
    });
    let custom = CustomMeta::from_buffer(&arrived, "TestMeta").unwrap();
    assert_eq!(custom.structure().get::<i32>("number"), Ok(7));
    let payload = CustomMeta::from_buffer(&arrived, generic::PAYLOAD).unwrap();
    let bytes = payload.structure().get::<gst::Buffer>("payload").unwrap();
    assert_eq!(bytes.map_readable().unwrap().as_slice(), b"bytes");
    assert_eq!(payload.structure().get::<u32>("type"), Ok(0xab_cdef));
}

#[test]
fn a_custom_meta_that_nobody_registered_here_is_registered_with_its_tags() {
    let structure = wire::Structure { name: "FromElsewhere".into(), ..wire::Structure::default() };
    let meta = wire::CustomMeta {
        name: "FromElsewhere".into(),
        tags: vec!["video".into()],
        structure: Some(structure),
    };
    let arrived = with(|buffer| generic::attach_custom(buffer, &meta, &mut Names::default()).unwrap());
    let custom = CustomMeta::from_buffer(&arrived, "FromElsewhere").unwrap();
    assert!(custom.has_name("FromElsewhere"));
    assert_eq!(gst_newer::custom_meta::tags("FromElsewhere"), Some(vec!["video".to_owned()]));
}

#[test]
fn further_layouts_cross_behind_the_first() {
    let info = gst_video::VideoInfo::builder(VideoFormat::Gray8, 80, 96).build().unwrap();
    let buffer = with(|buffer| {
        for id in 0..2 {
            let mut meta =
                VideoMeta::add(buffer, VideoFrameFlags::empty(), VideoFormat::Gray8, 80, 96).unwrap();
            ffi::set_video_meta_id(&mut meta, id);
        }
    });
    let video = crate::video::Stream::new(info);
    let frame =
        crate::buffer::to_frame(&buffer, Some(&video), &Gpu::default(), |kind, why| panic!("{kind}: {why}"))
            .unwrap();
    assert_eq!(frame.header.metas.len(), 2);
    let mut arrived = with(|_| ());
    let first = crate::video::decode(&frame.header.metas[0], 7680, Some(&video)).unwrap().unwrap();
    first.attach(arrived.make_mut()).unwrap();
    let stream = Stream { video: Some(&video), ..Stream::default() };
    let mut names = Names::default();
    attach(arrived.make_mut(), &frame.header.metas[1..], stream, &mut names, |kind, why| {
        panic!("{kind}: {why}")
    });
    assert_eq!(arrived.iter_meta::<VideoMeta>().map(|meta| meta.id()).collect::<Vec<_>>(), [0, 1]);
    let mut lost = 0;
    attach(with(|_| ()).make_mut(), &frame.header.metas[1..], stream, &mut names, |_, _| lost += 1);
    assert_eq!(lost, 1, "without a first there is no second");
}

#[test]
fn what_cannot_cross_is_told_and_what_is_local_is_not() {
    let buffer = with(|buffer| {
        let mut pixels = gst::Buffer::with_size(16).unwrap();
        VideoMeta::add(pixels.make_mut(), VideoFrameFlags::empty(), VideoFormat::Bgra, 2, 2).unwrap();
        let flags = VideoOverlayFormatFlags::empty();
        let rectangle = VideoOverlayRectangle::new_raw(&pixels, 0, 0, 2, 2, flags);
        let composition = VideoOverlayComposition::new([&rectangle]).unwrap();
        VideoOverlayCompositionMeta::add(buffer, &composition);
        gst::meta::ParentBufferMeta::add(buffer, &gst::Buffer::new());
    });
    let (arrived, lost) = cross(&buffer, Stream::default());
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert!(lost[0].starts_with("GstVideoOverlayCompositionMetaAPI: "), "{lost:?}");
    assert_eq!(arrived.iter_meta::<gst::Meta>().count(), 0);
    let losses = Losses::default();
    assert_eq!([losses.add("a"), losses.add("a"), losses.add("b")], [true, false, true]);
    assert_eq!(losses.count(), 3);
}

#[test]
fn more_than_fits_a_header_is_lost() {
    let buffer = with(|buffer| {
        for _ in 0..3 {
            VideoCaptionMeta::add(buffer, VideoCaptionType::Cea708Raw, &vec![1; MAX_BYTES / 2 - 100]);
        }
    });
    let (arrived, lost) = cross(&buffer, Stream::default());
    assert_eq!((arrived.iter_meta::<VideoCaptionMeta>().count(), lost.len()), (2, 1));
    let buffer = with(|buffer| {
        for id in 0..5000 {
            VideoRegionOfInterestMeta::add(buffer, "x", (0, 0, 1, 1)).set_id(id);
        }
    });
    let (arrived, lost) = cross(&buffer, Stream::default());
    let regions = arrived.iter_meta::<VideoRegionOfInterestMeta>().count();
    assert_eq!((regions, lost.len()), (wire::MAX_METAS - 1, 5001 - wire::MAX_METAS));
}

/// Marsaglia's xorshift: the same numbers on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

#[test]
fn damaged_metas_are_lost_or_attached_without_a_complaint() {
    gst::init().unwrap();
    CustomMeta::register("Damaged", &["video"]);
    let info = planar();
    let param = gst::Structure::builder("p").field("a", 1).field("b", "x").field("c", 0.5f64).build();
    let buffer = with(|buffer| {
        for _ in 0..2 {
            VideoMeta::add(buffer, VideoFrameFlags::empty(), VideoFormat::Nv12, 64, 32).unwrap();
        }
        VideoCropMeta::add(buffer, (1, 2, 3, 4));
        let mut region = VideoRegionOfInterestMeta::add(buffer, "face", (1, 2, 3, 4));
        region.add_param(param.clone());
        VideoAffineTransformationMeta::add(buffer, None);
        let rate = gst::Fraction::new(25, 1);
        let time = ValidVideoTimeCode::new(rate, None, VideoTimeCodeFlags::empty(), 1, 2, 3, 4, 0).unwrap();
        VideoTimeCodeMeta::add(buffer, &time);
        VideoCaptionMeta::add(buffer, VideoCaptionType::Cea708Raw, &[0xfc]);
        VideoAFDMeta::add(buffer, 1, VideoAFDSpec::SmpteSt20161, VideoAFDValue::_169Letter149Center);
        VideoBarMeta::add(buffer, 1, true, 140, 940);
        VideoSeiUserDataUnregisteredMeta::add(buffer, &[7; 16], b"sei");
        AudioMeta::add(buffer, &info, 480, &[0, 1920]).unwrap();
        AudioClippingMeta::add(buffer, ClockTime::SECOND, ClockTime::MSECOND);
        AudioLevelMeta::add(buffer, 99, true);
        let caps = gst::Caps::new_empty_simple("timestamp/x-ntp");
        ReferenceTimestampMeta::add(buffer, &caps, ClockTime::SECOND, None);
        ProtectionMeta::add(buffer, param.clone());
        CustomMeta::add(buffer, "Damaged").unwrap().mut_structure().set("a", 1);
    });
    let good = to_wire(&buffer, |kind, why| panic!("{kind}: {why}"));
    assert_eq!(good.len(), 15);
    // A complaint of GStreamer aborts the test.
    glib::log_set_always_fatal(glib::LogLevels::LEVEL_CRITICAL | glib::LogLevels::LEVEL_ERROR);
    let (mut random, mut names) = (Random(0x9e37_79b9_7f4a_7c15), Names::default());
    let (mut attached, mut lost) = (0, 0);
    for meta in &good {
        for _ in 0..500 {
            let mut bytes = meta.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(bytes.len());
                bytes[at] = random.below(256) as u8;
            }
            bytes.truncate(bytes.len() - random.below(2));
            let mut arrived = with(|_| ());
            let before = lost;
            attach(arrived.make_mut(), &[bytes], Stream::default(), &mut names, |_, _| lost += 1);
            attached += usize::from(before == lost);
        }
    }
    assert!(attached > 500 && lost > 500, "{attached} attached, {lost} lost");
}
