//! The model as messages, so that NVIDIA's reader survives them.

mod gst;
mod osd;

use crate::Style;
use crate::model::{AudioBatch, AudioFrame, Bbox, Classifier, Label, Object, Sensor, VideoBatch, VideoFrame};
use crate::schema::{self, BaseMeta, audio, video};

/// Longest text in DeepStream's `char[128]`, in bytes.
const MAX_LABEL: usize = 127;

pub(crate) fn video(batch: &VideoBatch, style: Style) -> video::BatchMeta {
    video::BatchMeta {
        max_frames_in_batch: max_frames(batch.max_frames_in_batch, batch.frames.len()),
        num_frames_in_batch: batch.frames.len() as u32,
        frame_meta_list: list(&batch.frames, |frame| video_frame(frame, style)),
        misc_batch_info: batch.misc_batch_info.to_vec(),
        reserve: some_of(batch.reserve),
        own_origin: batch.origin as u32,
    }
}

pub(crate) fn audio(batch: &AudioBatch, style: Style) -> audio::BatchMeta {
    audio::BatchMeta {
        max_frames_in_batch: max_frames(batch.max_frames_in_batch, batch.frames.len()),
        num_frames_in_batch: batch.frames.len() as u32,
        audio_frame_meta_list: list(&batch.frames, |frame| audio_frame(frame, style)),
        misc_batch_info: batch.misc_batch_info.to_vec(),
        reserve: some_of(batch.reserve),
    }
}

/// DeepStream cannot copy a batch that has room for none.
pub(crate) fn max_frames(max_frames: u32, frames: usize) -> u32 {
    max_frames.max(frames as u32).max(1)
}

fn video_frame(frame: &VideoFrame, style: Style) -> video::FrameMeta {
    let displays = list(&frame.displays, |display| osd::display(display, style));
    let (display_meta_list, own_display_meta_list) = place(displays, style);
    video::FrameMeta {
        base_meta: BaseMeta::of(BaseMeta::FRAME),
        pad_index: frame.pad_index,
        batch_id: frame.batch_id,
        frame_num: frame.frame_num,
        buf_pts: frame.buf_pts,
        ntp_timestamp: frame.ntp_timestamp,
        source_id: frame.source_id,
        num_surfaces_per_frame: frame.num_surfaces_per_frame,
        source_frame_width: frame.source_frame_width,
        source_frame_height: frame.source_frame_height,
        surface_type: frame.surface_type,
        surface_index: frame.surface_index,
        num_obj_meta: frame.objects.len() as u32,
        binferdone: frame.infer_done,
        obj_meta_list: list(&frame.objects, |object| self::object(object, style)),
        display_meta_list,
        misc_frame_info: frame.misc_frame_info.to_vec(),
        pipeline_width: frame.pipeline_width,
        pipeline_height: frame.pipeline_height,
        reserve: frame.reserve.to_vec(),
        own_display_meta_list,
        own_sensor: frame.sensor.as_ref().map(sensor),
        own_analytics: frame.analytics.as_ref().map(gst::analytics),
    }
}

fn audio_frame(frame: &AudioFrame, style: Style) -> audio::AudioFrameMeta {
    let (classifier_meta_list, own_classifier_meta_list) = place(list(&frame.classifiers, classifier), style);
    let (class_label, own_class_label) = cut(&frame.class_label);
    audio::AudioFrameMeta {
        base_meta: BaseMeta::of(BaseMeta::AUDIO_FRAME),
        pad_index: frame.pad_index,
        batch_id: frame.batch_id,
        frame_num: frame.frame_num,
        buf_pts: frame.buf_pts,
        ntp_timestamp: frame.ntp_timestamp,
        source_id: frame.source_id,
        num_samples_per_frame: frame.num_samples_per_frame,
        sample_rate: frame.sample_rate,
        num_channels: frame.num_channels,
        nvbufaudioformat: frame.format,
        nvbufaudiolayout: frame.layout,
        binferdone: frame.infer_done,
        class_id: frame.class_id,
        confidence: frame.confidence,
        class_label,
        classifier_meta_list,
        misc_frame_info: frame.misc_frame_info.to_vec(),
        reserve: frame.reserve.to_vec(),
        own_class_label,
        own_classifier_meta_list,
    }
}

