//! Fields as the model, whoever wrote them: one function for each message, as in [`write`](crate::write).
//!
//! As proto3 has it, the last of several values of a field holds, and messages in one field are one message. What
//! stands in a field of ours is preferred to what stands in NVIDIA's. Whatever there are many of is counted before there
//! is memory for it.

mod gst;
mod osd;
mod value;

use value::{Four, Text, base, one_more};

use crate::Error;
use crate::limits::{Counted, Tally};
use crate::model::{
    AudioBatch, AudioFrame, Bbox, Classifier, KString, Label, Object, Origin, Sensor, VideoBatch, VideoFrame,
};
use crate::protobuf::Reader;
use crate::write::max_frames;

pub(crate) fn video(bytes: &[u8]) -> Result<VideoBatch, Error> {
    let mut from = Reader::new(bytes);
    let mut tally = Tally::default();
    let mut batch = VideoBatch::default();
    let (mut misc, mut reserve) = (Four::default(), Four::default());
    while let Some(key) = from.key()? {
        match key.number() {
            2 => batch.max_frames_in_batch = from.uint32(key)?,
            3 => _ = from.uint32(key)?,
            4 => {
                let frame = one_more(&mut batch.frames, Counted::Frames, &mut tally)?;
                video_frame(from.message(key)?, frame, &mut tally)?;
            }
            6 => misc.read(from.int64s(key)?)?,
            7 => reserve.read(from.int64s(key)?)?,
            1000 => batch.origin = origin(from.uint32(key)?),
            _ => from.skip(key)?,
        }
    }
    batch.max_frames_in_batch = max_frames(batch.max_frames_in_batch, batch.frames.len());
    (batch.misc_batch_info, batch.reserve) = (misc.numbers, reserve.numbers);
    Ok(batch)
}

pub(crate) fn audio(bytes: &[u8]) -> Result<AudioBatch, Error> {
    let mut from = Reader::new(bytes);
    let mut tally = Tally::default();
    let mut batch = AudioBatch::default();
    let (mut misc, mut reserve) = (Four::default(), Four::default());
    while let Some(key) = from.key()? {
        match key.number() {
            2 => batch.max_frames_in_batch = from.uint32(key)?,
            3 => _ = from.uint32(key)?,
            4 => {
                let frame = one_more(&mut batch.frames, Counted::Frames, &mut tally)?;
                audio_frame(from.message(key)?, frame, &mut tally)?;
            }
            6 => misc.read(from.int64s(key)?)?,
            7 => reserve.read(from.int64s(key)?)?,
            _ => from.skip(key)?,
        }
    }
    batch.max_frames_in_batch = max_frames(batch.max_frames_in_batch, batch.frames.len());
    (batch.misc_batch_info, batch.reserve) = (misc.numbers, reserve.numbers);
    Ok(batch)
}

fn origin(number: u32) -> Origin {
    match number {
        number if number == Origin::Regions as u32 => Origin::Regions,
        number if number == Origin::Analytics as u32 => Origin::Analytics,
        _ => Origin::DeepStream,
    }
}

