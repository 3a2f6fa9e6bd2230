//! What came from GStreamer's own metadata.

use crate::Error;
use crate::model::{Analytics, AnalyticsItem, Class, Detection, Region, Relation, Tracking};
use crate::schema::{self, ItemKind};

pub(super) fn region(region: schema::Region) -> Region {
    Region {
        id: region.id,
        parent_id: region.parent_id,
        x: region.x,
        y: region.y,
        width: region.width,
        height: region.height,
        params: region.params,
    }
}

/// Relations refer to items by their index: one that is not known cannot be left out.
pub(super) fn analytics(analytics: schema::Analytics) -> Result<Analytics, Error> {
    let items = analytics.items.into_iter().enumerate();
    let items = items.map(|(index, item)| match item.kind {
        Some(ItemKind::Detection(detection)) => Ok(AnalyticsItem::Detection(self::detection(detection))),
        Some(ItemKind::Classification(classification)) => {
            Ok(AnalyticsItem::Classification(classification.classes.into_iter().map(class).collect()))
        }
        Some(ItemKind::Tracking(tracking)) => Ok(AnalyticsItem::Tracking(self::tracking(&tracking))),
        None => Err(Error::UnknownAnalytics { index }),
    });
    Ok(Analytics {
        items: items.collect::<Result<_, _>>()?,
        relations: analytics.relations.iter().map(relation).collect(),
    })
}

fn detection(detection: schema::Detection) -> Detection {
    Detection {
        label: detection.label,
        x: detection.x,
        y: detection.y,
        width: detection.width,
        height: detection.height,
        rotation: detection.rotation,
        confidence: detection.confidence,
    }
}

fn class(class: schema::Class) -> Class {
    Class { label: class.label, confidence: class.confidence }
}

fn tracking(tracking: &schema::Tracking) -> Tracking {
    let schema::Tracking { tracking_id, first_seen, last_seen, lost } = *tracking;
    Tracking { tracking_id, first_seen, last_seen, lost }
}

fn relation(relation: &schema::Relation) -> Relation {
    Relation { from: relation.from as usize, to: relation.to as usize, kinds: relation.kinds }
}
