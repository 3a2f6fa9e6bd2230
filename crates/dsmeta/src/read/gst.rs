//! What came from GStreamer's own metadata.

use super::value::one_more;
use crate::Error;
use crate::limits::{Counted, Tally};
use crate::model::{Analytics, AnalyticsItem, Class, Detection, Region, Relation, Tracking};
use crate::protobuf::Reader;

pub(super) fn region(mut from: Reader<'_>, region: &mut Region, tally: &mut Tally) -> Result<(), Error> {
    while let Some(key) = from.key()? {
        match key.number() {
            1 => region.id = from.sint32(key)?,
            2 => region.parent_id = from.sint32(key)?,
            3 => region.x = from.uint32(key)?,
            4 => region.y = from.uint32(key)?,
            5 => region.width = from.uint32(key)?,
            6 => region.height = from.uint32(key)?,
            7 => *one_more(&mut region.params, Counted::Params, tally)? = from.string(key)?.into(),
            8 => region.confidence = from.double(key)?,
            _ => from.skip(key)?,
        }
    }
    Ok(())
}

pub(super) fn analytics(
    mut from: Reader<'_>,
    analytics: &mut Analytics,
    tally: &mut Tally,
) -> Result<(), Error> {
    while let Some(key) = from.key()? {
        match key.number() {
            1 => {
                tally.add(Counted::Analytics, 1)?;
                // Relations refer to items by their index: one that is not known cannot be left out.
                let unknown = Error::UnknownAnalytics { index: analytics.items.len() };
                analytics.items.push(item(from.message(key)?, tally)?.ok_or(unknown)?);
            }
            2 => {
                let relation = one_more(&mut analytics.relations, Counted::Relations, tally)?;
                self::relation(from.message(key)?, relation)?;
            }
            _ => from.skip(key)?,
        }
    }
    Ok(())
}

/// The last of several holds. Only if they are of the same kind, they are one.
fn item(mut from: Reader<'_>, tally: &mut Tally) -> Result<Option<AnalyticsItem>, Error> {
    let mut item = None;
    while let Some(key) = from.key()? {
        item = match (key.number(), item) {
            (1, before) => {
                let mut value = match before {
                    Some(AnalyticsItem::Detection(before)) => before,
                    _ => Detection::default(),
                };
                detection(from.message(key)?, &mut value)?;
                Some(AnalyticsItem::Detection(value))
            }
            (2, before) => {
                let mut value = match before {
                    Some(AnalyticsItem::Classification(before)) => before,
                    _ => Vec::new(),
                };
                classification(from.message(key)?, &mut value, tally)?;
                Some(AnalyticsItem::Classification(value))
            }
            (3, before) => {
                let mut value = match before {
                    Some(AnalyticsItem::Tracking(before)) => before,
                    _ => Tracking::default(),
                };
                tracking(from.message(key)?, &mut value)?;
                Some(AnalyticsItem::Tracking(value))
            }
            (_, before) => {
                from.skip(key)?;
                before
            }
        };
    }
    Ok(item)
}

fn detection(mut from: Reader<'_>, detection: &mut Detection) -> Result<(), Error> {
    while let Some(key) = from.key()? {
        match key.number() {
            1 => detection.label = from.string(key)?.into(),
            2 => detection.x = from.sint32(key)?,
            3 => detection.y = from.sint32(key)?,
            4 => detection.width = from.sint32(key)?,
            5 => detection.height = from.sint32(key)?,
            6 => detection.rotation = from.float(key)?,
            7 => detection.confidence = from.float(key)?,
            _ => from.skip(key)?,
        }
    }
    Ok(())
}

fn classification(mut from: Reader<'_>, classes: &mut Vec<Class>, tally: &mut Tally) -> Result<(), Error> {
    while let Some(key) = from.key()? {
        match key.number() {
            1 => class(from.message(key)?, one_more(classes, Counted::Classes, tally)?)?,
            _ => from.skip(key)?,
        }
    }
    Ok(())
}

fn class(mut from: Reader<'_>, class: &mut Class) -> Result<(), Error> {
    while let Some(key) = from.key()? {
        match key.number() {
            1 => class.label = from.string(key)?.into(),
            2 => class.confidence = from.float(key)?,
            _ => from.skip(key)?,
        }
    }
    Ok(())
}

fn tracking(mut from: Reader<'_>, tracking: &mut Tracking) -> Result<(), Error> {
    while let Some(key) = from.key()? {
        match key.number() {
            1 => tracking.tracking_id = from.uint64(key)?,
            2 => tracking.first_seen = from.uint64(key)?,
            3 => tracking.last_seen = from.uint64(key)?,
            4 => tracking.lost = from.bool(key)?,
            _ => from.skip(key)?,
        }
    }
    Ok(())
}

fn relation(mut from: Reader<'_>, relation: &mut Relation) -> Result<(), Error> {
    while let Some(key) = from.key()? {
        match key.number() {
            1 => relation.from = from.uint32(key)? as usize,
            2 => relation.to = from.uint32(key)? as usize,
            3 => relation.kinds = from.uint32(key)?,
            _ => from.skip(key)?,
        }
    }
    Ok(())
}
