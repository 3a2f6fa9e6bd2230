//! What a frame of 500 objects costs: `cargo run --release -p dsmeta --example cost`.

use std::hint::black_box;
use std::time::Instant;

use dsmeta::model::{Classifier, Label, Object, Rect, VideoBatch, VideoFrame};
use dsmeta::{Batch, Style, decode, encode};

const OBJECTS: u16 = 500;
const ROUNDS: usize = 5000;

fn main() {
    let batch = batch();
    // As much memory is allocated and freed for what is decoded, whatever the codec.
    let cloning = shortest(|| drop(black_box(batch.clone())));
    println!("{OBJECTS} objects, shortest of {ROUNDS} rounds: {cloning:.1} us to clone and drop the batch");
    for style in [Style::Safe, Style::Nvidia] {
        let payload = encode(&batch, style).expect("the batch is valid");
        let encoding = shortest(|| drop(black_box(encode(black_box(&batch), style))));
        let decoding = shortest(|| drop(black_box(decode(payload.kind, black_box(&payload.bytes)))));
        println!(
            "{style:?}: {} bytes, {encoding:.1} us to encode, {decoding:.1} us to decode",
            payload.bytes.len(),
        );
    }
}

/// Objects with a place, a label, a confidence and a classifier each.
fn batch() -> Batch {
    let object = |index: u16| {
        let label = Label { result_label: "red".into(), result_prob: 0.75, ..Default::default() };
        Object {
            object_id: index.into(),
            class_id: 2,
            confidence: 0.875,
            label: "vehicle".into(),
            rect: Rect { left: index.into(), top: 10.0, width: 64.0, height: 48.0, ..Default::default() },
            classifiers: vec![Classifier {
                classifier_type: "colour".into(),
                labels: vec![label],
                ..Default::default()
            }],
            ..Default::default()
        }
    };
    let frame = VideoFrame { objects: (0..OBJECTS).map(object).collect(), ..Default::default() };
    Batch::Video(VideoBatch { max_frames_in_batch: 1, frames: vec![frame], ..Default::default() })
}

/// The shortest of many rounds: what else the machine does only makes them longer.
fn shortest(mut work: impl FnMut()) -> f64 {
    let times = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed()
    });
    times.min().unwrap_or_default().as_secs_f64() * 1e6
}
