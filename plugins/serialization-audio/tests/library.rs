//! The library in the place that it is made for: named to the elements.

use std::path::PathBuf;
use std::sync::mpsc::channel;

use gst::meta::CustomMeta;
use gst::prelude::*;

/// The library that was built along with this test.
fn library() -> PathBuf {
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    folder.join("libnvds_audio_metadata_serialization.so")
}

/// What `elements` make of `buffer`.
fn through(elements: &str, buffer: gst::Buffer) -> gst::Buffer {
    let caps: gst::Caps = "audio/x-raw,format=S16LE,rate=8000,channels=1,layout=interleaved".parse().unwrap();
    let pipeline = gst::Pipeline::new();
    let bin = gst::parse::bin_from_description(elements, true).unwrap();
    pipeline.add(&bin).unwrap();
    let (sent, buffers) = channel();
    let input = gst::Pad::builder(gst::PadDirection::Src).build();
    let output = gst::Pad::builder(gst::PadDirection::Sink)
        .chain_function(move |_, _, buffer| {
            sent.send(buffer).unwrap();
            Ok(gst::FlowSuccess::Ok)
        })
        .build();
    output.set_active(true).unwrap();
    input.set_active(true).unwrap();
    input.link(&bin.static_pad("sink").unwrap()).unwrap();
    bin.static_pad("src").unwrap().link(&output).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    assert!(input.push_event(gst::event::StreamStart::new("test")));
    assert!(input.push_event(gst::event::Caps::new(&caps)));
    assert!(input.push_event(gst::event::Segment::new(&segment)));
    input.push(buffer).unwrap();
    pipeline.set_state(gst::State::Null).unwrap();
    buffers.try_recv().expect("elements here push in the thread that pushes")
}

fn payload_type(buffer: &gst::BufferRef) -> Option<u32> {
    CustomMeta::from_buffer(buffer, "NvdsCustomPayload").ok()?.structure().get("type").ok()
}

#[test]
fn does_the_work_of_both_elements() {
    gst::init().unwrap();
    gstnvdsmetautils::plugin_register_static().unwrap();
    let library = library();
    let buffer = gst::Buffer::with_size(64 * 64).unwrap();
    let insert = format!("nvdsmetainsert serialize-lib={}", library.display());
    let inserted = through(&insert, buffer);
    assert_eq!(payload_type(&inserted), Some(0x00FE_DCBA));
    let extract = format!("nvdsmetaextract deserialize-lib={}", library.display());
    let extracted = through(&extract, inserted);
    assert_eq!(payload_type(&extracted), None);
}
