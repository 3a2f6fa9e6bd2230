//! Values into a batch meta. Lists keep their order.
//!
//! The library puts most elements in front of those that are there, so lists are built from their end. This also has it find
//! each element at once when it frees them: it searches for it among those in use, the latest first.

use std::mem::offset_of;

use dsmeta::model;

use crate::at::{At, Link, Plain};
use crate::batch::{Kind, Locked};
use crate::text::{self, Text};
use crate::{Error, osd, raw};

/// Most frames that a new batch meta has room for, if it does not have as many: the library allocates for each.
const MAX_ROOM: usize = 64;
/// Most classifiers of an audio frame: the library puts each at the end of the list, and goes there from its start.
const MAX_AUDIO_CLASSIFIERS: usize = 1024;

/// Kind and size of a new batch meta for `batch`.
pub(crate) fn needs(batch: &model::Batch) -> (Kind, u32) {
    let (kind, room, frames) = match batch {
        model::Batch::Video(batch) => (Kind::Video, batch.max_frames_in_batch, batch.frames.len()),
        model::Batch::Audio(batch) => (Kind::Audio, batch.max_frames_in_batch, batch.frames.len()),
    };
    let room = (room as usize).clamp(frames, frames.max(MAX_ROOM));
    (kind, u32::try_from(room).unwrap_or(u32::MAX))
}

/// Finds what nobody should read from a batch meta: values come from peers.
pub(crate) fn check(batch: &model::Batch) -> Result<(), Error> {
    match batch {
        model::Batch::Video(batch) => {
            limit("frames", &batch.frames, dsmeta::MAX_FRAMES)?;
            batch.frames.iter().try_for_each(check_frame)
        }
        model::Batch::Audio(batch) => {
            limit("frames", &batch.frames, dsmeta::MAX_FRAMES)?;
            let mut frames = batch.frames.iter();
            frames.try_for_each(|frame| {
                limit("classifiers of an audio frame", &frame.classifiers, MAX_AUDIO_CLASSIFIERS)
            })
        }
    }
}

fn check_frame(frame: &model::VideoFrame) -> Result<(), Error> {
    for display in &frame.displays {
        limit("rectangles in a display meta", &display.rects, raw::SHAPES)?;
        limit("texts in a display meta", &display.texts, raw::SHAPES)?;
        limit("lines in a display meta", &display.lines, raw::SHAPES)?;
        limit("arrows in a display meta", &display.arrows, raw::SHAPES)?;
        limit("circles in a display meta", &display.circles, raw::SHAPES)?;
    }
    frame.objects.iter().try_for_each(|object| osd::check_mask(&object.mask))?;
    check_parents(&frame.objects)
}

fn limit<T>(what: &'static str, list: &[T], limit: usize) -> Result<(), Error> {
    if list.len() > limit { Err(Error::TooMany { what, limit }) } else { Ok(()) }
}

/// Parents are there, and following them ends.
fn check_parents(objects: &[model::Object]) -> Result<(), Error> {
    // From which object on the way was followed that led here.
    let mut seen_from = vec![None; objects.len()];
    for start in 0..objects.len() {
        let mut next = Some(start);
        while let Some(index) = next {
            match seen_from.get(index) {
                None => return Err(Error::Parent(start)),
                Some(Some(from)) if *from == start => return Err(Error::Parent(start)),
                Some(Some(_)) => break,
                Some(None) => seen_from[index] = Some(start),
            }
            next = objects[index].parent;
        }
    }
    Ok(())
}

/// All of `batch`, which was checked, and is of the kind that is locked.
pub(crate) fn batch(locked: &Locked<'_>, batch: &model::Batch) -> Result<(), Error> {
    match batch {
        model::Batch::Video(batch) => {
            set_misc(locked, batch.misc_batch_info);
            frames(locked, &batch.frames, new_frame, |frame| frame.batch_id, set_frame)
        }
        model::Batch::Audio(batch) => {
            set_misc(locked, batch.misc_batch_info);
            frames(locked, &batch.frames, new_audio_frame, |frame| frame.batch_id, set_audio_frame)
        }
    }
}

fn set_misc(locked: &Locked<'_>, misc: [i64; 4]) {
    // SAFETY: it is there. All of the batch is not written, since others may wait for its lock.
    unsafe { locked.batch().part(offset_of!(raw::Batch, misc)) }.set(misc);
}

