//! Meta to values.

use std::ffi::CStr;

use gst::glib::ffi::GTRUE;
use gst::glib::translate::from_glib;

use super::ffi::{Functions, Mtd, RelationMeta};
use super::{Link, Relations, Thing, labels, mask};

/// What the meta of `buffer` says; `None` if there is none.
pub(super) fn read(functions: &Functions, buffer: &gst::BufferRef) -> Option<Relations> {
    let base = &functions.base;
    // SAFETY: the buffer lives, and is only read; C has no word for that.
    let meta = unsafe { (base.get_meta)(buffer.as_mut_ptr()) };
    if meta.is_null() {
        return None;
    }
    // SAFETY: the meta is the buffer's, which is borrowed for as long as this function runs.
    let count = unsafe { (base.get_length)(meta) };
    let count = u32::try_from(count).ok()?;
    Some(Relations {
        things: (0..count).map(|id| thing(functions, meta, id)).collect(),
        links: (0..count).flat_map(|from| links(functions, meta, from)).collect(),
    })
}

/// How thing `from` of `meta`, which is alive and has it, is related to others. The library looks for them: to ask for each
/// pair would take as many calls as there are things, squared.
fn links(functions: &Functions, meta: *mut RelationMeta, from: u32) -> impl Iterator<Item = Link> {
    let mut state = std::ptr::null_mut();
    std::iter::from_fn(move || {
        let mut to = Mtd::empty();
        // SAFETY: the meta lives and has the thing, 0 stands for things of any kind, and the state is of this search.
        let relation = unsafe {
            let found = (functions.base.get_related)(meta, from, u32::MAX, 0, &mut state, &mut to);
            if found != GTRUE {
                return None;
            }
            (functions.base.get_relation)(meta, from, to.id)
        };
        Some(Link { from: from as usize, to: to.id as usize, relation })
    })
}

/// Thing `id` of `meta`, which is alive and has it.
fn thing(functions: &Functions, meta: *mut RelationMeta, id: u32) -> Thing {
    let base = &functions.base;
    let mut mtd = Mtd::empty();
    // SAFETY: the meta lives; 0 stands for things of any kind.
    if unsafe { (base.get_mtd)(meta, id, 0, &mut mtd) } != GTRUE {
        return Thing::Other { name: String::new() };
    }
    // SAFETY: `mtd` is one of a meta that lives, as the library just said, and these ask for its kind.
    let (kind, od, cls, tracking) =
        unsafe { ((base.mtd_type)(&mtd), (base.od_type)(), (base.cls_type)(), (base.tracking_type)()) };
    let known = match kind {
        _ if kind == od => object(functions, &mtd),
        _ if kind == cls => Some(class(functions, &mtd)),
        _ if kind == tracking => track(functions, &mtd),
        _ => mask::read(functions, &mtd, kind),
    };
    known.unwrap_or_else(|| Thing::Other { name: name_of(functions, kind) })
}

/// The name of a kind that is not 0.
fn name_of(functions: &Functions, kind: usize) -> String {
    // SAFETY: the kind is that of a thing, and its name lives as long as the code that defines it.
    let name = unsafe {
        let name = (functions.base.type_name)(kind);
        if name.is_null() { c"" } else { CStr::from_ptr(name) }
    };
    name.to_string_lossy().into_owned()
}

/// The object that `mtd` is.
fn object(functions: &Functions, mtd: &Mtd) -> Option<Thing> {
    let [mut x, mut y, mut width, mut height] = [0; 4];
    let [mut rotation, mut confidence] = [0.0; 2];
    // SAFETY: `mtd` is an object of a meta that lives, and the numbers are filled in.
    let (done, label) = unsafe {
        let done = match &functions.oriented {
            Some(oriented) => (oriented.location)(
                mtd,
                &mut x,
                &mut y,
                &mut width,
                &mut height,
                &mut rotation,
                &mut confidence,
            ),
            None => {
                (functions.base.od_location)(mtd, &mut x, &mut y, &mut width, &mut height, &mut confidence)
            }
        };
        (done, (functions.base.od_label)(mtd))
    };
    let label = labels::from_quark(label);
    (done == GTRUE).then_some(Thing::Object { label, x, y, width, height, rotation, confidence })
}

/// The classes that `mtd` is.
fn class(functions: &Functions, mtd: &Mtd) -> Thing {
    let base = &functions.base;
    // SAFETY: `mtd` is a classification of a meta that lives.
    let count = unsafe { (base.cls_length)(mtd) };
    let one = |index| {
        // SAFETY: as above, and the index is below the length.
        let (label, level) = unsafe { ((base.cls_label)(mtd, index), (base.cls_level)(mtd, index)) };
        (labels::from_quark(label), level)
    };
    Thing::Class { classes: (0..count).map(one).collect() }
}

/// The track that `mtd` is.
fn track(functions: &Functions, mtd: &Mtd) -> Option<Thing> {
    let [mut id, mut first, mut last] = [0; 3];
    let mut lost = 0;
    // SAFETY: `mtd` is a track of a meta that lives, and the numbers are filled in.
    let done = unsafe { (functions.base.tracking_info)(mtd, &mut id, &mut first, &mut last, &mut lost) };
    // SAFETY: any number is a time, or none.
    let (first_seen, last_seen) = unsafe { (from_glib(first), from_glib(last)) };
    (done == GTRUE).then_some(Thing::Tracking { id, first_seen, last_seen, lost: lost != 0 })
}
