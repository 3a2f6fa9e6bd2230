//! DeepStream's own metadata. Without its libraries nothing of this can be tried.

mod common;

use common::*;
use deepstream::{DeepStream, FOLDER};
use dsmeta::Batch;
use dsmeta::model::{Classifier, Label, Object, VideoBatch, VideoFrame};

const NVMM: &str = "video/x-raw(memory:NVMM),format=NV12,width=640,height=480";

fn libraries(test: &str) -> Option<&'static DeepStream> {
    init();
    let loaded = DeepStream::load();
    if let Err(err) = loaded {
        assert!(std::env::var_os(FOLDER).is_none(), "{err}");
        eprintln!("{test}: skipped, set {FOLDER} to the folder of DeepStream's libraries");
    }
    loaded.ok()
}

fn batch(frames: usize) -> Batch {
    let label = Label { result_label: "red".into(), result_prob: 0.5, ..Label::default() };
    let classifier =
        Classifier { classifier_type: "colour".into(), labels: vec![label], ..Classifier::default() };
    let mut car = Object { label: "car".into(), object_id: 7, confidence: 0.5, ..Object::default() };
    (car.rect.left, car.rect.width, car.rect.height) = (4.0, 8.0, 16.0);
    car.classifiers.push(classifier);
    let wheel = Object { label: "wheel".into(), parent: Some(0), ..Object::default() };
    let frame = |n| VideoFrame {
        batch_id: n,
        source_id: 10 + n,
        num_surfaces_per_frame: 1,
        objects: vec![car.clone(), wheel.clone()],
        ..VideoFrame::default()
    };
    let frames: Vec<VideoFrame> = (0..frames as u32).map(frame).collect();
    Batch::Video(VideoBatch { max_frames_in_batch: frames.len() as u32, frames, ..VideoBatch::default() })
}

/// What is in a buffer's memory where it is DeepStream's.
fn surface(used: u32) -> gst::Buffer {
    let mut bytes = [0; 72];
    bytes[4..8].copy_from_slice(&4_u32.to_ne_bytes());
    bytes[8..12].copy_from_slice(&used.to_ne_bytes());
    gst::Buffer::from_mut_slice(bytes)
}

fn with_batch(deepstream: &'static DeepStream, batch: &Batch) -> gst::Buffer {
    let mut buffer = surface(2);
    deepstream.attach(buffer.make_mut(), batch).unwrap();
    buffer
}

fn objects(batch: &Batch) -> Vec<&[Object]> {
    match batch {
        Batch::Video(batch) => batch.frames.iter().map(|frame| frame.objects.as_slice()).collect(),
        Batch::Audio(_) => panic!("audio"),
    }
}

#[test]
fn a_batch_becomes_a_payload_for_both_readers() {
    let Some(deepstream) = libraries("a_batch_becomes_a_payload_for_both_readers") else { return };
    let inserted =
        Line::start("nvdsmetainsert ! nvdsmetainsert", NVMM).push(with_batch(deepstream, &batch(2)));
    assert_eq!(deepstream.payload(&inserted), payload_of(&inserted));
    assert_eq!(objects(&batch_of(&inserted)), objects(&batch(2)));
    // In one process it finds what it was made of.
    let extracted = Line::start("nvdsmetaextract", NVMM).push(inserted);
    assert_eq!((deepstream.payload(&extracted), payload_of(&extracted)), (None, None));
    assert_eq!(objects(&deepstream.read(&extracted).unwrap().unwrap()), objects(&batch(2)));
}

#[test]
fn a_payload_becomes_a_batch_on_deepstreams_memory() {
    let Some(deepstream) = libraries("a_payload_becomes_a_batch_on_deepstreams_memory") else { return };
    let payload = dsmeta::encode(&batch(2), dsmeta::Style::Safe).unwrap();
    let mut buffer = surface(2);
    hang(&mut buffer, payload.kind.number(), &payload.bytes);
    let extracted = Line::start("nvdsmetaextract", NVMM).push(buffer);
    assert!(payload_of(&extracted).is_none());
    assert_eq!(regions_of(&extracted), []);
    assert_eq!(objects(&deepstream.read(&extracted).unwrap().unwrap()), objects(&batch(2)));
}

#[test]
fn a_payload_that_nvidias_element_left_is_found() {
    let Some(deepstream) = libraries("a_payload_that_nvidias_element_left_is_found") else { return };
    let payload = dsmeta::encode(&batch(1), dsmeta::Style::Nvidia).unwrap();
    let mut buffer = surface(1);
    deepstream.set_payload(buffer.make_mut(), payload.kind.number(), &payload.bytes).unwrap();
    let extracted = Line::start("nvdsmetaextract", NVMM).push(buffer);
    assert_eq!(objects(&deepstream.read(&extracted).unwrap().unwrap()), objects(&batch(1)));
    assert_eq!(deepstream.payload(&extracted), None);
}

#[test]
fn a_payload_with_more_frames_than_the_buffer_is_left_alone() {
    let Some(deepstream) = libraries("a_payload_with_more_frames_than_the_buffer_is_left_alone") else {
        return;
    };
    let payload = dsmeta::encode(&batch(3), dsmeta::Style::Safe).unwrap();
    for memory in [surface(2), surface(0), gst::Buffer::from_mut_slice([9; 5]), gst::Buffer::new()] {
        let mut buffer = memory;
        hang(&mut buffer, payload.kind.number(), &payload.bytes);
        let line = Line::start("nvdsmetaextract", NVMM);
        let after = line.push(buffer);
        assert!(payload_of(&after).is_some());
        assert_eq!(deepstream.read(&after), Ok(None));
        let warnings = line.warnings();
        assert!(warnings[0].contains("the payload is of 3 frames, the buffer has"), "{warnings:?}");
    }
}

#[test]
fn a_batch_becomes_regions_where_there_is_no_deepstream() {
    let Some(deepstream) = libraries("a_batch_becomes_regions_where_there_is_no_deepstream") else { return };
    let inserted = Line::start("nvdsmetainsert", NVMM).push(with_batch(deepstream, &batch(1)));
    let (kind, bytes) = payload_of(&inserted).unwrap();
    let mut buffer = buffer_with(&[]);
    hang(&mut buffer, kind, &bytes);
    let regions = regions_of(&Line::start("nvdsmetaextract", VIDEO).push(buffer));
    let names: Vec<_> = regions.iter().map(|region| (region.0.as_str(), region.1, region.2)).collect();
    assert_eq!(names, [("car", 1, 0), ("wheel", 2, 1)]);
    assert_eq!(regions[0].4[2].name(), "colour");
}
