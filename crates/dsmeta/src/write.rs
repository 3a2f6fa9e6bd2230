//! The model as fields, so that NVIDIA's reader survives them.
//!
//! One function for each message of the protobuf package `dsmeta`, with NVIDIA's numbers and types, and the name it has
//! in NVIDIA's schema. Fields from 1000 on are ours: NVIDIA's reader skips them. What neither its writer nor ours sets,
//! the user metas, is not here.

mod gst;
mod osd;

use crate::Style;
use crate::model::{AudioBatch, AudioFrame, Bbox, Classifier, Label, Object, Sensor, VideoBatch, VideoFrame};
use crate::protobuf::Writer;

/// Longest text in DeepStream's `char[128]`, in bytes.
const MAX_LABEL: usize = 127;

/// Roughly what a frame and an object have, in bytes: more is found as it is needed.
const FRAME_ROOM: usize = 256;
const OBJECT_ROOM: usize = 192;

/// `meta_type` of an `nvdsbasemeta`
enum Base {
    Frame = 2,
    Object = 3,
    Display = 4,
    Classifier = 5,
    Label = 6,
    /// In DeepStream 8.0 and newer.
    AudioFrame = 26,
}

/// `nvdsbatchmeta`
pub(crate) fn video(batch: &VideoBatch, style: Style) -> Vec<u8> {
    let objects: usize = batch.frames.iter().map(|frame| frame.objects.len()).sum();
    let mut to = Writer::new(FRAME_ROOM * (1 + batch.frames.len()) + OBJECT_ROOM * objects);
    to.uint32(2, max_frames(batch.max_frames_in_batch, batch.frames.len()));
    to.uint32(3, batch.frames.len() as u32);
    for frame in &batch.frames {
        to.message(4, |to| video_frame(to, frame, style));
    }
    to.int64s(6, &batch.misc_batch_info);
    to.int64s(7, some_of(&batch.reserve));
    to.uint32(1000, batch.origin as u32);
    to.into_bytes()
}

/// `nvdsbatchmeta`
pub(crate) fn audio(batch: &AudioBatch, style: Style) -> Vec<u8> {
    let mut to = Writer::new(FRAME_ROOM * (1 + batch.frames.len()));
    to.uint32(2, max_frames(batch.max_frames_in_batch, batch.frames.len()));
    to.uint32(3, batch.frames.len() as u32);
    for frame in &batch.frames {
        to.message(4, |to| audio_frame(to, frame, style));
    }
    to.int64s(6, &batch.misc_batch_info);
    to.int64s(7, some_of(&batch.reserve));
    to.into_bytes()
}

/// DeepStream cannot copy a batch that has room for none.
pub(crate) fn max_frames(max_frames: u32, frames: usize) -> u32 {
    max_frames.max(frames as u32).max(1)
}

/// `nvdsframemeta`
fn video_frame(to: &mut Writer, frame: &VideoFrame, style: Style) {
    let (displays, own_displays) = place(frame.displays.as_slice(), style);
    base(to, Base::Frame);
    to.uint32(2, frame.pad_index);
    to.uint32(3, frame.batch_id);
    to.int32(4, frame.frame_num);
    to.uint64(5, frame.buf_pts);
    to.uint64(6, frame.ntp_timestamp);
    to.uint32(7, frame.source_id);
    to.int32(8, frame.num_surfaces_per_frame);
    to.uint32(9, frame.source_frame_width);
    to.uint32(10, frame.source_frame_height);
    to.uint32(11, frame.surface_type);
    to.uint32(12, frame.surface_index);
    to.uint32(13, frame.objects.len() as u32);
    to.bool(14, frame.infer_done);
    for object in &frame.objects {
        to.message(15, |to| self::object(to, object, style));
    }
    for display in displays {
        to.message(16, |to| osd::display(to, display, style));
    }
    to.int64s(18, &frame.misc_frame_info);
    to.uint32(19, frame.pipeline_width);
    to.uint32(20, frame.pipeline_height);
    to.int64s(21, &frame.reserve);
    for display in own_displays {
        to.message(1000, |to| osd::display(to, display, style));
    }
    if let Some(sensor) = &frame.sensor {
        to.message(1001, |to| self::sensor(to, sensor));
    }
    if let Some(analytics) = &frame.analytics {
        to.message(1002, |to| gst::analytics(to, analytics));
    }
}

