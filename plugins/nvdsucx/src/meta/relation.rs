//! What analytics elements found in a frame (`GstAnalyticsRelationMeta`, GStreamer 1.24 and newer).

use gst::glib;
use gst_newer::analytics::{self, Analytics, Link, Mask, MaskFormat, Relations, SegmentationKind, Thing};
use nvdsucx_session::wire;
use wire::meta::Kind;
use wire::relation_meta as proto;
use wire::relation_meta::thing;

use crate::event::{Malformed, clock_time};

pub(super) use analytics::META_API as API;
pub(super) use analytics::api;

/// The meta of that kind of `buffer`, of which there is one at most, if `api` is its kind. `lost` is told what cannot be
/// carried.
pub(super) fn to_wire(
    buffer: &gst::BufferRef,
    api: glib::Type,
    lost: &mut dyn FnMut(&str, &str),
) -> Option<Kind> {
    if api.name() != API {
        return None;
    }
    let Relations { things, links } = analytics::read(buffer)?;
    for thing in &things {
        if let Thing::Other { name } = thing {
            lost(&format!("{name} of {API}"), "this plugin does not know what is in it");
        }
    }
    let things = things.into_iter().map(|thing| proto::Thing { kind: thing_to_wire(thing) }).collect();
    let index = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
    let link =
        |link: Link| proto::Link { from: index(link.from), to: index(link.to), relation: link.relation };
    Some(Kind::Relation(wire::RelationMeta { things, links: links.into_iter().map(link).collect() }))
}

fn thing_to_wire(thing: Thing) -> Option<thing::Kind> {
    Some(match thing {
        Thing::Object { label, x, y, width, height, rotation, confidence } => {
            thing::Kind::Object(proto::Object { r#type: label, x, y, width, height, rotation, confidence })
        }
        Thing::Class { classes } => {
            let class = |(name, confidence)| proto::Class { name, confidence };
            thing::Kind::Classes(proto::Classes { classes: classes.into_iter().map(class).collect() })
        }
        Thing::Tracking { id, first_seen, last_seen, lost } => thing::Kind::Tracking(proto::Tracking {
            id,
            first_seen: first_seen.map(gst::ClockTime::nseconds),
            last_seen: last_seen.map(gst::ClockTime::nseconds),
            lost,
        }),
        Thing::Segmentation { kind, mask, regions, x, y, shown_width, shown_height } => {
            thing::Kind::Segmentation(proto::Segmentation {
                kind: kind as u32,
                format: mask.format.name().to_owned(),
                width: mask.width,
                height: mask.height,
                mask: mask.data,
                regions,
                x,
                y,
                shown_width,
                shown_height,
            })
        }
        _ => return None,
    })
}

pub(super) fn attach(
    buffer: &mut gst::BufferRef,
    meta: &wire::RelationMeta,
    lost: &mut dyn FnMut(&str, &str),
) -> Result<(), Malformed> {
    let things = meta.things.iter().map(|thing| thing_from_wire(thing.kind.as_ref()));
    let relations = Relations {
        things: things.collect::<Result<_, _>>()?,
        links: meta.links.iter().map(link_from_wire).collect(),
    };
    analytics::attach(buffer, &relations).map_err(malformed)?;
    // What the sender could not name it has counted.
    let known = relations.things.iter().filter(|thing| !matches!(thing, Thing::Other { .. }));
    for _ in known.filter(|thing| !Analytics::get().is_some_and(|library| library.can_attach(thing))) {
        lost("mask of GstAnalyticsRelationMetaAPI", "this GStreamer has no place for it");
    }
    Ok(())
}

fn link_from_wire(link: &proto::Link) -> Link {
    Link { from: link.from as usize, to: link.to as usize, relation: link.relation }
}

fn thing_from_wire(thing: Option<&thing::Kind>) -> Result<Thing, Malformed> {
    Ok(match thing {
        Some(thing::Kind::Object(object)) => Thing::Object {
            label: object.r#type.clone(),
            x: object.x,
            y: object.y,
            width: object.width,
            height: object.height,
            rotation: object.rotation,
            confidence: object.confidence,
        },
        Some(thing::Kind::Classes(classes)) => Thing::Class {
            classes: classes.classes.iter().map(|class| (class.name.clone(), class.confidence)).collect(),
        },
        Some(thing::Kind::Tracking(tracking)) => Thing::Tracking {
            id: tracking.id,
            first_seen: clock_time(tracking.first_seen),
            last_seen: clock_time(tracking.last_seen),
            lost: tracking.lost,
        },
        Some(thing::Kind::Segmentation(segmentation)) => segmentation_from_wire(segmentation)?,
        None => Thing::Other { name: String::new() },
    })
}

fn segmentation_from_wire(from: &proto::Segmentation) -> Result<Thing, Malformed> {
    let format = MaskFormat::from_name(&from.format)
        .ok_or_else(|| Malformed(format!("a mask in the format `{}`", from.format)))?;
    let mask = Mask { format, width: from.width, height: from.height, data: from.mask.clone() };
    Ok(Thing::Segmentation {
        kind: SegmentationKind::try_from(from.kind).map_err(malformed)?,
        mask,
        regions: from.regions.clone(),
        x: from.x,
        y: from.y,
        shown_width: from.shown_width,
        shown_height: from.shown_height,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn malformed(error: gst_newer::Error) -> Malformed {
    Malformed(format!("what was found in a frame: {error}"))
}
