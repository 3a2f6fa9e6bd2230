//! Metas of GStreamer's video library.

use gst::glib;
use gst::glib::translate::IntoGlib;
use gst_video::video_meta::{VideoCodecAlphaMeta, VideoSeiUserDataUnregisteredMeta};
use gst_video::{
    ValidVideoTimeCode, VideoAFDMeta, VideoAFDSpec, VideoAFDValue, VideoAffineTransformationMeta,
    VideoBarMeta, VideoCaptionMeta, VideoCropMeta, VideoMeta, VideoRegionOfInterestMeta, VideoTimeCode,
    VideoTimeCodeFlags, VideoTimeCodeMeta,
};
use nvdsucx_session::wire;
use wire::meta::Kind;
use wire::{Region, RegionWriter};

use super::{Names, structure};
use crate::event::{self, Malformed};
use crate::ffi::{add_alpha, add_region, from_number, region_type};
use crate::video::Stream;

/// One more layout than the first.
pub(super) fn layout(meta: &VideoMeta) -> Result<Kind, Malformed> {
    Ok(Kind::Video(crate::video::to_wire(meta)))
}

pub(super) fn attach_layout(
    buffer: &mut gst::BufferRef,
    meta: &wire::VideoMeta,
    stream: Option<&Stream>,
) -> Result<(), Malformed> {
    if buffer.meta::<VideoMeta>().is_none() {
        return Err(Malformed("a second layout without a first".to_owned()));
    }
    crate::video::check(meta, buffer.size(), stream.map(|stream| &stream.info))?.attach(buffer)
}

pub(super) fn crop(meta: &VideoCropMeta) -> Kind {
    let (x, y, width, height) = meta.rect();
    Kind::Crop(wire::VideoCropMeta { x, y, width, height })
}

/// Elements trust the rectangle: it must be within the picture.
pub(super) fn attach_crop(
    buffer: &mut gst::BufferRef,
    meta: &wire::VideoCropMeta,
    stream: Option<&Stream>,
) -> Result<(), Malformed> {
    let layout = buffer.meta::<VideoMeta>().map(|meta| (meta.width(), meta.height()));
    let picture = layout.or_else(|| stream.map(|stream| (stream.info.width(), stream.info.height())));
    let within = |start: u32, len: u32, most: u32| start.checked_add(len).is_some_and(|end| end <= most);
    let (width, height) = picture.unwrap_or((wire::MAX_DIMENSION, wire::MAX_DIMENSION));
    if !within(meta.x, meta.width, width) || !within(meta.y, meta.height, height) {
        return Err(Malformed(format!("a crop that is not within {width}x{height}: {meta:?}")));
    }
    VideoCropMeta::add(buffer, (meta.x, meta.y, meta.width, meta.height));
    Ok(())
}

/// Encoded: there may be hundreds, and this way costs less than a message in between.
pub(super) fn region(meta: &VideoRegionOfInterestMeta) -> Result<Vec<u8>, Malformed> {
    let (x, y, width, height) = meta.rect();
    let (id, parent_id) = (meta.id(), meta.parent_id());
    let mut region = RegionWriter::new(region_type(meta), id, parent_id, [x, y, width, height]);
    for param in meta.params() {
        if !region.param(param.name(), |fields| structure::write(param, fields)) {
            region.text_param(&event::structure_to_text(param)?);
        }
    }
    Ok(region.finish())
}