fn object(object: &Object, style: Style) -> video::ObjectMeta {
    let (classifier_meta_list, own_classifier_meta_list) =
        place(list(&object.classifiers, classifier), style);
    let (mask_params, own_mask_params) = place(some(osd::mask(&object.mask)), style);
    let (obj_label, own_obj_label) = cut(&object.label);
    video::ObjectMeta {
        base_meta: BaseMeta::of(BaseMeta::OBJECT),
        unique_component_id: object.unique_component_id,
        class_id: object.class_id,
        object_id: object.object_id,
        detector_bbox_info: bbox(object.detector_bbox),
        tracker_bbox_info: bbox(object.tracker_bbox),
        confidence: object.confidence,
        tracker_confidence: object.tracker_confidence,
        rect_params: some(osd::rect(&object.rect)),
        mask_params,
        text_params: some(osd::text(&object.text, style)),
        obj_label,
        classifier_meta_list,
        misc_obj_info: object.misc_obj_info.to_vec(),
        reserve: object.reserve.to_vec(),
        own_obj_label,
        own_classifier_meta_list,
        own_mask_params,
        own_parent: object.parent.map(|parent| parent as u32),
        own_region: object.region.as_ref().map(gst::region),
    }
}

fn bbox(bbox: Bbox) -> Option<video::CompBboxInfo> {
    let Bbox { left, top, width, height } = bbox;
    let org_bbox_coords = some(video::BboxCoords { left, top, width, height })?;
    Some(video::CompBboxInfo { org_bbox_coords: Some(org_bbox_coords) })
}

fn classifier(classifier: &Classifier) -> schema::ClassifierMeta {
    schema::ClassifierMeta {
        base_meta: BaseMeta::of(BaseMeta::CLASSIFIER),
        num_labels: classifier.labels.len() as u32,
        unique_component_id: classifier.unique_component_id,
        label_info_list: list(&classifier.labels, label),
        classifier_type: classifier.classifier_type.clone(),
    }
}

fn label(label: &Label) -> schema::LabelInfo {
    let (result_label, own_result_label) = cut(&label.result_label);
    schema::LabelInfo {
        base_meta: BaseMeta::of(BaseMeta::LABEL),
        num_classes: label.num_classes,
        result_label,
        presult_label: label.presult_label.clone(),
        result_class_id: label.result_class_id,
        // The same bits: it is signed in the schema only.
        label_id: label.label_id.cast_signed(),
        result_prob: label.result_prob,
        own_result_label,
    }
}

fn sensor(sensor: &Sensor) -> schema::Sensor {
    schema::Sensor {
        source_id: sensor.source_id,
        uri: sensor.uri.clone(),
        id: sensor.id.clone(),
        name: sensor.name.clone(),
    }
}

/// What NVIDIA's reader does not survive, for NVIDIA's field and for ours.
fn place<T: Default>(value: T, style: Style) -> (T, T) {
    match style {
        Style::Safe => (T::default(), value),
        Style::Nvidia => (value, T::default()),
    }
}

/// A label as it fits into NVIDIA's field, and whole for ours if it does not.
fn cut(label: &str) -> (String, String) {
    if label.len() <= MAX_LABEL {
        return (label.to_owned(), String::new());
    }
    (label[..label.floor_char_boundary(MAX_LABEL)].to_owned(), label.to_owned())
}

/// A message, unless reading none amounts to the same.
fn some<T: Default + PartialEq>(message: T) -> Option<T> {
    (message != T::default()).then_some(message)
}

/// A list of four that nobody misses if it is all zeros.
fn some_of(numbers: [i64; 4]) -> Vec<i64> {
    if numbers == [0; 4] { Vec::new() } else { numbers.to_vec() }
}

fn list<T, M>(values: &[T], message: impl FnMut(&T) -> M) -> Vec<M> {
    values.iter().map(message).collect()
}
