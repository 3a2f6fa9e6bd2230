//! Two elements that are connected to each other, and a pad at either end of them.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, Once};
use std::time::Duration;

use gst::prelude::*;

/// Far longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(20);

/// GStreamer, with the elements.
pub(crate) fn init() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        gst::init().unwrap();
        gstnvdsucx::plugin_register_static().unwrap();
    });
}

/// What came out of an element, in order.
#[derive(Debug)]
pub(crate) enum Item {
    Event(gst::Event),
    Buffer(gst::Buffer),
}

/// An element in a pipeline of its own, and the pad it is linked to.
pub(crate) struct End {
    pub(crate) pipeline: gst::Pipeline,
    pub(crate) element: gst::Element,
    pub(crate) pad: gst::Pad,
    items: Mutex<Receiver<Item>>,
}

impl End {
    /// A sink, and a pad that pushes into it. What comes upstream is collected.
    pub(crate) fn sender(name: &str, settings: &[(&str, &str)]) -> Self {
        init();
        let (sent, items) = channel();
        let pad = gst::Pad::builder(gst::PadDirection::Src)
            .event_function(move |_, _, event| {
                let _ = sent.send(Item::Event(event));
                true
            })
            .query_function(|pad, parent, query| match query.view_mut() {
                gst::QueryViewMut::Latency(latency) => {
                    latency.set(true, gst::ClockTime::from_mseconds(30), gst::ClockTime::from_mseconds(90));
                    true
                }
                _ => gst::Pad::query_default(pad, parent, query),
            })
            .build();
        let end = Self::new(name, settings, pad, items);
        end.element.set_property("sync", false);
        end.element.set_property("async", false);
        end
    }

    /// A source, and a pad that collects what it pushes. It takes layouts if `layouts`, and only `caps`.
    pub(crate) fn receiver(name: &str, settings: &[(&str, &str)], caps: &gst::Caps, layouts: bool) -> Self {
        init();
        let (events, items) = channel();
        let buffers = events.clone();
        let template = gst::PadTemplate::new("sink", gst::PadDirection::Sink, gst::PadPresence::Always, caps);
        let pad = gst::Pad::builder_from_template(&template.unwrap())
            .event_function(move |_, _, event| {
                let _ = events.send(Item::Event(event));
                true
            })
            .chain_function(move |_, _, buffer| {
                let _ = buffers.send(Item::Buffer(buffer));
                Ok(gst::FlowSuccess::Ok)
            })
            .query_function(move |pad, parent, query| match query.view_mut() {
                gst::QueryViewMut::Allocation(query) => {
                    if layouts {
                        query.add_allocation_meta::<gst_video::VideoMeta>(None);
                    }
                    true
                }
                _ => gst::Pad::query_default(pad, parent, query),
            })
            .build();
        Self::new(name, settings, pad, items)
    }

    fn new(name: &str, settings: &[(&str, &str)], pad: gst::Pad, items: Receiver<Item>) -> Self {
        let element = gst::ElementFactory::make(name).build().unwrap();
        for (property, value) in settings {
            element.set_property_from_str(property, value);
        }
        let pipeline = gst::Pipeline::new();
        pipeline.add(&element).unwrap();
        let own = element.pads().remove(0);
        match own.direction() {
            gst::PadDirection::Sink => pad.link(&own).unwrap(),
            _ => own.link(&pad).unwrap(),
        };
        pad.set_active(true).unwrap();
        Self { pipeline, element, pad, items: Mutex::new(items) }
    }

    pub(crate) fn play(&self) {
        self.pipeline.set_state(gst::State::Playing).unwrap();
    }

    pub(crate) fn stop(&self) {
        self.pipeline.set_state(gst::State::Null).unwrap();
    }

    /// The next thing that came out.
    pub(crate) fn next(&self) -> Item {
        self.items.lock().unwrap().recv_timeout(DEADLINE).expect("something comes in time")
    }

    /// The next thing that came out, which is an event.
    pub(crate) fn next_event(&self) -> gst::Event {
        match self.next() {
            Item::Event(event) => event,
            Item::Buffer(buffer) => panic!("not an event: {buffer:?}"),
        }
    }

    /// The next thing that came out, which is a buffer.
    pub(crate) fn next_buffer(&self) -> gst::Buffer {
        match self.next() {
            Item::Buffer(buffer) => buffer,
            Item::Event(event) => panic!("not a buffer: {event:?}"),
        }
    }

    /// The next buffer, whatever events are before it.
    pub(crate) fn skip_to_buffer(&self) -> gst::Buffer {
        loop {
            if let Item::Buffer(buffer) = self.next() {
                return buffer;
            }
        }
    }

    /// Nothing has come out that was not asked for.
    pub(crate) fn assert_nothing_left(&self) {
        match self.items.lock().unwrap().recv_timeout(Duration::ZERO) {
            Err(RecvTimeoutError::Timeout) => (),
            other => panic!("left over: {other:?}"),
        }
    }

    /// The next message of that kind on the bus.
    pub(crate) fn message(&self, kind: gst::MessageType) -> gst::Message {
        let bus = self.pipeline.bus().unwrap();
        let deadline = gst::ClockTime::from_seconds(DEADLINE.as_secs());
        bus.timed_pop_filtered(deadline, &[kind]).unwrap_or_else(|| panic!("no {kind:?} message"))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
        let _ = self.pad.set_active(false);
    }
}

/// The sender and the receiver of either pair, playing.
pub(crate) fn pair(server_sends: bool, buf_type: &str, caps: &gst::Caps, layouts: bool) -> (End, End) {
    let server_settings = [("port", "0"), ("buf-type", buf_type)];
    let client_settings = |port: &str| [("port", port.to_owned()), ("buf-type", buf_type.to_owned())];
    if server_sends {
        let sender = End::sender("nvdsucxserversink", &server_settings);
        sender.play();
        let settings = client_settings(&port(&sender));
        let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
        let receiver = End::receiver("nvdsucxclientsrc", &settings, caps, layouts);
        receiver.play();
        (sender, receiver)
    } else {
        let receiver = End::receiver("nvdsucxserversrc", &server_settings, caps, layouts);
        receiver.play();
        let settings = client_settings(&port(&receiver));
        let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
        let sender = End::sender("nvdsucxclientsink", &settings);
        sender.play();
        (sender, receiver)
    }
}

/// Where a running server listens.
pub(crate) fn port(server: &End) -> String {
    let port = server.element.property::<i32>("port");
    assert_ne!(port, 0, "a running server has a port");
    port.to_string()
}

/// A pair that carries anything.
pub(crate) fn pair_of_any(server_sends: bool) -> (End, End) {
    init();
    pair(server_sends, "nvdsucx-buf-any", &gst::Caps::new_any(), true)
}

/// The events that begin a stream.
pub(crate) fn beginning(caps: &gst::Caps, segment: &gst::Segment) -> [gst::Event; 3] {
    [
        gst::event::StreamStart::builder("a stream").group_id(gst::GroupId::next()).build(),
        gst::event::Caps::new(caps),
        gst::event::Segment::new(segment),
    ]
}

/// Any caps that are nothing special.
pub(crate) fn some_caps() -> gst::Caps {
    gst::Caps::new_empty_simple("application/x-test")
}

/// A segment of time that begins with 0.
pub(crate) fn time() -> gst::Segment {
    gst::FormattedSegment::<gst::ClockTime>::new().upcast()
}
