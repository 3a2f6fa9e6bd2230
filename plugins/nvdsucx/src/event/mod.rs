//! Events as they travel.
//!
//! Everything that comes from the wire is checked before it reaches GStreamer, whose constructors take what they are
//! given: an event that cannot be built is an error here, never a panic or a critical warning.

mod segment;
mod structured;
#[cfg(test)]
mod tests;
mod toc;

use std::fmt;
use std::num::NonZeroU32;

use gst::glib::translate::IntoGlib;
use gst::{Event, EventRef, EventView};
use nvdsucx_session::wire::{self, EventKind, stream_event};

use crate::ffi;
pub(crate) use segment::format;
pub(crate) use structured::{field, parse as structure_from_text, to_text as structure_to_text};

/// What a peer sent makes no sense; in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An event of the stream, as the receiving pipeline must see it.
#[derive(Debug)]
pub(crate) enum Received {
    /// To be pushed downstream.
    Event(Event),
    /// The sender's stream was flushed: so must ours be.
    Flush {
        /// Whether running time starts anew.
        reset_time: bool,
    },
}

/// `event` for the wire; `None` if its kind does not travel.
///
/// `sequence` is left for the session. Fails when the event holds what has no text form.
pub(crate) fn to_wire(event: &EventRef) -> Result<Option<wire::StreamEvent>, Malformed> {
    use stream_event::Event as Wire;

    let kind = match event.view() {
        EventView::StreamStart(start) => Wire::StreamStart(wire::StreamStart {
            stream_id: start.stream_id().to_string(),
            flags: start.stream_flags().bits(),
            group_id: event
                .structure()
                .and_then(|s| s.get::<u32>("group-id").ok())
                .filter(|group| *group != 0),
        }),
        EventView::Caps(caps) => Wire::Caps(caps.caps().to_string()),
        EventView::Segment(segment) => Wire::Segment(segment::to_wire(segment.segment())),
        EventView::Gap(gap) => {
            let (pts, duration) = gap.get();
            Wire::Gap(wire::Gap {
                pts: pts.nseconds(),
                duration: duration.map(gst::ClockTime::nseconds),
                flags: gap.gap_flags().bits(),
            })
        }
        EventView::Eos(_) => Wire::Eos(wire::Eos {}),
        _ => match structured::downstream_kind(event) {
            Some(kind) => Wire::Structured(structured::to_wire(kind, event)?),
            None => return Ok(None),
        },
    };
    Ok(Some(wire::StreamEvent {
        sequence: 0,
        seqnum: event.seqnum().into_glib(),
        running_time_offset: event.running_time_offset(),
        event: Some(kind),
    }))
}

/// The word that the sender's stream was flushed.
pub(crate) fn flush_to_wire(seqnum: gst::Seqnum, reset_time: bool) -> wire::StreamEvent {
    wire::StreamEvent {
        sequence: 0,
        seqnum: seqnum.into_glib(),
        running_time_offset: 0,
        event: Some(stream_event::Event::Flush(wire::Flush { reset_time })),
    }
}

