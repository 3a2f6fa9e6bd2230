//! Keeps the events that GstBaseSrc makes up out of a stream that has events of its own.
//!
//! The base class pushes a stream-start with a random id before anything else, and a segment of its own before the
//! first buffer, and each takes the place of the sender's in the pad's store of sticky events. A probe knows them:
//! the made-up stream-start is dropped, and the sender's follows before anything else goes out. In place of a made-up
//! segment the probe puts the sender's into the store, from where it goes out instead.
//!
//! So the sender's first segment, and the sticky events behind it, are held for the first buffer; unless something else
//! must go before that, a gap for example. Downstream then sees the same segment twice.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use gst::prelude::*;

/// Not `Drop`: GStreamer 1.22 then releases the event that the bindings have released already.
const CONSUMED: gst::PadProbeReturn = gst::PadProbeReturn::Handled;

/// The sender's events on their way through the pad.
#[derive(Debug, Default)]
pub(super) struct Sticky {
    /// What passes now is the sender's. Events in the stream are pushed by one thread only.
    pushing: AtomicBool,
    events: Mutex<Events>,
}

#[derive(Debug, Default)]
struct Events {
    stream_start: Option<gst::Event>,
    /// The last segment, since the last flush.
    segment: Option<gst::Event>,
    /// A segment, and sticky events behind it, that wait for the first buffer.
    held: Vec<gst::Event>,
    /// Those that were held and go right behind the segment that the base class is about to push.
    late: Vec<gst::Event>,
    /// The base class has pushed a segment, and will not do so again.
    spent: bool,
}

impl Sticky {
    /// Watches `pad`.
    pub(super) fn install(pad: &gst::Pad) -> Arc<Self> {
        let sticky = Arc::new(Self::default());
        let watcher = Arc::clone(&sticky);
        pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |pad, info| match &info.data {
            Some(gst::PadProbeData::Event(event)) => watcher.judge(pad, event),
            _ => gst::PadProbeReturn::Ok,
        });
        sticky
    }

    /// Pushes an event of the sender, or keeps it for the first buffer.
    pub(super) fn push(&self, pad: &gst::Pad, event: gst::Event) -> bool {
        let kind = event.type_();
        let released = {
            let mut events = self.events.lock().unwrap();
            match kind {
                gst::EventType::Segment if !events.spent => {
                    events.held.push(event);
                    return true;
                }
                gst::EventType::FlushStart => {
                    events.held.clear();
                    Vec::new()
                }
                // They come before a segment.
                gst::EventType::StreamStart | gst::EventType::Caps => Vec::new(),
                _ if events.held.is_empty() || !event.is_serialized() => Vec::new(),
                gst::EventType::Eos => mem::take(&mut events.held),
                _ if event.is_sticky() => {
                    events.held.push(event);
                    return true;
                }
                _ => mem::take(&mut events.held),
            }
        };
        for earlier in released {
            self.push_now(pad, earlier);
        }
        self.push_now(pad, event)
    }

    /// What was held goes with the buffer that the source is about to return.
    pub(super) fn before_buffer(&self) {
        let mut events = self.events.lock().unwrap();
        for event in mem::take(&mut events.held) {
            match event.type_() {
                gst::EventType::Segment => events.segment = Some(event),
                _ => events.late.push(event),
            }
        }
    }

    /// Forgets the last stream.
    pub(super) fn reset(&self) {
        *self.events.lock().unwrap() = Events::default();
    }

    fn push_now(&self, pad: &gst::Pad, event: gst::Event) -> bool {
        {
            let mut events = self.events.lock().unwrap();
            match event.type_() {
                gst::EventType::StreamStart => events.stream_start = Some(event.clone()),
                gst::EventType::Segment => events.segment = Some(event.clone()),
                gst::EventType::FlushStop => events.segment = None,
                _ => (),
            }
        }
        self.pushing.store(true, Ordering::Release);
        let pushed = pad.push_event(event);
        self.pushing.store(false, Ordering::Release);
        pushed
    }

    fn judge(&self, pad: &gst::Pad, event: &gst::Event) -> gst::PadProbeReturn {
        if self.pushing.load(Ordering::Acquire) {
            return gst::PadProbeReturn::Ok;
        }
        let (ours, late) = {
            let mut events = self.events.lock().unwrap();
            match event.type_() {
                gst::EventType::StreamStart => (events.stream_start.clone(), Vec::new()),
                gst::EventType::Segment => {
                    events.spent = true;
                    // Nothing of the sender's to put there: the base class's is better than none.
                    if events.segment.is_none() {
                        return gst::PadProbeReturn::Ok;
                    }
                    (events.segment.clone(), mem::take(&mut events.late))
                }
                _ => return gst::PadProbeReturn::Ok,
            }
        };
        let verdict = match ours {
            Some(ours) if is_same(pad, &ours, event) => gst::PadProbeReturn::Ok,
            Some(ours) => {
                let _ = pad.store_sticky_event(&ours);
                CONSUMED
            }
            None => CONSUMED,
        };
        // From the store they go out before the buffer, in the order that GStreamer wants. `gst_base_src_send_event`
        // would take some kinds only.
        for event in late {
            let _ = pad.store_sticky_event(&event);
        }
        verdict
    }
}

/// Whether `passing` is `event`, of which a pad with an offset sends an altered copy.
fn is_same(pad: &gst::Pad, event: &gst::Event, passing: &gst::Event) -> bool {
    event.as_ptr() == passing.as_ptr() || (pad.offset() != 0 && event.seqnum() == passing.seqnum())
}
