//! Values to meta.

use gst::glib::ffi::{GQuark, GTRUE, gboolean};
use gst::glib::translate::{IntoGlib, IntoGlibPtr};

use super::ffi::{Functions, InitParams, Mtd, RelationMeta};
use super::{Analytics, MAX_THINGS, Relations, Thing, labels, mask};
use crate::Error;

/// The relations that GStreamer 1.24 knows: all but N to N.
const RELATIONS_1_24: u32 = 0x0e;

/// A guess at the bytes that a thing takes, for a start: the library asks for more if they do not suffice.
const THING_LEN: usize = 96;

/// A thing, and what can fail of it done: nothing is added before all of them are ready.
struct Ready<'a> {
    thing: &'a Thing,
    quarks: Vec<GQuark>,
    mask: Option<gst::Buffer>,
}

/// Adds what was checked to the buffer.
pub(super) fn attach(
    analytics: &Analytics,
    buffer: &mut gst::BufferRef,
    relations: &Relations,
) -> Result<(), Error> {
    let functions = &analytics.functions;
    let ready = relations
        .things
        .iter()
        .map(|thing| analytics.can_attach(thing).then(|| make_ready(functions, thing)).transpose())
        .collect::<Result<Vec<_>, _>>()?;
    let count = ready.iter().flatten().count();
    if count == 0 {
        return Ok(());
    }
    let meta = meta_for(functions, buffer, count)?;
    let mut ids = Vec::with_capacity(ready.len());
    for thing in ready {
        // SAFETY: the meta is of the buffer, which nobody else has.
        ids.push(thing.map(|thing| unsafe { add(functions, meta, thing) }).transpose()?);
    }
    let known = if functions.segmentation.is_some() { super::RELATIONS } else { RELATIONS_1_24 };
    for link in &relations.links {
        let relation = link.relation & known;
        let (Some(from), Some(to)) = (ids[link.from], ids[link.to]) else { continue };
        if relation != 0 {
            // SAFETY: as above; both ids were given by this meta.
            done("a link", unsafe { (functions.base.set_relation)(meta, relation, from, to) })?;
        }
    }
    Ok(())
}

fn make_ready<'a>(functions: &Functions, thing: &'a Thing) -> Result<Ready<'a>, Error> {
    let quarks = match thing {
        Thing::Object { label, .. } => vec![labels::to_quark(label)?],
        Thing::Class { classes } => {
            classes.iter().map(|(label, _)| labels::to_quark(label)).collect::<Result<_, _>>()?
        }
        _ => Vec::new(),
    };
    let mask = match (thing, &functions.segmentation) {
        (Thing::Segmentation { mask, .. }, Some((_, video))) => Some(mask::buffer_of(video, mask)?),
        _ => None,
    };
    Ok(Ready { thing, quarks, mask })
}

/// The buffer's meta, with place for `count` things, at least one; a new meta if there is none.
fn meta_for(
    functions: &Functions,
    buffer: &mut gst::BufferRef,
    count: usize,
) -> Result<*mut RelationMeta, Error> {
    let base = &functions.base;
    let mut params = InitParams { relation_order: count, buf_size: count * THING_LEN };
    // SAFETY: nobody else has the buffer.
    let meta = unsafe { (base.add_meta)(buffer.as_mut_ptr(), &mut params) };
    if meta.is_null() {
        return Err(Error::Refused { what: "a meta for analytics relations" });
    }
    // SAFETY: the buffer has the meta.
    let all = unsafe { (base.get_length)(meta) }.saturating_add(count);
    if all > MAX_THINGS {
        return Err(Error::TooMany { what: "analytics things on a buffer", count: all, limit: MAX_THINGS });
    }
    Ok(meta)
}

/// Adds a thing, and gives its id.
///
/// # Safety
///
/// `meta` is alive, and nobody else uses it.
unsafe fn add(functions: &Functions, meta: *mut RelationMeta, ready: Ready<'_>) -> Result<u32, Error> {
    let base = &functions.base;
    let Ready { thing, mut quarks, mask } = ready;
    let mut mtd = Mtd::empty();
    match thing {
        Thing::Object { label: _, x, y, width, height, rotation, confidence } => {
            let (x, y, width, height) = (*x, *y, *width, *height);
            let label = quarks.first().copied().unwrap_or_default();
            // SAFETY: the meta may be changed, as the caller promises; `mtd` is filled in.
            done("an object", unsafe {
                match &functions.oriented {
                    Some(oriented) => {
                        (oriented.add)(meta, label, x, y, width, height, *rotation, *confidence, &mut mtd)
                    }
                    None => (base.add_od)(meta, label, x, y, width, height, *confidence, &mut mtd),
                }
            })?;
        }
        Thing::Class { classes } => {
            let mut levels: Vec<f32> = classes.iter().map(|(_, level)| *level).collect();
            // SAFETY: as above. There is a quark and a level for each class, and both are copied.
            done("classes", unsafe {
                (base.add_cls)(meta, levels.len(), levels.as_mut_ptr(), quarks.as_mut_ptr(), &mut mtd)
            })?;
        }
        Thing::Tracking { id, first_seen, last_seen, lost } => {
            // SAFETY: as above.
            done("a track", unsafe { (base.add_tracking)(meta, *id, first_seen.into_glib(), &mut mtd) })?;
            // SAFETY: `mtd` is now a track of this meta.
            done("a track's time", unsafe { (base.tracking_seen)(&mut mtd, last_seen.into_glib()) })?;
            if *lost {
                // SAFETY: as before.
                done("a track's end", unsafe { (base.tracking_lost)(&mut mtd) })?;
            }
        }
        Thing::Segmentation { kind, mask: _, regions, x, y, shown_width, shown_height } => {
            let what = "a segmentation";
            let ((segmentation, _), mask) =
                functions.segmentation.as_ref().zip(mask).ok_or(Error::Refused { what })?;
            let mut regions = regions.clone();
            // SAFETY: as above. The buffer is handed over; it has a video meta, so that it is not refused. The ids of
            // the regions are copied.
            done(what, unsafe {
                (segmentation.add)(
                    meta,
                    mask.into_glib_ptr(),
                    *kind as u32,
                    regions.len(),
                    regions.as_mut_ptr(),
                    *x,
                    *y,
                    *shown_width,
                    *shown_height,
                    &mut mtd,
                )
            })?;
        }
        Thing::Other { .. } => return Err(Error::Refused { what: "a thing of an unknown kind" }),
    }
    Ok(mtd.id)
}

fn done(what: &'static str, result: gboolean) -> Result<(), Error> {
    if result == GTRUE { Ok(()) } else { Err(Error::Refused { what }) }
}
