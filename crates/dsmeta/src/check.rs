//! What holds for metadata that is sent as for what was received.

mod parents;

use crate::Error;
use crate::limits::{Counted, MAX_FRAMES, MAX_SHAPES, Tally, at_most};
use crate::model::{
    Analytics, AnalyticsItem, AudioFrame, Batch, Bbox, Classifier, Color, Display, Mask, Object, Rect,
    Region, Sensor, Text, VideoFrame,
};

pub(crate) fn check(batch: &Batch) -> Result<(), Error> {
    let mut tally = Tally::default();
    let (room, frames) = match batch {
        Batch::Video(batch) => (batch.max_frames_in_batch, batch.frames.len()),
        Batch::Audio(batch) => (batch.max_frames_in_batch, batch.frames.len()),
    };
    at_most("frames that there is room for", room as usize, MAX_FRAMES)?;
    tally.add(Counted::Frames, frames)?;
    match batch {
        Batch::Video(batch) => batch.frames.iter().try_for_each(|frame| video_frame(frame, &mut tally)),
        Batch::Audio(batch) => batch.frames.iter().try_for_each(|frame| audio_frame(frame, &mut tally)),
    }
}

fn video_frame(frame: &VideoFrame, tally: &mut Tally) -> Result<(), Error> {
    tally.add(Counted::Objects, frame.objects.len())?;
    tally.add(Counted::Displays, frame.displays.len())?;
    frame.objects.iter().try_for_each(|object| self::object(object, tally))?;
    parents::check(&frame.objects)?;
    frame.displays.iter().try_for_each(display)?;
    frame.sensor.as_ref().map_or(Ok(()), sensor)?;
    frame.analytics.as_ref().map_or(Ok(()), |analytics| self::analytics(analytics, tally))
}

fn audio_frame(frame: &AudioFrame, tally: &mut Tally) -> Result<(), Error> {
    finite("the confidence of an audio frame", &[frame.confidence])?;
    text("the class of an audio frame", &frame.class_label)?;
    classifiers(&frame.classifiers, tally)
}

fn object(object: &Object, tally: &mut Tally) -> Result<(), Error> {
    bbox("the detector's box of an object", object.detector_bbox)?;
    bbox("the tracker's box of an object", object.tracker_bbox)?;
    finite("the confidence of an object", &[object.confidence, object.tracker_confidence])?;
    rect(&object.rect)?;
    mask(&object.mask)?;
    drawn_text(&object.text)?;
    text("the label of an object", &object.label)?;
    classifiers(&object.classifiers, tally)?;
    object.region.as_ref().map_or(Ok(()), |region| self::region(region, tally))
}

fn classifiers(classifiers: &[Classifier], tally: &mut Tally) -> Result<(), Error> {
    tally.add(Counted::Classifiers, classifiers.len())?;
    for classifier in classifiers {
        text("the type of a classifier", &classifier.classifier_type)?;
        tally.add(Counted::Labels, classifier.labels.len())?;
        for label in &classifier.labels {
            text("a classifier's label", &label.result_label)?;
            text("a classifier's long label", &label.presult_label)?;
            finite("the probability of a label", &[label.result_prob])?;
        }
    }
    Ok(())
}

fn display(display: &Display) -> Result<(), Error> {
    at_most("rectangles in a display meta", display.rects.len(), MAX_SHAPES)?;
    at_most("texts in a display meta", display.texts.len(), MAX_SHAPES)?;
    at_most("lines in a display meta", display.lines.len(), MAX_SHAPES)?;
    at_most("arrows in a display meta", display.arrows.len(), MAX_SHAPES)?;
    at_most("circles in a display meta", display.circles.len(), MAX_SHAPES)?;
    display.rects.iter().try_for_each(rect)?;
    display.texts.iter().try_for_each(drawn_text)?;
    display.lines.iter().try_for_each(|line| color("the colour of a line", line.color))?;
    display.arrows.iter().try_for_each(|arrow| color("the colour of an arrow", arrow.color))?;
    for circle in &display.circles {
        color("the colour of a circle", circle.color)?;
        color("the background of a circle", circle.bg_color)?;
    }
    Ok(())
}