/// Writes `from` into the frames that are there, or makes as many if there are none.
fn frames<'l, R: Plain, M>(
    locked: &'l Locked<'_>,
    from: &[M],
    new: fn(&'l Locked<'_>, u32) -> Result<At<'l, R>, Error>,
    slot: fn(&M) -> u32,
    set: fn(&'l Locked<'_>, At<'l, R>, u32, &M) -> Result<(), Error>,
) -> Result<(), Error> {
    let batch = locked.batch().get();
    let there = batch.frames.elements(locked, "frames", dsmeta::MAX_FRAMES)?;
    let slots = if there.is_empty() { from.len() } else { there.len() };
    if from.len() > slots {
        return Err(Error::Frames { count: from.len(), slots });
    }
    let slots = u32::try_from(slots).expect("checked");
    // SAFETY: it is there.
    unsafe { locked.batch().part(offset_of!(raw::Batch, max_frames)) }
        .set(batch.max_frames.max(slots).max(1));
    for (index, from) in (0..slots).zip(from) {
        let frame = match there.get(index as usize) {
            // SAFETY: `R` is what the frames of this kind of batch are.
            Some(frame) => unsafe { frame.part(0) },
            None => new(locked, if slot(from) < slots { slot(from) } else { index })?,
        };
        set(locked, frame, slots, from)?;
    }
    Ok(())
}

fn new_frame<'l>(locked: &'l Locked<'_>, batch_id: u32) -> Result<At<'l, raw::Frame>, Error> {
    let frame = locked.acquire(|batch| batch.frame_pool, |functions| functions.acquire_frame)?;
    frame.update(|frame| {
        frame.batch_id = batch_id;
        frame.num_surfaces_per_frame = 1;
    });
    // SAFETY: the element is one of this batch, and in no list yet.
    unsafe { (locked.loaded.functions.add_frame)(locked.batch().as_ptr(), frame.as_ptr()) };
    Ok(frame)
}

/// Elements take `surface_index` for an index, and `num_surfaces_per_frame` for a length: they stay as they are where the
/// batch has not as many frames. The slot always does.
fn set_frame<'l>(
    locked: &'l Locked<'_>,
    at: At<'l, raw::Frame>,
    slots: u32,
    from: &model::VideoFrame,
) -> Result<(), Error> {
    at.update(|frame| {
        frame.pad_index = from.pad_index;
        frame.frame_num = from.frame_num;
        frame.buf_pts = from.buf_pts;
        frame.ntp_timestamp = from.ntp_timestamp;
        frame.source_id = from.source_id;
        if (1..=i64::from(slots)).contains(&i64::from(from.num_surfaces_per_frame)) {
            frame.num_surfaces_per_frame = from.num_surfaces_per_frame;
        }
        frame.source_frame_width = from.source_frame_width;
        frame.source_frame_height = from.source_frame_height;
        frame.surface_type = from.surface_type;
        if from.surface_index < slots {
            frame.surface_index = from.surface_index;
        }
        frame.infer_done = from.infer_done.into();
        frame.misc = from.misc_frame_info;
        frame.pipeline_width = from.pipeline_width;
        frame.pipeline_height = from.pipeline_height;
    });
    locked.loaded.layout.frame_reserved(at).set(from.reserve);
    if let (Some(at), Some(from)) = (locked.loaded.layout.sensor(at), &from.sensor) {
        set_sensor(locked, at, from);
    }
    objects(locked, at, &from.objects)?;
    for from in from.displays.iter().rev() {
        let display = locked.acquire(|batch| batch.display_pool, |functions| functions.acquire_display)?;
        osd::set_display(locked, display, from);
        // SAFETY: both are of this batch, and the display meta is in no list yet.
        unsafe { (locked.loaded.functions.add_display)(at.as_ptr(), display.as_ptr()) };
    }
    Ok(())
}

fn set_sensor(locked: &Locked<'_>, at: At<'_, raw::Sensor>, from: &model::Sensor) {
    let old = at.get();
    at.set(raw::Sensor {
        source_id: from.source_id,
        uri: Text::allocate(&from.uri),
        id: Text::allocate(&from.id),
        name: Text::allocate(&from.name),
    });
    for text in [old.uri, old.id, old.name] {
        text.free(locked);
    }
}

fn objects(locked: &Locked<'_>, frame: At<'_, raw::Frame>, from: &[model::Object]) -> Result<(), Error> {
    let mut objects = Vec::with_capacity(from.len());
    for from in from.iter().rev() {
        let object = new_object(locked, from)?;
        // SAFETY: both are of this batch, and the object is in no list yet.
        unsafe {
            (locked.loaded.functions.add_object)(frame.as_ptr(), object.as_ptr(), std::ptr::null_mut());
        };
        objects.push(object);
    }
    objects.reverse();
    for (object, from) in objects.iter().zip(from) {
        if let Some(parent) = from.parent {
            object.update(|object| object.parent = Link::to(objects[parent]));
        }
    }
    Ok(())
}

