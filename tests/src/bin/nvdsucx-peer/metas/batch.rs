//! DeepStream's metadata of buffers with several frames.

use deepstream::DeepStream;
use dsmeta::Batch;
use dsmeta::model::{
    AudioBatch, AudioFrame, Bbox, Classifier, Display, Label, Line, Mask, Object, Origin, Sensor, VideoBatch,
    VideoFrame,
};
use nvdsucx_tests::payload::Random;

/// One to four frames, of video or of sound.
pub(super) fn attach(buffer: &mut gst::BufferRef, variant: usize, random: &mut Random) {
    let frames = 1 + variant as u32 / 2 % 4;
    let batch = if variant.is_multiple_of(2) {
        Batch::Video(VideoBatch {
            max_frames_in_batch: frames + variant as u32 % 3,
            frames: (0..frames).map(|slot| video(slot, random)).collect(),
            misc_batch_info: [1, -2, 3, i64::MIN],
            origin: Origin::DeepStream,
            ..VideoBatch::default()
        })
    } else {
        Batch::Audio(AudioBatch {
            max_frames_in_batch: frames,
            frames: (0..frames).map(|slot| audio(slot, random)).collect(),
            ..AudioBatch::default()
        })
    };
    let deepstream = DeepStream::load().expect("only asked for where its libraries are");
    deepstream.attach(buffer, &batch).expect("a batch that can be");
}

/// The text of the meta; `None` if `buffer` has none.
pub(super) fn text(buffer: &gst::BufferRef) -> Option<String> {
    let batch = DeepStream::of(buffer)?.read(buffer).expect("a batch that can be read")?;
    Some(format!("batch {batch:?}"))
}

fn video(slot: u32, random: &mut Random) -> VideoFrame {
    VideoFrame {
        pad_index: slot,
        batch_id: slot,
        frame_num: random.below(1000) as i32,
        buf_pts: random.word(),
        ntp_timestamp: random.word(),
        source_id: 100 + slot,
        num_surfaces_per_frame: 1,
        source_frame_width: 1920,
        source_frame_height: 1080 - slot,
        infer_done: true,
        objects: (0..random.below(5)).map(|index| object(index, slot, random)).collect(),
        displays: vec![Display {
            lines: vec![Line { x1: random.below(100), y1: slot, x2: 3, y2: 4, ..Line::default() }],
            ..Display::default()
        }],
        misc_frame_info: [slot.into(), 1, 2, 3],
        sensor: Some(Sensor { source_id: slot, uri: format!("file:{slot}"), ..Sensor::default() }),
        ..VideoFrame::default()
    }
}

fn object(index: u32, slot: u32, random: &mut Random) -> Object {
    let mut side = || random.below(1000) as f32 / 3.0;
    let bbox = Bbox { left: side(), top: side(), width: side(), height: side() };
    Object {
        parent: index.checked_sub(1).map(|before| before as usize),
        class_id: index as i32 - 1,
        object_id: random.word(),
        detector_bbox: bbox,
        tracker_bbox: bbox,
        confidence: random.below(1000) as f32 / 1001.0,
        label: format!("object {index} of frame {slot}").into(),
        mask: Mask { data: vec![0.25; 6], threshold: 0.5, width: 3, height: 2 },
        classifiers: (0..index).map(|number| classifier(number, random)).collect(),
        ..Object::default()
    }
}

fn classifier(number: u32, random: &mut Random) -> Classifier {
    let label = |index| Label {
        num_classes: 9,
        result_label: format!("größer {index}").into(),
        result_class_id: index,
        label_id: index + 1,
        result_prob: random.below(1000) as f32 / 1001.0,
        ..Label::default()
    };
    Classifier {
        unique_component_id: number as i32,
        classifier_type: format!("type {number}").into(),
        labels: (0..3).map(label).collect(),
    }
}

fn audio(slot: u32, random: &mut Random) -> AudioFrame {
    AudioFrame {
        pad_index: slot,
        batch_id: slot,
        frame_num: 7,
        buf_pts: random.word(),
        source_id: 200 + slot,
        num_samples_per_frame: 480,
        sample_rate: 48_000,
        num_channels: 2,
        infer_done: true,
        class_id: slot as i32,
        confidence: random.below(1000) as f32 / 1001.0,
        class_label: format!("sound {slot}"),
        classifiers: (0..slot).map(|number| classifier(number, random)).collect(),
        ..AudioFrame::default()
    }
}