/// The event that `received` describes.
pub(crate) fn from_wire(received: &wire::StreamEvent) -> Result<Received, Malformed> {
    use stream_event::Event as Wire;

    let kind = received.event.as_ref().ok_or_else(|| Malformed("an event of no known kind".to_owned()))?;
    let mut event = match kind {
        Wire::StreamStart(start) => stream_start(start)?,
        Wire::Caps(caps) => gst::event::Caps::new(&fixed_caps(caps)?),
        Wire::Segment(segment) => gst::event::Segment::new(&segment::from_wire(segment)?),
        Wire::Gap(gap) => {
            let pts =
                clock_time(Some(gap.pts)).ok_or_else(|| Malformed("a gap without a time".to_owned()))?;
            gst::event::Gap::builder(pts)
                .duration(clock_time(gap.duration))
                .gap_flags_if_some(
                    Some(gst::GapFlags::from_bits_truncate(gap.flags)).filter(|flags| !flags.is_empty()),
                )
                .build()
        }
        Wire::Eos(wire::Eos {}) => gst::event::Eos::new(),
        Wire::Flush(flush) => return Ok(Received::Flush { reset_time: flush.reset_time }),
        Wire::Structured(described) => structured::downstream_from_wire(described)?,
        // The session keeps the one for itself, the source the other.
        Wire::Ring(_) | Wire::RunningTime(_) => {
            return Err(Malformed("a word about the connection".to_owned()));
        }
    };
    let fresh = event.make_mut();
    if let Some(seqnum) = NonZeroU32::new(received.seqnum) {
        ffi::set_seqnum(fresh, seqnum);
    }
    if received.running_time_offset != 0 {
        fresh.set_running_time_offset(received.running_time_offset);
    }
    Ok(Received::Event(event))
}

/// Whether the stream can go on without `received`: it is of a kind that only informs.
pub(crate) fn is_dispensable(received: &wire::StreamEvent) -> bool {
    matches!(&received.event, None | Some(stream_event::Event::Structured(_)))
}

/// An upstream event for the wire; `None` if its kind does not travel.
pub(crate) fn upstream_to_wire(event: &EventRef) -> Result<Option<wire::Structured>, Malformed> {
    structured::upstream_kind(event)
        .map(|kind| {
            let described = structured::to_wire(kind, event)?;
            Ok(wire::Structured { seqnum: event.seqnum().into_glib(), ..described })
        })
        .transpose()
}

/// The upstream event that `received` describes.
pub(crate) fn upstream_from_wire(received: &wire::Structured) -> Result<Event, Malformed> {
    let mut event = structured::upstream_from_wire(received)?;
    if let Some(seqnum) = NonZeroU32::new(received.seqnum) {
        ffi::set_seqnum(event.make_mut(), seqnum);
    }
    Ok(event)
}

fn stream_start(start: &wire::StreamStart) -> Result<Event, Malformed> {
    without_nul(&start.stream_id, "stream id")?;
    let mut event = gst::event::StreamStart::builder(&start.stream_id)
        .flags(gst::StreamFlags::from_bits_truncate(start.flags))
        .build();
    if let Some(group) = start.group_id.filter(|group| *group != 0) {
        // The sender's number is kept: sources fed by one sending pipeline stay one group.
        event.make_mut().structure_mut().set("group-id", group);
    }
    Ok(event)
}

pub(crate) fn fixed_caps(text: &str) -> Result<gst::Caps, Malformed> {
    let caps = caps(text)?;
    if caps.is_fixed() { Ok(caps) } else { Err(Malformed(format!("caps that are not fixed: `{text}`"))) }
}

/// Caps from their text.
pub(crate) fn caps(text: &str) -> Result<gst::Caps, Malformed> {
    without_nul(text, "caps")?;
    gst_newer::text::check("caps", text).map_err(|err| Malformed(err.to_string()))?;
    text.parse::<gst::Caps>()
        .map_err(|_| Malformed(format!("caps that this GStreamer does not understand: `{text}`")))
}

/// GStreamer's strings end at the first zero byte.
fn without_nul(text: &str, what: &str) -> Result<(), Malformed> {
    if text.contains('\0') { Err(Malformed(format!("{what} with a zero byte inside"))) } else { Ok(()) }
}

/// A time from the wire, where GStreamer's own value for "none" means the same as absence.
pub(crate) fn clock_time(nanoseconds: Option<u64>) -> Option<gst::ClockTime> {
    nanoseconds.filter(|ns| *ns != u64::MAX).map(gst::ClockTime::from_nseconds)
}

fn kind_of(described: &wire::Structured) -> Result<EventKind, Malformed> {
    EventKind::try_from(described.kind)
        .map_err(|_| Malformed(format!("an event of unknown kind {}", described.kind)))
}