fn new_object<'l>(locked: &'l Locked<'_>, from: &model::Object) -> Result<At<'l, raw::Object>, Error> {
    let object = locked.acquire(|batch| batch.object_pool, |functions| functions.acquire_object)?;
    object.update(|object| {
        object.unique_component_id = from.unique_component_id;
        object.class_id = from.class_id;
        object.object_id = from.object_id;
        object.detector_bbox = bbox(from.detector_bbox);
        object.tracker_bbox = bbox(from.tracker_bbox);
        object.confidence = from.confidence;
        object.tracker_confidence = from.tracker_confidence;
    });
    let layout = &locked.loaded.layout;
    osd::set_rect(locked, layout.object_rect(object), &from.rect);
    layout.object_rest(object).update(|rest| {
        rest.mask = osd::raw_mask(&from.mask);
        rest.text = osd::raw_text(&from.text);
        rest.label = text::label_array(&from.label);
        rest.misc = from.misc_obj_info;
    });
    for from in from.classifiers.iter().rev() {
        let classifier = new_classifier(locked, from)?;
        // SAFETY: both are of this batch, and the classifier is in no list yet.
        unsafe { (locked.loaded.functions.add_classifier)(object.as_ptr(), classifier.as_ptr()) };
    }
    Ok(object)
}

fn new_classifier<'l>(
    locked: &'l Locked<'_>,
    from: &model::Classifier,
) -> Result<At<'l, raw::Classifier>, Error> {
    let classifier =
        locked.acquire(|batch| batch.classifier_pool, |functions| functions.acquire_classifier)?;
    classifier.update(|classifier| {
        classifier.unique_component_id = from.unique_component_id;
        classifier.classifier_type = Text::interned(&from.classifier_type);
    });
    for from in from.labels.iter().rev() {
        let label = locked.acquire(|batch| batch.label_pool, |functions| functions.acquire_label)?;
        label.update(|label| set_label(label, from));
        // SAFETY: both are of this batch, and the label is in no list yet.
        unsafe { (locked.loaded.functions.add_label)(classifier.as_ptr(), label.as_ptr()) };
    }
    Ok(classifier)
}

/// A result that is too long for its array is there whole, too.
fn set_label(label: &mut raw::Label, from: &model::Label) {
    let whole = if from.presult_label.is_empty() && from.result_label.len() >= raw::LABEL {
        &from.result_label
    } else {
        &from.presult_label
    };
    label.num_classes = from.num_classes;
    label.result_label = text::label_array(&from.result_label);
    label.presult_label = Text::allocate(whole);
    label.result_class_id = from.result_class_id;
    label.label_id = from.label_id;
    label.result_prob = from.result_prob;
}

fn new_audio_frame<'l>(locked: &'l Locked<'_>, batch_id: u32) -> Result<At<'l, raw::AudioFrame>, Error> {
    let frame = locked.acquire(|batch| batch.frame_pool, |functions| functions.acquire_audio_frame)?;
    frame.update(|frame| frame.batch_id = batch_id);
    // SAFETY: the element is one of this batch, and in no list yet.
    unsafe { (locked.loaded.functions.add_audio_frame)(locked.batch().as_ptr(), frame.as_ptr()) };
    Ok(frame)
}

/// What the samples are like is as the buffer has it, if it says so.
fn set_audio_frame<'l>(
    locked: &'l Locked<'_>,
    at: At<'l, raw::AudioFrame>,
    _slots: u32,
    from: &model::AudioFrame,
) -> Result<(), Error> {
    at.update(|frame| {
        frame.pad_index = from.pad_index;
        frame.frame_num = from.frame_num;
        frame.buf_pts = from.buf_pts;
        frame.ntp_timestamp = from.ntp_timestamp;
        frame.source_id = from.source_id;
        if frame.num_samples_per_frame == 0 {
            frame.num_samples_per_frame = from.num_samples_per_frame;
            frame.sample_rate = from.sample_rate;
            frame.num_channels = from.num_channels;
            frame.format = from.format.cast_signed();
            frame.layout = from.layout.cast_signed();
        }
        frame.infer_done = from.infer_done.into();
        frame.class_id = from.class_id;
        frame.confidence = from.confidence;
        frame.class_label = text::label_array(&from.class_label);
        frame.misc = from.misc_frame_info;
        frame.reserved = from.reserve;
    });
    // Made from the end, as above, though added from the start.
    let mut classifiers = Vec::with_capacity(from.classifiers.len());
    for from in from.classifiers.iter().rev() {
        classifiers.push(new_classifier(locked, from)?);
    }
    for classifier in classifiers.into_iter().rev() {
        // SAFETY: both are of this batch, and the classifier is in no list yet.
        unsafe { (locked.loaded.functions.add_audio_classifier)(at.as_ptr(), classifier.as_ptr()) };
    }
    Ok(())
}

fn bbox(from: model::Bbox) -> [f32; 4] {
    [from.left, from.top, from.width, from.height]
}
