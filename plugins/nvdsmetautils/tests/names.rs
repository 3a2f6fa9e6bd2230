//! Labels without end. Alone in its process, for what it uses up does not come back.

mod common;

use std::ops::Range;

use common::*;
use dsmeta::model::{Object, VideoBatch, VideoFrame};

/// How many regions there are after a payload with these labels.
fn extract(line: &Line, labels: impl Iterator<Item = String>) -> usize {
    let objects = labels.map(|label| Object { label: label.into(), ..Object::default() }).collect();
    let frames = vec![VideoFrame { objects, ..VideoFrame::default() }];
    let batch = VideoBatch { max_frames_in_batch: 1, frames, ..VideoBatch::default() };
    let payload = dsmeta::encode(&dsmeta::Batch::Video(batch), dsmeta::Style::Safe).unwrap();
    let mut buffer = buffer_with(&[]);
    hang(&mut buffer, payload.kind.number(), &payload.bytes);
    regions_of(&line.push(buffer)).len()
}

#[test]
fn labels_without_end_do_not_fill_the_memory() {
    let line = Line::start("nvdsmetaextract", VIDEO);
    let numbered = |range: Range<u32>| extract(&line, range.map(|n| format!("label {n}")));
    assert_eq!(numbered(0..10_000), 10_000);
    assert_eq!(line.warnings(), Vec::<String>::new());
    assert_eq!(numbered(10_000..20_000), 0);
    let warnings = line.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("16384 different labels"), "{warnings:?}");
    // What is known goes on.
    assert_eq!(numbered(5_000..10_000), 5_000);
    assert_eq!(extract(&line, std::iter::once("x".repeat(1025))), 0);
}
