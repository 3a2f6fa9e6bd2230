//! Running time, as one pipeline tells another.
//!
//! Pipelines have clocks of their own, and base times. What they have in common is the monotonic clock of their host, or, between
//! hosts, two of them whose difference can be measured.

use gst::prelude::*;
use nvdsucx_session::monotonic;

/// The moment at which an element's running time was 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Zero {
    /// By the monotonic clock of this host, in nanoseconds.
    pub(crate) at: i64,
    /// The pipeline's clock is another one, and drifts away from it.
    pub(crate) drifts: bool,
}

/// `None` while the element has no clock.
pub(crate) fn zero(element: &gst::Element) -> Option<Zero> {
    let clock = element.clock()?;
    let base = signed(element.base_time()?);
    if is_monotonic(&clock) {
        return Some(Zero { at: base, drifts: false });
    }
    let ago = signed(clock.time()) - base;
    Some(Zero { at: monotonic().cast_signed() - ago, drifts: true })
}

fn signed(time: gst::ClockTime) -> i64 {
    time.nseconds().cast_signed()
}

/// Whether `clock` shows what the host's monotonic clock does. Clocks of audio devices and of the network are derived from
/// the same class.
fn is_monotonic(clock: &gst::Clock) -> bool {
    clock.type_() == gst::SystemClock::static_type()
        && clock.property::<gst::ClockType>("clock-type") == gst::ClockType::Monotonic
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element_with(clock: &impl IsA<gst::Clock>) -> gst::Element {
        let element = gst::Pipeline::new().upcast::<gst::Element>();
        element.set_clock(Some(clock)).unwrap();
        element.set_base_time(gst::ClockTime::from_seconds(3));
        element
    }

    #[test]
    fn the_system_clock_is_the_hosts() {
        gst::init().unwrap();
        let zero = zero(&element_with(&gst::SystemClock::obtain()));
        assert_eq!(zero, Some(Zero { at: 3_000_000_000, drifts: false }));
    }

    #[test]
    fn another_clock_is_compared_with_the_hosts() {
        gst::init().unwrap();
        let clock = gst::glib::Object::builder::<gst::SystemClock>()
            .property("clock-type", gst::ClockType::Realtime)
            .build();
        let before = monotonic().cast_signed() - signed(clock.time()) + 3_000_000_000;
        let zero = zero(&element_with(&clock)).unwrap();
        assert!(zero.drifts);
        assert!((zero.at - before).abs() < 1_000_000_000, "{zero:?} is far from {before}");
    }

    #[test]
    fn without_a_clock_there_is_no_running_time() {
        gst::init().unwrap();
        assert_eq!(zero(gst::Pipeline::new().upcast_ref()), None);
    }
}
