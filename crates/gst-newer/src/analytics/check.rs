//! What is refused before GStreamer sees it.

use super::{Link, Mask, Relations, Thing};
use crate::Error;

/// Most things. Their relations take the square of it, in bytes.
pub const MAX_THINGS: usize = 4096;
/// Most links.
pub const MAX_LINKS: usize = 1 << 16;
/// Most classes of a [`Thing::Class`].
pub const MAX_CLASSES: usize = 4096;
/// Longest label, in bytes.
pub const MAX_LABEL: usize = 1024;
/// Largest coordinate, width and height, in pixels.
pub const MAX_COORDINATE: i32 = 1 << 20;
/// Largest width and height of a mask, in pixels.
pub const MAX_MASK_SIDE: u32 = 1 << 15;
/// Most regions of a mask.
pub const MAX_REGIONS: usize = 1 << 16;
/// All relations that GStreamer defines: is part of, contains, relates to, and (with 1.26) N to N.
pub const RELATIONS: u32 = 0x1e;

impl Relations {
    /// Whether all values are such that GStreamer can be given them.
    pub fn check(&self) -> Result<(), Error> {
        check_count("analytics things", self.things.len(), MAX_THINGS)?;
        check_count("links between analytics things", self.links.len(), MAX_LINKS)?;
        self.things.iter().try_for_each(check_thing)?;
        self.links.iter().try_for_each(|link| check_link(link, self.things.len()))
    }
}

fn check_thing(thing: &Thing) -> Result<(), Error> {
    match thing {
        Thing::Object { label, x, y, width, height, rotation, confidence } => {
            check_label(label)?;
            check_range("x of an object", i64::from(*x), -MAX_COORDINATE)?;
            check_range("y of an object", i64::from(*y), -MAX_COORDINATE)?;
            check_range("the width of an object", i64::from(*width), 0)?;
            check_range("the height of an object", i64::from(*height), 0)?;
            check_finite("an object's rotation", *rotation)?;
            check_finite("the confidence in an object", *confidence)
        }
        Thing::Class { classes } => {
            check_count("classes", classes.len(), MAX_CLASSES)?;
            classes.iter().try_for_each(|(label, confidence)| {
                check_label(label)?;
                check_finite("the confidence in a class", *confidence)
            })
        }
        Thing::Segmentation { kind: _, mask, regions, x, y, shown_width, shown_height } => {
            check_count("regions of a mask", regions.len(), MAX_REGIONS)?;
            check_range("x of a mask", i64::from(*x), -MAX_COORDINATE)?;
            check_range("y of a mask", i64::from(*y), -MAX_COORDINATE)?;
            check_range("the width of a mask in its frame", i64::from(*shown_width), 0)?;
            check_range("the height of a mask in its frame", i64::from(*shown_height), 0)?;
            check_mask(mask)
        }
        // Any number is a good one there; and what is left out need not be good.
        Thing::Tracking { .. } | Thing::Other { .. } => Ok(()),
    }
}

fn check_link(link: &Link, things: usize) -> Result<(), Error> {
    if let Some(index) = [link.from, link.to].into_iter().find(|index| *index >= things) {
        return Err(Error::NoSuchThing { index, things });
    }
    if link.relation == 0 || link.relation & !RELATIONS != 0 {
        return Err(Error::Relation { relation: link.relation });
    }
    Ok(())
}

fn check_mask(mask: &Mask) -> Result<(), Error> {
    for (what, side) in [("the width of a mask", mask.width), ("the height of a mask", mask.height)] {
        if !(1..=MAX_MASK_SIDE).contains(&side) {
            return Err(Error::OutOfRange { what, value: side.into(), min: 1, max: MAX_MASK_SIDE.into() });
        }
    }
    let needed = u64::from(mask.width) * u64::from(mask.height) * mask.format.value_len() as u64;
    let len = mask.data.len() as u64;
    if len != needed {
        return Err(Error::Length { what: "the data of a mask", len, needed });
    }
    Ok(())
}

fn check_label(label: &str) -> Result<(), Error> {
    if label.len() > MAX_LABEL {
        return Err(Error::TooLong { what: "a label", len: label.len(), limit: MAX_LABEL });
    }
    if label.contains('\0') {
        return Err(Error::Nul { what: "a label" });
    }
    Ok(())
}

fn check_count(what: &'static str, count: usize, limit: usize) -> Result<(), Error> {
    if count > limit { Err(Error::TooMany { what, count, limit }) } else { Ok(()) }
}

fn check_range(what: &'static str, value: i64, min: i32) -> Result<(), Error> {
    let (min, max) = (i64::from(min), i64::from(MAX_COORDINATE));
    if (min..=max).contains(&value) { Ok(()) } else { Err(Error::OutOfRange { what, value, min, max }) }
}

fn check_finite(what: &'static str, value: f32) -> Result<(), Error> {
    if value.is_finite() { Ok(()) } else { Err(Error::NotFinite { what }) }
}
