//! Segments.

use gst::format::GenericFormattedValue;
use gst::glib::translate::IntoGlib;
use nvdsucx_session::wire;

use super::Malformed;

/// `segment` for the wire.
pub(super) fn to_wire(segment: &gst::Segment) -> wire::Segment {
    wire::Segment {
        flags: segment.flags().bits(),
        rate: segment.rate(),
        applied_rate: segment.applied_rate(),
        format: u32::try_from(segment.format().into_glib()).unwrap_or_default(),
        base: raw(segment.base()),
        offset: raw(segment.offset()),
        start: raw(segment.start()),
        stop: raw(segment.stop()),
        time: raw(segment.time()),
        position: raw(segment.position()),
        duration: raw(segment.duration()),
    }
}

/// The segment that `received` describes.
pub(super) fn from_wire(received: &wire::Segment) -> Result<gst::Segment, Malformed> {
    let format = format(received.format)?;
    for (what, rate) in [("rate", received.rate), ("applied rate", received.applied_rate)] {
        if !rate.is_finite() || rate == 0.0 {
            return Err(Malformed(format!("a segment with {what} {rate}")));
        }
    }
    let needed = |value: Option<u64>, what: &str| {
        value
            .filter(|value| *value != u64::MAX)
            .map(Some)
            .ok_or_else(|| Malformed(format!("a segment without {what}")))
    };
    let start = needed(received.start, "start")?;
    if received.stop.is_some_and(|stop| start.is_some_and(|start| stop < start)) {
        return Err(Malformed("a segment that stops before it starts".to_owned()));
    }

    let value =
        |value: Option<u64>| GenericFormattedValue::new(format, value.unwrap_or(u64::MAX).cast_signed());
    let mut segment = gst::Segment::new();
    segment.reset_with_format(format);
    segment.set_flags(gst::SegmentFlags::from_bits_truncate(received.flags));
    segment.set_rate(received.rate);
    segment.set_applied_rate(received.applied_rate);
    segment.set_base(value(needed(received.base, "base")?));
    segment.set_offset(value(needed(received.offset, "offset")?));
    segment.set_start(value(start));
    segment.set_stop(value(received.stop));
    segment.set_time(value(received.time));
    segment.set_position(value(received.position));
    segment.set_duration(value(received.duration));
    Ok(segment)
}

pub(crate) fn format(number: u32) -> Result<gst::Format, Malformed> {
    [gst::Format::Default, gst::Format::Bytes, gst::Format::Time, gst::Format::Buffers]
        .into_iter()
        .find(|format| u32::try_from(format.into_glib()) == Ok(number))
        .ok_or_else(|| Malformed(format!("something in format {number}, which is not known")))
}

/// GStreamer's "none" is -1 in every format.
fn raw(value: GenericFormattedValue) -> Option<u64> {
    Some(value.value().cast_unsigned()).filter(|value| *value != u64::MAX)
}
