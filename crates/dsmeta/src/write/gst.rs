//! What came from GStreamer's own metadata.

use super::list;
use crate::model::{Analytics, AnalyticsItem, Class, Detection, Region, Relation, Tracking};
use crate::schema::{self, ItemKind};

pub(super) fn region(region: &Region) -> schema::Region {
    schema::Region {
        id: region.id,
        parent_id: region.parent_id,
        x: region.x,
        y: region.y,
        width: region.width,
        height: region.height,
        params: region.params.clone(),
    }
}

pub(super) fn analytics(analytics: &Analytics) -> schema::Analytics {
    schema::Analytics {
        items: list(&analytics.items, |item| schema::AnalyticsItem { kind: Some(kind(item)) }),
        relations: list(&analytics.relations, relation),
    }
}

fn kind(item: &AnalyticsItem) -> ItemKind {
    match item {
        AnalyticsItem::Detection(detection) => ItemKind::Detection(self::detection(detection)),
        AnalyticsItem::Classification(classes) => {
            ItemKind::Classification(schema::Classification { classes: list(classes, class) })
        }
        AnalyticsItem::Tracking(tracking) => ItemKind::Tracking(self::tracking(*tracking)),
    }
}

fn detection(detection: &Detection) -> schema::Detection {
    schema::Detection {
        label: detection.label.clone(),
        x: detection.x,
        y: detection.y,
        width: detection.width,
        height: detection.height,
        rotation: detection.rotation,
        confidence: detection.confidence,
    }
}

fn class(class: &Class) -> schema::Class {
    schema::Class { label: class.label.clone(), confidence: class.confidence }
}

fn tracking(tracking: Tracking) -> schema::Tracking {
    let Tracking { tracking_id, first_seen, last_seen, lost } = tracking;
    schema::Tracking { tracking_id, first_seen, last_seen, lost }
}

fn relation(relation: &Relation) -> schema::Relation {
    schema::Relation { from: relation.from as u32, to: relation.to as u32, kinds: relation.kinds }
}