fn video_frame(mut from: Reader<'_>, frame: &mut VideoFrame, tally: &mut Tally) -> Result<(), Error> {
    let objects = from.count(15)?;
    tally.add(Counted::Objects, objects)?;
    frame.objects.reserve_exact(objects);
    let mut displays = Vec::new();
    let (mut misc, mut reserve) = (Four::default(), Four::default());
    while let Some(key) = from.key()? {
        match key.number() {
            1 => base(from.message(key)?)?,
            2 => frame.pad_index = from.uint32(key)?,
            3 => frame.batch_id = from.uint32(key)?,
            4 => frame.frame_num = from.int32(key)?,
            5 => frame.buf_pts = from.uint64(key)?,
            6 => frame.ntp_timestamp = from.uint64(key)?,
            7 => frame.source_id = from.uint32(key)?,
            8 => frame.num_surfaces_per_frame = from.int32(key)?,
            9 => frame.source_frame_width = from.uint32(key)?,
            10 => frame.source_frame_height = from.uint32(key)?,
            11 => frame.surface_type = from.uint32(key)?,
            12 => frame.surface_index = from.uint32(key)?,
            13 => _ = from.uint32(key)?,
            14 => frame.infer_done = from.bool(key)?,
            15 => {
                let last = frame.objects.len();
                frame.objects.push(Object { object_id: 0, ..Default::default() });
                object(from.message(key)?, &mut frame.objects[last], tally)?;
            }
            16 => osd::display(from.message(key)?, &mut displays, tally)?,
            18 => misc.read(from.int64s(key)?)?,
            19 => frame.pipeline_width = from.uint32(key)?,
            20 => frame.pipeline_height = from.uint32(key)?,
            21 => reserve.read(from.int64s(key)?)?,
            1000 => osd::display(from.message(key)?, &mut frame.displays, tally)?,
            1001 => sensor(from.message(key)?, frame.sensor.get_or_insert_default())?,
            1002 => gst::analytics(from.message(key)?, frame.analytics.get_or_insert_default(), tally)?,
            _ => from.skip(key)?,
        }
    }
    if frame.displays.is_empty() {
        frame.displays = displays;
    }
    (frame.misc_frame_info, frame.reserve) = (misc.numbers, reserve.numbers);
    Ok(())
}

fn audio_frame(mut from: Reader<'_>, frame: &mut AudioFrame, tally: &mut Tally) -> Result<(), Error> {
    let mut class_label = Text::default();
    let mut classifiers = Vec::new();
    let (mut misc, mut reserve) = (Four::default(), Four::default());
    while let Some(key) = from.key()? {
        match key.number() {
            1 => base(from.message(key)?)?,
            2 => frame.pad_index = from.uint32(key)?,
            3 => frame.batch_id = from.uint32(key)?,
            4 => frame.frame_num = from.int32(key)?,
            5 => frame.buf_pts = from.uint64(key)?,
            6 => frame.ntp_timestamp = from.uint64(key)?,
            7 => frame.source_id = from.uint32(key)?,
            8 => frame.num_samples_per_frame = from.int32(key)?,
            9 => frame.sample_rate = from.uint32(key)?,
            10 => frame.num_channels = from.uint32(key)?,
            11 => frame.format = from.uint32(key)?,
            12 => frame.layout = from.uint32(key)?,
            13 => frame.infer_done = from.bool(key)?,
            14 => frame.class_id = from.int32(key)?,
            15 => frame.confidence = from.float(key)?,
            16 => class_label.theirs = from.string(key)?,
            17 => classifier(from.message(key)?, &mut classifiers, tally)?,
            19 => misc.read(from.int64s(key)?)?,
            20 => reserve.read(from.int64s(key)?)?,
            1000 => class_label.ours = from.string(key)?,
            1001 => classifier(from.message(key)?, &mut frame.classifiers, tally)?,
            _ => from.skip(key)?,
        }
    }
    class_label.finish(&mut frame.class_label);
    if frame.classifiers.is_empty() {
        frame.classifiers = classifiers;
    }
    (frame.misc_frame_info, frame.reserve) = (misc.numbers, reserve.numbers);
    Ok(())
}

