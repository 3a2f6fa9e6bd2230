//! What the elements promise to who sets their properties and links their pads.

mod common;

use common::*;
use gst::glib;
use gst::prelude::*;

#[test]
fn elements_are_what_they_stand_in_for() {
    init();
    for (name, type_name, property) in [
        ("nvdsmetainsert", "Gstnvdsmetainsert", "serialize-lib"),
        ("nvdsmetaextract", "Gstnvdsmetaextract", "deserialize-lib"),
    ] {
        let element = gst::ElementFactory::make(name).build().unwrap();
        assert_eq!(element.type_().name(), type_name);
        assert_eq!(element.type_().parent().unwrap().name(), "GstBaseTransform");
        assert_eq!(element.factory().unwrap().rank(), gst::Rank::NONE);
        for pad in element.pads() {
            assert!(pad.pad_template_caps().is_any());
        }
        let spec = element.find_property(property).unwrap().downcast::<glib::ParamSpecString>().unwrap();
        assert_eq!(spec.default_value(), None);
        assert_ne!(spec.flags().bits() & gst::ffi::GST_PARAM_MUTABLE_READY as u32, 0);
        assert_eq!(element.property::<Option<String>>(property), None);
        element.set_property(property, "a");
        assert_eq!(element.property::<Option<String>>(property).as_deref(), Some("a"));
    }
}

#[test]
fn any_stream_passes() {
    for caps in [
        VIDEO,
        "audio/x-raw,format=S16LE,rate=8000,channels=1,layout=interleaved",
        "video/x-h264,stream-format=byte-stream,alignment=au",
        "application/x-other",
    ] {
        let line = Line::start("nvdsmetainsert ! nvdsmetaextract", caps);
        let buffer = buffer_with(&[roi("a", 1, 0, &[])]);
        let memory = buffer.peek_memory(0).as_ptr();
        let after = line.push(buffer);
        assert_eq!(after.peek_memory(0).as_ptr(), memory, "{caps}");
        assert_eq!(regions_of(&after).len(), 1);
        assert!(payload_of(&after).is_none());
        assert_eq!(line.warnings(), Vec::<String>::new());
    }
}

#[test]
fn a_buffer_that_others_have_keeps_its_metas() {
    let line = Line::start("nvdsmetainsert", VIDEO);
    let kept = buffer_with(&[roi("a", 1, 0, &[])]);
    let after = line.push(kept.clone());
    assert!(payload_of(&after).is_some() && payload_of(&kept).is_none());
    assert_eq!(after.peek_memory(0).as_ptr(), kept.peek_memory(0).as_ptr());
    assert_eq!((after.pts(), regions_of(&after)), (kept.pts(), regions_of(&kept)));
}

#[test]
fn the_launch_lines_run() {
    init();
    let line = "videotestsrc num-buffers=5 ! video/x-raw,width=640,height=480 \
                ! nvdsmetainsert ! nvdsmetaextract ! fakesink";
    let pipeline = gst::parse::launch(line).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = bus.timed_pop_filtered(gst::ClockTime::from_seconds(20), &wanted).expect("an end");
    assert_eq!(message.type_(), gst::MessageType::Eos);
    pipeline.set_state(gst::State::Null).unwrap();
}
