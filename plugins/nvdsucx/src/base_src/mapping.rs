//! The sender's running time becomes this pipeline's: `timestamp-mode=map`.
//!
//! Timestamps stay what they are. The segment is altered, so that buffers get the running time that this pipeline had, or will
//! have, at the moment that the sender's running time means.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::clock::Zero;

/// How often to look whether the clocks have drifted.
const INTERVAL: Duration = Duration::from_secs(1);
/// Less than that, in nanoseconds, is not worth a new segment: measurements are never quite the same.
const TOLERANCE: u64 = 1_000_000;
/// No pipeline has played that long, in nanoseconds: 36 years.
const FAR: u64 = 1 << 60;

/// By this name a key frame is asked for, at some running time.
const KEY_UNIT: &str = "GstForceKeyUnit";

#[derive(Debug, Default)]
pub(super) struct Mapping(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When the sender's running time was 0, by its host's clock.
    zero: Option<i64>,
    /// The last segment, as it was sent.
    segment: Option<gst::Event>,
    /// What is added to the sender's running time.
    shift: Option<i64>,
    /// When it is to be looked at again.
    due: Option<Instant>,
    /// Our base time, as of the last look.
    base: Option<gst::ClockTime>,
}

impl Mapping {
    /// Forgets the last stream.
    pub(super) fn reset(&self) {
        *self.0.lock().unwrap() = State::default();
    }

    /// The sender says when its running time was 0.
    pub(super) fn set_zero(&self, zero: i64) {
        let mut state = self.0.lock().unwrap();
        (state.zero, state.due) = (Some(zero), None);
    }

    /// Whether the sender has said so at all.
    pub(super) fn is_possible(&self) -> bool {
        self.0.lock().unwrap().zero.is_some()
    }

    /// Whether [`update`](Self::update) has to be called before the next buffer.
    pub(super) fn is_due(&self, base: Option<gst::ClockTime>) -> bool {
        let state = self.0.lock().unwrap();
        state.zero.is_some() && (state.base != base || state.due.is_none_or(|due| due <= Instant::now()))
    }

    /// The segment for this pipeline that the sender's `segment` is.
    pub(super) fn map(&self, segment: &gst::Event) -> gst::Event {
        let mut state = self.0.lock().unwrap();
        state.segment = Some(segment.clone());
        state.mapped().unwrap_or_else(|| segment.clone())
    }

    /// Looks what is to be added to the sender's running time. Its host's clock is `ahead` of ours. Returns a segment, if there
    /// is to be another one.
    pub(super) fn update(&self, ahead: i64, own: Zero, base: Option<gst::ClockTime>) -> Option<gst::Event> {
        let mut state = self.0.lock().unwrap();
        state.base = base;
        state.due = Some(Instant::now() + INTERVAL);
        let shift = state.zero?.checked_sub(ahead)?.checked_sub(own.at)?;
        if shift.unsigned_abs() > FAR {
            return None;
        }
        if state.shift.is_some_and(|shifted| shifted.abs_diff(shift) < TOLERANCE) {
            return None;
        }
        state.shift = Some(shift);
        state.mapped()
    }

    /// An event for the sender, whose running time it then tells. `None`: it tells none, and can go as it is.
    pub(super) fn for_sender(&self, event: &gst::Event) -> Option<gst::Event> {
        let shift = self.0.lock().unwrap().shift?;
        let back =
            |time: gst::ClockTime| gst::ClockTime::try_from(time.nseconds().checked_add_signed(-shift)?).ok();
        match event.view() {
            gst::EventView::Qos(qos) => {
                let (kind, proportion, jitter, timestamp) = qos.get();
                let told = gst::event::Qos::builder(kind, proportion, jitter).timestamp(back(timestamp?)?);
                Some(told.seqnum(event.seqnum()).build())
            }
            gst::EventView::CustomUpstream(_) => {
                let wanted = event.structure().filter(|structure| structure.name() == KEY_UNIT)?;
                let time = wanted.get::<Option<gst::ClockTime>>("running-time").ok()??;
                let mut told = event.copy();
                told.make_mut().structure_mut().set("running-time", back(time)?);
                Some(told)
            }
            _ => None,
        }
    }
}