fn object(mut from: Reader<'_>, object: &mut Object, tally: &mut Tally) -> Result<(), Error> {
    let (mut mask, mut own_mask) = (None, None);
    let mut texts = osd::Texts::default();
    let mut label = Text::default();
    let mut classifiers = Vec::new();
    let (mut misc, mut reserve) = (Four::default(), Four::default());
    while let Some(key) = from.key()? {
        match key.number() {
            1 => base(from.message(key)?)?,
            2 => object.unique_component_id = from.int32(key)?,
            3 => object.class_id = from.int32(key)?,
            4 => object.object_id = from.uint64(key)?,
            5 => bbox(from.message(key)?, &mut object.detector_bbox)?,
            6 => bbox(from.message(key)?, &mut object.tracker_bbox)?,
            7 => object.confidence = from.float(key)?,
            8 => object.tracker_confidence = from.float(key)?,
            9 => osd::rect(from.message(key)?, &mut object.rect)?,
            10 => osd::mask(from.message(key)?, mask.get_or_insert_default())?,
            11 => osd::text(from.message(key)?, &mut object.text, &mut texts)?,
            12 => label.theirs = from.string(key)?,
            13 => classifier(from.message(key)?, &mut classifiers, tally)?,
            15 => misc.read(from.int64s(key)?)?,
            16 => reserve.read(from.int64s(key)?)?,
            1000 => label.ours = from.string(key)?,
            1001 => classifier(from.message(key)?, &mut object.classifiers, tally)?,
            1002 => osd::mask(from.message(key)?, own_mask.get_or_insert_default())?,
            1003 => object.parent = Some(from.uint32(key)? as usize),
            1004 => gst::region(from.message(key)?, object.region.get_or_insert_default(), tally)?,
            _ => from.skip(key)?,
        }
    }
    if let Some(mask) = own_mask.or(mask) {
        object.mask = mask.finish()?;
    }
    texts.finish(&mut object.text);
    object.label = KString::from_ref(label.found());
    if object.classifiers.is_empty() {
        object.classifiers = classifiers;
    }
    (object.misc_obj_info, object.reserve) = (misc.numbers, reserve.numbers);
    Ok(())
}

fn bbox(mut from: Reader<'_>, bbox: &mut Bbox) -> Result<(), Error> {
    while let Some(key) = from.key()? {
        match key.number() {
            1 => coords(from.message(key)?, bbox)?,
            _ => from.skip(key)?,
        }
    }
    Ok(())
}

fn coords(mut from: Reader<'_>, bbox: &mut Bbox) -> Result<(), Error> {
    while let Some(key) = from.key()? {
        match key.number() {
            1 => bbox.left = from.float(key)?,
            2 => bbox.top = from.float(key)?,
            3 => bbox.width = from.float(key)?,
            4 => bbox.height = from.float(key)?,
            _ => from.skip(key)?,
        }
    }
    Ok(())
}

fn classifier(mut from: Reader<'_>, list: &mut Vec<Classifier>, tally: &mut Tally) -> Result<(), Error> {
    let classifier = one_more(list, Counted::Classifiers, tally)?;
    while let Some(key) = from.key()? {
        match key.number() {
            1 => base(from.message(key)?)?,
            2 => _ = from.uint32(key)?,
            3 => classifier.unique_component_id = from.int32(key)?,
            4 => label(from.message(key)?, one_more(&mut classifier.labels, Counted::Labels, tally)?)?,
            5 => classifier.classifier_type = KString::from_ref(from.string(key)?),
            _ => from.skip(key)?,
        }
    }
    Ok(())
}

fn label(mut from: Reader<'_>, label: &mut Label) -> Result<(), Error> {
    let mut result_label = Text::default();
    while let Some(key) = from.key()? {
        match key.number() {
            1 => base(from.message(key)?)?,
            2 => label.num_classes = from.uint32(key)?,
            3 => result_label.theirs = from.string(key)?,
            4 => label.presult_label = KString::from_ref(from.string(key)?),
            5 => label.result_class_id = from.uint32(key)?,
            6 => label.label_id = from.int32(key)?.cast_unsigned(),
            7 => label.result_prob = from.float(key)?,
            1000 => result_label.ours = from.string(key)?,
            _ => from.skip(key)?,
        }
    }
    label.result_label = KString::from_ref(result_label.found());
    Ok(())
}

fn sensor(mut from: Reader<'_>, sensor: &mut Sensor) -> Result<(), Error> {
    while let Some(key) = from.key()? {
        match key.number() {
            1 => sensor.source_id = from.uint32(key)?,
            2 => sensor.uri = from.string(key)?.into(),
            3 => sensor.id = from.string(key)?.into(),
            4 => sensor.name = from.string(key)?.into(),
            _ => from.skip(key)?,
        }
    }
    Ok(())
}
