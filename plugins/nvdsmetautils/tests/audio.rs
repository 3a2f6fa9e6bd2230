//! Audio frames, of which GStreamer has no more than their format; and classes of them, since 1.24.

mod common;

use common::*;
use dsmeta::Batch;
use dsmeta::model::{AudioBatch, AudioFrame, Classifier, KString, Label};
use gst_audio::{AudioFormat, AudioInfo, AudioLayout, AudioMeta};
use gst_newer::analytics::{Analytics, Relations, Thing, attach, read};

const AUDIO: &str = "audio/x-raw,format=F32LE,rate=48000,channels=2,layout=interleaved";

fn audio(buffer: &gst::BufferRef) -> AudioFrame {
    match batch_of(buffer) {
        Batch::Audio(mut batch) => batch.frames.remove(0),
        Batch::Video(_) => panic!("video"),
    }
}

#[test]
fn the_frame_is_told_by_the_caps() {
    init();
    let mut buffer = gst::Buffer::with_size(480 * 8).unwrap();
    buffer.make_mut().set_pts(gst::ClockTime::from_mseconds(10));
    let inserted = Line::start("nvdsmetainsert", AUDIO).push(buffer);
    assert_eq!(payload_of(&inserted).unwrap().0, 0x00FE_DCBA);
    let frame = audio(&inserted);
    assert_eq!((frame.buf_pts, frame.num_samples_per_frame), (10_000_000, 480));
    assert_eq!((frame.sample_rate, frame.num_channels, frame.format, frame.layout), (48_000, 2, 27, 1));
    let extracted = Line::start("nvdsmetaextract", AUDIO).push(inserted);
    assert_eq!(extracted.iter_meta::<gst::Meta>().count(), 0);
}

#[test]
fn the_frame_is_told_by_its_meta() {
    init();
    let info =
        AudioInfo::builder(AudioFormat::S16le, 8000, 3).layout(AudioLayout::NonInterleaved).build().unwrap();
    let mut buffer = gst::Buffer::with_size(3 * 2 * 100).unwrap();
    AudioMeta::add(buffer.make_mut(), &info, 100, &[]).unwrap();
    let frame = audio(&Line::start("nvdsmetainsert", AUDIO).push(buffer));
    assert_eq!((frame.sample_rate, frame.num_channels, frame.format, frame.layout), (8000, 3, 3, 2));
    assert_eq!(frame.num_samples_per_frame, 100);
}

#[test]
fn what_is_not_known_is_nought() {
    let line = Line::start("nvdsmetainsert", "audio/mpeg,mpegversion=1");
    let frame = audio(&line.push(gst::Buffer::with_size(99).unwrap()));
    assert_eq!((frame.num_samples_per_frame, frame.format, frame.sample_rate), (0, 0, 0));
}

/// A buffer with a payload of frames that are classified.
fn classified(count: usize) -> gst::Buffer {
    let label = |text: &str, prob| Label {
        result_label: KString::from_ref(text),
        result_prob: prob,
        ..Label::default()
    };
    let labels = vec![label("siren", 0.75), label("horn", 0.25)];
    let frame = AudioFrame {
        classifiers: vec![Classifier { labels, ..Classifier::default() }],
        ..AudioFrame::default()
    };
    let batch = AudioBatch { max_frames_in_batch: 9, frames: vec![frame; count], ..AudioBatch::default() };
    let payload = dsmeta::encode(&Batch::Audio(batch), dsmeta::Style::Safe).unwrap();
    let mut buffer = gst::Buffer::with_size(80).unwrap();
    hang(&mut buffer, payload.kind.number(), &payload.bytes);
    buffer
}

#[test]
fn classes_become_analytics_where_there_are_any() {
    let line = Line::start("nvdsmetaextract", AUDIO);
    let extracted = line.push(classified(1));
    match Analytics::get() {
        Some(analytics) => {
            let classes = vec![("siren".to_owned(), 0.75), ("horn".to_owned(), 0.25)];
            assert_eq!(analytics.read(&extracted).unwrap().things, [Thing::Class { classes }]);
            assert!(payload_of(&extracted).is_none());
        }
        // Nothing can hold them: they are not lost.
        None => assert!(payload_of(&extracted).is_some()),
    }
    assert_eq!(line.warnings(), Vec::<String>::new());
}

#[test]
fn classes_of_several_frames_are_not_mixed_up() {
    let extracted = Line::start("nvdsmetaextract", AUDIO).push(classified(2));
    assert!(payload_of(&extracted).is_some());
    assert!(read(&extracted).is_none());
}

#[test]
fn classes_come_back() {
    init();
    if Analytics::get().is_none() {
        return;
    }
    let classes = vec![("horn".to_owned(), 0.25), ("siren".to_owned(), 0.75)];
    let relations = Relations { things: vec![Thing::Class { classes }], links: Vec::new() };
    let mut buffer = gst::Buffer::with_size(80).unwrap();
    attach(buffer.make_mut(), &relations).unwrap();
    let inserted = Line::start("nvdsmetainsert", AUDIO).push(buffer);
    let frame = audio(&inserted);
    assert_eq!((frame.class_label.as_str(), frame.confidence, frame.class_id), ("siren", 0.75, 1));
    let extract = Line::start("nvdsmetaextract", AUDIO);
    assert_eq!(read(&extract.push(bare(&inserted))), Some(relations.clone()));
    assert_eq!(read(&extract.push(inserted)), Some(relations));
}
