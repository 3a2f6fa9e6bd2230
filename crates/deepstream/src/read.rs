//! A batch meta to values. Lists keep their order.

use std::collections::HashMap;

use dsmeta::model;
use dsmeta::{MAX_CLASSIFIERS, MAX_DISPLAYS, MAX_FRAMES, MAX_LABELS, MAX_OBJECTS};

use crate::Error;
use crate::at::{At, Link, List, Plain};
use crate::batch::{Kind, Locked};
use crate::osd::{self, MAX_TEXT};
use crate::{raw, text};

/// All of a locked batch meta.
pub(crate) fn batch(locked: &Locked<'_>) -> Result<model::Batch, Error> {
    let batch = locked.batch().get();
    let mut reader = Reader { locked, objects: 0, classifiers: 0, labels: 0, displays: 0 };
    Ok(match locked.kind {
        Kind::Video => {
            let frames = reader.frames::<raw::Frame, _>(&batch, Reader::video_frame)?;
            model::Batch::Video(model::VideoBatch {
                max_frames_in_batch: max_frames(&batch, frames.len()),
                frames,
                misc_batch_info: batch.misc,
                reserve: batch.reserved,
                origin: model::Origin::DeepStream,
            })
        }
        Kind::Audio => {
            let frames = reader.frames::<raw::AudioFrame, _>(&batch, Reader::audio_frame)?;
            model::Batch::Audio(model::AudioBatch {
                max_frames_in_batch: max_frames(&batch, frames.len()),
                frames,
                misc_batch_info: batch.misc,
                reserve: batch.reserved,
            })
        }
    })
}

/// What a batch says is not always so: never fewer than there are, nor none.
fn max_frames(batch: &raw::Batch, count: usize) -> u32 {
    let count = u32::try_from(count).expect("as many as a payload may have");
    batch.max_frames.max(count).max(1)
}

/// Counts what it reads: a payload has room for so much only, and a list that leads back to itself ends.
struct Reader<'l> {
    locked: &'l Locked<'l>,
    objects: usize,
    classifiers: usize,
    labels: usize,
    displays: usize,
}

/// The elements of a list, counted in `sum`.
fn counted<'l, T: Plain>(
    locked: &'l Locked<'_>,
    list: List<T>,
    sum: &mut usize,
    what: &'static str,
    limit: usize,
) -> Result<Vec<At<'l, T>>, Error> {
    let left = limit - *sum;
    let elements = list.elements(locked, what, left).map_err(|_| Error::TooMany { what, limit })?;
    *sum += elements.len();
    Ok(elements)
}

