//! GStreamer's analytics metadata: as it is, and as objects for those who do not know it.

use std::collections::HashSet;

use dsmeta::model::{
    Analytics, AnalyticsItem, Bbox, Class, Classifier, Detection, KString, Label, Object, Rect, Relation,
    Tracking,
};
use gst_newer::analytics::{Link, Relations, Thing};

/// `GST_ANALYTICS_REL_TYPE_IS_PART_OF`
const IS_PART_OF: u32 = 1 << 1;

/// What of `relations` the model has a place for.
pub(super) fn read(relations: &Relations) -> Analytics {
    let mut items = Vec::with_capacity(relations.things.len());
    let places: Vec<Option<usize>> = relations
        .things
        .iter()
        .map(|thing| {
            items.push(item(thing)?);
            Some(items.len() - 1)
        })
        .collect();
    let relation = |link: &Link| {
        let place = |index: usize| places.get(index).copied().flatten();
        Some(Relation { from: place(link.from)?, to: place(link.to)?, kinds: link.relation })
    };
    Analytics { items, relations: relations.links.iter().filter_map(relation).collect() }
}

/// The other way.
pub(super) fn write(analytics: &Analytics) -> Relations {
    Relations {
        things: analytics.items.iter().map(thing).collect(),
        links: analytics
            .relations
            .iter()
            .map(|relation| Link { from: relation.from, to: relation.to, relation: relation.kinds })
            .collect(),
    }
}

/// Whether `buffer` has all of `things` already, in that order.
pub(super) fn has(buffer: &gst::BufferRef, things: &[Thing]) -> bool {
    let there = gst_newer::analytics::read(buffer).unwrap_or_default().things;
    let mut there = there.iter();
    things.iter().all(|thing| there.any(|other| other == thing))
}

fn item(thing: &Thing) -> Option<AnalyticsItem> {
    match thing {
        Thing::Object { label, x, y, width, height, rotation, confidence } => {
            Some(AnalyticsItem::Detection(Detection {
                label: label.clone(),
                x: *x,
                y: *y,
                width: *width,
                height: *height,
                rotation: finite(*rotation),
                confidence: finite(*confidence),
            }))
        }
        Thing::Class { classes } => Some(AnalyticsItem::Classification(
            classes
                .iter()
                .map(|(label, confidence)| Class { label: label.clone(), confidence: finite(*confidence) })
                .collect(),
        )),
        Thing::Tracking { id, first_seen, last_seen, lost } => {
            let time = |time: Option<gst::ClockTime>| time.map_or(u64::MAX, gst::ClockTime::nseconds);
            Some(AnalyticsItem::Tracking(Tracking {
                tracking_id: *id,
                first_seen: time(*first_seen),
                last_seen: time(*last_seen),
                lost: *lost,
            }))
        }
        _ => None,
    }
}

fn thing(item: &AnalyticsItem) -> Thing {
    match item {
        AnalyticsItem::Detection(detection) => Thing::Object {
            label: detection.label.clone(),
            x: detection.x,
            y: detection.y,
            width: detection.width,
            height: detection.height,
            rotation: detection.rotation,
            confidence: detection.confidence,
        },
        AnalyticsItem::Classification(classes) => Thing::Class {
            classes: classes.iter().map(|class| (class.label.clone(), class.confidence)).collect(),
        },
        AnalyticsItem::Tracking(tracking) => {
            let time = |time: u64| (time != u64::MAX).then(|| gst::ClockTime::from_nseconds(time));
            Thing::Tracking {
                id: tracking.tracking_id,
                first_seen: time(tracking.first_seen),
                last_seen: time(tracking.last_seen),
                lost: tracking.lost,
            }
        }
    }
}

/// Adds what was detected to `objects`, but for what is there as a region already.
pub(super) fn add_objects(analytics: &Analytics, objects: &mut Vec<Object>) {
    let known: HashSet<(KString, [u32; 4])> =
        objects.iter().map(|object| (object.label.clone(), place(&object.rect))).collect();
    // Index of the object that an item became.
    let mut places = vec![None; analytics.items.len()];
    for (index, item) in analytics.items.iter().enumerate() {
        if let AnalyticsItem::Detection(detection) = item {
            let object = object(detection);
            if known.is_empty() || !known.contains(&(object.label.clone(), place(&object.rect))) {
                places[index] = Some(objects.len());
                objects.push(object);
            }
        }
    }
    for relation in &analytics.relations {
        // Whichever way it was put.
        for (of, to) in [(relation.from, relation.to), (relation.to, relation.from)] {
            let Some(object) = places[of].map(|place| &mut objects[place]) else { continue };
            match &analytics.items[to] {
                AnalyticsItem::Tracking(tracking) => {
                    object.object_id = tracking.tracking_id;
                    object.tracker_bbox = object.detector_bbox;
                }
                AnalyticsItem::Classification(classes) => object.classifiers.extend(likeliest(classes)),
                AnalyticsItem::Detection(_) if of == relation.from && relation.kinds & IS_PART_OF != 0 => {
                    object.parent = places[to];
                }
                AnalyticsItem::Detection(_) => {}
            }
        }
    }
}

fn object(detection: &Detection) -> Object {
    let bbox = Bbox {
        left: detection.x as f32,
        top: detection.y as f32,
        width: detection.width as f32,
        height: detection.height as f32,
    };
    Object {
        label: KString::from_ref(&detection.label),
        confidence: detection.confidence,
        detector_bbox: bbox,
        rect: Rect {
            left: bbox.left,
            top: bbox.top,
            width: bbox.width,
            height: bbox.height,
            rotation: detection.rotation,
            ..Rect::default()
        },
        ..Object::default()
    }
}

fn place(rect: &Rect) -> [u32; 4] {
    [rect.left, rect.top, rect.width, rect.height].map(f32::to_bits)
}

fn likeliest(classes: &[Class]) -> Option<Classifier> {
    let (index, class) =
        classes.iter().enumerate().max_by(|(_, a), (_, b)| a.confidence.total_cmp(&b.confidence))?;
    Some(Classifier { labels: vec![label(index, class, classes.len())], ..Classifier::default() })
}

/// The class at `index`, of `count` classes.
pub(super) fn label(index: usize, class: &Class, count: usize) -> Label {
    Label {
        num_classes: u32::try_from(count).unwrap_or(u32::MAX),
        result_label: KString::from_ref(&class.label),
        result_class_id: u32::try_from(index).unwrap_or(u32::MAX),
        result_prob: class.confidence,
        ..Label::default()
    }
}

/// What is no number says nothing.
fn finite(value: f32) -> f32 {
    if value.is_finite() { value } else { 0.0 }
}
