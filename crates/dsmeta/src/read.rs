//! Messages as the model, whoever wrote them. What stands in a field of ours is preferred to what stands in NVIDIA's.

mod gst;
mod osd;

use crate::Error;
use crate::limits::at_most;
use crate::model::{
    AudioBatch, AudioFrame, Bbox, Classifier, Label, Object, Origin, Sensor, VideoBatch, VideoFrame,
};
use crate::schema::{self, audio, video};
use crate::write::max_frames;

pub(crate) fn video(batch: video::BatchMeta) -> Result<VideoBatch, Error> {
    Ok(VideoBatch {
        max_frames_in_batch: max_frames(batch.max_frames_in_batch, batch.frame_meta_list.len()),
        frames: list(batch.frame_meta_list, video_frame)?,
        misc_batch_info: four(&batch.misc_batch_info)?,
        reserve: four(&batch.reserve)?,
        origin: match batch.own_origin {
            origin if origin == Origin::Regions as u32 => Origin::Regions,
            origin if origin == Origin::Analytics as u32 => Origin::Analytics,
            _ => Origin::DeepStream,
        },
    })
}

pub(crate) fn audio(batch: audio::BatchMeta) -> Result<AudioBatch, Error> {
    Ok(AudioBatch {
        max_frames_in_batch: max_frames(batch.max_frames_in_batch, batch.audio_frame_meta_list.len()),
        frames: list(batch.audio_frame_meta_list, audio_frame)?,
        misc_batch_info: four(&batch.misc_batch_info)?,
        reserve: four(&batch.reserve)?,
    })
}

fn video_frame(frame: video::FrameMeta) -> Result<VideoFrame, Error> {
    Ok(VideoFrame {
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
        infer_done: frame.binferdone,
        objects: list(frame.obj_meta_list, object)?,
        displays: list(choose(frame.own_display_meta_list, frame.display_meta_list), osd::display)?,
        misc_frame_info: four(&frame.misc_frame_info)?,
        pipeline_width: frame.pipeline_width,
        pipeline_height: frame.pipeline_height,
        reserve: four(&frame.reserve)?,
        sensor: frame.own_sensor.map(sensor),
        analytics: frame.own_analytics.map(gst::analytics).transpose()?,
    })
}

fn audio_frame(frame: audio::AudioFrameMeta) -> Result<AudioFrame, Error> {
    Ok(AudioFrame {
        pad_index: frame.pad_index,
        batch_id: frame.batch_id,
        frame_num: frame.frame_num,
        buf_pts: frame.buf_pts,
        ntp_timestamp: frame.ntp_timestamp,
        source_id: frame.source_id,
        num_samples_per_frame: frame.num_samples_per_frame,
        sample_rate: frame.sample_rate,
        num_channels: frame.num_channels,
        format: frame.nvbufaudioformat,
        layout: frame.nvbufaudiolayout,
        infer_done: frame.binferdone,
        class_id: frame.class_id,
        confidence: frame.confidence,
        class_label: choose(frame.own_class_label, frame.class_label),
        classifiers: list(choose(frame.own_classifier_meta_list, frame.classifier_meta_list), classifier)?,
        misc_frame_info: four(&frame.misc_frame_info)?,
        reserve: four(&frame.reserve)?,
    })
}

fn object(object: video::ObjectMeta) -> Result<Object, Error> {
    Ok(Object {
        parent: object.own_parent.map(|parent| parent as usize),
        unique_component_id: object.unique_component_id,
        class_id: object.class_id,
        object_id: object.object_id,
        detector_bbox: bbox(object.detector_bbox_info),
        tracker_bbox: bbox(object.tracker_bbox_info),
        confidence: object.confidence,
        tracker_confidence: object.tracker_confidence,
        rect: osd::rect(object.rect_params.unwrap_or_default()),
        mask: osd::mask(choose(object.own_mask_params, object.mask_params).unwrap_or_default())?,
        text: osd::text(object.text_params.unwrap_or_default()),
        label: choose(object.own_obj_label, object.obj_label),
        classifiers: list(choose(object.own_classifier_meta_list, object.classifier_meta_list), classifier)?,
        misc_obj_info: four(&object.misc_obj_info)?,
        reserve: four(&object.reserve)?,
        region: object.own_region.map(gst::region),
    })
}

fn bbox(bbox: Option<video::CompBboxInfo>) -> Bbox {
    let coords = bbox.and_then(|bbox| bbox.org_bbox_coords).unwrap_or_default();
    let video::BboxCoords { left, top, width, height } = coords;
    Bbox { left, top, width, height }
}

fn classifier(classifier: schema::ClassifierMeta) -> Result<Classifier, Error> {
    Ok(Classifier {
        unique_component_id: classifier.unique_component_id,
        classifier_type: classifier.classifier_type,
        labels: classifier.label_info_list.into_iter().map(label).collect(),
    })
}

fn label(label: schema::LabelInfo) -> Label {
    Label {
        num_classes: label.num_classes,
        result_label: choose(label.own_result_label, label.result_label),
        presult_label: label.presult_label,
        result_class_id: label.result_class_id,
        label_id: label.label_id.cast_unsigned(),
        result_prob: label.result_prob,
    }
}

fn sensor(sensor: schema::Sensor) -> Sensor {
    Sensor { source_id: sensor.source_id, uri: sensor.uri, id: sensor.id, name: sensor.name }
}

/// What stands in our field, or in NVIDIA's if there is nothing.
fn choose<T: Default + PartialEq>(ours: T, theirs: T) -> T {
    if ours == T::default() { theirs } else { ours }
}

/// A list of four, of which the last may be missing.
fn four(numbers: &[i64]) -> Result<[i64; 4], Error> {
    let mut four = [0; 4];
    at_most("numbers in a list of four", numbers.len(), four.len())?;
    four[..numbers.len()].copy_from_slice(numbers);
    Ok(four)
}

fn list<M, T>(messages: Vec<M>, value: impl FnMut(M) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    messages.into_iter().map(value).collect()
}
