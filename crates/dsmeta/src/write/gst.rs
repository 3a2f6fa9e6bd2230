//! What came from GStreamer's own metadata: messages that NVIDIA's schema does not have.

use crate::model::{Analytics, AnalyticsItem, Class, Detection, Region, Relation, Tracking};
use crate::protobuf::Writer;

pub(super) fn region(to: &mut Writer, region: &Region) {
    to.sint32(1, region.id);
    to.sint32(2, region.parent_id);
    to.uint32(3, region.x);
    to.uint32(4, region.y);
    to.uint32(5, region.width);
    to.uint32(6, region.height);
    for param in &region.params {
        to.repeated_string(7, param);
    }
    to.double(8, region.confidence);
}

pub(super) fn analytics(to: &mut Writer, analytics: &Analytics) {
    for item in &analytics.items {
        to.message(1, |to| self::item(to, item));
    }
    for relation in &analytics.relations {
        to.message(2, |to| self::relation(to, relation));
    }
}

/// One of the three.
fn item(to: &mut Writer, item: &AnalyticsItem) {
    match item {
        AnalyticsItem::Detection(detection) => to.message(1, |to| self::detection(to, detection)),
        AnalyticsItem::Classification(classes) => to.message(2, |to| classification(to, classes)),
        AnalyticsItem::Tracking(tracking) => to.message(3, |to| self::tracking(to, tracking)),
    }
}

fn detection(to: &mut Writer, detection: &Detection) {
    to.string(1, &detection.label);
    to.sint32(2, detection.x);
    to.sint32(3, detection.y);
    to.sint32(4, detection.width);
    to.sint32(5, detection.height);
    to.float(6, detection.rotation);
    to.float(7, detection.confidence);
}

fn classification(to: &mut Writer, classes: &[Class]) {
    for class in classes {
        to.message(1, |to| {
            to.string(1, &class.label);
            to.float(2, class.confidence);
        });
    }
}

fn tracking(to: &mut Writer, tracking: &Tracking) {
    to.uint64(1, tracking.tracking_id);
    to.uint64(2, tracking.first_seen);
    to.uint64(3, tracking.last_seen);
    to.bool(4, tracking.lost);
}

fn relation(to: &mut Writer, relation: &Relation) {
    to.uint32(1, relation.from as u32);
    to.uint32(2, relation.to as u32);
    to.uint32(3, relation.kinds);
}
