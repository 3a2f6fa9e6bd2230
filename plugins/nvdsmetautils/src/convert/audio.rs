//! Frames of samples.

use dsmeta::model::{AudioBatch, AudioFrame, Class, Classifier, Label};
use gst_audio::{AudioFormat, AudioFormatInfo, AudioLayout, AudioMeta};
use gst_newer::analytics::{self as newer, Relations, Thing};

use super::analytics::label;
use super::pts;
use crate::{CAT, Error};

/// What a stream's caps, or a buffer's meta, tell of its samples.
pub(super) struct Samples {
    pub(super) rate: u32,
    pub(super) channels: u32,
    pub(super) format: AudioFormat,
    pub(super) layout: AudioLayout,
}

/// What the metas on `buffer` say, and where they do not, `samples` of the stream.
pub(super) fn read(buffer: &gst::BufferRef, mut samples: Samples) -> AudioBatch {
    let mut count = None;
    if let Some(meta) = buffer.meta::<AudioMeta>() {
        let info = meta.info();
        samples = Samples {
            rate: info.rate(),
            channels: info.channels(),
            format: info.format(),
            layout: info.layout(),
        };
        count = Some(meta.samples());
    }
    let count = count.unwrap_or_else(|| buffer.size().checked_div(sample_size(&samples)).unwrap_or(0));
    let classifiers = classifiers(buffer);
    let best = classifiers.first().and_then(|classifier| likeliest(&classifier.labels)).cloned();
    let best = best.unwrap_or_default();
    let frame = AudioFrame {
        buf_pts: pts(buffer),
        num_samples_per_frame: i32::try_from(count).unwrap_or(i32::MAX),
        sample_rate: samples.rate,
        num_channels: samples.channels,
        format: format_number(samples.format),
        layout: match samples.layout {
            AudioLayout::NonInterleaved => 2,
            _ => 1,
        },
        infer_done: !classifiers.is_empty(),
        class_id: i32::try_from(best.result_class_id).unwrap_or(0),
        confidence: best.result_prob,
        class_label: best.result_label.into_string(),
        classifiers,
        ..AudioFrame::default()
    };
    AudioBatch { max_frames_in_batch: 1, frames: vec![frame], ..AudioBatch::default() }
}

/// Bytes of a sample of all channels; 0 if that cannot be told.
fn sample_size(samples: &Samples) -> usize {
    if matches!(samples.format, AudioFormat::Unknown | AudioFormat::Encoded) {
        return 0;
    }
    let width = AudioFormatInfo::from_format(samples.format).width() as usize / 8;
    width * samples.channels as usize
}

/// `NvBufAudioFormat`, which is in the order of GStreamer's formats, up to those that were added since.
fn format_number(format: AudioFormat) -> u32 {
    use gst::glib::translate::IntoGlib;
    match u32::try_from(format.into_glib()) {
        // From 2, signed 8 bits, to 31, doubles.
        Ok(number @ 2..=31) => number - 1,
        _ => 0,
    }
}

/// The classes that the buffer is said to have.
fn classifiers(buffer: &gst::BufferRef) -> Vec<Classifier> {
    let classes = |thing: Thing| match thing {
        Thing::Class { classes } => Some(Classifier {
            labels: classes.iter().enumerate().map(|(i, class)| one(i, class, classes.len())).collect(),
            ..Classifier::default()
        }),
        _ => None,
    };
    newer::read(buffer).unwrap_or_default().things.into_iter().filter_map(classes).collect()
}

fn one(index: usize, (name, confidence): &(String, f32), count: usize) -> Label {
    let confidence = if confidence.is_finite() { *confidence } else { 0.0 };
    label(index, &Class { label: name.clone(), confidence }, count)
}

fn likeliest(labels: &[Label]) -> Option<&Label> {
    labels.iter().max_by(|a, b| a.result_prob.total_cmp(&b.result_prob))
}

/// Puts on `buffer` the classes that it has not yet. False if this GStreamer has no metas for them.
pub(super) fn write(batch: &AudioBatch, buffer: &mut gst::BufferRef) -> Result<bool, Error> {
    let classified = |frame: &&AudioFrame| !frame.classifiers.is_empty() || !frame.class_label.is_empty();
    let Some(frame) = batch.frames.iter().find(classified) else { return Ok(true) };
    if batch.frames.len() > 1 || newer::Analytics::get().is_none() {
        gst::debug!(CAT, "this GStreamer has nothing for classes of audio, or of several frames of it");
        return Ok(false);
    }
    let class = |label: &Label| {
        let text = if label.result_label.is_empty() { &label.presult_label } else { &label.result_label };
        (text.to_string(), label.result_prob)
    };
    let mut things: Vec<Thing> = frame
        .classifiers
        .iter()
        .map(|classifier| Thing::Class { classes: classifier.labels.iter().map(class).collect() })
        .collect();
    if things.is_empty() {
        things.push(Thing::Class { classes: vec![(frame.class_label.clone(), frame.confidence)] });
    }
    if !super::analytics::has(buffer, &things) {
        newer::attach(buffer, &Relations { things, links: Vec::new() })?;
    }
    Ok(true)
}