/// `nvdsaudioframemeta`
fn audio_frame(to: &mut Writer, frame: &AudioFrame, style: Style) {
    let (class_label, own_class_label) = cut(&frame.class_label);
    let (classifiers, own_classifiers) = place(frame.classifiers.as_slice(), style);
    base(to, Base::AudioFrame);
    to.uint32(2, frame.pad_index);
    to.uint32(3, frame.batch_id);
    to.int32(4, frame.frame_num);
    to.uint64(5, frame.buf_pts);
    to.uint64(6, frame.ntp_timestamp);
    to.uint32(7, frame.source_id);
    to.int32(8, frame.num_samples_per_frame);
    to.uint32(9, frame.sample_rate);
    to.uint32(10, frame.num_channels);
    to.uint32(11, frame.format);
    to.uint32(12, frame.layout);
    to.bool(13, frame.infer_done);
    to.int32(14, frame.class_id);
    to.float(15, frame.confidence);
    to.string(16, class_label);
    self::classifiers(to, 17, classifiers);
    to.int64s(19, &frame.misc_frame_info);
    to.int64s(20, &frame.reserve);
    to.string(1000, own_class_label);
    self::classifiers(to, 1001, own_classifiers);
}

/// `nvdsobjectmeta`
fn object(to: &mut Writer, object: &Object, style: Style) {
    let (mask, own_mask) = place(Some(&object.mask), style);
    let (label, own_label) = cut(&object.label);
    let (classifiers, own_classifiers) = place(object.classifiers.as_slice(), style);
    base(to, Base::Object);
    to.int32(2, object.unique_component_id);
    to.int32(3, object.class_id);
    to.uint64(4, object.object_id);
    bbox(to, 5, &object.detector_bbox);
    bbox(to, 6, &object.tracker_bbox);
    to.float(7, object.confidence);
    to.float(8, object.tracker_confidence);
    to.non_empty(9, |to| osd::rect(to, &object.rect));
    if let Some(mask) = mask {
        to.non_empty(10, |to| osd::mask(to, mask));
    }
    to.non_empty(11, |to| osd::text(to, &object.text, style));
    to.string(12, label);
    self::classifiers(to, 13, classifiers);
    to.int64s(15, &object.misc_obj_info);
    to.int64s(16, &object.reserve);
    to.string(1000, own_label);
    self::classifiers(to, 1001, own_classifiers);
    if let Some(mask) = own_mask {
        to.non_empty(1002, |to| osd::mask(to, mask));
    }
    to.optional_uint32(1003, object.parent.map(|parent| parent as u32));
    if let Some(region) = &object.region {
        to.message(1004, |to| gst::region(to, region));
    }
}

/// `nvdscompbboxinfo` with its `nvbboxcoords`
fn bbox(to: &mut Writer, number: u32, bbox: &Bbox) {
    to.non_empty(number, |to| {
        to.non_empty(1, |to| {
            to.float(1, bbox.left);
            to.float(2, bbox.top);
            to.float(3, bbox.width);
            to.float(4, bbox.height);
        });
    });
}

/// A list of `nvdsclassifiermeta`
fn classifiers(to: &mut Writer, number: u32, classifiers: &[Classifier]) {
    for classifier in classifiers {
        to.message(number, |to| {
            base(to, Base::Classifier);
            to.uint32(2, classifier.labels.len() as u32);
            to.int32(3, classifier.unique_component_id);
            for label in &classifier.labels {
                to.message(4, |to| self::label(to, label));
            }
            to.string(5, &classifier.classifier_type);
        });
    }
}

/// `nvdslabelinfo`
fn label(to: &mut Writer, label: &Label) {
    let (result_label, own_result_label) = cut(&label.result_label);
    base(to, Base::Label);
    to.uint32(2, label.num_classes);
    to.string(3, result_label);
    to.string(4, &label.presult_label);
    to.uint32(5, label.result_class_id);
    // The same bits: it is signed in the schema only.
    to.int32(6, label.label_id.cast_signed());
    to.float(7, label.result_prob);
    to.string(1000, own_result_label);
}

fn sensor(to: &mut Writer, sensor: &Sensor) {
    to.uint32(1, sensor.source_id);
    to.string(2, &sensor.uri);
    to.string(3, &sensor.id);
    to.string(4, &sensor.name);
}

/// `nvdsbasemeta`, the first field of a meta
fn base(to: &mut Writer, meta_type: Base) {
    to.message(1, |to| to.uint32(1, meta_type as u32));
}

/// What NVIDIA's reader does not survive, for NVIDIA's field and for ours.
fn place<T: Default>(value: T, style: Style) -> (T, T) {
    match style {
        Style::Safe => (T::default(), value),
        Style::Nvidia => (value, T::default()),
    }
}

/// A label as it fits into NVIDIA's field, and whole for ours if it does not.
fn cut(label: &str) -> (&str, &str) {
    if label.len() <= MAX_LABEL {
        return (label, "");
    }
    (&label[..label.floor_char_boundary(MAX_LABEL)], label)
}

/// A list of four that nobody misses if it is all zeros.
fn some_of(numbers: &[i64; 4]) -> &[i64] {
    if *numbers == [0; 4] { &[] } else { numbers }
}