impl State {
    fn mapped(&self) -> Option<gst::Event> {
        let (sent, shift) = (self.segment.as_ref()?, self.shift?);
        let gst::EventView::Segment(view) = sent.view() else { return None };
        let mut segment = view.segment().clone();
        let timed = segment.downcast_mut::<gst::ClockTime>()?;
        timed.offset_running_time(shift).ok()?;
        let mut event = gst::event::Segment::builder(&segment).seqnum(sent.seqnum());
        if sent.running_time_offset() != 0 {
            event = event.running_time_offset(sent.running_time_offset());
        }
        Some(event.build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn segment() -> gst::Event {
        gst::event::Segment::new(&gst::FormattedSegment::<gst::ClockTime>::new())
    }

    /// The running time, in seconds, of a timestamp in seconds.
    fn running_time(segment: &gst::Event, timestamp: u64) -> Option<u64> {
        let gst::EventView::Segment(view) = segment.view() else { panic!("{segment:?}") };
        let segment = view.segment().downcast_ref::<gst::ClockTime>().unwrap();
        segment.to_running_time(gst::ClockTime::from_seconds(timestamp)).map(gst::ClockTime::seconds)
    }

    fn own(seconds: i64) -> Zero {
        Zero { at: seconds * SECOND, drifts: false }
    }

    #[test]
    fn the_same_moment_has_our_running_time() {
        gst::init().unwrap();
        for (theirs, ahead, ours, expected) in
            [(100, 0, 90, Some(15)), (100, 0, 103, Some(2)), (100, 1000, -905, Some(10)), (100, 0, 107, None)]
        {
            let mapping = Mapping::default();
            assert!(!mapping.is_due(None));
            assert_eq!(running_time(&mapping.map(&segment()), 5), Some(5), "as it was sent");
            mapping.set_zero(theirs * SECOND);
            assert!(mapping.is_due(None));
            let mapped = mapping.update(ahead * SECOND, own(ours), None).unwrap();
            assert_eq!(running_time(&mapped, 5), expected, "{theirs} {ahead} {ours}");
            assert_eq!(running_time(&mapping.map(&segment()), 5), expected, "the next one, too");
        }
    }

    #[test]
    fn a_sender_that_lies_is_not_believed() {
        gst::init().unwrap();
        for zero in [i64::MIN, i64::MAX, FAR.cast_signed() + 1] {
            let mapping = Mapping::default();
            mapping.map(&segment());
            mapping.set_zero(zero);
            assert!(mapping.update(0, own(0), None).is_none());
            assert_eq!(running_time(&mapping.map(&segment()), 5), Some(5));
        }
    }

    #[test]
    fn only_what_makes_a_difference_makes_a_segment() {
        gst::init().unwrap();
        let mapping = Mapping::default();
        mapping.map(&segment());
        mapping.set_zero(SECOND);
        assert!(mapping.update(0, own(0), None).is_some());
        assert!(!mapping.is_due(None) && mapping.is_due(Some(gst::ClockTime::SECOND)));
        assert!(mapping.update(900_000, own(0), None).is_none());
        assert!(mapping.update(1_100_000, own(0), None).is_some());
        mapping.set_zero(2 * SECOND);
        assert!(mapping.is_due(None), "the sender was paused, or is another one");
    }

    #[test]
    fn what_goes_upstream_tells_the_senders_time() {
        gst::init().unwrap();
        let mapping = Mapping::default();
        let time = gst::ClockTime::from_seconds;
        let qos = gst::event::Qos::new(gst::QOSType::Underflow, 1.5, 7, time(3));
        assert!(mapping.for_sender(&qos).is_none());
        mapping.map(&segment());
        mapping.set_zero(SECOND);
        mapping.update(0, own(3), None);
        let told = mapping.for_sender(&qos).unwrap();
        let gst::EventView::Qos(view) = told.view() else { panic!("{told:?}") };
        assert_eq!(view.get(), (gst::QOSType::Underflow, 1.5, 7, Some(time(5))));
        assert_eq!(told.seqnum(), qos.seqnum());
        let key = gst_video::UpstreamForceKeyUnitEvent::builder().running_time(time(3)).count(7).build();
        let told = gst_video::UpstreamForceKeyUnitEvent::parse(&mapping.for_sender(&key).unwrap()).unwrap();
        assert_eq!((told.running_time, told.count), (Some(time(5)), 7));
        assert!(
            mapping.for_sender(&gst_video::UpstreamForceKeyUnitEvent::builder().build()).is_none(),
            "at once"
        );
    }
}