impl<'l> Reader<'l> {
    fn frames<R: Plain, M>(
        &mut self,
        batch: &raw::Batch,
        read: fn(&mut Self, At<'l, R>) -> Result<M, Error>,
    ) -> Result<Vec<M>, Error> {
        let frames = batch.frames.elements(self.locked, "frames", MAX_FRAMES)?;
        // SAFETY: `R` is what the frames of this kind of batch are.
        frames.into_iter().map(|frame| read(self, unsafe { frame.part(0) })).collect()
    }

    fn video_frame(&mut self, at: At<'l, raw::Frame>) -> Result<model::VideoFrame, Error> {
        let frame = at.get();
        let layout = &self.locked.loaded.layout;
        let displays =
            counted(self.locked, frame.displays, &mut self.displays, "display metas", MAX_DISPLAYS)?;
        Ok(model::VideoFrame {
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
            infer_done: frame.infer_done != 0,
            objects: self.objects(frame.objects)?,
            displays: displays.into_iter().map(|display| osd::display(self.locked, display)).collect(),
            misc_frame_info: frame.misc,
            pipeline_width: frame.pipeline_width,
            pipeline_height: frame.pipeline_height,
            reserve: layout.frame_reserved(at).get(),
            sensor: layout.sensor(at).and_then(|sensor| self.sensor(&sensor.get())),
            analytics: None,
        })
    }

    fn sensor(&self, sensor: &raw::Sensor) -> Option<model::Sensor> {
        let texts = [sensor.uri, sensor.id, sensor.name];
        if sensor.source_id == 0 && texts.iter().all(|text| text.is_null()) {
            return None;
        }
        let [uri, id, name] = texts.map(|text| text.read(self.locked, MAX_TEXT));
        Some(model::Sensor { source_id: sensor.source_id, uri, id, name })
    }

    fn objects(&mut self, list: List<raw::Object>) -> Result<Vec<model::Object>, Error> {
        let objects = counted(self.locked, list, &mut self.objects, "objects", MAX_OBJECTS)?;
        let indices: HashMap<usize, usize> =
            objects.iter().enumerate().map(|(index, object)| (Link::to(*object).address(), index)).collect();
        objects.into_iter().map(|object| self.object(object, &indices)).collect()
    }

    fn object(
        &mut self,
        at: At<'l, raw::Object>,
        indices: &HashMap<usize, usize>,
    ) -> Result<model::Object, Error> {
        let layout = &self.locked.loaded.layout;
        let (object, rest) = (at.get(), layout.object_rest(at).get());
        Ok(model::Object {
            parent: indices.get(&object.parent.address()).copied(),
            unique_component_id: object.unique_component_id,
            class_id: object.class_id,
            object_id: object.object_id,
            detector_bbox: bbox(object.detector_bbox),
            tracker_bbox: bbox(object.tracker_bbox),
            confidence: object.confidence,
            tracker_confidence: object.tracker_confidence,
            rect: osd::rect(self.locked, layout.object_rect(at)),
            mask: osd::mask(self.locked, &rest.mask),
            text: osd::text(self.locked, &rest.text),
            label: text::label(&rest.label).into(),
            classifiers: self.classifiers(rest.classifiers)?,
            misc_obj_info: rest.misc,
            reserve: rest.reserved,
            region: None,
        })
    }

    fn classifiers(&mut self, list: List<raw::Classifier>) -> Result<Vec<model::Classifier>, Error> {
        let classifiers = counted(self.locked, list, &mut self.classifiers, "classifiers", MAX_CLASSIFIERS)?;
        classifiers.into_iter().map(|classifier| self.classifier(&classifier.get())).collect()
    }

    fn classifier(&mut self, classifier: &raw::Classifier) -> Result<model::Classifier, Error> {
        let labels = counted(self.locked, classifier.labels, &mut self.labels, "labels", MAX_LABELS)?;
        Ok(model::Classifier {
            unique_component_id: classifier.unique_component_id,
            classifier_type: classifier.classifier_type.read(self.locked, MAX_TEXT).into(),
            labels: labels.into_iter().map(|label| self.label(&label.get())).collect(),
        })
    }

    fn label(&self, label: &raw::Label) -> model::Label {
        model::Label {
            num_classes: label.num_classes,
            result_label: text::label(&label.result_label).into(),
            presult_label: label.presult_label.read(self.locked, MAX_TEXT).into(),
            result_class_id: label.result_class_id,
            label_id: label.label_id,
            result_prob: label.result_prob,
        }
    }

    fn audio_frame(&mut self, at: At<'l, raw::AudioFrame>) -> Result<model::AudioFrame, Error> {
        let frame = at.get();
        Ok(model::AudioFrame {
            pad_index: frame.pad_index,
            batch_id: frame.batch_id,
            frame_num: frame.frame_num,
            buf_pts: frame.buf_pts,
            ntp_timestamp: frame.ntp_timestamp,
            source_id: frame.source_id,
            num_samples_per_frame: frame.num_samples_per_frame,
            sample_rate: frame.sample_rate,
            num_channels: frame.num_channels,
            format: frame.format.cast_unsigned(),
            layout: frame.layout.cast_unsigned(),
            infer_done: frame.infer_done != 0,
            class_id: frame.class_id,
            confidence: frame.confidence,
            class_label: text::label(&frame.class_label),
            classifiers: self.classifiers(frame.classifiers)?,
            misc_frame_info: frame.misc,
            reserve: frame.reserved,
        })
    }
}

fn bbox([left, top, width, height]: [f32; 4]) -> model::Bbox {
    model::Bbox { left, top, width, height }
}