fn sensor(sensor: &Sensor) -> Result<(), Error> {
    text("the URI of a sensor", &sensor.uri)?;
    text("the id of a sensor", &sensor.id)?;
    text("the name of a sensor", &sensor.name)
}

fn region(region: &Region, tally: &mut Tally) -> Result<(), Error> {
    tally.add(Counted::Params, region.params.len())?;
    if !region.confidence.is_finite() {
        return Err(not_finite("the confidence of a region", [region.confidence]));
    }
    region.params.iter().try_for_each(|param| text("a parameter of a region", param))
}

fn analytics(analytics: &Analytics, tally: &mut Tally) -> Result<(), Error> {
    tally.add(Counted::Analytics, analytics.items.len())?;
    tally.add(Counted::Relations, analytics.relations.len())?;
    for item in &analytics.items {
        match item {
            AnalyticsItem::Detection(detection) => {
                text("the type of a detection", &detection.label)?;
                finite("the rotation of a detection", &[detection.rotation])?;
                finite("the confidence of a detection", &[detection.confidence])?;
            }
            AnalyticsItem::Classification(classes) => {
                tally.add(Counted::Classes, classes.len())?;
                for class in classes {
                    text("the name of a class", &class.label)?;
                    finite("the confidence of a class", &[class.confidence])?;
                }
            }
            AnalyticsItem::Tracking(_) => {}
        }
    }
    let count = analytics.items.len();
    for relation in &analytics.relations {
        if let Some(index) = [relation.from, relation.to].into_iter().find(|index| *index >= count) {
            return Err(Error::NoSuchIndex { what: "an item in a relation", index, count });
        }
    }
    Ok(())
}

fn rect(rect: &Rect) -> Result<(), Error> {
    finite("a rectangle", &[rect.left, rect.top, rect.width, rect.height])?;
    finite("the rotation of a rectangle", &[rect.rotation])?;
    color("the border of a rectangle", rect.border_color)?;
    color("the background of a rectangle", rect.bg_color)
}

fn drawn_text(text: &Text) -> Result<(), Error> {
    self::text("a text to be drawn", &text.display_text)?;
    self::text("the name of a font", &text.font.name)?;
    color("the colour of a font", text.font.color)?;
    color("the background of a text", text.bg_color)
}

fn mask(mask: &Mask) -> Result<(), Error> {
    let values = mask.data.len();
    if values != 0 && u64::from(mask.width) * u64::from(mask.height) != values as u64 {
        return Err(Error::MaskShape { width: mask.width, height: mask.height, values });
    }
    finite("a value of a mask", &mask.data)?;
    finite("the threshold of a mask", &[mask.threshold])
}

fn bbox(what: &'static str, bbox: Bbox) -> Result<(), Error> {
    finite(what, &[bbox.left, bbox.top, bbox.width, bbox.height])
}

fn color(what: &'static str, color: Color) -> Result<(), Error> {
    let values = [color.red, color.green, color.blue, color.alpha];
    if values.iter().fold(true, |all, value| all & value.is_finite()) {
        return Ok(());
    }
    Err(not_finite(what, values))
}

/// Nearly always all are, and then it is faster not to stop at any.
fn finite(what: &'static str, values: &[f32]) -> Result<(), Error> {
    if values.iter().fold(true, |all, value| all & value.is_finite()) {
        return Ok(());
    }
    Err(not_finite(what, values.iter().copied().map(f64::from)))
}

#[cold]
fn not_finite(what: &'static str, values: impl IntoIterator<Item = f64>) -> Error {
    let value = values.into_iter().find(|value| !value.is_finite()).unwrap_or(f64::NAN);
    Error::NotFinite { what, value }
}

fn text(what: &'static str, text: &str) -> Result<(), Error> {
    if text.as_bytes().contains(&0) {
        return Err(Error::Nul { what });
    }
    Ok(())
}