/// False: it is not written as it usually is. `params` is room for the parameters: they are all made before the region is
/// there.
pub(super) fn attach_region(
    buffer: &mut gst::BufferRef,
    region: &Region<'_>,
    names: &mut Names,
    params: &mut Vec<gst::Structure>,
) -> Result<bool, Malformed> {
    let label = names.label(region.r#type)?;
    params.clear();
    for param in region.raw_params() {
        let Some(param) = structure::from_param(param, names)? else { return Ok(false) };
        params.push(param);
    }
    let mut added = add_region(buffer, label, region.rectangle);
    added.set_id(region.id);
    added.set_parent_id(region.parent_id);
    params.drain(..).for_each(|param| added.add_param(param));
    Ok(true)
}

pub(super) fn affine(meta: &VideoAffineTransformationMeta) -> Kind {
    Kind::Affine(wire::AffineMeta { matrix: meta.matrix().as_flattened().to_vec() })
}

pub(super) fn attach_affine(buffer: &mut gst::BufferRef, meta: &wire::AffineMeta) -> Result<(), Malformed> {
    let (rows, _) = meta.matrix.as_chunks::<4>();
    let matrix: &[[f32; 4]; 4] =
        rows.try_into().map_err(|_| Malformed("a matrix of another size".to_owned()))?;
    VideoAffineTransformationMeta::add(buffer, Some(matrix));
    Ok(())
}

pub(super) fn time_code(meta: &VideoTimeCodeMeta) -> Result<Kind, Malformed> {
    let time = meta.tc();
    let unsigned = |number: i32| u32::try_from(number).unwrap_or(0);
    let daily_jam = time.latest_daily_jam().map(|jam| iso8601(&jam)).transpose();
    let daily_jam = daily_jam.map_err(|err| Malformed(format!("a daily jam: {err}")))?;
    Ok(Kind::TimeCode(wire::TimeCodeMeta {
        fps_numerator: unsigned(time.fps().numer()),
        fps_denominator: unsigned(time.fps().denom()),
        flags: time.flags().bits(),
        hours: time.hours(),
        minutes: time.minutes(),
        seconds: time.seconds(),
        frames: time.frames(),
        field_count: time.field_count(),
        daily_jam: daily_jam.unwrap_or_default(),
    }))
}

fn iso8601(time: &glib::DateTime) -> Result<String, glib::BoolError> {
    let (seconds, zone) = (time.format("%Y-%m-%dT%H:%M:%S")?, time.format("%:z")?);
    Ok(format!("{seconds}.{:06}{zone}", time.microsecond()))
}

pub(super) fn attach_time_code(
    buffer: &mut gst::BufferRef,
    meta: &wire::TimeCodeMeta,
) -> Result<(), Malformed> {
    let bad = || Malformed(format!("a time code that is none: {meta:?}"));
    let daily_jam = match meta.daily_jam.as_str() {
        "" => None,
        text => Some(glib::DateTime::from_iso8601(text, Some(&glib::TimeZone::utc())).map_err(|_| bad())?),
    };
    // Both are checked to be positive, and to fit.
    let (numerator, denominator) = (meta.fps_numerator.cast_signed(), meta.fps_denominator.cast_signed());
    let time = VideoTimeCode::new(
        gst::Fraction::new(numerator, denominator),
        daily_jam.as_ref(),
        VideoTimeCodeFlags::from_bits_truncate(meta.flags),
        meta.hours,
        meta.minutes,
        meta.seconds,
        meta.frames,
        meta.field_count,
    );
    VideoTimeCodeMeta::add(buffer, &ValidVideoTimeCode::try_from(time).map_err(|_| bad())?);
    Ok(())
}

pub(super) fn caption(meta: &VideoCaptionMeta) -> Kind {
    let r#type = meta.caption_type().into_glib().cast_unsigned();
    Kind::Caption(wire::CaptionMeta { r#type, data: meta.data().to_vec() })
}

pub(super) fn attach_caption(buffer: &mut gst::BufferRef, meta: &wire::CaptionMeta) -> Result<(), Malformed> {
    match from_number(meta.r#type.cast_signed()) {
        gst_video::VideoCaptionType::Unknown | gst_video::VideoCaptionType::__Unknown(_) => {
            Err(Malformed(format!("captions of a type {} that is not known here", meta.r#type)))
        }
        kind => {
            VideoCaptionMeta::add(buffer, kind, &meta.data);
            Ok(())
        }
    }
}

pub(super) fn afd(meta: &VideoAFDMeta) -> Kind {
    Kind::Afd(wire::AfdMeta {
        field: meta.field().into(),
        spec: meta.spec().into_glib().cast_unsigned(),
        afd: meta.afd().into_glib().cast_unsigned(),
    })
}

pub(super) fn attach_afd(buffer: &mut gst::BufferRef, meta: &wire::AfdMeta) -> Result<(), Malformed> {
    let (spec, afd) = (from_number(meta.spec.cast_signed()), from_number(meta.afd.cast_signed()));
    // GStreamer does not take it.
    if (spec, afd) == (VideoAFDSpec::DvbEtsi, VideoAFDValue::Unavailable) {
        return Err(Malformed("an AFD that says nothing".to_owned()));
    }
    VideoAFDMeta::add(buffer, field_number(meta.field), spec, afd);
    Ok(())
}

pub(super) fn bar(meta: &VideoBarMeta) -> Kind {
    Kind::Bar(wire::BarMeta {
        field: meta.field().into(),
        letterbox: meta.is_letterbox(),
        first: meta.bar_data1(),
        second: meta.bar_data2(),
    })
}

pub(super) fn attach_bar(buffer: &mut gst::BufferRef, meta: &wire::BarMeta) {
    VideoBarMeta::add(buffer, field_number(meta.field), meta.letterbox, meta.first, meta.second);
}

/// It is checked to fit.
fn field_number(field: u32) -> u8 {
    u8::try_from(field).unwrap_or(u8::MAX)
}

pub(super) fn sei(meta: &VideoSeiUserDataUnregisteredMeta) -> Kind {
    Kind::Sei(wire::SeiMeta { uuid: meta.uuid().to_vec(), data: meta.data().to_vec() })
}

pub(super) fn attach_sei(buffer: &mut gst::BufferRef, meta: &wire::SeiMeta) -> Result<(), Malformed> {
    let bad = |what: &str| Malformed(format!("an SEI message with {what}"));
    let uuid = meta.uuid.as_slice().try_into().map_err(|_| bad("a UUID of another size"))?;
    if meta.data.is_empty() {
        return Err(bad("no data"));
    }
    VideoSeiUserDataUnregisteredMeta::add(buffer, uuid, &meta.data);
    Ok(())
}

pub(super) fn alpha(meta: &VideoCodecAlphaMeta) -> Result<Kind, Malformed> {
    let alpha = meta.alpha_buffer();
    let data = alpha.map_readable().map_err(|err| Malformed(err.to_string()))?.to_vec();
    Ok(Kind::Alpha(wire::AlphaMeta {
        data,
        pts: alpha.pts().map(gst::ClockTime::nseconds),
        dts: alpha.dts().map(gst::ClockTime::nseconds),
        duration: alpha.duration().map(gst::ClockTime::nseconds),
        flags: (alpha.flags() - crate::buffer::LOCAL_FLAGS).bits(),
    }))
}

pub(super) fn attach_alpha(buffer: &mut gst::BufferRef, meta: &wire::AlphaMeta) {
    let mut alpha = gst::Buffer::from_slice(meta.data.clone());
    let fresh = alpha.make_mut();
    fresh.set_pts(event::clock_time(meta.pts));
    fresh.set_dts(event::clock_time(meta.dts));
    fresh.set_duration(event::clock_time(meta.duration));
    fresh.set_flags(gst::BufferFlags::from_bits_truncate(meta.flags) - crate::buffer::LOCAL_FLAGS);
    add_alpha(buffer, alpha);
}
